//! The asynchronous driver behind a blocking door: futures come in, their results go out. One small
//! runtime per handle, driven by whoever waits; it must not be entered from asynchronous code (use
//! the runtime's blocking threads).

use ports::store::StoreError;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// A runtime that lives as long as its handle.
#[derive(Debug)]
pub(crate) struct Blocking {
    runtime: Option<Runtime>,
}

impl Blocking {
    pub(crate) fn new(tried: &str) -> Result<Self, StoreError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Other {
                tried: tried.to_owned(),
                detail: error.to_string(),
            })?;
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Waits for a future on the calling thread.
    pub(crate) fn wait<F: Future>(&self, future: F) -> F::Output {
        let runtime = self
            .runtime
            .as_ref()
            .expect("the runtime is taken only when it is dropped");
        runtime.block_on(future)
    }
}

impl Blocking {
    /// Waits so long at most; what is not done then is given up as if its server were gone.
    pub(crate) fn wait_at_most<T>(
        &self,
        limit: Duration,
        tried: &str,
        future: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.wait(async {
            let result = tokio::time::timeout(limit, future).await;
            result.unwrap_or_else(|_| {
                Err(StoreError::Away {
                    tried: tried.to_owned(),
                    detail: format!("no answer within {} s", limit.as_secs()),
                })
            })
        })
    }
}

impl Drop for Blocking {
    /// A handle may be dropped by asynchronous code, where a runtime must not be waited for.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
