//! Output commit: verify, sync, rename; checksums.
