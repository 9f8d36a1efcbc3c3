//! Protects: a splitter costs what is new and one job's files, never what is waiting. Windows of
//! 10^3 and 10^5 waiting files must take about the same time where one lumi closed; cutting a whole
//! window is linear.
//!
//! In: nothing. Out: criterion's lines. `one_lumi_closed/*` is the case of every batch of a run;
//! the two sizes of each splitter are to be compared with each other. `all_at_once/*` is the end of
//! a run with nothing cut before.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use model::frontier::Frontier;
use model::ids::{FileId, LumiNumber, RunNumber};
use model::job::InputId;
use model::names::FileName;
use model::time::Moment;
use model::units::{Bytes, Events};
use pipelines::splitting::{AlcaHarvest, EventAwareFile, File, Item, Splitter, Window, split};
use std::hint::black_box;

const FILES_A_LUMI: u32 = 40;
const SIZES: [u32; 2] = [1_000, 100_000];

/// Files of 50 events, so many to a lumi, in the window's order.
fn window(files: u32) -> Vec<Item> {
    let item = |n: u32| Item {
        id: InputId::File(FileId(i64::from(n))),
        name: FileName::new(&format!(
            "run402144_ls{:04}_streamMuons_{n:06}.dat",
            n / FILES_A_LUMI + 1
        )),
        lumi: LumiNumber(n / FILES_A_LUMI + 1),
        last_lumi: LumiNumber(n / FILES_A_LUMI + 1),
        bytes: Bytes(1 << 20),
        events: Events(50),
        seen_at: Moment(0),
        came_at: Moment(0),
        content: Vec::new(),
        first_event: 0,
        sites: Vec::new(),
    };
    (0..files).map(item).collect()
}

fn splitters() -> [(&'static str, Splitter); 4] {
    [
        (
            "express",
            Splitter::Express {
                max_events: 400,
                max_input_rate: 23_000,
            },
        ),
        (
            "event_aware_file",
            Splitter::EventAwareFile(EventAwareFile { max_events: 2_000 }),
        ),
        (
            "file",
            Splitter::File(File {
                files_per_job: 20,
                ..File::default()
            }),
        ),
        (
            "alca_harvest",
            Splitter::AlcaHarvest(AlcaHarvest::default()),
        ),
    ]
}

/// One lumi of the window has just closed, everything behind it waits.
fn one_lumi_closed(c: &mut Criterion) {
    let mut group = c.benchmark_group("splitting/one_lumi_closed");
    for files in SIZES {
        let items = window(files);
        let mut frontier = Frontier::default();
        frontier.close(LumiNumber(1));
        for (name, splitter) in splitters() {
            let window = Window::new(RunNumber(1), &items, Some(&frontier));
            group.bench_with_input(BenchmarkId::new(name, files), &window, |b, window| {
                b.iter(|| black_box(split(&splitter, window, false, Moment(0))));
            });
        }
    }
    group.finish();
}

/// All that waits is in one open lumi, behind a closed one: nobody has reported its end yet.
fn one_open_lumi_waits(c: &mut Criterion) {
    let mut group = c.benchmark_group("splitting/one_open_lumi_waits");
    for files in SIZES {
        let mut items = window(files);
        for item in items.iter_mut().skip(FILES_A_LUMI as usize) {
            (item.lumi, item.last_lumi) = (LumiNumber(2), LumiNumber(2));
        }
        let mut frontier = Frontier::default();
        frontier.close(LumiNumber(1));
        for (name, splitter) in splitters() {
            let window = Window::new(RunNumber(1), &items, Some(&frontier));
            group.bench_with_input(BenchmarkId::new(name, files), &window, |b, window| {
                b.iter(|| black_box(split(&splitter, window, false, Moment(0))));
            });
        }
    }
    group.finish();
}

/// The input is complete and nothing was cut before.
fn all_at_once(c: &mut Criterion) {
    let mut group = c.benchmark_group("splitting/all_at_once");
    for files in SIZES {
        let items = window(files);
        group.throughput(Throughput::Elements(u64::from(files)));
        for (name, splitter) in splitters() {
            let window = Window::new(RunNumber(1), &items, None);
            group.bench_with_input(BenchmarkId::new(name, files), &window, |b, window| {
                b.iter(|| black_box(split(&splitter, window, true, Moment(0))));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, one_lumi_closed, one_open_lumi_waits, all_at_once);
criterion_main!(benches);
