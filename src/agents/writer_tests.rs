//! The writer against a store whose answers get lost.

use crate::message::Message;
use crate::surroundings::Surroundings;
use crate::writer::{Writer, Writing};
use engine::Input;
use model::ids::{Epoch, RunNumber};
use model::time::Moment;
use model::trouble::DiskRole;
use ports::clock::Clock;
use ports::disk::Boundless;
use ports::store::{Batch, Ledger, Moved, Rows, Standing, StoreError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long answers get lost: longer than a store may be silent before somebody is told.
const LOST_FOR: Duration = Duration::from_millis(5_500);

struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment(1)
    }
}

/// Writes the first time it is asked, and its answers are lost for a while (D2: a batch that was
/// written before is not written again).
struct Forgetful {
    since: Instant,
    asked: Arc<Mutex<Vec<(i64, i64)>>>,
}

impl Ledger for Forgetful {
    fn raise_epoch(&mut self) -> Result<Standing, StoreError> {
        let moment = Moment(0);
        let (epoch, last_batch, next_id) = (Epoch(1), 0, None);
        Ok(Standing {
            epoch,
            last_batch,
            next_id,
            moment,
        })
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((batch.number, batch.next_id));
        if self.since.elapsed() < LOST_FOR {
            let tried = format!("commit batch {}", batch.number);
            let detail = "the connection was cut at COMMIT".to_owned();
            return Err(StoreError::Away { tried, detail });
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<Rows, StoreError> {
        Ok(Rows::default())
    }

    fn archive(&mut self, run: RunNumber, _rows_max: usize) -> Result<Moved, StoreError> {
        panic!("nobody moves rows of run {run}");
    }
}

#[test]
fn f25_a_batch_whose_answer_was_lost_is_asked_for_again_unchanged_and_told_once() {
    let (engine, mut told) = lanes::wait(64);
    let (batches, lane) = lanes::refuse(1);
    let surroundings = Surroundings::new(engine.clone(), Arc::new(Still));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let writer = Writer {
        ledger: Box::new(Forgetful {
            since: Instant::now(),
            asked: asked.clone(),
        }),
        engine,
        stalled: Arc::default(),
        surroundings,
        disk: (DiskRole::State, Arc::new(Boundless)),
        was_full: false,
    };
    let thread = std::thread::spawn(move || writer.run(lane));
    let batch = Batch {
        number: 7,
        next_id: 42,
        moment: Moment(1),
        facts: Vec::new(),
    };
    assert!(batches.offer(Writing::Batch(batch)).is_ok());
    let mut heard = Vec::new();
    while let Ok(Some(message)) = told.recv(None) {
        match message {
            Message::Durable(number) => {
                heard.push(format!("durable {number}"));
                break;
            }
            Message::Input(Input::Trouble(trouble)) => {
                for part in [
                    "Nothing could be recorded for 5 s: commit batch 7: the database does not answer",
                    "the connection was cut at COMMIT",
                    "nothing that rests on a record is done meanwhile",
                    "See that the server runs and can be reached",
                ] {
                    assert!(
                        trouble.text.contains(part),
                        "lacks {part:?}: {}",
                        trouble.text
                    );
                }
                heard.push(trouble.key);
            }
            Message::Input(Input::TroubleOver(key)) => heard.push(format!("over {key}")),
            other => panic!("{other:?}"),
        }
    }
    drop(batches);
    thread.join().expect("the writer ends with its lane");
    assert_eq!(heard, ["store/away", "over store/away", "durable 7"]);
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(asked.len() > 5, "{asked:?}");
    assert!(asked.iter().all(|asked| *asked == (7, 42)), "{asked:?}");
}
