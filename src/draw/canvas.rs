//! The sheet that pictures are drawn on: lines, boxes, text, and what is around them.
//!
//! In: coordinates in picture units, origin at the upper left. Out: SVG. Colours are classes, so
//! that one style sheet serves light, dark and paper.

use std::fmt::Write;

/// The style sheet of all pictures; a page with several needs it once.
pub const STYLE: &str = "\
svg.picture{--ink:#1b1f24;--quiet:#6a737d;--grid:#dde1e6;--band:#eef1f5;--data:#0b5cad;\
--other:#9a5b00;--limit:#b42318;--paper:#fff}\
@media (prefers-color-scheme:dark){svg.picture{--ink:#e6e8eb;--quiet:#9aa4af;--grid:#343a41;\
--band:#24292f;--data:#6cb2ff;--other:#e0a458;--limit:#ff8a80;--paper:#1b1d20}}\
@media print{svg.picture{--ink:#000;--quiet:#444;--grid:#ccc;--band:#eee;--data:#0b5cad;\
--other:#9a5b00;--limit:#b42318;--paper:#fff}}\
svg.picture{background:var(--paper);font-size:12px;\
font-family:system-ui,\"DejaVu Sans\",sans-serif}\
svg.picture text{fill:var(--ink)}svg.picture .h{font-weight:600;font-size:13px}\
svg.picture .q{fill:var(--quiet)}svg.picture .lim{fill:var(--limit)}\
svg.picture .ax{stroke:var(--ink);fill:none}svg.picture .gr{stroke:var(--grid)}\
svg.picture .bd{fill:var(--band)}svg.picture .bl{stroke:var(--quiet);stroke-dasharray:2 3}\
svg.picture .in{stroke:var(--other);stroke-width:2}\
svg.picture .pt{fill:var(--ink)}svg.picture .er{stroke:var(--ink)}\
svg.picture .tr{fill:none;stroke:var(--other);stroke-width:1.5}\
svg.picture .st{fill:none;stroke:var(--data);stroke-width:1.5}\
svg.picture .ot{fill:none;stroke:var(--other);stroke-width:1.2;stroke-dasharray:4 2}\
svg.picture .cu{fill:none;stroke:var(--data);stroke-width:1.8}\
svg.picture .ln{stroke:var(--quiet);stroke-dasharray:5 3}\
svg.picture .bu{stroke:var(--limit);stroke-width:1.8;stroke-dasharray:7 3}\
svg.picture .wa{fill:var(--band);stroke:var(--quiet)}svg.picture .wo{fill:var(--data)}\
svg.picture .sr{fill:var(--other)}svg.picture .ab{fill:var(--paper);stroke:var(--limit)}";

/// How wide a character of the small type is, generously.
pub(super) const CHARACTER: f64 = 6.6;

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    title: String,
    description: String,
    width: f64,
    height: f64,
    body: String,
}

impl Picture {
    /// The picture as a part of a page that has [`STYLE`]; `id` is unique in that page.
    pub fn inline(&self, id: &str) -> String {
        self.write(id, "")
    }

    /// The picture as a file of its own.
    pub fn standalone(&self) -> String {
        self.with_style(STYLE)
    }

    /// The same with this style sheet.
    pub(super) fn with_style(&self, style: &str) -> String {
        let style = format!("<style>{}</style>", escape(style));
        format!("{}\n", self.write("picture", &style))
    }

    /// Pictures in one, from the top; none of none.
    pub fn below_each_other(pictures: Vec<Self>) -> Option<Self> {
        let mut pictures = pictures.into_iter();
        let mut all = pictures.next()?;
        for picture in pictures {
            all.title = format!("{}; {}", all.title, picture.title);
            all.description = format!("{}; {}", all.description, picture.description);
            let moved = number(all.height);
            all.body = format!(
                "{}<g transform=\"translate(0 {moved})\">{}</g>",
                all.body, picture.body
            );
            all.height += picture.height;
            all.width = all.width.max(picture.width);
        }
        Some(all)
    }

    fn write(&self, id: &str, style: &str) -> String {
        let (id, width, height) = (escape(id), number(self.width), number(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" role=\"img\" \
             viewBox=\"0 0 {width} {height}\" aria-labelledby=\"{id}-title {id}-desc\">\
             <title id=\"{id}-title\">{}</title><desc id=\"{id}-desc\">{}</desc>{style}{}</svg>",
            escape(&self.title),
            escape(&self.description),
            self.body
        )
    }
}

/// Text that can stand in markup, between tags and in quoted attributes. What XML has no place for
/// (control characters) becomes a replacement character.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            control if control.is_control() => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

/// A coordinate: a tenth of a unit is finer than any screen.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

/// Where a text is fixed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// What stands in a legend.
#[derive(Clone, Copy, Debug)]
pub(super) enum Swatch {
    /// A point with its error.
    Point,
    /// A line of a class.
    Line(&'static str),
    /// A box of a class.
    Box(&'static str),
    /// A diamond of a class.
    Diamond(&'static str),
}

/// A picture being drawn.
pub(super) struct Canvas {
    pub(super) width: f64,
    pub(super) height: f64,
    body: String,
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
        }
    }

    fn push(&mut self, markup: std::fmt::Arguments<'_>) {
        let written = self.body.write_fmt(markup);
        assert!(written.is_ok(), "writing into a string cannot fail");
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        if [from.0, from.1, to.0, to.1].iter().all(|v| v.is_finite()) {
            self.push(format_args!(
                "<line class=\"{class}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>",
                number(from.0),
                number(from.1),
                number(to.0),
                number(to.1)
            ));
        }
    }

    /// A box; a hint says what it is when somebody points at it.
    pub(super) fn rect(&mut self, class: &str, at: (f64, f64), size: (f64, f64), hint: &str) {
        if ![at.0, at.1, size.0, size.1].iter().all(|v| v.is_finite()) {
            return;
        }
        let hint = match hint {
            "" => String::new(),
            hint => format!("<title>{}</title>", escape(hint)),
        };
        self.push(format_args!(
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\">{hint}</rect>",
            number(at.0),
            number(at.1),
            number(size.0.max(0.0)),
            number(size.1.max(0.0))
        ));
    }

    /// A box whose colour is so dark, from 0 to 1.
    pub(super) fn shade(&mut self, class: &str, at: (f64, f64), size: (f64, f64), darkness: f64) {
        let all = [at.0, at.1, size.0, size.1, darkness];
        if all.iter().all(|v| v.is_finite()) {
            self.push(format_args!(
                "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" \
                 fill-opacity=\"{:.2}\"/>",
                number(at.0),
                number(at.1),
                number(size.0.max(0.0)),
                number(size.1.max(0.0)),
                darkness.clamp(0.0, 1.0)
            ));
        }
    }

    pub(super) fn dot(&mut self, class: &str, at: (f64, f64), radius: f64) {
        if at.0.is_finite() && at.1.is_finite() {
            self.push(format_args!(
                "<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
                number(at.0),
                number(at.1),
                number(radius)
            ));
        }
    }

    pub(super) fn diamond(&mut self, class: &str, (x, y): (f64, f64), radius: f64) {
        let corners = [
            (x, y - radius),
            (x + radius, y),
            (x, y + radius),
            (x - radius, y),
            (x, y - radius),
        ];
        self.path(class, &corners);
    }

    /// A line through points; one that is no finite number breaks it.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut d = String::new();
        let mut pen = 'M';
        for (x, y) in points {
            if x.is_finite() && y.is_finite() {
                d.push_str(&format!("{pen}{} {}", number(*x), number(*y)));
                pen = 'L';
            } else {
                pen = 'M';
            }
        }
        self.push(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
    }

    pub(super) fn text(&mut self, class: &str, at: (f64, f64), anchor: Anchor, text: &str) {
        self.push(format_args!(
            "<text class=\"{class}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>",
            number(at.0),
            number(at.1),
            anchor.word(),
            escape(text)
        ));
    }

    /// Text that is turned by `degrees` around where it is fixed.
    pub(super) fn turned(&mut self, at: (f64, f64), anchor: Anchor, degrees: f64, text: &str) {
        let (x, y) = (number(at.0), number(at.1));
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{}\" transform=\"rotate({} {x} {y})\">{}</text>",
            anchor.word(),
            number(degrees),
            escape(text)
        ));
    }

    /// Title, label of the data and legend at the top; gives the height they take.
    pub(super) fn head(&mut self, title: &str, label: &str, legend: &[(Swatch, String)]) -> f64 {
        self.text("h", (10.0, 18.0), Anchor::Start, title);
        self.text("q", (10.0, 35.0), Anchor::Start, label);
        let (mut x, mut y) = (10.0, 52.0);
        for (swatch, name) in legend {
            let needed = 28.0 + CHARACTER * name.chars().count() as f64;
            if x > 10.0 && x + needed > self.width {
                (x, y) = (10.0, y + 16.0);
            }
            self.swatch(*swatch, (x, y - 4.0));
            self.text("q", (x + 22.0, y), Anchor::Start, name);
            x += needed + 8.0;
        }
        if legend.is_empty() { 44.0 } else { y + 10.0 }
    }

    fn swatch(&mut self, swatch: Swatch, (x, y): (f64, f64)) {
        match swatch {
            Swatch::Point => {
                self.line("er", (x + 8.0, y - 5.0), (x + 8.0, y + 5.0));
                self.dot("pt", (x + 8.0, y), 2.4);
            }
            Swatch::Line(class) => self.line(class, (x, y), (x + 17.0, y)),
            Swatch::Box(class) => self.rect(class, (x, y - 5.0), (16.0, 10.0), ""),
            Swatch::Diamond(class) => self.diamond(class, (x + 8.0, y), 4.0),
        }
    }

    pub(super) fn done(self, title: &str, label: &str, description: &str) -> Picture {
        Picture {
            title: format!("{label}: {title}"),
            description: description.to_owned(),
            width: self.width,
            height: self.height,
            body: self.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wellformed::elements;
    use super::*;

    #[test]
    fn hostile_text_is_text() {
        let hostile = "</text><script>alert(\"1\")</script>&'\u{0}\u{8}";
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.head(hostile, hostile, &[(Swatch::Point, hostile.to_owned())]);
        canvas.rect("wo", (0.0, 0.0), (1.0, 1.0), hostile);
        canvas.turned((1.0, 1.0), Anchor::End, -45.0, hostile);
        let picture = canvas.done(hostile, "REAL", hostile);
        for text in [picture.inline("a\"onload=\"x"), picture.standalone()] {
            let found = elements(&text).expect("the picture is well-formed");
            assert!(
                found.iter().all(|element| element.name != "script"),
                "{text}"
            );
            assert!(
                found
                    .iter()
                    .all(|element| !element.attributes.contains_key("onload"))
            );
            let titles = found.iter().filter(|element| element.name == "title");
            assert_eq!(titles.count(), 2, "of the picture and of the box");
        }
    }

    #[test]
    fn pictures_stand_below_each_other() {
        let picture = |width: f64, title: &str| {
            let mut canvas = Canvas::new(width, 50.0);
            canvas.dot("pt", (1.0, 1.0), 2.0);
            canvas.done(title, "REAL", "")
        };
        let all = Picture::below_each_other(vec![picture(10.0, "a"), picture(30.0, "b")]).unwrap();
        let text = all.standalone();
        let found = elements(&text).expect("well-formed");
        assert_eq!(found[0].attributes["viewBox"], "0 0 30 100");
        assert_eq!(found[1].text, "REAL: a; REAL: b");
        let moved = found.iter().find(|e| e.name == "g").unwrap();
        assert_eq!(moved.attributes["transform"], "translate(0 50)");
        assert_eq!(Picture::below_each_other(Vec::new()), None);
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        let mut canvas = Canvas::new(100.0, 50.0);
        canvas.line("ax", (0.0, f64::NAN), (1.0, 1.0));
        canvas.dot("pt", (f64::INFINITY, 0.0), 1.0);
        canvas.rect("wo", (0.0, 0.0), (f64::NAN, 1.0), "");
        canvas.path("st", &[(0.0, 0.0), (1.0, f64::NAN), (2.0, 2.0), (3.0, 3.0)]);
        assert_eq!(canvas.body, "<path class=\"st\" d=\"M0 0M2 2L3 3\"/>");
        assert_eq!(
            (number(-0.04), number(12.25)),
            ("0".to_owned(), "12.2".to_owned())
        );
    }
}
