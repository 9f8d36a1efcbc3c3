//! A histogram of two coordinates: cells that are the darker, the more is in them.
//!
//! In: edges of both axes and what lies between them. Out: a picture with a scale beside it. A cell
//! with nothing in it is not drawn; one with less than nothing is drawn hollow.

use super::axis::{Frame, Scale, with_unit};
use super::canvas::{Anchor, Canvas, Picture};

/// One of the two axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapAxis {
    /// The quantity.
    pub quantity: String,
    /// Its unit, empty for a pure number.
    pub unit: String,
    /// Edges of the bins, rising.
    pub edges: Vec<f64>,
}

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MapPicture {
    /// What is seen.
    pub title: String,
    /// What the data are: REAL or SIMULATED, and which.
    pub label: String,
    /// The sentence for who cannot see it.
    pub description: String,
    /// The abscissa.
    pub x: MapAxis,
    /// The ordinate.
    pub y: MapAxis,
    /// What is counted.
    pub counted: String,
    /// Rows from the lowest ordinate, each from the lowest abscissa.
    pub rows: Vec<Vec<f64>>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 360.0;
/// Steps of the scale beside the map.
const SCALE_STEPS: usize = 20;
/// The faintest that a cell with something in it is, so that it is seen.
const FAINTEST: f64 = 0.08;

impl MapPicture {
    /// Draws it.
    pub fn draw(&self) -> Picture {
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let top = canvas.head(&self.title, &self.label, &[]) + 14.0;
        let frame = Frame {
            left: 62.0,
            right: WIDTH - 78.0,
            top,
            bottom: HEIGHT - 44.0,
        };
        let x = scale_of(&self.x.edges, frame.left, frame.right);
        let y = scale_of(&self.y.edges, frame.bottom, frame.top);
        frame.draw(&mut canvas, &y, &with_unit(&self.y.quantity, &self.y.unit));
        frame.draw_x(&mut canvas, &x, &with_unit(&self.x.quantity, &self.x.unit));
        let all = self.rows.iter().flatten().copied();
        let highest = all.filter(|n| n.is_finite()).fold(0.0, f64::max);
        for (row, y_edges) in self.rows.iter().zip(self.y.edges.windows(2)) {
            for (content, x_edges) in row.iter().zip(self.x.edges.windows(2)) {
                let at = (x.place(x_edges[0]), y.place(y_edges[1]));
                let size = (x.place(x_edges[1]) - at.0, y.place(y_edges[0]) - at.1);
                if *content > 0.0 {
                    canvas.shade("wo", at, size, darkness(content / highest));
                } else if *content < 0.0 {
                    canvas.rect("ab", at, size, "");
                }
            }
        }
        self.draw_scale(&mut canvas, &frame, highest);
        canvas.done(&self.title, &self.label, &self.description)
    }

    /// From nothing at the bottom to the fullest cell at the top.
    fn draw_scale(&self, canvas: &mut Canvas, frame: &Frame, highest: f64) {
        let left = frame.right + 14.0;
        let step = (frame.bottom - frame.top) / SCALE_STEPS as f64;
        for n in 0..SCALE_STEPS {
            let at = (left, frame.bottom - (n + 1) as f64 * step);
            let share = (n as f64 + 0.5) / SCALE_STEPS as f64;
            canvas.shade("wo", at, (10.0, step), darkness(share));
        }
        let right = left + 14.0;
        canvas.text("q", (right, frame.bottom + 4.0), Anchor::Start, "0");
        let most = format!("{highest:.4}");
        let most = most.trim_end_matches('0').trim_end_matches('.');
        canvas.text("q", (right, frame.top + 4.0), Anchor::Start, most);
        let at = (WIDTH - 10.0, frame.top - 10.0);
        canvas.text("q", at, Anchor::End, &self.counted);
    }
}

fn scale_of(edges: &[f64], from: f64, to: f64) -> Scale {
    let low = edges.first().copied().unwrap_or(f64::NAN);
    let high = edges.last().copied().unwrap_or(f64::NAN);
    Scale::linear(low, high, from, to)
}

fn darkness(share: f64) -> f64 {
    FAINTEST + (1.0 - FAINTEST) * share.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    #[test]
    fn cells_are_where_their_bins_are_and_the_darker_the_more_they_hold() {
        let axis = |quantity: &str, edges: &[f64]| MapAxis {
            quantity: quantity.to_owned(),
            unit: "cm".to_owned(),
            edges: edges.to_vec(),
        };
        let picture = MapPicture {
            title: "Vertex".to_owned(),
            label: "REAL".to_owned(),
            x: axis("x", &[0.0, 1.0, 2.0]),
            y: axis("y", &[0.0, 5.0, 10.0]),
            rows: vec![vec![4.0, 0.0], vec![f64::NAN, 1.0]],
            ..MapPicture::default()
        };
        let text = picture.draw().standalone();
        let found = elements(&text).expect("well-formed");
        let cells: Vec<_> = found.iter().filter(|it| it.is("rect", "wo")).collect();
        assert_eq!(cells.len(), 2 + SCALE_STEPS, "{text}");
        // The frame is from 62 to 402 and from 58 to 316: a cell is 170 by 129.
        let place = |n: usize| ["x", "y", "width", "height"].map(|name| cells[n].number(name));
        assert_eq!(place(0), [62.0, 187.0, 170.0, 129.0]);
        assert_eq!(place(1), [232.0, 58.0, 170.0, 129.0]);
        assert_eq!(cells[0].number("fill-opacity"), 1.0);
        assert_eq!(cells[1].number("fill-opacity"), 0.31);
    }

    #[test]
    fn a_map_of_nothing_is_a_picture() {
        let text = MapPicture::default().draw().standalone();
        elements(&text).expect("well-formed");
    }
}
