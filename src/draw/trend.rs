//! A measured quantity against the runs, with what is in force from where on.
//!
//! Runs stand beside each other at equal distances, in their order: their numbers have gaps that
//! mean nothing.

use super::axis::{Frame, Scale, with_unit};
use super::canvas::{Anchor, Canvas, Picture, Swatch};

/// What was measured on a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The run.
    pub run: u32,
    /// The value, in the trend's unit.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// An interval of validity: from a run to where the next begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Band {
    /// The first run it holds for.
    pub since: u32,
    /// What is in force, in the trend's unit.
    pub value: Option<f64>,
}

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrendPicture {
    /// What is seen.
    pub title: String,
    /// What the data are: REAL or SIMULATED, and which.
    pub label: String,
    /// The sentence for who cannot see it.
    pub description: String,
    /// The quantity.
    pub quantity: String,
    /// Its unit.
    pub unit: String,
    /// By run, rising.
    pub points: Vec<Point>,
    /// By first run, rising.
    pub bands: Vec<Band>,
    /// What is true, by run, where it is known.
    pub truth: Vec<(u32, f64)>,
}

const HEIGHT: f64 = 320.0;
/// Room for one run and for none; a trend of many runs is wide.
const RUN_WIDTH: f64 = 30.0;
const WIDTH: f64 = 480.0;
const LEFT: f64 = 66.0;
/// A number for every so many runs when they stand closely.
const NUMBERS_MAX: usize = 60;

impl TrendPicture {
    /// Draws it.
    pub fn draw(&self) -> Picture {
        let runs: Vec<u32> = self.points.iter().map(|point| point.run).collect();
        let wanted = LEFT + 14.0 + RUN_WIDTH * runs.len().min(NUMBERS_MAX) as f64;
        let mut canvas = Canvas::new(wanted.max(WIDTH), HEIGHT);
        let top = canvas.head(&self.title, &self.label, &self.legend()) + 10.0;
        let frame = Frame {
            left: LEFT,
            right: canvas.width - 14.0,
            top,
            bottom: HEIGHT - 62.0,
        };
        let x = Scale::linear(
            -0.5,
            runs.len().max(1) as f64 - 0.5,
            frame.left,
            frame.right,
        );
        let (low, high) = self.range();
        let y = Scale::linear(low, high, frame.bottom, frame.top);
        self.draw_bands(&mut canvas, &runs, &x, &y, &frame);
        frame.draw(&mut canvas, &y, &with_unit(&self.quantity, &self.unit));
        let every = runs.len().div_ceil(NUMBERS_MAX).max(1);
        for (index, run) in runs.iter().enumerate() {
            let at = x.place(index as f64);
            canvas.line("ax", (at, frame.bottom), (at, frame.bottom + 4.0));
            if index % every == 0 {
                canvas.turned(
                    (at + 4.0, frame.bottom + 14.0),
                    Anchor::End,
                    -40.0,
                    &run.to_string(),
                );
            }
        }
        canvas.text("", (frame.right, HEIGHT - 6.0), Anchor::End, "run");
        for (index, point) in self.points.iter().enumerate() {
            let at = x.place(index as f64);
            canvas.line(
                "er",
                (at, y.place_inside(point.value - point.error)),
                (at, y.place_inside(point.value + point.error)),
            );
            canvas.dot("pt", (at, y.place(point.value)), 2.6);
        }
        for (run, value) in &self.truth {
            if let Some(index) = runs.iter().position(|known| known == run) {
                canvas.diamond("tr", (x.place(index as f64), y.place(*value)), 5.0);
            }
        }
        canvas.done(&self.title, &self.label, &self.description)
    }

    fn legend(&self) -> Vec<(Swatch, String)> {
        let mut legend = vec![(Swatch::Point, "measured, with error".to_owned())];
        if self.bands.iter().any(|band| band.value.is_some()) {
            legend.push((Swatch::Line("in"), "in force".to_owned()));
        }
        if !self.bands.is_empty() {
            legend.push((Swatch::Line("bl"), "IOV begins".to_owned()));
        }
        if !self.truth.is_empty() {
            legend.push((Swatch::Diamond("tr"), "truth".to_owned()));
        }
        legend
    }

    fn range(&self) -> (f64, f64) {
        let points = self.points.iter();
        let points =
            points.flat_map(|point| [point.value - point.error, point.value + point.error]);
        let bands = self.bands.iter().filter_map(|band| band.value);
        let truth = self.truth.iter().map(|(_, value)| *value);
        let all = points.chain(bands).chain(truth);
        let all: Vec<f64> = all.filter(|value| value.is_finite()).collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let margin = (high - low) * 0.06;
        (low - margin, high + margin)
    }

    /// Bands shaded in turns, each with a line at what is in force. One that begins before the
    /// first run is seen from there on.
    fn draw_bands(&self, canvas: &mut Canvas, runs: &[u32], x: &Scale, y: &Scale, frame: &Frame) {
        let begins = |since: u32| runs.iter().take_while(|run| **run < since).count();
        for (index, band) in self.bands.iter().enumerate() {
            let next = self.bands.get(index + 1);
            let (first, end) = (
                begins(band.since),
                next.map_or(runs.len(), |n| begins(n.since)),
            );
            if first >= end {
                continue;
            }
            let (from, to) = (x.place(first as f64 - 0.5), x.place(end as f64 - 0.5));
            if index % 2 == 0 {
                let size = (to - from, frame.bottom - frame.top);
                let hint = format!("IOV since {}", band.since);
                canvas.rect("bd", (from, frame.top), size, &hint);
            }
            canvas.line("bl", (from, frame.top), (from, frame.bottom));
            if let Some(value) = band.value {
                canvas.line("in", (from, y.place(value)), (to, y.place(value)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    #[test]
    fn bands_begin_and_end_where_the_intervals_do() {
        let point = |run: u32, value: f64| Point {
            run,
            value,
            error: 1.0,
        };
        let band = |since: u32, value: f64| Band {
            since,
            value: Some(value),
        };
        let trend = TrendPicture {
            title: "x0".to_owned(),
            label: "SIMULATED".to_owned(),
            points: vec![
                point(10, 5.0),
                point(20, 5.0),
                point(30, 9.0),
                point(40, 9.0),
            ],
            // The first began before the first run; the second holds for no run that is shown.
            bands: vec![band(1, 5.0), band(21, 7.0), band(25, 9.0)],
            truth: vec![(30, 9.0), (31, 100.0)],
            ..TrendPicture::default()
        };
        let text = trend.draw().standalone();
        let found = elements(&text).expect("well-formed");
        let of = |class: &str| {
            let lines = found.iter().filter(|element| element.is("line", class));
            lines
                .map(|e| (e.number("x1"), e.number("x2")))
                .collect::<Vec<_>>()
        };
        // Four runs from 66 to 466, 100 each. The legend has one of each, too.
        assert_eq!(of("in")[1..], [(66.0, 266.0), (266.0, 466.0)]);
        assert_eq!(of("bl")[1..], [(66.0, 66.0), (266.0, 266.0)]);
        let diamonds = found.iter().filter(|element| element.is("path", "tr"));
        assert_eq!(
            diamonds.count(),
            2,
            "one in the legend, one of a run that is shown"
        );
        let dots: Vec<f64> = found
            .iter()
            .filter(|e| e.name == "circle")
            .map(|e| e.number("cx"))
            .collect();
        assert_eq!(dots[1..], [116.0, 216.0, 316.0, 416.0]);
    }

    #[test]
    fn no_run_and_many_runs_are_pictures() {
        elements(&TrendPicture::default().draw().standalone()).expect("well-formed");
        let many = TrendPicture {
            points: (0..1_000)
                .map(|run| Point {
                    run,
                    value: f64::from(run),
                    error: 0.1,
                })
                .collect(),
            ..TrendPicture::default()
        };
        let text = many.draw().standalone();
        let found = elements(&text).expect("well-formed");
        let numbers = found
            .iter()
            .filter(|e| e.attributes.contains_key("transform"));
        assert!(numbers.count() <= NUMBERS_MAX + 1, "numbers would overlap");
    }
}
