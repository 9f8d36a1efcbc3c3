//! Figures of the system: how long express took against its budget, and who worked when in a run.

use super::{Figure, Material};
use crate::draw::{
    HistogramPicture, Lane, Layer, Line, Look, Mark, Segment, Shade, TimelinePicture,
};
use model::ids::RunNumber;
use model::job::Job;
use model::time::Moment;
use serde_json::{Value, json};

/// Bins of the latency to a decade.
const PER_DECADE: u32 = 8;
/// A timeline of more lanes is no picture any more; those that end last are shown.
const LANES_MAX: usize = 40;

/// Latencies of express' jobs, and the budget.
pub(super) fn latency(material: &Material<'_>) -> Option<Figure> {
    let express: Vec<(&Job, f64)> = material
        .jobs
        .iter()
        .filter(|job| job.task.pipeline.as_str() == "express")
        .filter_map(|job| Some((job, job.stamps.done?.since(job.stamps.seen).as_secs_f64())))
        .collect();
    let mut sorted: Vec<f64> = express.iter().map(|(_, took)| *took).collect();
    sorted.sort_by(f64::total_cmp);
    let (shortest, longest) = (*sorted.first()?, *sorted.last()?);
    let deadline = express
        .iter()
        .find_map(|(job, _)| Some((job.deadline?, job.stamps.seen)));
    let budget_s = deadline.map(|(deadline, seen)| deadline.since(seen).as_secs_f64());
    let missed = express.iter().filter(|(job, _)| {
        matches!((job.deadline, job.stamps.done), (Some(deadline), Some(done)) if done > deadline)
    });
    let missed = missed.count();
    let edges = decades(shortest, longest.max(budget_s.unwrap_or(0.0)));
    let mut contents = vec![0.0; edges.len() - 1];
    for took in &sorted {
        let bin = edges
            .partition_point(|edge| edge <= took)
            .clamp(1, contents.len());
        contents[bin - 1] += 1.0;
    }
    let rank =
        |q: f64| sorted[((q * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len()) - 1];
    let (p50, p99) = (rank(0.5), rank(0.99));
    let budget_told = budget_s.map_or("no budget".to_owned(), |s| format!("budget {s:.0} s"));
    let lines = budget_s.map(|at| Line {
        at,
        name: budget_told.clone(),
        is_limit: true,
    });
    let title = "Express: file seen to outputs recorded";
    let picture = HistogramPicture {
        title: title.to_owned(),
        label: material.summary.label.clone(),
        description: format!(
            "{} jobs, half of them within {:.1} ms, 99 % within {:.1} ms; {budget_told}",
            sorted.len(),
            p50 * 1e3,
            p99 * 1e3
        ),
        quantity: "latency".to_owned(),
        unit: "s".to_owned(),
        counted: "jobs".to_owned(),
        by_decades: true,
        layers: vec![Layer {
            name: "jobs of express".to_owned(),
            edges,
            contents,
            errors: Vec::new(),
            look: Look::Steps,
        }],
        lines: lines.into_iter().collect(),
        ..HistogramPicture::default()
    };
    let caption = format!(
        "{} jobs of all runs: p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms (nearest rank); \
         {budget_told}, {missed} over it. Measured on this machine while the demo played its data \
         faster than a detector would. From the rows of the jobs in act{}/state.",
        sorted.len(),
        p50 * 1e3,
        p99 * 1e3,
        longest * 1e3,
        material.summary.act
    );
    let jobs: Vec<Value> = express
        .iter()
        .map(|(job, took)| json!({"job": job.id.0, "run": job.run.0, "latency_s": took}))
        .collect();
    let numbers = json!({
        "jobs": jobs, "budget_s": budget_s, "p50_s": p50, "p99_s": p99, "missed": missed,
    });
    Some(Figure {
        kind: "latency",
        picture: picture.draw(),
        caption,
        data: material.document("latency", &[database(material)], numbers),
        is_wide: false,
    })
}

/// Edges that grow by the same factor, from a whole decade to a whole decade.
fn decades(low: f64, high: f64) -> Vec<f64> {
    let first = low.max(1e-6).log10().floor() as i32;
    let last = (high.max(1e-6).log10() + 1e-9).floor() as i32 + 1;
    let bins = (last - first) as u32 * PER_DECADE;
    (0..=bins)
        .map(|n| 10f64.powf(f64::from(first) + f64::from(n) / f64::from(PER_DECADE)))
        .collect()
}

fn database(material: &Material<'_>) -> String {
    format!("act{}/state/tier0.db", material.summary.act)
}

/// When the jobs of the run with most of them waited, worked and were stored.
pub(super) fn timeline(material: &Material<'_>) -> Option<Figure> {
    let runs = material.summary.runs.iter().map(|run| RunNumber(run.run));
    let of = |run: RunNumber| material.jobs.iter().filter(move |job| job.run == run);
    let run = runs.max_by_key(|run| (of(*run).count(), std::cmp::Reverse(*run)))?;
    let begin = of(run).map(|job| job.stamps.seen).min()?;
    let after = |moment: Moment| moment.since(begin).as_secs_f64();
    let mut jobs: Vec<&Job> = of(run).filter(|job| job.stamps.done.is_some()).collect();
    jobs.sort_by_key(|job| (job.stamps.made, job.id));
    let all = jobs.len();
    let left_out = all.saturating_sub(LANES_MAX);
    let jobs = jobs.split_off(left_out);
    let mut numbers = Vec::new();
    let mut lanes = Vec::new();
    for job in &jobs {
        let stamps = job.stamps;
        let (Some(started), Some(reported), Some(done)) =
            (stamps.started, stamps.reported, stamps.done)
        else {
            continue;
        };
        let name = lane_name(job);
        let at = [stamps.made, started, reported, done].map(after);
        let shades = [Shade::Waiting, Shade::Working, Shade::Storing];
        let segments = shades.into_iter().zip(at.windows(2));
        let segments = segments
            .map(|(shade, ends)| Segment {
                from: ends[0],
                to: ends[1],
                shade,
            })
            .collect();
        numbers.push(json!({
            "job": job.id.0, "name": name, "made_s": at[0], "started_s": at[1],
            "reported_s": at[2], "done_s": at[3],
        }));
        lanes.push(Lane { name, segments });
    }
    let mut marks = Vec::new();
    let last_seen = material.files.iter().filter(|file| file.arrival.run == run);
    if let Some(at) = last_seen.map(|file| file.arrival.seen_at).max() {
        marks.push(Mark {
            at: after(at),
            name: "last file seen".to_owned(),
        });
    }
    if let Some(quality) = material.quality.iter().find(|quality| quality.run == run) {
        marks.push(Mark {
            at: after(quality.at),
            name: "verdict, good-run list".to_owned(),
        });
    }
    let last_mark = marks.iter().map(|mark| mark.at).fold(0.0, f64::max);
    let caption = format!(
        "Run {run}, the one with most jobs ({all}). Time from its first file seen. Of each job: made \
         and waiting for its program, its program at work, its outputs verified, stored and \
         recorded.{} From the rows of the jobs in act{}/state.",
        if left_out > 0 {
            format!(" The first {left_out} jobs are left out.")
        } else {
            String::new()
        },
        material.summary.act
    );
    let picture = TimelinePicture {
        title: format!("Timeline of run {run}"),
        label: material.summary.label.clone(),
        description: format!(
            "{} jobs; the last ends after {:.3} s",
            lanes.len(),
            last_end(&lanes)
        ),
        quantity: "time since the first file was seen".to_owned(),
        unit: "s".to_owned(),
        range: Some((0.0, last_end(&lanes).max(last_mark))),
        shades: vec![
            (Shade::Waiting, "made, not started".to_owned()),
            (Shade::Working, "program".to_owned()),
            (Shade::Storing, "verified, stored, recorded".to_owned()),
        ],
        lanes,
        marks: marks.clone(),
    };
    let marks: Vec<Value> = marks
        .iter()
        .map(|mark| json!({"name": mark.name, "at_s": mark.at}))
        .collect();
    let numbers = json!({"run": run.0, "jobs": numbers, "marks": marks, "left_out": left_out});
    Some(Figure {
        kind: "timeline",
        picture: picture.draw(),
        caption,
        data: material.document("timeline", &[database(material)], numbers),
        is_wide: true,
    })
}

fn last_end(lanes: &[Lane]) -> f64 {
    let ends = lanes
        .iter()
        .flat_map(|lane| &lane.segments)
        .map(|segment| segment.to);
    ends.fold(0.0, f64::max)
}

/// "express.reco lumi 3", or the lumis from and to.
fn lane_name(job: &Job) -> String {
    let lumis = match (job.lumis.first(), job.lumis.last()) {
        (Some((first, _)), Some((_, last))) if first == last => format!(" lumi {first}"),
        (Some((first, _)), Some((_, last))) => format!(" lumis {first}-{last}"),
        _ => String::new(),
    };
    format!("{}.{}{lumis}", job.task.pipeline, job.task.task)
}

#[cfg(test)]
mod tests {
    use super::decades;

    #[test]
    fn edges_hold_what_was_measured() {
        for (low, high, n) in [
            (0.03, 60.0, 4),
            (0.01, 0.02, 1),
            (1.0, 1.0, 1),
            (0.05, 100.0, 5),
        ] {
            let edges = decades(low, high);
            assert_eq!(edges.len(), n * 8 + 1, "{low} to {high}");
            assert!(edges[0] <= low * (1.0 + 1e-9) && high < edges[edges.len() - 1]);
            assert!(edges.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
