//! Reference job programs of the demo experiment.
mod arguments;
pub mod event;
pub mod format;
mod harvest;
pub mod inject;
mod input;
pub mod job;
pub mod mc;
mod random;
mod root_file;
mod sidecar;
pub mod source;
mod table;
mod worker;
