//! Real faults: full disks, a store that others hold, a clock that is set, limits of the kernel,
//! programs that behave as badly as they can. Each row of the table of faults that is tested here
//! has a test whose name begins with its id, and asserts what becomes of the work and what people
//! are told.
//!
//! In: the real program, small file systems in memory (root mounts them; without root those tests
//! say that they did not run), and a library between the program and the operating system, made
//! from `tests/shim/faults.c`. `tests/tidy.rs` counts the rows that have a test, wherever it is.

mod support;

#[path = "faults/clock.rs"]
mod clock;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/limits.rs"]
mod limits;
#[path = "faults/programs.rs"]
mod programs;
#[path = "faults/rig.rs"]
mod rig;
#[path = "faults/sources.rs"]
mod sources;
#[path = "faults/silence.rs"]
mod silence;
#[path = "faults/spool.rs"]
mod spool;
#[path = "faults/storage.rs"]
mod storage;
#[path = "faults/store.rs"]
mod store;
