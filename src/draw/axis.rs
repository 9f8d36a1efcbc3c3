//! From values to places, and the round numbers that stand beside an axis.

use super::canvas::{Anchor, Canvas};

/// How values become places: along a line or by their decades.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    by_decades: bool,
}

impl Scale {
    /// Values from `low` to `high` lie between the places `from` and `to`. A range without a width
    /// gets one.
    pub(super) fn linear(low: f64, high: f64, from: f64, to: f64) -> Self {
        let (low, high) = widened(low, high);
        Self {
            low,
            high,
            from,
            to,
            by_decades: false,
        }
    }

    /// The same by decades; both ends are positive.
    pub(super) fn decades(low: f64, high: f64, from: f64, to: f64) -> Self {
        let low = if low > 0.0 && low.is_finite() {
            low
        } else {
            1e-3
        };
        let high = if high > low { high } else { low * 10.0 };
        Self {
            low,
            high,
            from,
            to,
            by_decades: true,
        }
    }

    /// The place of a value.
    pub(super) fn place(&self, value: f64) -> f64 {
        let share = if self.by_decades {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.from + share * (self.to - self.from)
    }

    /// The same, kept inside the frame.
    pub(super) fn place_inside(&self, value: f64) -> f64 {
        self.place(value.clamp(self.low, self.high))
    }

    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Round values of the range with their texts, about so many.
    pub(super) fn ticks(&self, about: usize) -> Vec<(f64, String)> {
        if self.by_decades {
            let first = self.low.log10().ceil() as i32;
            let last = self.high.log10().floor() as i32;
            let values = (first..=last).map(|decade| 10f64.powi(decade));
            return values.map(|value| (value, format!("{value}"))).collect();
        }
        let step = step_of(self.high - self.low, about);
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last)
            .map(|n| {
                let value = n as f64 * step;
                (value, format!("{:.decimals$}", value + 0.0))
            })
            .collect()
    }
}

/// A range with a width, whatever is given.
fn widened(low: f64, high: f64) -> (f64, f64) {
    match (low.is_finite(), high.is_finite()) {
        (true, true) if high > low => (low, high),
        (true, true) => {
            let half = if low == 0.0 { 1.0 } else { low.abs() * 0.01 };
            (low - half, low + half)
        }
        _ => (0.0, 1.0),
    }
}

/// 1, 2 or 5 times a power of ten, so that about so many fit into a span.
fn step_of(span: f64, about: usize) -> f64 {
    let rough = span / about.max(1) as f64;
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|step| step * decade >= rough * 0.999_999);
    step.unwrap_or(10.0) * decade
}

/// The rectangle that data are drawn in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Frame {
    /// Axes with ticks and names; the ordinate with lines through the frame.
    pub(super) fn draw(&self, canvas: &mut Canvas, y: &Scale, y_name: &str) {
        for (value, text) in y.ticks(5) {
            let at = y.place(value);
            canvas.line("gr", (self.left, at), (self.right, at));
            canvas.text("q", (self.left - 6.0, at + 4.0), Anchor::End, &text);
        }
        canvas.path(
            "ax",
            &[
                (self.left, self.top),
                (self.left, self.bottom),
                (self.right, self.bottom),
            ],
        );
        let middle = f64::midpoint(self.top, self.bottom);
        canvas.turned((14.0, middle), Anchor::Middle, -90.0, y_name);
    }

    /// The ticks of the abscissa and its name.
    pub(super) fn draw_x(&self, canvas: &mut Canvas, x: &Scale, x_name: &str) {
        for (value, text) in x.ticks(6) {
            let at = x.place(value);
            canvas.line("ax", (at, self.bottom), (at, self.bottom + 4.0));
            canvas.text("q", (at, self.bottom + 17.0), Anchor::Middle, &text);
        }
        canvas.text("", (self.right, self.bottom + 34.0), Anchor::End, x_name);
    }
}

/// A quantity with its unit, as axes name it.
pub(super) fn with_unit(name: &str, unit: &str) -> String {
    if unit.is_empty() {
        name.to_owned()
    } else {
        format!("{name} [{unit}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let check = |low: f64, high: f64, expect: &[&str]| {
            let scale = Scale::linear(low, high, 0.0, 100.0);
            let ticks = scale.ticks(5);
            let texts: Vec<&str> = ticks.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(texts, expect, "{low} to {high}");
            assert!(ticks.iter().all(|(value, _)| scale.holds(*value)));
        };
        check(60.0, 120.0, &["60", "80", "100", "120"]);
        check(0.0, 37.0, &["0", "10", "20", "30"]);
        check(-300.0, 300.0, &["-200", "0", "200"]);
        check(0.032, 0.048, &["0.035", "0.040", "0.045"]);
        check(5.0, 5.0, &["4.96", "4.98", "5.00", "5.02", "5.04"]);
        check(f64::NAN, 1.0, &["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn values_have_their_places() {
        let scale = Scale::linear(60.0, 120.0, 50.0, 470.0);
        assert_eq!(
            (scale.place(60.0), scale.place(90.0), scale.place(120.0)),
            (50.0, 260.0, 470.0)
        );
        assert_eq!(scale.place_inside(1000.0), 470.0);
        let down = Scale::linear(0.0, 10.0, 200.0, 0.0);
        assert_eq!(down.place(2.5), 150.0);
        let decades = Scale::decades(0.01, 100.0, 0.0, 400.0);
        assert!((decades.place(1.0) - 200.0).abs() < 1e-9);
        let texts: Vec<String> = decades.ticks(9).into_iter().map(|(_, text)| text).collect();
        assert_eq!(texts, ["0.01", "0.1", "1", "10", "100"]);
    }
}
