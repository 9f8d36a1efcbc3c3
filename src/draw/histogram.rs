//! A histogram, or several of the same data: points with errors, steps, a curve, lines that mark a
//! value or a limit.

use super::axis::{Frame, Scale, with_unit};
use super::canvas::{Anchor, CHARACTER, Canvas, Picture, Swatch};

/// How a layer is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Points with errors.
    Points,
    /// An outline.
    Steps,
    /// A broken outline: what the other layers are compared with.
    Reference,
}

/// Bins and what is in them.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// What it is, for the legend.
    pub name: String,
    /// Edges of the bins, rising; one more than contents.
    pub edges: Vec<f64>,
    /// Contents between the edges.
    pub contents: Vec<f64>,
    /// Standard errors of the contents.
    pub errors: Vec<f64>,
    /// How it is drawn.
    pub look: Look,
}

/// A function through the points.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is, for the legend.
    pub name: String,
    /// Abscissa, in the histogram's unit, and ordinate, in entries of a bin.
    pub points: Vec<(f64, f64)>,
}

/// A value of the abscissa that is marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Where.
    pub at: f64,
    /// What is there.
    pub name: String,
    /// Whether it is a limit, such as a budget.
    pub is_limit: bool,
}

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramPicture {
    /// What is seen.
    pub title: String,
    /// What the data are: REAL or SIMULATED, and which.
    pub label: String,
    /// The sentence for who cannot see it.
    pub description: String,
    /// The quantity of the abscissa.
    pub quantity: String,
    /// Its unit.
    pub unit: String,
    /// What is counted.
    pub counted: String,
    /// Bins grow by decades.
    pub by_decades: bool,
    /// All of the same data: real and simulated have pictures of their own.
    pub layers: Vec<Layer>,
    /// A fit.
    pub curve: Option<Curve>,
    /// Marked values.
    pub lines: Vec<Line>,
}

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 310.0;

impl HistogramPicture {
    /// Draws it.
    pub fn draw(&self) -> Picture {
        let mut canvas = Canvas::new(WIDTH, HEIGHT);
        let top = canvas.head(&self.title, &self.label, &self.legend()) + 14.0;
        let frame = Frame {
            left: 62.0,
            right: WIDTH - 14.0,
            top,
            bottom: HEIGHT - 44.0,
        };
        let (low, high) = self.range();
        let x = if self.by_decades {
            Scale::decades(low, high, frame.left, frame.right)
        } else {
            Scale::linear(low, high, frame.left, frame.right)
        };
        let y = Scale::linear(0.0, self.highest() * 1.06, frame.bottom, frame.top);
        frame.draw(&mut canvas, &y, &self.counted);
        frame.draw_x(&mut canvas, &x, &with_unit(&self.quantity, &self.unit));
        for layer in &self.layers {
            draw_layer(&mut canvas, layer, &x, &y);
        }
        if let Some(curve) = &self.curve {
            let inside = curve.points.iter().filter(|(at, _)| x.holds(*at));
            let points: Vec<(f64, f64)> = inside
                .map(|(at, value)| (x.place(*at), y.place_inside(*value)))
                .collect();
            canvas.path("cu", &points);
        }
        self.draw_lines(&mut canvas, &x, &frame);
        canvas.done(&self.title, &self.label, &self.description)
    }

    fn legend(&self) -> Vec<(Swatch, String)> {
        let layers = self.layers.iter().map(|layer| {
            let swatch = match layer.look {
                Look::Points => Swatch::Point,
                Look::Steps => Swatch::Line("st"),
                Look::Reference => Swatch::Line("ot"),
            };
            (swatch, layer.name.clone())
        });
        let curve = self
            .curve
            .iter()
            .map(|curve| (Swatch::Line("cu"), curve.name.clone()));
        layers.chain(curve).collect()
    }

    /// From the lowest edge to the highest, with the limits.
    fn range(&self) -> (f64, f64) {
        let edges = self
            .layers
            .iter()
            .flat_map(|layer| layer.edges.iter().copied());
        let limits = self
            .lines
            .iter()
            .filter(|line| line.is_limit)
            .map(|line| line.at);
        let all: Vec<f64> = edges
            .chain(limits)
            .filter(|value| value.is_finite())
            .collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }

    /// The highest thing in the picture, at least so much that ticks are whole numbers.
    fn highest(&self) -> f64 {
        let bins = self.layers.iter().flat_map(|layer| {
            let with_errors = layer.look == Look::Points;
            let errors = layer.errors.iter().copied().chain(std::iter::repeat(0.0));
            let tops = layer.contents.iter().zip(errors);
            tops.map(move |(content, error)| content + if with_errors { error } else { 0.0 })
        });
        let curve = self
            .curve
            .iter()
            .flat_map(|curve| curve.points.iter().map(|point| point.1));
        bins.chain(curve)
            .filter(|value| value.is_finite())
            .fold(4.0, f64::max)
    }

    /// Marked values with their names at the top, on the side where there is room.
    fn draw_lines(&self, canvas: &mut Canvas, x: &Scale, frame: &Frame) {
        for line in self.lines.iter().filter(|line| x.holds(line.at)) {
            let at = x.place(line.at);
            let class = if line.is_limit { "bu" } else { "ln" };
            canvas.line(class, (at, frame.top - 4.0), (at, frame.bottom));
            let class = if line.is_limit { "lim" } else { "q" };
            let needed = CHARACTER * line.name.chars().count() as f64;
            let (place, anchor) = if at + needed + 6.0 > frame.right {
                (at - 5.0, Anchor::End)
            } else {
                (at + 5.0, Anchor::Start)
            };
            canvas.text(class, (place, frame.top + 4.0), anchor, &line.name);
        }
    }
}

fn draw_layer(canvas: &mut Canvas, layer: &Layer, x: &Scale, y: &Scale) {
    let bins = layer.edges.windows(2).zip(&layer.contents);
    if layer.look == Look::Points {
        let errors = layer.errors.iter().copied().chain(std::iter::repeat(0.0));
        for ((edges, content), error) in bins.zip(errors) {
            // An empty bin has no point; a line of them along the axis would hide the rest.
            if *content <= 0.0 || !content.is_finite() {
                continue;
            }
            let at = f64::midpoint(x.place(edges[0]), x.place(edges[1]));
            let (low, high) = (
                y.place_inside(content - error),
                y.place_inside(content + error),
            );
            canvas.line("er", (at, low), (at, high));
            canvas.dot("pt", (at, y.place(*content)), 1.9);
        }
        return;
    }
    let mut outline = Vec::with_capacity(2 * layer.contents.len() + 2);
    for (edges, content) in bins {
        if outline.is_empty() {
            outline.push((x.place(edges[0]), y.place(0.0)));
        }
        outline.push((x.place(edges[0]), y.place_inside(*content)));
        outline.push((x.place(edges[1]), y.place_inside(*content)));
    }
    if let Some((at, _)) = outline.last().copied() {
        outline.push((at, y.place(0.0)));
    }
    canvas.path(
        if layer.look == Look::Steps {
            "st"
        } else {
            "ot"
        },
        &outline,
    );
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    fn picture(look: Look) -> HistogramPicture {
        HistogramPicture {
            title: "Dimuon mass".to_owned(),
            label: "REAL, CMS 2010".to_owned(),
            quantity: "mass".to_owned(),
            unit: "GeV".to_owned(),
            counted: "pairs".to_owned(),
            layers: vec![Layer {
                name: "prompt".to_owned(),
                edges: vec![0.0, 1.0, 2.0, 3.0, 4.0],
                contents: vec![0.0, 100.0, 50.0, f64::NAN],
                errors: vec![0.0, 0.0, 10.0, 1.0],
                look,
            }],
            ..HistogramPicture::default()
        }
    }

    #[test]
    fn points_are_where_their_bins_are() {
        let text = picture(Look::Points).draw().standalone();
        let found = elements(&text).expect("well-formed");
        let plotted: Vec<(f64, f64)> = found
            .iter()
            .filter(|element| element.name == "circle")
            .map(|element| (element.number("cx"), element.number("cy")))
            .collect();
        // One swatch, and a point for each bin with something finite in it.
        assert_eq!(plotted.len(), 3, "{plotted:?}");
        // The frame is from 62 to 466: a bin is 101 wide. Its height is from 76 to 266, for 106.
        assert_eq!((plotted[1].0, plotted[2].0), (213.5, 314.5));
        let share = |y: f64| (266.0 - y) / (266.0 - 76.0) * 106.0;
        assert!((share(plotted[1].1) - 100.0).abs() < 0.1, "{plotted:?}");
        assert!((share(plotted[2].1) - 50.0).abs() < 0.1, "{plotted:?}");
        let title = found
            .iter()
            .find(|element| element.name == "title")
            .expect("a title");
        assert_eq!(title.text, "REAL, CMS 2010: Dimuon mass");
    }

    #[test]
    fn a_limit_beyond_the_bins_widens_the_picture() {
        let mut picture = picture(Look::Steps);
        picture.by_decades = true;
        picture.layers[0].edges = vec![0.01, 0.1, 1.0, 2.0, 3.0];
        picture.lines.push(Line {
            at: 60.0,
            name: "budget 60 s".to_owned(),
            is_limit: true,
        });
        let text = picture.draw().inline("a");
        let found = elements(&text).expect("well-formed");
        let budget = found
            .iter()
            .find(|element| element.is("line", "bu"))
            .expect("a line");
        assert_eq!(budget.number("x1"), 466.0, "at the end of the frame");
        let named = found
            .iter()
            .find(|element| element.is("text", "lim"))
            .expect("its name");
        assert_eq!(
            (
                named.text.as_str(),
                named.attributes["text-anchor"].as_str()
            ),
            ("budget 60 s", "end")
        );
        assert_eq!(text, picture.draw().inline("a"), "the same every time");
    }

    #[test]
    fn a_picture_of_nothing_is_a_picture() {
        let text = HistogramPicture::default().draw().standalone();
        elements(&text).expect("well-formed");
    }
}
