//! What the engines of a seed were told, life by life: for whoever tells it again (I13).
//!
//! In comes a seed, out comes for each life of its engine what that was restored from and every
//! input in order, with the effects and the fingerprint behind it. The seed's promises are checked
//! elsewhere.

use crate::definitions;
use crate::faults::Faults;
use crate::random::{Random, mix};
use crate::world::World;
use crate::{FAULTS_KEY, Options};
use engine::{Effect, Input, Setup};
use model::rows::Rows;
use model::time::Moment;

/// One life of an engine.
#[derive(Clone, Debug)]
pub struct Life {
    /// What it was born with.
    pub setup: Setup,
    /// The next id on record.
    pub next_id: Option<i64>,
    /// The rows that it was restored from.
    pub rows: Rows,
    /// When.
    pub began_at: Moment,
    /// What it was told, in order.
    pub steps: Vec<Step>,
}

impl Life {
    pub(crate) fn begin(setup: &Setup, next_id: Option<i64>, rows: &Rows, now: Moment) -> Self {
        Self {
            setup: setup.clone(),
            next_id,
            rows: rows.clone(),
            began_at: now,
            steps: Vec::new(),
        }
    }
}

/// One thing that an engine was told.
#[derive(Clone, Debug)]
pub struct Step {
    /// What time it was told.
    pub at: Moment,
    /// What.
    pub input: Input,
    /// What followed.
    pub effects: Vec<Effect>,
    /// The engine's fingerprint behind it.
    pub fingerprint: u64,
}

impl World {
    /// Keeps a step, if anybody wants to tell it again.
    pub(crate) fn keep(&mut self, input: Option<Input>, effects: &[Effect]) {
        let life = self.told.as_mut().and_then(|all| all.last_mut());
        if let (Some(life), Some(input)) = (life, input) {
            life.steps.push(Step {
                at: self.now,
                input,
                effects: effects.to_vec(),
                fingerprint: self.engine.fingerprint(),
            });
        }
    }
}

/// What the engines of a seed were told, and the promise that was broken, if one was.
pub fn lives(options: Options) -> (Vec<Life>, Result<(), String>) {
    let (seed, definitions) = (options.first_seed, definitions::all());
    let faults = Faults::draw(&mut Random::new(mix(seed ^ FAULTS_KEY)));
    let mut world = World::new(&options.way(seed, &definitions), &faults, false);
    let first = Life::begin(&world.setup, None, &Rows::default(), world.now);
    world.told = Some(vec![first]);
    let result = world.begin().and_then(|()| world.run());
    (world.told.unwrap_or_default(), result)
}
