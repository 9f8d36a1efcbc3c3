//! Who worked when: lanes of bars along one axis, and lines at what happened.

use super::axis::{Frame, Scale, with_unit};
use super::canvas::{Anchor, CHARACTER, Canvas, Picture, Swatch};

/// What a bar stands for; each has a look of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shade {
    /// Nothing goes on but waiting.
    Waiting,
    /// The work itself.
    Working,
    /// What follows the work.
    Storing,
    /// Something that should be here is not.
    Absent,
}

impl Shade {
    fn class(self) -> &'static str {
        match self {
            Self::Waiting => "wa",
            Self::Working => "wo",
            Self::Storing => "sr",
            Self::Absent => "ab",
        }
    }
}

/// A part of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// From here, in the axis' unit.
    pub from: f64,
    /// To here.
    pub to: f64,
    /// What it stands for.
    pub shade: Shade,
}

/// A row of bars.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// Whose.
    pub name: String,
    /// Its bars.
    pub segments: Vec<Segment>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// When, in the axis' unit.
    pub at: f64,
    /// What.
    pub name: String,
}

/// What is to be drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimelinePicture {
    /// What is seen.
    pub title: String,
    /// What the data are: REAL or SIMULATED, and which.
    pub label: String,
    /// The sentence for who cannot see it.
    pub description: String,
    /// The quantity of the axis.
    pub quantity: String,
    /// Its unit.
    pub unit: String,
    /// Where the axis begins and ends; by the bars where it is not said.
    pub range: Option<(f64, f64)>,
    /// What each shade is called here.
    pub shades: Vec<(Shade, String)>,
    /// From the top.
    pub lanes: Vec<Lane>,
    /// Marked moments.
    pub marks: Vec<Mark>,
}

const WIDTH: f64 = 640.0;
const LANE: f64 = 17.0;
/// A longer name is cut in the picture; pointing at the bar shows all of it.
const NAME_CHARACTERS_MAX: usize = 32;

impl TimelinePicture {
    /// Draws it.
    pub fn draw(&self) -> Picture {
        let legend: Vec<(Swatch, String)> = self
            .shades
            .iter()
            .map(|(shade, name)| (Swatch::Box(shade.class()), name.clone()))
            .collect();
        let head = Canvas::new(WIDTH, 0.0).head(&self.title, &self.label, &legend);
        let top = head + 8.0 + 16.0 * self.marks.len() as f64;
        let bottom = top + LANE * self.lanes.len().max(1) as f64;
        let mut canvas = Canvas::new(WIDTH, bottom + 44.0);
        canvas.head(&self.title, &self.label, &legend);
        let names = self
            .lanes
            .iter()
            .map(|lane| shortened(&lane.name).chars().count());
        let longest = names.max().unwrap_or(0);
        let frame = Frame {
            left: (20.0 + CHARACTER * longest as f64).min(WIDTH / 2.0),
            right: WIDTH - 16.0,
            top,
            bottom,
        };
        let (low, high) = self.range.unwrap_or_else(|| self.extent());
        let x = Scale::linear(low, high, frame.left, frame.right);
        frame.draw_x(&mut canvas, &x, &with_unit(&self.quantity, &self.unit));
        let corners = [
            (frame.left, top),
            (frame.left, bottom),
            (frame.right, bottom),
        ];
        canvas.path("ax", &corners);
        for (index, lane) in self.lanes.iter().enumerate() {
            let y = top + LANE * index as f64;
            draw_lane(&mut canvas, lane, &x, (frame.left, y), &self.unit);
        }
        for (index, mark) in self.marks.iter().enumerate() {
            let (at, y) = (x.place_inside(mark.at), head + 8.0 + 16.0 * index as f64);
            canvas.line("ln", (at, y), (at, bottom));
            let needed = CHARACTER * mark.name.chars().count() as f64;
            let (place, anchor) = if at + needed + 6.0 > WIDTH {
                (at - 4.0, Anchor::End)
            } else {
                (at + 4.0, Anchor::Start)
            };
            canvas.text("q", (place, y + 9.0), anchor, &mark.name);
        }
        canvas.done(&self.title, &self.label, &self.description)
    }

    fn extent(&self) -> (f64, f64) {
        let segments = self.lanes.iter().flat_map(|lane| &lane.segments);
        let ends = segments.flat_map(|segment| [segment.from, segment.to]);
        let marks = self.marks.iter().map(|mark| mark.at);
        let all: Vec<f64> = ends
            .chain(marks)
            .filter(|value| value.is_finite())
            .collect();
        let low = all.iter().copied().fold(f64::INFINITY, f64::min);
        let high = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= NAME_CHARACTERS_MAX {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_CHARACTERS_MAX - 1).collect();
    format!("{kept}\u{2026}")
}

fn draw_lane(canvas: &mut Canvas, lane: &Lane, x: &Scale, (left, y): (f64, f64), unit: &str) {
    let name = shortened(&lane.name);
    canvas.text("q", (left - 6.0, y + 13.0), Anchor::End, &name);
    for segment in &lane.segments {
        let (from, to) = (x.place_inside(segment.from), x.place_inside(segment.to));
        let hint = format!(
            "{}: {:.3} to {:.3} {unit}",
            lane.name, segment.from, segment.to
        );
        // What took no time at all is still seen.
        let size = ((to - from).max(0.8), LANE - 5.0);
        canvas.rect(segment.shade.class(), (from, y + 3.0), size, &hint);
    }
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    #[test]
    fn bars_are_where_their_times_are() {
        let timeline = TimelinePicture {
            title: "run 7".to_owned(),
            label: "REAL".to_owned(),
            quantity: "time".to_owned(),
            unit: "s".to_owned(),
            range: Some((0.0, 10.0)),
            shades: vec![(Shade::Working, "program".to_owned())],
            lanes: vec![Lane {
                name: "a".to_owned(),
                segments: vec![
                    Segment {
                        from: 0.0,
                        to: 5.0,
                        shade: Shade::Working,
                    },
                    Segment {
                        from: 5.0,
                        to: 50.0,
                        shade: Shade::Storing,
                    },
                ],
            }],
            marks: vec![Mark {
                at: 10.0,
                name: "good-run list".to_owned(),
            }],
            ..TimelinePicture::default()
        };
        let text = timeline.draw().standalone();
        let found = elements(&text).expect("well-formed");
        let bar = |class: &str| {
            let mut bars = found.iter().filter(|element| element.is("rect", class));
            let last = bars.next_back().expect("a bar");
            (last.number("x"), last.number("width"))
        };
        // The frame is from 26.6 to 624.
        assert_eq!(bar("wo"), (26.6, 298.7));
        assert_eq!(bar("sr"), (325.3, 298.7), "no bar leaves the frame");
        let mark = found
            .iter()
            .find(|element| element.is("line", "ln"))
            .expect("a mark");
        assert_eq!(mark.number("x1"), 624.0);
    }

    #[test]
    fn a_long_name_is_cut_and_can_be_read_all_the_same() {
        let name = "n".repeat(50);
        let timeline = TimelinePicture {
            lanes: vec![Lane {
                name: name.clone(),
                segments: vec![Segment {
                    from: 0.0,
                    to: 1.0,
                    shade: Shade::Absent,
                }],
            }],
            ..TimelinePicture::default()
        };
        let text = timeline.draw().standalone();
        let found = elements(&text).expect("well-formed");
        assert!(
            found
                .iter()
                .any(|e| e.name == "title" && e.text.starts_with(&name))
        );
        assert!(
            found
                .iter()
                .all(|e| e.name != "text" || e.text.chars().count() <= 32)
        );
    }
}
