//! A profile: the mean of one quantity in bins of another, with its error.
//!
//! In: edges, means and errors. Out: a picture whose ordinate reaches as far as the points do. A
//! bin with nothing in it has no point.

use super::axis::{Frame, Scale, with_unit};
use super::canvas::{Canvas, Picture};

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfilePicture {
    /// What is seen.
    pub title: String,
    /// What the data are: REAL or SIMULATED, and which.
    pub label: String,
    /// The sentence for who cannot see it.
    pub description: String,
    /// The quantity of the abscissa and its unit.
    pub x: (String, String),
    /// What is averaged and its unit.
    pub y: (String, String),
    /// Edges of the bins, rising; one more than points.
    pub edges: Vec<f64>,
    /// Mean and error of each bin.
    pub points: Vec<Option<(f64, f64)>>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 310.0;
/// Room above and below the points, as a share of their span.
const MARGIN: f64 = 0.08;

impl ProfilePicture {
    /// Draws it.
    pub fn draw(&self) -> Picture {
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let top = canvas.head(&self.title, &self.label, &[]) + 14.0;
        let frame = Frame {
            left: 62.0,
            right: WIDTH - 14.0,
            top,
            bottom: HEIGHT - 44.0,
        };
        let end = |edge: Option<&f64>| edge.copied().unwrap_or(f64::NAN);
        let (low, high) = (end(self.edges.first()), end(self.edges.last()));
        let x = Scale::linear(low, high, frame.left, frame.right);
        let y = self.ordinate(&frame);
        frame.draw(&mut canvas, &y, &with_unit(&self.y.0, &self.y.1));
        frame.draw_x(&mut canvas, &x, &with_unit(&self.x.0, &self.x.1));
        for (edges, point) in self.edges.windows(2).zip(&self.points) {
            let Some((mean, error)) = point.filter(|(mean, _)| mean.is_finite()) else {
                continue;
            };
            let (left, right) = (x.place(edges[0]), x.place(edges[1]));
            let (at, level) = (f64::midpoint(left, right), y.place(mean));
            canvas.line("er", (left, level), (right, level));
            let ends = [mean - error, mean + error].map(|end| y.place_inside(end));
            canvas.line("er", (at, ends[0]), (at, ends[1]));
            canvas.dot("pt", (at, level), 1.9);
        }
        canvas.done(&self.title, &self.label, &self.description)
    }

    fn ordinate(&self, frame: &Frame) -> Scale {
        let points = self.points.iter().flatten();
        let ends = points.flat_map(|(mean, error)| [mean - error, mean + error]);
        let ends: Vec<f64> = ends.filter(|end| end.is_finite()).collect();
        let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
        let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let room = (high - low) * MARGIN;
        Scale::linear(low - room, high + room, frame.bottom, frame.top)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    #[test]
    fn points_are_where_their_means_are() {
        let picture = ProfilePicture {
            label: "REAL".to_owned(),
            edges: vec![0.0, 1.0, 2.0, 3.0],
            points: vec![Some((-1.0, 0.0)), None, Some((1.0, 0.0))],
            ..ProfilePicture::default()
        };
        let text = picture.draw().standalone();
        let found = elements(&text).expect("well-formed");
        let dots = found.iter().filter(|it| it.is("circle", "pt"));
        let dots: Vec<_> = dots.map(|it| [it.number("cx"), it.number("cy")]).collect();
        // The frame is from 62 to 466, a bin 134.7 wide; from 58 to 266 for 2.32 units.
        let level = |value: f64| 266.0 - (value + 1.16) / 2.32 * 208.0;
        assert_eq!(dots.len(), 2, "{text}");
        for (dot, wanted) in dots.iter().zip([[129.3, level(-1.0)], [398.7, level(1.0)]]) {
            assert!((dot[0] - wanted[0]).abs() < 0.1, "{dots:?}");
            assert!((dot[1] - wanted[1]).abs() < 0.1, "{dots:?}");
        }
    }

    #[test]
    fn a_profile_of_nothing_is_a_picture() {
        let text = ProfilePicture::default().draw().standalone();
        elements(&text).expect("well-formed");
    }
}
