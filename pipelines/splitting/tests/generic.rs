//! The splitters of WMCore: their rules as tables, their two laws as properties.
//!
//! The laws are checked on what jobs cover, lumi by lumi and event by event, so that an input that
//! several jobs share is no special case.

use super::{files, item, show};
use crate::splitting::*;
use model::frontier::Frontier;
use model::ids::{BlockId, FileId, LumiNumber, RunNumber};
use model::job::{InputId, Slice};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn at(seconds: i64) -> Moment {
    Moment(0) + Span::from_secs(seconds)
}

fn ask(splitter: &Splitter, window: &Window<'_>, closed: bool, seconds: i64) -> Cut {
    split(splitter, window, closed, at(seconds))
}

fn boundaries(halt: bool, split_on_run: bool) -> Boundaries {
    Boundaries {
        halt_job_on_file_boundaries: halt,
        split_on_run,
        ..Boundaries::default()
    }
}

fn by_event_aware_lumi(events_per_job: u64, boundaries: Boundaries) -> EventAwareLumi {
    EventAwareLumi {
        events_per_job,
        job_time_limit: Span::from_secs(48 * 3_600),
        allow_creation_failure: true,
        total_events: 0,
        boundaries,
    }
}

/// Jobs as text, with the slice behind them.
fn show_slices(items: &[Item], cut: &Cut) -> String {
    let slice = |job: &CutJob| match &job.slice {
        None => String::new(),
        Some(Slice::Events { first, last }) => format!("[{first}-{last}]"),
        Some(Slice::Lumis(lumis)) => {
            let ranges = lumis.iter().map(|(run, a, b)| format!("{run}:{a}-{b}"));
            format!("[{}]", ranges.collect::<Vec<_>>().join(","))
        }
        Some(Slice::Generated {
            first,
            last,
            first_lumi,
            last_lumi,
        }) => format!("[{first}-{last} in {first_lumi}-{last_lumi}]"),
    };
    let name = |at: &usize| items[*at].name.as_str();
    let jobs = cut.jobs.iter().map(|job| {
        let names: Vec<&str> = job.items.iter().map(name).collect();
        names.join("+") + &slice(job)
    });
    let mut shown: Vec<String> = jobs.collect();
    shown.extend(cut.declined.iter().map(|(at, _)| format!("-{}", name(at))));
    shown.extend(
        cut.quarantined
            .iter()
            .map(|(at, _)| format!("!{}", name(at))),
    );
    shown.join(" ")
}

/// `name:run:first-last:events` in the window's order.
fn spanning(text: &str) -> Vec<Item> {
    let read = |part: &str| {
        let fields: Vec<&str> = part.split(':').collect();
        let (first, last) = fields[2].split_once('-').unwrap();
        let lumi = |text: &str| LumiNumber(text.parse().unwrap());
        let mut item = item(fields[0], lumi(first).0, fields[3].parse().unwrap());
        item.last_lumi = lumi(last);
        let run = RunNumber(fields[1].parse().unwrap());
        item.content = vec![(run, lumi(first), lumi(last))];
        item
    };
    text.split_whitespace().map(read).collect()
}

#[test]
fn events_of_a_file_are_divided_and_files_never_meet() {
    let items = files("a:1:100 b:1:40 c:2:0");
    let by = Splitter::Event(Event { events_per_job: 50 });
    let cut = ask(&by, &Window::new(RunNumber(1), &items, None), false, 0);
    assert_eq!(show_slices(&items, &cut), "a[0-49] a[50-99] b c");
    let estimate = cut.jobs[0].estimate.unwrap();
    assert_eq!(estimate.wall, Span::from_secs(600));
}

#[test]
fn event_numbers_wrap_and_lumis_do_not() {
    let check = |first: u64, events: u64, expect: &str| {
        let mut items = vec![item("mc", 7, events)];
        items[0].first_event = first;
        let by = Splitter::EventRange(EventRange {
            events_per_job: 1_000,
            events_per_lumi: 300,
        });
        let cut = ask(&by, &Window::new(RunNumber(1), &items, None), true, 0);
        assert_eq!(show_slices(&items, &cut), expect);
    };
    let last = u64::from(u32::MAX);
    check(1, 1_100, "mc[1-1000 in 7-10] mc[1001-1100 in 11-11]");
    check(
        last - 1_499,
        2_000,
        "mc[4294965796-4294966795 in 7-10] mc[1-1000 in 11-14]",
    );
    check(last - 999, 1_000, "mc[4294966296-4294967295 in 7-10]");
    // Upstream would wrap here although the last event fits.
    check(last - 499, 500, "mc[4294966796-4294967295 in 7-8]");
    check(last - 498, 500, "mc[1-500 in 7-8]");
    check(1, 0, "-mc");
    check(1, 2_000_000_000_000, "!mc");
}

#[test]
fn lumis_are_counted_across_files_or_not() {
    let items = spanning("a:1:1-5:100 b:1:6-10:100 c:2:1-2:100");
    let check = |halt, split_on_run, total_lumis, expect: &str| {
        let by = Splitter::Lumi(Lumi {
            lumis_per_job: 3,
            total_lumis,
            boundaries: boundaries(halt, split_on_run),
        });
        let cut = ask(&by, &Window::new(RunNumber(1), &items, None), true, 0);
        assert_eq!(show_slices(&items, &cut), expect);
    };
    let halted = "a[1:1-3] a[1:4-5] b[1:6-8] b[1:9-10] c";
    check(true, true, 0, halted);
    check(false, true, 0, "a[1:1-3] a+b[1:4-6] b[1:7-9] b[1:10-10] c");
    check(
        false,
        false,
        0,
        "a[1:1-3] a+b[1:4-6] b[1:7-9] b+c[1:10-10,2:1-2]",
    );
    check(false, false, 4, "a[1:1-3] a[1:4-4] -b -c");
}

#[test]
fn a_file_belongs_to_one_cut() {
    // While more may come, the job that b's lumi 6 is in is not complete before c is there.
    let by = Splitter::Lumi(Lumi {
        lumis_per_job: 3,
        total_lumis: 0,
        boundaries: boundaries(false, false),
    });
    let check = |text: &str, closed: u32, expect: &str| {
        let items = spanning(text);
        let mut frontier = Frontier::default();
        (1..=closed).for_each(|lumi| frontier.close(LumiNumber(lumi)));
        let window = Window::new(RunNumber(1), &items, Some(&frontier));
        assert_eq!(show_slices(&items, &ask(&by, &window, false, 0)), expect);
    };
    let text = "a:1:1-3:30 b:1:4-5:20 c:1:6-8:30 d:1:9-9:10";
    check(text, 3, "");
    check(text, 5, "a");
    check(text, 8, "a");
    check(text, 9, "a");
    check("a:1:1-3:30 b:1:4-6:20 c:1:7-7:30", 7, "a b");
}

#[test]
fn a_lumi_that_runs_too_long_is_set_aside_alone() {
    let items = spanning("a:1:1-1:100 b:1:2-2:900 c:1:3-3:100 d:1:4-5:1800");
    let check = |allow_creation_failure, expect: &str| {
        let by = Splitter::EventAwareLumi(EventAwareLumi {
            job_time_limit: Span::from_secs(9_600),
            allow_creation_failure,
            ..by_event_aware_lumi(5_000, Boundaries::default())
        });
        let cut = ask(&by, &Window::new(RunNumber(1), &items, None), true, 0);
        assert_eq!(show_slices(&items, &cut), expect);
        cut
    };
    // Upstream puts c and d into the job that is failed for b.
    let cut = check(true, "a c+d !b");
    assert_eq!(
        cut.quarantined[0].1,
        "its only lumi has 900 events and would take 10800 s, longer than the 9600 s that a job \
         may (job_time_limit): raise the limit, or try it all the same \
         (allow_creation_failure = false)"
    );
    check(false, "a b+c+d");
}

#[test]
fn a_lumi_in_two_files_is_worked_on_once_with_both() {
    let mut items = spanning("f0:1:1-2:150 f1:1:3-4:150");
    for item in &mut items {
        item.content
            .push((RunNumber(1), LumiNumber(42), LumiNumber(42)));
        item.last_lumi = LumiNumber(42);
    }
    let by = Splitter::EventAwareLumi(by_event_aware_lumi(
        50,
        Boundaries {
            apply_lumi_correction: true,
            ..boundaries(true, true)
        },
    ));
    let window = Window::new(RunNumber(1), &items, None);
    assert_eq!(
        show_slices(&items, &ask(&by, &window, true, 0)),
        "f0[1:1-1] f0[1:2-2] f0+f1[1:42-42] f1[1:3-3] f1[1:4-4]"
    );
    assert_eq!(ask(&by, &window, false, 0), Cut::default());
}

#[test]
fn files_that_share_lumis_share_a_job_only_whole() {
    let by = |lumis_per_job| {
        Splitter::Lumi(Lumi {
            lumis_per_job,
            total_lumis: 0,
            boundaries: Boundaries::default(),
        })
    };
    let items = spanning("f0:1:1-5:50 f1:1:2-5:40 f2:1:6-7:20");
    let window = Window::new(RunNumber(1), &items, None);
    let check = |lumis_per_job, expect: &str| {
        let cut = ask(&by(lumis_per_job), &window, true, 0);
        assert_eq!(show_slices(&items, &cut), expect);
    };
    check(4, "f0[1:1-4] f0[1:5-5] f1 f2");
    check(7, "f0 f1+f2");
    check(9, "f0+f1 f2");
}

#[test]
fn files_are_counted_within_runs_sites_and_totals() {
    let mut items = spanning("a:1:1-1:10 b:1:2-2:10 c:2:1-1:10 d:2:2-2:10 e:3:1-1:10");
    let check = |items: &[Item], file: File, expect: &str| {
        let by = Splitter::File(file);
        let cut = ask(&by, &Window::new(RunNumber(1), items, None), true, 0);
        assert_eq!(show_slices(items, &cut), expect);
    };
    let three = File {
        files_per_job: 3,
        ..File::default()
    };
    check(&items, three.clone(), "a+b+c d+e");
    let within_runs = File {
        respect_run_boundaries: true,
        ..three.clone()
    };
    check(&items, within_runs, "a+b c+d e");
    let four = File {
        total_files: 4,
        ..three.clone()
    };
    check(&items, four, "a+b+c d -e");
    let run_two = File {
        selection: Selection {
            runs: BTreeSet::from([RunNumber(2)]),
            ..Selection::default()
        },
        ..three.clone()
    };
    check(&items, run_two, "c+d -a -b -e");
    for (item, sites) in items
        .iter_mut()
        .zip([&["B"][..], &["A"], &["B"], &["A", "B"], &["A"]])
    {
        item.sites = sites.iter().map(|&site| site.to_owned()).collect();
    }
    check(&items, three.clone(), "b+e d a+c");
    let allowed = BTreeSet::from(["A".to_owned()]);
    let mut window = Window::new(RunNumber(1), &items, None);
    window.allowed_sites = Some(&allowed);
    let cut = ask(&Splitter::File(three), &window, true, 0);
    assert_eq!(show_slices(&items, &cut), "b+e d !a !c");
    assert_eq!(
        cut.quarantined[0].1,
        "it is only at B, and jobs may run only at A: copy it to one of those, or allow a site \
         that has it"
    );
}

#[test]
fn sizes_are_filled_in_order_and_a_large_file_goes_alone() {
    let mut items = files("a:1:1 b:1:1 c:2:1 d:3:1");
    items[1].bytes = Bytes(9_000);
    let by = Splitter::Size(Size {
        size_per_job: Bytes(2_500),
    });
    let window = Window::new(RunNumber(1), &items, None);
    assert_eq!(show(&items, &ask(&by, &window, true, 0)), "a b c+d");
    assert_eq!(ask(&by, &window, false, 0), Cut::default());
}

#[test]
fn waits_have_names_and_ends() {
    let items = files("a:1:10 b:2:10 c:3:10");
    let mut window = Window::new(RunNumber(1), &items, None);
    let holding = |cut: &Cut| cut.holding.as_ref().map(|h| (h.by, h.until));
    let by = Splitter::MinFile(MinFile { files_per_job: 2 });
    let cut = ask(&by, &window, false, 0);
    assert_eq!(show(&items, &cut), "a+b");
    assert_eq!(holding(&cut), Some((HoldingKind::MoreInput, None)));
    assert_eq!(show(&items, &ask(&by, &window, true, 0)), "a+b c");

    let by = Splitter::FixedDelay(FixedDelay {
        delay: Span::from_secs(60),
    });
    let cut = ask(&by, &window, true, 1_000);
    assert_eq!(holding(&cut), Some((HoldingKind::Delay, None)));
    window.run_ended_at = Some(at(100));
    let cut = ask(&by, &window, false, 160);
    assert_eq!((cut.jobs.len(), cut.wake), (0, Some(Moment(at(160).0 + 1))));
    assert_eq!(show(&items, &ask(&by, &window, false, 161)), "a+b+c");

    let (nothing, processed) = (BTreeSet::new(), BTreeSet::from([InputId::File(FileId(1))]));
    let by = Splitter::Sibling(Sibling { files_per_job: 2 });
    assert_eq!(
        ask(&by, &window, true, 0),
        Cut::default(),
        "nobody was asked"
    );
    window.siblings = Some(Siblings {
        processed: &nothing,
        ended: false,
    });
    let cut = ask(&by, &window, false, 0);
    assert_eq!(holding(&cut), Some((HoldingKind::Siblings, None)));
    window.siblings = Some(Siblings {
        processed: &processed,
        ended: false,
    });
    let cut = ask(&by, &window, false, 0);
    assert_eq!(show(&items, &cut), "a+b");
    assert_eq!(holding(&cut), Some((HoldingKind::MoreInput, None)));
    window.siblings = Some(Siblings {
        processed: &nothing,
        ended: true,
    });
    assert_eq!(show_slices(&items, &ask(&by, &window, true, 0)), "-a -b -c");
}

#[test]
fn merges_have_a_smallest_and_a_largest_size_and_wait_only_so_long() {
    let by = ParentlessMerge {
        min_size: Bytes(1_500),
        max_size: Bytes(3_000),
        max_events: 100,
        max_wait: Span::from_secs(60),
        merge_across_runs: true,
    };
    let check = |by: ParentlessMerge, text: &str, closed, seconds, expect: &str| {
        let mut items = spanning(text);
        for item in items.iter_mut().filter(|item| item.name.as_str() == "big") {
            item.bytes = Bytes(9_000);
        }
        let window = Window::new(RunNumber(1), &items, None);
        let cut = ask(&Splitter::ParentlessMerge(by), &window, closed, seconds);
        assert_eq!(show(&items, &cut), expect);
        cut
    };
    let four = "a:1:1-1:1 b:1:2-2:1 c:1:3-3:1 d:1:4-4:1";
    let cut = check(by, four, false, 0, "a+b+c");
    assert_eq!(cut.wake, Some(Moment(at(60).0 + 1)));
    check(by, four, false, 60, "a+b+c");
    check(by, four, false, 61, "a+b+c d");
    check(by, four, true, 0, "a+b+c d");
    check(by, "a:1:1-1:60 b:1:2-2:60", true, 0, "a b");
    // A merge of its own, and what stands around it still belongs together.
    check(by, "a:1:1-1:1 big:1:2-2:1 c:1:3-3:1", false, 0, "big a+c");
    let within_runs = ParentlessMerge {
        merge_across_runs: false,
        ..by
    };
    check(
        within_runs,
        "a:1:1-1:1 b:2:1-1:1 c:2:2-2:1",
        false,
        0,
        "b+c",
    );
    let by_size = |all_files| {
        let items = files("a:1:1 b:1:1 c:1:1");
        let by = MergeBySize {
            merge_size: Bytes(2_000),
            all_files,
        };
        let window = Window::new(RunNumber(1), &items, None);
        let cut = ask(&Splitter::MergeBySize(by), &window, true, 0);
        show_slices(&items, &cut)
    };
    assert_eq!(by_size(true), "a+b c");
    assert_eq!(by_size(false), "a+b -c");
}

#[test]
fn harvests_are_made_again_when_there_is_more() {
    let items = files("a:1:10 b:2:10");
    let by = Splitter::DqmHarvest(DqmHarvest {
        interval: Some(Span::from_secs(60)),
        ..DqmHarvest::default()
    });
    let check = |harvested: Option<(usize, HarvestState)>, closed, seconds, expect: &str| {
        let mut window = Window::new(RunNumber(1), &items, None);
        window.harvested = harvested.map(|(inputs, state)| Harvested { inputs, state });
        let cut = ask(&by, &window, closed, seconds);
        assert!(cut.jobs.iter().all(|job| job.reads_only != closed));
        assert_eq!(
            show(&items, &cut),
            expect,
            "{harvested:?} {closed} {seconds}"
        );
    };
    let done = |inputs| Some((inputs, HarvestState::Done(at(100))));
    check(None, false, 0, "a+b");
    check(Some((1, HarvestState::Running)), false, 1_000, "");
    check(done(1), false, 160, "");
    check(done(1), false, 161, "a+b");
    check(done(2), false, 1_000, "");
    check(Some((2, HarvestState::Running)), true, 0, "");
    check(done(2), true, 0, "a+b");
}

#[test]
fn harvests_are_by_run_or_of_all_runs() {
    let mut items = spanning("a:1:1-1:10 b:1:2-2:10 c:2:1-1:10");
    items[1]
        .content
        .push((RunNumber(2), LumiNumber(9), LumiNumber(9)));
    let check = |by: DqmHarvest, expect: &str| {
        let window = Window::new(RunNumber(1), &items, None);
        let cut = ask(&Splitter::DqmHarvest(by), &window, true, 0);
        assert_eq!(show_slices(&items, &cut), expect);
    };
    check(DqmHarvest::default(), "a+b[1:1-2] b+c[2:1-1,2:9-9]");
    let multi_run = DqmHarvest {
        unit: HarvestUnit::MultiRun,
        ..DqmHarvest::default()
    };
    check(multi_run.clone(), "a+b+c");
    let without = DqmHarvest {
        selection: Selection {
            not_runs: BTreeSet::from([RunNumber(2)]),
            ..Selection::default()
        },
        ..multi_run
    };
    check(without, "a+b[1:1-2] -c");
}

#[test]
fn requests_are_divided_by_block_or_not_at_all() {
    let mut items = files("a:1:10 b:2:10 c:3:10 d:4:10");
    for (n, item) in items.iter_mut().enumerate() {
        item.id = InputId::File(FileId(n as i64));
    }
    let id = |n| InputId::File(FileId(n));
    let blocks = BTreeMap::from([
        (id(0), BlockId(9)),
        (id(1), BlockId(3)),
        (id(3), BlockId(9)),
    ]);
    let mut window = Window::new(RunNumber(1), &items, None);
    window.blocks = Some(&blocks);
    assert_eq!(
        show(&items, &ask(&Splitter::Block, &window, true, 0)),
        "b a+d c"
    );
    assert_eq!(
        show(&items, &ask(&Splitter::Dataset, &window, true, 0)),
        "a+b+c+d"
    );
    assert_eq!(ask(&Splitter::Block, &window, false, 0), Cut::default());
}

/// What jobs (true) and what was set aside or declined (false) cover: each lumi and event of each
/// file, and the names that stand together.
type Outcome = BTreeSet<(bool, Vec<String>, Option<Slice>)>;

fn record(outcome: &mut Outcome, items: &[Item], cut: &Cut) -> BTreeSet<usize> {
    let mut pieces: BTreeMap<usize, Vec<(u64, u64)>> = BTreeMap::new();
    for job in &cut.jobs {
        assert!(job.items.is_sorted() && !job.items.is_empty(), "{job:?}");
        let names = job.items.iter().map(|at| items[*at].name.to_string());
        assert!(outcome.insert((true, names.collect(), job.slice.clone())));
        for at in &job.items {
            let item = &items[*at];
            let covered = pieces.entry(*at).or_default();
            match &job.slice {
                None => covered.push((0, u64::MAX)),
                Some(Slice::Events { first, last }) => covered.push((*first, *last)),
                Some(Slice::Lumis(lumis)) => {
                    for (_, first, last) in lumis {
                        let (first, last) = (*first.max(&item.lumi), *last.min(&item.last_lumi));
                        if first <= last {
                            covered.push((first.0.into(), last.0.into()));
                        }
                    }
                }
                Some(Slice::Generated { .. }) => unreachable!("files are here already"),
            }
        }
    }
    for (at, covered) in &mut pieces {
        covered.sort_unstable();
        let item = &items[*at];
        assert!(
            covered.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0),
            "{covered:?}"
        );
        let (first, last) = (covered[0].0, covered[covered.len() - 1].1);
        let whole = (first, last) == (0, u64::MAX);
        let all_events = first == 0 && last + 1 == item.events.0.max(1);
        let all_lumis = (first, last) == (item.lumi.0.into(), item.last_lumi.0.into());
        assert!(
            whole || all_events || all_lumis,
            "{item:?} is covered by {covered:?}"
        );
    }
    let mut used: BTreeSet<usize> = pieces.into_keys().collect();
    for (at, _) in cut.quarantined.iter().chain(&cut.declined) {
        assert!(used.insert(*at), "an input is not both cut and set aside");
        assert!(outcome.insert((false, vec![items[*at].name.to_string()], None)));
    }
    used
}

/// Plays the arrival of a run as the engine would see it; nothing is left at its end.
fn play(splitter: &Splitter, arrivals: &[Item], batches: &[usize]) -> Outcome {
    let (mut outcome, mut frontier) = (Outcome::new(), Frontier::default());
    let (mut pending, mut arrived): (Vec<Item>, usize) = (Vec::new(), 0);
    let mut batches = batches.iter().copied().cycle();
    loop {
        let next = arrivals.len().min(arrived + batches.next().unwrap_or(1));
        pending.extend_from_slice(&arrivals[arrived..next]);
        pending.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
        arrived = next;
        for lumi in (1..=12).map(LumiNumber) {
            let to_come = |item: &Item| item.lumi <= lumi && lumi <= item.last_lumi;
            if !arrivals[arrived..].iter().any(to_come) {
                frontier.close(lumi);
            }
        }
        let closed = arrived == arrivals.len();
        let mut window = Window::new(RunNumber(1), &pending, Some(&frontier));
        window.cost.time_per_event = Span::from_secs(1);
        let cut = split(splitter, &window, closed, Moment(0));
        let used = record(&mut outcome, &pending, &cut);
        let mut at = 0..;
        pending.retain(|_| !used.contains(&at.next().unwrap()));
        if closed {
            assert!(pending.is_empty(), "left of a complete input: {pending:?}");
            return outcome;
        }
    }
}

fn arrivals() -> impl Strategy<Value = Vec<Item>> {
    let file = (1_u32..9, 0_u32..4, 0_u64..50, 1_u64..4_000, 0_usize..3);
    prop::collection::vec(file, 1..30).prop_map(|files| {
        let named = files.into_iter().enumerate();
        let make =
            |(n, (lumi, span, events, bytes, site)): (usize, (u32, u32, u64, u64, usize))| {
                let mut item = item(&format!("f{n:03}"), lumi, events);
                item.last_lumi = LumiNumber(lumi + span);
                item.bytes = Bytes(bytes);
                item.sites = [&["A"][..], &["A"], &["A", "B"]][site]
                    .iter()
                    .map(|&site| site.to_owned())
                    .collect();
                item
            };
        named.map(make).collect()
    })
}

fn any_boundaries() -> impl Strategy<Value = Boundaries> {
    (any::<bool>(), any::<bool>()).prop_map(|(halt, by_run)| boundaries(halt, by_run))
}

/// Splitters whose jobs do not depend on order or batches.
fn steady() -> impl Strategy<Value = Splitter> {
    prop_oneof![
        (1_u64..60).prop_map(|events_per_job| Splitter::Event(Event { events_per_job })),
        (1_u64..60, 1_i64..60, any::<bool>(), any_boundaries()).prop_map(
            |(events, limit, allow_creation_failure, boundaries)| {
                Splitter::EventAwareLumi(EventAwareLumi {
                    job_time_limit: Span::from_secs(limit),
                    allow_creation_failure,
                    ..by_event_aware_lumi(events, boundaries)
                })
            }
        ),
        (1_u64..6, 0_u64..20, any_boundaries()).prop_map(|(lumis, total_lumis, boundaries)| {
            Splitter::Lumi(Lumi {
                lumis_per_job: lumis,
                // A total cuts files short, which the law about covering does not know.
                total_lumis: if total_lumis < 20 { 0 } else { total_lumis },
                boundaries,
            })
        }),
        (1_u32..6, any::<bool>(), 0_u64..20).prop_map(|(files_per_job, by_run, total_files)| {
            Splitter::File(File {
                files_per_job,
                respect_run_boundaries: by_run,
                total_files,
                ..File::default()
            })
        }),
        (1_u64..9_000).prop_map(|size| Splitter::Size(Size {
            size_per_job: Bytes(size)
        })),
        (1_u32..6).prop_map(|files_per_job| Splitter::Run(Run { files_per_job })),
    ]
}

/// Splitters that act on what is there.
fn restless() -> impl Strategy<Value = Splitter> {
    prop_oneof![
        (1_u32..6).prop_map(|files_per_job| Splitter::MinFile(MinFile { files_per_job })),
        (1_u64..9_000, any::<bool>()).prop_map(|(size, all_files)| {
            Splitter::MergeBySize(MergeBySize {
                merge_size: Bytes(size),
                all_files,
            })
        }),
        (1_u64..3_000, 1_u64..9_000, 1_u64..200, any::<bool>()).prop_map(
            |(min, more, max_events, merge_across_runs)| {
                Splitter::ParentlessMerge(ParentlessMerge {
                    min_size: Bytes(min),
                    max_size: Bytes(min + more),
                    max_events,
                    max_wait: Span::from_secs(60),
                    merge_across_runs,
                })
            }
        ),
    ]
}

proptest! {
    #[test]
    fn each_lumi_and_event_is_in_one_job_however_it_came(
        splitter in steady(),
        (files, shuffled) in arrivals()
            .prop_flat_map(|files| (Just(files.clone()), Just(files).prop_shuffle())),
        batches in prop::collection::vec(1_usize..9, 1..5),
    ) {
        let at_once = play(&splitter, &files, &[files.len()]);
        prop_assert_eq!(play(&splitter, &shuffled, &batches), at_once.clone());
        prop_assert_eq!(play(&splitter, &shuffled, &[1]), at_once);
    }

    #[test]
    fn what_acts_on_what_is_there_loses_nothing_either(
        splitter in restless(),
        files in arrivals().prop_shuffle(),
        batches in prop::collection::vec(1_usize..9, 1..5),
    ) {
        play(&splitter, &files, &batches);
    }

    /// Whatever is set, no merge is over a limit but one of a single file.
    #[test]
    fn a_merge_keeps_its_limits(splitter in restless(), mut files in arrivals()) {
        files.sort_by(|a, b| (a.lumi, &a.name).cmp(&(b.lumi, &b.name)));
        let window = Window::new(RunNumber(1), &files, None);
        let cut = split(&splitter, &window, true, Moment(0));
        if let Splitter::ParentlessMerge(by) = splitter {
            for job in cut.jobs.iter().filter(|job| job.items.len() > 1) {
                let items = || job.items.iter().map(|at| &files[*at]);
                prop_assert!(items().map(|i| i.bytes.0).sum::<u64>() <= by.max_size.0);
                prop_assert!(items().map(|i| i.events.0).sum::<u64>() <= by.max_events);
            }
        }
    }
}
