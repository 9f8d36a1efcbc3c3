//! The program `tier0`.
fn main() {}
