//! Why a fit gave no constants: what was tried, on how much, and what to do next. Comes out of the
//! fits of this crate; a fit never returns a number that it does not believe.

/// A fit that could not be done.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// Fewer entries than free parameters need.
    #[error(
        "fitting {what}: {used} of {offered} entries are usable and at least {needed} are needed; \
         accumulate more data or widen the selection"
    )]
    TooFew {
        /// What was being fitted.
        what: &'static str,
        /// Entries that passed the selection.
        used: u64,
        /// Entries given.
        offered: u64,
        /// Entries needed.
        needed: u64,
    },
    /// The data do not determine all parameters.
    #[error(
        "fitting {what}: the normal equations of {used} entries are singular, so the parameters \
         cannot be told apart; use entries that cover more directions"
    )]
    Degenerate {
        /// What was being fitted.
        what: &'static str,
        /// Entries used.
        used: u64,
    },
    /// A histogram that does not belong to the model.
    #[error(
        "fitting {what}: the histogram has {got} bins and the model {expected}; \
         fill it with the model's own histogram function"
    )]
    WrongBins {
        /// What was being fitted.
        what: &'static str,
        /// Bins given.
        got: usize,
        /// Bins of the model.
        expected: usize,
    },
    /// The minimiser stopped away from a minimum.
    #[error(
        "fitting {what}: no minimum found in {steps} steps; look at the histogram, a peak may be \
         absent from the window"
    )]
    NotConverged {
        /// What was being fitted.
        what: &'static str,
        /// Steps of the last attempt.
        steps: u32,
    },
    /// The likelihood has no minimum within its parameters' range.
    #[error(
        "fitting {what}: {used} entries gave no minimum in {steps} steps; check their errors, which \
         may hide a width, or accumulate more data"
    )]
    NotSettled {
        /// What was being fitted.
        what: &'static str,
        /// Steps of the last attempt.
        steps: u32,
        /// Entries used.
        used: u64,
    },
}
