//! The names of what is counted. An enum, so that nobody invents a second spelling and every name
//! has its help.

macro_rules! names {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[doc = $help:literal])+ $variant:ident = $metric:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $help])+ $variant,)+
        }

        impl $name {
            /// All of them, in the order in which they are shown.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name of the metric family.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $metric,)+
                }
            }

            /// One line of help.
            pub fn help(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($($help),+).trim_ascii(),)+
                }
            }
        }
    };
}

names!(
    /// What only grows.
    Counter {
        /// Batches of facts committed.
        Batches = "tier0_batches",
        /// Inputs stepped by the engine.
        Inputs = "tier0_inputs",
        /// Jobs done.
        JobsDone = "tier0_jobs_done",
        /// Jobs whose output was out after its deadline.
        BudgetsMissed = "tier0_budgets_missed",
    }
);

names!(
    /// What goes up and down.
    Gauge {
        /// Runs that are not finished.
        RunsOpen = "tier0_runs_open",
        /// Jobs that are neither done nor failed.
        JobsLive = "tier0_jobs_live",
        /// Jobs ready and waiting for a core.
        JobsWaiting = "tier0_jobs_waiting",
        /// Cores given to attempts.
        CoresUsed = "tier0_cores_used",
        /// Cores that attempts may use.
        Cores = "tier0_cores",
    }
);
