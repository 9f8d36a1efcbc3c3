//! The tour of the house, in the order of the flow. Each room says at its head what it is for, what
//! comes in, what goes out and what it must never do.
//!
//! - `model`: the words - run, lumi, file, job, dataset - and their legal steps.
//! - `watch`: sees files arrive and reads names and sidecars; `lanes` carries what it saw.
//! - `engine`: accepts, accounts, cuts, places, concludes; pure, told the time, answering with
//!   effects. The wings `pipelines`, `calibration` and `dqm` hold what physicists decide.
//! - `agents`: drives the engine; commits batches, releases effects.
//! - `ports`: the doors, and behind them `store` (SQLite), `executors` (local programs), `storage`
//!   (outputs put in place).
//! - `view` and `api`: what strangers see; `meter`: how long everything took.
//! - `sim`: the same engine in a world of virtual time and trouble.
//! - `programs`: the job programs of the demo experiment.
//!
//! This package knows all of them:

pub mod config;
pub mod check;
pub mod explain;
pub mod serve;
pub mod cli;
pub mod data;
pub mod digest;
pub mod regression;
pub mod draw;
pub mod demo;
pub mod bench;
