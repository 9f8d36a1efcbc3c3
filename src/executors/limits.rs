//! Bounds of local execution: how much a program may say and write, how many folders and workers
//! are kept. In: nothing. Out: numbers with their reasons.

use model::time::Span;

/// Bounds of local execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalLimits {
    /// Bytes of standard output or error that an attempt may write before it is ended.
    pub capture_bytes_max: u64,
    /// Bytes of the largest file that a program may write.
    pub file_bytes_max: u64,
    /// Folders kept ready.
    pub folders_ahead: usize,
    /// Failed attempts whose output is kept.
    pub failed_kept: usize,
    /// Jobs after which a worker is replaced, so that what it leaks stays bounded.
    pub worker_jobs_max: u32,
    /// How long a worker may be idle.
    pub worker_idle_max: Span,
}

impl Default for LocalLimits {
    fn default() -> Self {
        Self {
            capture_bytes_max: 64 << 20,
            file_bytes_max: 64 << 30,
            folders_ahead: 256,
            failed_kept: 100,
            worker_jobs_max: 1_000,
            worker_idle_max: Span::from_secs(3_600),
        }
    }
}
