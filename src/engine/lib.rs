//! The engine: takes what has happened, says what must be done.
