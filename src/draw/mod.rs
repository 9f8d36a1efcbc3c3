//! Pictures: numbers in, SVG text out.
//!
//! Pure functions. The same numbers give the same text, so that pictures can be compared; a picture
//! is readable in light and dark, on paper, and by a screen reader (`title` and `desc` say what is
//! seen); shape tells apart what colour tells apart. Every picture carries the label of its data
//! (REAL or SIMULATED), so that it keeps it when it is cut out. Must never let a text through as
//! markup, draw a value that is no finite number, or know where its numbers come from.

mod axis;
mod canvas;
mod histogram;
mod map;
mod profile;
mod raster;
mod timeline;
mod trend;
#[cfg(test)]
mod wellformed;

pub use canvas::{Picture, STYLE, escape};
pub use histogram::{Curve, HistogramPicture, Layer, Line, Look};
pub use map::{MapAxis, MapPicture};
pub use profile::ProfilePicture;
pub use raster::RasterError;
pub use timeline::{Lane, Mark, Segment, Shade, TimelinePicture};
pub use trend::{Band, Point, TrendPicture};
