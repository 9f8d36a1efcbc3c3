//! Splitters against cases of the Tier-0 and against oracles that share no code with them.

mod generic;

use super::{
    AlcaHarvest, Cut, DqmHarvest, EventAwareFile, File, Item, Run, Splitter, Window, split,
};
use model::frontier::Frontier;
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::Moment;
use model::units::{Bytes, Events};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn item(name: &str, lumi: u32, events: u64) -> Item {
    Item {
        id: InputId::File(FileId(1)),
        name: FileName::new(name),
        lumi: LumiNumber(lumi),
        last_lumi: LumiNumber(lumi),
        bytes: Bytes(1_000),
        events: Events(events),
        seen_at: Moment(0),
        came_at: Moment(0),
        content: Vec::new(),
        first_event: 0,
        sites: Vec::new(),
    }
}

/// Asks with the given lumis closed.
fn ask(splitter: &Splitter, items: &[Item], closed_lumis: &[u32], closed: bool) -> Cut {
    let mut frontier = Frontier::default();
    for lumi in closed_lumis {
        frontier.close(LumiNumber(*lumi));
    }
    let window = Window::new(RunNumber(1), items, Some(&frontier));
    split(splitter, &window, closed, Moment(0))
}

/// Jobs as text: names joined by `+`, jobs by a space, what was set aside in brackets.
fn show(items: &[Item], cut: &Cut) -> String {
    let name = |at: &usize| items[*at].name.as_str();
    let jobs = cut
        .jobs
        .iter()
        .map(|job| job.items.iter().map(name).collect::<Vec<_>>().join("+"));
    let aside = cut
        .quarantined
        .iter()
        .map(|(at, _)| format!("[{}]", name(at)));
    jobs.chain(aside).collect::<Vec<_>>().join(" ")
}

/// Files as `name:lumi:events`, in the window's order.
fn files(text: &str) -> Vec<Item> {
    let read = |part: &str| {
        let fields: Vec<&str> = part.split(':').collect();
        item(
            fields[0],
            fields[1].parse().unwrap(),
            fields[2].parse().unwrap(),
        )
    };
    text.split_whitespace().map(read).collect()
}

fn by_events(max_events: u64) -> Splitter {
    Splitter::EventAwareFile(EventAwareFile { max_events })
}

fn by_files(files_per_job: u32, wait: bool) -> Splitter {
    Splitter::File(File {
        files_per_job,
        wait,
        ..File::default()
    })
}

fn by_runs(files_per_job: u32) -> Splitter {
    Splitter::Run(Run { files_per_job })
}

fn alca_harvest() -> Splitter {
    Splitter::AlcaHarvest(AlcaHarvest::default())
}

fn dqm_harvest() -> Splitter {
    Splitter::DqmHarvest(DqmHarvest::default())
}

const EXPRESS: Splitter = Splitter::Express {
    max_events: 200,
    max_input_rate: 23_000,
};

#[test]
fn express_cuts_as_the_tier0_does() {
    let check = |max_events, text: &str, closed_lumis: &[u32], closed, expect: &str| {
        let items = files(text);
        let splitter = Splitter::Express {
            max_events,
            max_input_rate: 23_000,
        };
        let cut = ask(&splitter, &items, closed_lumis, closed);
        assert_eq!(show(&items, &cut), expect, "{text}");
    };
    // express-00: two files that fit; nothing before the lumi is closed.
    check(200, "L1.1:1:100 L1.2:1:100", &[], false, "");
    check(200, "L1.1:1:100 L1.2:1:100", &[1], false, "L1.1+L1.2");
    // express-01: the event limit splits a lumi.
    check(199, "L1.1:1:100 L1.2:1:100", &[1], false, "L1.1 L1.2");
    // express-02: lumis are never mixed.
    check(100, "L1.1:1:100 L2.1:2:100", &[1, 2], false, "L1.1 L2.1");
    // express-06: a file over the limit is a job of its own; the others are first-fit.
    check(200, "a:1:500 b:1:150 c:1:60 d:1:50", &[1], false, "a b+d c");
    // A hole in front does not hold a closed lumi back.
    check(200, "a:1:10 b:2:10 c:3:10", &[2], false, "b");
    check(200, "a:1:10 b:2:10 c:3:10", &[2], true, "a b c");
    // Files without events join where there is room for nothing.
    check(200, "a:1:200 b:1:0 c:1:200 d:1:0", &[1], false, "a+b+d c");
}

#[test]
fn a_lumi_with_too_many_events_is_set_aside_whole_and_the_others_go_on() {
    // express-03
    let mut items: Vec<Item> = (10..34)
        .map(|n| item(&format!("L1.{n}"), 1, 1_000))
        .collect();
    items.push(item("L2.1", 2, 1_000));
    let cut = ask(&EXPRESS, &items, &[1, 2], false);
    assert_eq!(cut.quarantined.len(), 24);
    assert_eq!(
        cut.jobs.iter().map(|j| j.items.clone()).collect::<Vec<_>>(),
        [vec![24]]
    );
    assert_eq!(
        cut.quarantined[0].1,
        "lumi 1 has 24000 events, more than the 23000 that express takes (max_input_rate): its \
         24 file(s) are set aside; raise max_input_rate and release them"
    );
}

#[test]
fn the_other_splitters_cut_as_they_say() {
    let text = "a:1:100 b:1:100 c:2:100 d:3:250 e:4:10";
    let check = |splitter: Splitter, closed_lumis: &[u32], closed, expect: &str| {
        let items = files(text);
        let cut = ask(&splitter, &items, closed_lumis, closed);
        assert_eq!(
            show(&items, &cut),
            expect,
            "{splitter:?} {closed_lumis:?} {closed}"
        );
    };
    let file = by_files;
    check(file(1, true), &[], false, "a b c d e");
    check(file(2, true), &[], false, "");
    check(file(2, true), &[1], false, "a+b");
    check(file(2, true), &[1, 2], false, "a+b");
    check(file(2, true), &[1, 2, 3], false, "a+b c+d");
    check(file(2, true), &[], true, "a+b c+d e");
    check(file(2, false), &[], false, "a+b c+d e");
    let event = by_events;
    check(event(200), &[2, 3, 4], false, "");
    check(event(200), &[1], false, "a+b");
    check(event(250), &[1], false, "");
    check(event(250), &[1, 2, 3], false, "a+b c d");
    check(event(250), &[], true, "a+b c d e");
    check(by_runs(3), &[1, 2, 3, 4], false, "");
    check(by_runs(3), &[], true, "a+b+c d+e");
    for harvest in [alca_harvest(), dqm_harvest()] {
        check(harvest.clone(), &[1, 2, 3, 4], false, "");
        check(harvest, &[], true, "a+b+c+d+e");
    }
    assert_eq!(ask(&alca_harvest(), &[], &[], true), Cut::default());
}

#[test]
fn input_without_a_frontier_waits_until_it_is_complete() {
    let items = files("a:1:100 b:1:100 c:2:100");
    let window = Window::new(RunNumber(1), &items, None);
    for splitter in [EXPRESS, by_events(100), by_files(2, true)] {
        assert_eq!(
            split(&splitter, &window, false, Moment(0)),
            Cut::default(),
            "{splitter:?}"
        );
        assert!(
            !split(&splitter, &window, true, Moment(0)).jobs.is_empty(),
            "{splitter:?}"
        );
    }
}

#[test]
fn a_file_over_two_lumis_waits_for_both() {
    let mut items = files("a:1:10 b:2:10");
    items[0].last_lumi = LumiNumber(2);
    assert_eq!(show(&items, &ask(&EXPRESS, &items, &[1], false)), "");
    assert_eq!(show(&items, &ask(&EXPRESS, &items, &[1, 2], false)), "a b");
    let event = by_events(10);
    assert_eq!(show(&items, &ask(&event, &items, &[1], false)), "");
}

/// Jobs (and files set aside) as sets of names.
type Outcome = BTreeSet<(bool, Vec<String>)>;

fn record(outcome: &mut Outcome, items: &[Item], cut: &Cut) -> BTreeSet<usize> {
    let mut used = BTreeSet::new();
    for job in &cut.jobs {
        assert!(job.items.is_sorted(), "positions ascend");
        assert!(!job.items.is_empty(), "no job is empty");
        assert!(
            job.items.iter().all(|at| used.insert(*at)),
            "an input is in one job only"
        );
        let names = job
            .items
            .iter()
            .map(|at| items[*at].name.to_string())
            .collect();
        assert!(outcome.insert((true, names)), "a job is cut once");
    }
    for (at, _) in &cut.quarantined {
        assert!(used.insert(*at), "an input is not both cut and set aside");
        assert!(outcome.insert((false, vec![items[*at].name.to_string()])));
    }
    used
}

/// Plays the arrival of a run: files in the given order, a question after each number of files in
/// `batches`, lumis closed as soon as their files are here (or were never to come), then the end.
fn play(splitter: &Splitter, arrivals: &[Item], batches: &[usize], lumis: u32) -> Outcome {
    let (mut outcome, mut frontier) = (Outcome::new(), Frontier::default());
    let (mut pending, mut arrived): (Vec<Item>, usize) = (Vec::new(), 0);
    let mut batches = batches.iter().copied().cycle();
    loop {
        let next = arrivals
            .len()
            .min(arrived + batches.next().unwrap_or(1).max(1));
        pending.extend_from_slice(&arrivals[arrived..next]);
        pending.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
        arrived = next;
        for lumi in (1..=lumis).map(LumiNumber) {
            if arrivals[arrived..].iter().all(|item| item.lumi != lumi) {
                frontier.close(lumi);
            }
        }
        let closed = arrived == arrivals.len();
        let window = Window::new(RunNumber(1), &pending, Some(&frontier));
        let cut = split(splitter, &window, closed, Moment(0));
        let used = record(&mut outcome, &pending, &cut);
        let mut at = 0..;
        pending.retain(|_| !used.contains(&at.next().unwrap()));
        if closed {
            assert!(
                pending.is_empty(),
                "nothing is left of a complete input: {pending:?}"
            );
            return outcome;
        }
    }
}

/// First-fit as the Tier-0 writes it: one job after the other, each taking what still fits.
fn express_oracle(items: &[Item], max_events: u64, max_input_rate: u64) -> Outcome {
    let mut outcome = Outcome::new();
    for lumi in items.iter().map(|i| i.lumi).collect::<BTreeSet<_>>() {
        let mut left: Vec<&Item> = items.iter().filter(|i| i.lumi == lumi).collect();
        if left.iter().map(|i| i.events.0).sum::<u64>() > max_input_rate {
            outcome.extend(left.iter().map(|i| (false, vec![i.name.to_string()])));
            continue;
        }
        while !left.is_empty() {
            let (mut job, mut events, mut later) = (Vec::new(), 0, Vec::new());
            for item in left {
                if job.is_empty() || events + item.events.0 <= max_events {
                    events += item.events.0;
                    job.push(item.name.to_string());
                } else {
                    later.push(item);
                }
            }
            outcome.insert((true, job));
            left = later;
        }
    }
    outcome
}

fn splitters() -> impl Strategy<Value = Splitter> {
    prop_oneof![
        (1_u32..5).prop_map(|files_per_job| by_files(files_per_job, true)),
        Just(by_files(1, false)),
        (1_u64..60, 20_u64..200).prop_map(|(max_events, max_input_rate)| Splitter::Express {
            max_events,
            max_input_rate
        }),
        (1_u32..5).prop_map(by_runs),
        (1_u64..80).prop_map(by_events),
        Just(alca_harvest()),
        Just(dqm_harvest()),
    ]
}

/// The same files twice, the second time in any order.
fn in_two_orders() -> impl Strategy<Value = (Vec<Item>, Vec<Item>)> {
    arrivals().prop_flat_map(|files| (Just(files.clone()), Just(files).prop_shuffle()))
}

fn arrivals() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec((1_u32..8, 0_u64..50), 0..30).prop_map(|files| {
        let named = files.iter().enumerate();
        let name =
            |(n, (lumi, events)): (usize, &(u32, u64))| item(&format!("f{n:03}"), *lumi, *events);
        named.map(name).collect()
    })
}

proptest! {
    #[test]
    fn jobs_do_not_depend_on_order_or_batches(
        splitter in splitters(),
        (files, shuffled) in in_two_orders(),
        batches in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let at_once = play(&splitter, &files, &[files.len()], 8);
        prop_assert_eq!(play(&splitter, &shuffled, &batches, 8), at_once.clone());
        prop_assert_eq!(play(&splitter, &shuffled, &[1], 8), at_once.clone());
        if let Splitter::Express { max_events, max_input_rate } = splitter {
            let mut sorted = files;
            sorted.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
            prop_assert_eq!(at_once, express_oracle(&sorted, max_events, max_input_rate));
        }
    }

    /// Without waiting, sizes of jobs follow what came together; still nothing is lost or doubled
    /// (asserted in `play`).
    #[test]
    fn cutting_at_once_loses_nothing(
        files_per_job in 1_u32..5,
        files in arrivals().prop_shuffle(),
        batches in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let splitter = by_files(files_per_job, false);
        let jobs = play(&splitter, &files, &batches, 8);
        prop_assert_eq!(jobs.iter().map(|(_, names)| names.len()).sum::<usize>(), files.len());
    }

    #[test]
    fn a_job_by_events_is_full_before_the_next_begins(
        max_events in 1_u64..80,
        mut files in arrivals(),
    ) {
        files.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
        let cut = ask(&by_events(max_events), &files, &[], true);
        let events = |job: &[usize]| job.iter().map(|at| files[*at].events.0).sum::<u64>();
        for pair in cut.jobs.windows(2) {
            let (one, next) = (&pair[0].items, &pair[1].items);
            let with_events = one.iter().filter(|at| files[**at].events.0 > 0).count();
            prop_assert!(events(one) <= max_events || with_events == 1);
            let with_next = events(one) + events(&next[..1]);
            prop_assert!(events(one) >= max_events || with_next > max_events);
            prop_assert_eq!(one[one.len() - 1] + 1, next[0]);
        }
    }
}
