//! Sees files arrive: inotify, polling, sidecars.
