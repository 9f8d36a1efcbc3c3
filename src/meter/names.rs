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
        /// Sightings of the watchers, set aside or not.
        Sightings = "tier0_sightings",
        /// Things in spools that were set aside.
        SetAside = "tier0_set_aside",
        /// Overflows of the kernel's queue of file events; each is followed by a scan.
        WatchOverflows = "tier0_watch_overflows",
        /// Scans of spools finished.
        Scans = "tier0_scans",
        /// Files accepted by the engine.
        FilesAccepted = "tier0_files_accepted",
        /// Batches of facts committed.
        Batches = "tier0_batches",
        /// Facts committed.
        Facts = "tier0_facts",
        /// Attempts given to an executor.
        AttemptsSent = "tier0_attempts_sent",
        /// Attempts that failed.
        AttemptsFailed = "tier0_attempts_failed",
        /// Jobs done.
        JobsDone = "tier0_jobs_done",
        /// Jobs given up.
        JobsFailed = "tier0_jobs_failed",
        /// Outputs published.
        OutputsPublished = "tier0_outputs_published",
        /// Budgets missed by files.
        BudgetsMissed = "tier0_budgets_missed",
        /// Requests answered by the API.
        ApiRequests = "tier0_api_requests",
    }
);

names!(
    /// What goes up and down.
    Gauge {
        /// Runs open or ending.
        RunsOpen = "tier0_runs_open",
        /// Jobs ready and waiting for a slot.
        JobsWaiting = "tier0_jobs_waiting",
        /// Jobs given to an executor.
        JobsRunning = "tier0_jobs_running",
        /// Slots of the executors.
        Slots = "tier0_slots",
        /// Inputs waiting in the engine's lanes.
        LaneDepth = "tier0_lane_depth",
        /// Facts stepped and not durable yet.
        FactsUndurable = "tier0_facts_undurable",
        /// Alarms that stand.
        AlarmsStanding = "tier0_alarms_standing",
        /// Folders watched.
        FoldersWatched = "tier0_folders_watched",
        /// Sidecars whose file is not there.
        SidecarsWaiting = "tier0_sidecars_waiting",
    }
);
