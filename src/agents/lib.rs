//! The drivers: the only room where waiting happens for the engine.
