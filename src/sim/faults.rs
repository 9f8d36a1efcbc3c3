//! What may go wrong in one seed, and how often: drawn from the seed, so that every seed is a world
//! of its own.
//!
//! In comes chance, out come rates in thousandths. Each class is switched on in about two of three
//! seeds ("swarm testing", Groce et al., ISSTA 2012: leaving features out finds more). A *gentle*
//! seed has only faults that must not change any result, so that its constants can be compared with
//! those of an undisturbed pass; a *harsh* one has them all.

use crate::executor::Pace;
use crate::random::Random;
use model::time::Span;

/// Rates in thousandths, and switches.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Whether results may differ from those of an undisturbed pass.
    pub(crate) harsh: bool,
    /// The process dies, per turn.
    pub(crate) crash: u64,
    /// The power is gone with it, per death.
    pub(crate) power_cut: u64,
    /// It dies again while it starts, per death.
    pub(crate) again: u64,
    /// It starts with another configuration, per death.
    pub(crate) upgrade: u64,
    /// A bit turns over where it was written, per death.
    pub(crate) flip: u64,
    /// The store is busy, per commit.
    pub(crate) busy: u64,
    /// The result of a commit is not known, per commit.
    pub(crate) unknown: u64,
    /// A commit takes seconds, per commit.
    pub(crate) slow_commit: u64,
    /// The store's disk is full, per commit.
    pub(crate) full: u64,
    /// The store's disk loses what it should sync, per commit.
    pub(crate) suspect: u64,
    /// How long attempts take.
    pub(crate) pace: Pace,
    /// One place fails whatever it gets.
    pub(crate) black_hole: bool,
    /// No place takes an attempt, per attempt.
    pub(crate) refused: u64,
    /// An attempt's node goes and nobody says so, per attempt.
    pub(crate) ghost: u64,
    /// An attempt vanishes from its place and nobody says so, per attempt.
    pub(crate) vanished: u64,
    /// An attempt ends and nobody hears of it, per attempt.
    pub(crate) unheard: u64,
    /// Nobody can say what there is, per list.
    pub(crate) no_list: u64,
    /// A list comes so late that others should have been asked for, per list.
    pub(crate) late_list: u64,
    /// A list lacks attempts that go on, per list.
    pub(crate) short_list: u64,
    /// A list has attempts that are gone, per list.
    pub(crate) stale_list: u64,
    /// How much longer than the steps of a seed the faults last: long enough for lists.
    pub(crate) lasts: Span,
    /// An attempt fails so that another may help, per attempt.
    pub(crate) transient: u64,
    /// An attempt is lost with its executor, per attempt.
    pub(crate) lost: u64,
    /// An attempt fails for good, per attempt; harsh.
    pub(crate) permanent: u64,
    /// A report lacks an output, per report; harsh.
    pub(crate) missing_output: u64,
    /// A report names an output twice, per report; harsh.
    pub(crate) output_twice: u64,
    /// What is stored is not what was reported, per report; harsh.
    pub(crate) mismatch: u64,
    /// News come twice, per news.
    pub(crate) duplicate_news: u64,
    /// News come late, per news.
    pub(crate) late_news: u64,
    /// News of an ended epoch reach the next one, per news under way at a crash.
    pub(crate) old_news: u64,
    /// Outputs cannot be put in place, per commit of outputs.
    pub(crate) storage: u64,
    /// The storage loses what it should sync, per commit of outputs.
    pub(crate) storage_lost: u64,
    /// Everything of a run comes at once, per run.
    pub(crate) burst: u64,
    /// A sighting is moved out of its order, per sighting.
    pub(crate) disorder: u64,
    /// A sighting is held back until the faults end, per sighting.
    pub(crate) held: u64,
    /// A file is reported again, per file.
    pub(crate) resent: u64,
    /// A file is reported again with other content, per file.
    pub(crate) conflict: u64,
    /// Something that cannot be taken lies in the spool, per file.
    pub(crate) unreadable: u64,
    /// A splitter hangs, crashes, lies, is late or answers twice: each so often, per question.
    pub(crate) splitter: u64,
    /// A file is not what its sender claims, per file; harsh, and for good.
    pub(crate) corrupt: u64,
    /// A file too many for its lumi, per run; harsh.
    pub(crate) surplus: u64,
    /// A file of the other label, per run.
    pub(crate) wrong_label: u64,
    /// Somebody asks for something, per turn.
    pub(crate) command: u64,
    /// A run is stopped before its data are here, per run; harsh.
    pub(crate) early_stop: u64,
    /// A run is seen as a whole only after later ones, per run; harsh.
    pub(crate) postponed: u64,
    /// A row that was taken is not there, per commit: no fault that anybody must survive, but one
    /// that must be seen.
    pub(crate) row_lost: u64,
    /// Sources are released, and their copies may have troubles: 1, or 0.
    pub(crate) release: u64,
    /// A place of copies is full, per copy.
    pub(crate) copy_full: u64,
    /// A copy is gone some time after it was verified, per copy.
    pub(crate) copy_vanishes: u64,
    /// A copy is not what was written, and the answer is what was read, per copy.
    pub(crate) copy_lies: u64,
    /// Somebody takes the source away before it is copied, per copy; perhaps for good.
    pub(crate) source_gone: u64,
    /// After a crash everything is reported in any order, ends before data too; harsh.
    pub(crate) any_order: bool,
}

impl Faults {
    /// Draws the faults of a seed.
    pub(crate) fn draw(random: &mut Random) -> Self {
        let harsh = random.per_mille(450);
        let mut rate = |most: u64| {
            let on = random.per_mille(650);
            let rate = 1 + random.below(most);
            if on { rate } else { 0 }
        };
        let mut faults = Self {
            harsh,
            crash: rate(25),
            power_cut: rate(1_000),
            again: rate(300),
            upgrade: rate(400),
            flip: rate(500),
            busy: rate(200),
            unknown: rate(150),
            slow_commit: rate(50),
            full: rate(100),
            suspect: rate(15),
            pace: Pace::Fast,
            black_hole: false,
            refused: rate(100),
            ghost: rate(60),
            vanished: rate(60),
            unheard: rate(100),
            no_list: rate(600),
            late_list: rate(300),
            short_list: rate(600),
            stale_list: rate(500),
            lasts: Span::ZERO,
            transient: rate(300),
            lost: rate(100),
            permanent: rate(160),
            missing_output: rate(120),
            output_twice: rate(120),
            mismatch: rate(120),
            duplicate_news: rate(200),
            late_news: rate(300),
            old_news: rate(500),
            storage: rate(if harsh { 800 } else { 150 }),
            storage_lost: rate(80),
            burst: rate(400),
            disorder: rate(400),
            held: rate(150),
            resent: rate(200),
            conflict: rate(100),
            unreadable: rate(100),
            corrupt: rate(50),
            surplus: rate(300),
            wrong_label: rate(400),
            command: rate(if harsh { 900 } else { 300 }),
            early_stop: rate(700),
            postponed: rate(300),
            row_lost: 0,
            release: 0,
            copy_full: rate(150),
            copy_vanishes: rate(200),
            copy_lies: rate(200),
            source_gone: rate(150),
            splitter: rate(900),
            any_order: false,
        };
        faults.pace = Pace::ALL[random.below(Pace::ALL.len() as u64) as usize];
        faults.black_hole = random.per_mille(250);
        faults.any_order = random.per_mille(500);
        faults.release = u64::from(random.per_mille(500));
        if random.per_mille(300) {
            faults.lasts = Span::from_secs(random.between(60, 300) as i64);
        }
        if harsh { faults } else { faults.gentle() }
    }

    /// Without those that may change a result.
    fn gentle(self) -> Self {
        Self {
            permanent: 0,
            missing_output: 0,
            mismatch: 0,
            corrupt: 0,
            surplus: 0,
            early_stop: 0,
            output_twice: 0,
            postponed: 0,
            any_order: false,
            ..self
        }
    }

    /// None any more, in the same world: a place that fails all is still there.
    pub(crate) fn ended(self) -> Self {
        Self {
            harsh: self.harsh,
            any_order: self.any_order,
            corrupt: self.corrupt,
            black_hole: self.black_hole,
            ..Self::default()
        }
    }
}
