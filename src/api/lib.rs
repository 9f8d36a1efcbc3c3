//! HTTP windows on a running instance.
