//! The tour of the house: one paragraph a room, in the order of the flow.

pub mod bench;
pub mod check;
pub mod cli;
pub mod config;
pub mod data;
pub mod demo;
pub mod serve;
