//! Lock-free corridors between threads.
