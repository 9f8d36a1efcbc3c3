//! Ends that the spawner never tells: found because it does not have their programs any more. A
//! test alone in its process, because what is armed is armed for all of it.

mod rig;

use model::job::ExitClass;
use model::resource::Mode;
use model::time::Span;
use model::work::AttemptPlan;
use ports::executor::{Executor, Status};
use ports::failpoint::arm;
use rig::{Rig, eventually, living, plan};
use std::sync::Arc;

fn script(script: &str) -> Arc<AttemptPlan> {
    let wall = Span::from_secs(300);
    plan(Mode::Process, &["sh", "-c", script], &[], wall)
}

#[test]
fn a_program_that_the_spawner_has_twice_not_had_is_lost() {
    arm("spawner.reaped:1:lost").expect("it is a point");
    let mut rig = Rig::new();
    let token = rig.submit(&script("exec sleep 0.2012"));
    rig.wait_started(token);
    eventually("it has ended", || living("0.2012") == 0);
    eventually("the spawner has reaped it", || {
        rig.executor.list() == Some(Vec::new())
    });
    // Nobody has said so, and one list is not enough.
    assert_eq!(rig.executor.status(&[token]), [Status::Alive]);
    assert!(!rig.has_news());
    assert_eq!(rig.executor.list(), Some(Vec::new()));
    let report = rig.wait_ended(token);
    assert_eq!(report.class, ExitClass::Lost);
    assert!(
        report
            .message
            .contains("the spawner never said how it ended"),
        "{}",
        report.message
    );
    assert_eq!(rig.executor.status(&[token]), [Status::Absent]);
    // Nothing else was lost, and work goes on.
    assert_eq!(rig.run(&script("true")).class, ExitClass::Ok);
}
