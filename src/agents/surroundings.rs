//! What is wrong around the agent just now, told by whoever meets it.
//!
//! In: troubles and their ends, from any thread. Out: the same to the engine, which makes alarms of
//! them, and to whoever asks what is wrong while the store itself takes no alarm. One trouble that
//! several threads have is one trouble, over when none has it any more.

use crate::message::Message;
use engine::Input;
use lanes::{Sender, Wait};
use model::alarm::Alarm;
use model::trouble::{DiskRole, Hindrance, Trouble};
use parking_lot::Mutex;
use ports::clock::Clock;
use ports::disk::Disk;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What stands, by key, with those who have it.
type Standing = BTreeMap<String, (Alarm, BTreeSet<&'static str>)>;

/// Where troubles are told; cheap to clone.
#[derive(Clone)]
pub struct Surroundings {
    engine: Sender<Message, Wait>,
    clock: Arc<dyn Clock>,
    standing: Arc<Mutex<Standing>>,
    /// Written once, by the engine's thread, when the agent ends; read by whoever would wait for
    /// better times. It carries no other data.
    ending: Arc<AtomicBool>,
}

impl Surroundings {
    pub(crate) fn new(engine: Sender<Message, Wait>, clock: Arc<dyn Clock>) -> Self {
        Self {
            engine,
            clock,
            standing: Arc::default(),
            ending: Arc::default(),
        }
    }

    /// `who` has a trouble. Saying it again is harmless.
    pub fn raise(&self, who: &'static str, trouble: Trouble) {
        if let Some(input) = self.note(who, trouble) {
            self.tell(input);
        }
    }

    /// The same for the engine's own thread, which must not send to itself: what to step.
    pub(crate) fn note(&self, who: &'static str, trouble: Trouble) -> Option<Input> {
        let (key, severity, text) = (&trouble.key, trouble.severity, &trouble.text);
        let is_new = {
            let mut standing = self.standing.lock();
            let known = standing.contains_key(key);
            let (_, holders) = standing.entry(key.clone()).or_insert_with(|| {
                let alarm = Alarm {
                    key: key.clone(),
                    severity,
                    text: text.clone(),
                    raised_at: self.clock.now(),
                    cleared_at: None,
                };
                (alarm, BTreeSet::new())
            });
            holders.insert(who);
            !known
        };
        is_new.then_some(Input::Trouble(trouble))
    }

    /// `who` has that trouble no more, if it ever had it.
    pub fn over(&self, who: &'static str, key: &str) {
        if let Some(input) = self.note_over(who, key) {
            self.tell(input);
        }
    }

    /// The same for the engine's own thread: what to step.
    pub(crate) fn note_over(&self, who: &'static str, key: &str) -> Option<Input> {
        let is_over = {
            let mut standing = self.standing.lock();
            let (_, holders) = standing.get_mut(key)?;
            holders.remove(who) && holders.is_empty() && standing.remove(key).is_some()
        };
        is_over.then(|| Input::TroubleOver(key.to_owned()))
    }

    /// A disk refuses what `who` tried.
    pub(crate) fn hindered(
        &self,
        who: &'static str,
        disk: &(DiskRole, Arc<dyn Disk>),
        hindrance: Hindrance,
        tried: &str,
    ) {
        let (role, disk) = disk;
        let short = match disk.look() {
            Err(hindered) => hindered.short,
            Ok(()) => "room for a small file is there".to_owned(),
        };
        let trouble = Trouble::disk(*role, hindrance, &disk.place(), tried, &short);
        self.raise(who, trouble);
    }

    /// Alarms about what is wrong now, whether or not the store has them.
    pub fn alarms(&self) -> Vec<Alarm> {
        let standing = self.standing.lock();
        standing.values().map(|(alarm, _)| alarm.clone()).collect()
    }

    /// The agent ends: nobody waits for better times any more.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    fn tell(&self, input: Input) {
        // A closed lane means that the agent has ended: the next one looks for itself.
        let _ = self.engine.send(Message::Input(input));
    }
}
