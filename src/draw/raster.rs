//! A picture as pixels, for mail, chat and paper that take no SVG.
//!
//! In: a finished picture. Out: PNG in the light colours, two pixels a unit. The letters are those
//! of the font in `font/` and no others: a server has none, and the same picture gives the same
//! bytes on every machine. Must never read a file.

use super::canvas::{Picture, STYLE};
use resvg::tiny_skia::{Color, Pixmap, Transform};
use resvg::usvg::{Options, Tree};

/// DejaVu Sans with Latin, Greek and the signs of formulas, made by `font/subset`. Its licence is
/// beside it.
const FONT: &[u8] = include_bytes!("font/DejaVuSans-subset.ttf");
/// Its name.
const FAMILY: &str = "DejaVu Sans";
/// Pixels a unit of the picture, so that small type is sharp.
const PIXELS_PER_UNIT: f32 = 2.0;
/// Longest side of a picture, in pixels: 16384 squared takes a GiB of memory.
const PIXELS_MAX: f32 = 16_384.0;

/// Why a picture has no pixels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RasterError {
    /// It is too large.
    #[error(
        "a picture of {width} x {height} pixels is not made, the longest side may have \
         {PIXELS_MAX}; draw it as SVG, or less in one picture"
    )]
    TooLarge {
        /// Its width in pixels.
        width: f32,
        /// Its height in pixels.
        height: f32,
    },
    /// What was drawn cannot be turned into pixels: a mistake of this program.
    #[error("the picture cannot be made into pixels: {0}; draw it as SVG, and report this")]
    Unreadable(String),
}

impl Picture {
    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, RasterError> {
        rasterised(self, FONT)
    }
}

fn rasterised(picture: &Picture, font: &[u8]) -> Result<Vec<u8>, RasterError> {
    let mut options = Options {
        font_family: FAMILY.to_owned(),
        ..Options::default()
    };
    options.fontdb_mut().load_font_data(font.to_vec());
    let unreadable = |error: &dyn std::fmt::Display| RasterError::Unreadable(error.to_string());
    let text = picture.with_style(&paper_style());
    let tree = Tree::from_str(&text, &options).map_err(|error| unreadable(&error))?;
    let size = tree.size();
    let [width, height] =
        [size.width(), size.height()].map(|units| (units * PIXELS_PER_UNIT).ceil());
    let too_large = RasterError::TooLarge { width, height };
    if width.max(height) > PIXELS_MAX {
        return Err(too_large);
    }
    let mut pixels = Pixmap::new(width as u32, height as u32).ok_or(too_large)?;
    pixels.fill(Color::WHITE);
    let scale = Transform::from_scale(PIXELS_PER_UNIT, PIXELS_PER_UNIT);
    resvg::render(&tree, scale, &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| unreadable(&error))
}

/// The style sheet without what only browsers know: the light colours in place of their names.
fn paper_style() -> String {
    let (colours, rest) = STYLE.split_once('}').unwrap_or_default();
    let (_, colours) = colours.split_once('{').unwrap_or_default();
    // Dark and printed ones end with two brackets.
    let (_, rules) = rest.rsplit_once("}}").unwrap_or_default();
    let named = colours
        .split(';')
        .filter_map(|colour| colour.split_once(':'));
    named.fold(rules.to_owned(), |rules, (name, colour)| {
        rules.replace(&format!("var({name})"), colour)
    })
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Anchor, Canvas};
    use super::super::{Band, HistogramPicture, Layer, Look, Point, TrendPicture};
    use super::*;

    fn histogram() -> Picture {
        let bins = 40;
        let content = |bin: usize| 400.0 * (-((bin as f64 - 18.0) / 6.0).powi(2)).exp();
        let layer = |look, factor: f64| Layer {
            name: "run 165617".to_owned(),
            edges: (0..=bins).map(|n| 60.0 + 1.5 * n as f64).collect(),
            contents: (0..bins).map(|bin| factor * content(bin)).collect(),
            errors: match look {
                Look::Points => (0..bins).map(|bin| content(bin).sqrt()).collect(),
                _ => Vec::new(),
            },
            look,
        };
        HistogramPicture {
            title: "Dimuon mass, run 165617".to_owned(),
            label: "REAL, /Muons/Prompt-v1/DQM".to_owned(),
            quantity: "mass m(\u{3bc}\u{207a}\u{3bc}\u{207b})".to_owned(),
            unit: "GeV".to_owned(),
            counted: "entries / 1.5 GeV".to_owned(),
            layers: vec![layer(Look::Reference, 0.95), layer(Look::Points, 1.0)],
            ..HistogramPicture::default()
        }
        .draw()
    }

    fn trend() -> Picture {
        let value = |run: u32| if run < 5 { 0.0796 } else { 0.0717 };
        let point = |run: u32| Point {
            run: 160_957 + run * 11,
            value: value(run) + f64::from(run % 3) * 1e-4,
            error: 2e-4,
        };
        TrendPicture {
            title: "beamspot: x0_cm against run".to_owned(),
            label: "REAL".to_owned(),
            quantity: "x0_cm".to_owned(),
            points: (0..12).map(point).collect(),
            bands: [0, 5]
                .map(|run| Band {
                    since: 160_957 + run * 11,
                    value: Some(value(run)),
                })
                .into(),
            ..TrendPicture::default()
        }
        .draw()
    }

    /// Pixels that are not paper, in a box given in units of the picture.
    fn inked(pixels: &Pixmap, x: (f32, f32), y: (f32, f32)) -> usize {
        let within = |range: (f32, f32), pixel: usize| {
            let unit = pixel as f32 / PIXELS_PER_UNIT;
            range.0 <= unit && unit < range.1
        };
        let width = pixels.width() as usize;
        let ink = pixels.pixels().iter().enumerate();
        ink.filter(|(at, pixel)| {
            within(x, at % width) && within(y, at / width) && pixel.green() < 128
        })
        .count()
    }

    fn decoded(picture: &Picture, font: &[u8]) -> Pixmap {
        let png = rasterised(picture, font).unwrap_or_else(|error| panic!("{error}"));
        Pixmap::decode_png(&png).unwrap()
    }

    #[test]
    fn browsers_words_are_gone() {
        let style = paper_style();
        assert!(!style.contains("var(") && !style.contains('@'), "{style}");
        assert!(style.contains("svg.picture .er{stroke:#1b1f24}"), "{style}");
    }

    #[test]
    fn pictures_have_their_letters_without_any_font_of_the_machine() {
        for picture in [histogram(), trend()] {
            let (shown, mute) = (decoded(&picture, FONT), decoded(&picture, b""));
            let (width, height) = (shown.width() as f32, shown.height() as f32);
            let (width, height) = (width / PIXELS_PER_UNIT, height / PIXELS_PER_UNIT);
            let size = format!("viewBox=\"0 0 {width} {height}\"");
            assert!(picture.standalone().contains(&size), "{size}");
            let all = ((0.0, width), (0.0, height));
            let (drawn, lines) = (inked(&shown, all.0, all.1), inked(&mute, all.0, all.1));
            assert!(lines > 1_000, "axes and points: {lines}");
            assert!(
                drawn > lines + 2_000,
                "{drawn} with letters, {lines} without"
            );
            // The title, the name of what is drawn below the axis, and how it is counted beside it.
            for (name, x, y) in [
                ("title", (10.0, 200.0), (6.0, 21.0)),
                ("quantity", all.0, (height - 16.0, height)),
                ("label", (10.0, 60.0), (25.0, 38.0)),
            ] {
                let (letters, without) = (inked(&shown, x, y), inked(&mute, x, y));
                assert!(
                    letters > 100 && without == 0,
                    "{name}: {letters} and {without}"
                );
            }
        }
    }

    #[test]
    fn every_sign_of_a_formula_has_a_letter() {
        let sign = |sign: &str| {
            let mut canvas = Canvas::new(40.0, 40.0);
            canvas.text("h", (10.0, 30.0), Anchor::Start, sign);
            decoded(&canvas.done("", "", ""), FONT).data().to_vec()
        };
        // A private character, which no font has.
        let unknown = sign("\u{e000}");
        for known in "Aaz09%\u{b5}\u{e9}\u{3bc}\u{3c0}\u{3c7}\u{394}\u{3a5}\u{b2}\u{207b}\u{b1}\u{d7}\u{2212}\u{2264}\u{2265}\u{2248}\u{221a}".chars() {
            assert_ne!(sign(&known.to_string()), unknown, "{known}");
        }
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size() {
        let picture = Canvas::new(9_000.0, 10.0).done("", "", "");
        let refused = picture.png().unwrap_err().to_string();
        assert!(refused.contains("18000 x 20 pixels"), "{refused}");
    }
}
