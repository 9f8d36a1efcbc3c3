//! The words. Plain values and their legal steps: what a run, a lumi, a file, a job is, and how
//! each may change.
//!
//! Everything in the house speaks these words and nothing here knows anybody. No clock is read, no
//! file is opened, no thread is started; time comes in as a [`time::Moment`]. Serialisation exists
//! only for the store's rows and the optional journal: strangers get the shapes of the room `view`.
//!
//! Reading order is the order of the `mod` lines.

pub mod ids;
pub mod time;
pub mod units;
pub mod names;
pub mod step;
pub mod ruling;
pub mod run;
pub mod lumi;
pub mod witness;
pub mod frontier;
pub mod arrival;
pub mod file;
pub mod resource;
pub mod budget;
pub mod job;
pub mod failure;
pub mod field;
pub mod dataset;
pub mod conditions;
pub mod conditions_document;
pub mod configuration;
pub mod quality;
pub mod alarm;
pub mod trouble;
pub mod account;
pub mod plugin;
pub mod work;
pub mod source;
pub mod wait;
pub mod command;
pub mod audit;
pub mod usage;
pub mod recall;
pub mod fact;
pub mod rows;
