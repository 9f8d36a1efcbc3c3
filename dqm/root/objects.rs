//! How histograms, profiles and words look as objects of ROOT: members in the order of their class,
//! said once for bytes and JSON. In comes an element and somebody who takes members, out go members
//! with the values that ROOT 6.40 gives a fresh object.

use crate::histogram::{Axis, Histogram, Moments};
use crate::histogram2d::{Histogram2d, Moments2d};
use crate::profile::{ErrorOption, Profile};

use super::members::{Members, Place};

/// `kMustCleanup`: the object is told when what it refers to goes. ROOT sets it for histograms.
const MUST_CLEANUP: u32 = 1 << 3;

/// Gives members to whoever takes them.
type Fill<'a> = dyn Fn(&mut dyn Members) + 'a;

/// An object with members.
pub(super) struct Object<'a> {
    pub(super) class: &'static str,
    pub(super) version: u16,
    pub(super) title: &'a str,
    pub(super) fill: Box<Fill<'a>>,
}

fn base(to: &mut dyn Members, class: &'static str, version: u16, fill: &dyn Fn(&mut dyn Members)) {
    to.part(Place::Base, class, version, fill);
}

fn named(to: &mut dyn Members, bits: u32, name: &str, title: &str) {
    base(to, "TNamed", 1, &|to| {
        to.object(bits);
        to.text("fName", name);
        to.text("fTitle", title);
    });
}

/// An axis of one bin from 0 to 1, which a histogram has in coordinates it does not use.
const UNUSED: Axis = Axis {
    bins: 1,
    low: 0.0,
    high: 1.0,
};

fn axis(to: &mut dyn Members, member: &str, name: &str, title: &str, axis: Axis) {
    to.part(Place::Member(member), "TAxis", 10, &|to| {
        named(to, 0, name, title);
        base(to, "TAttAxis", 4, &|to| {
            to.int("fNdivisions", 510);
            to.short("fAxisColor", 1);
            to.short("fLabelColor", 1);
            to.short("fLabelFont", 42);
            to.float("fLabelOffset", 0.005);
            to.float("fLabelSize", 0.035);
            to.float("fTickLength", 0.03);
            // 0 lets the ordinate's title find its own place.
            to.float("fTitleOffset", if name == "yaxis" { 0.0 } else { 1.0 });
            to.float("fTitleSize", 0.035);
            to.short("fTitleColor", 1);
            to.short("fTitleFont", 42);
        });
        to.int("fNbins", axis.bins as i32);
        to.double("fXmin", axis.low);
        to.double("fXmax", axis.high);
        to.array("fXbins", &[]);
        to.int("fFirst", 0);
        to.int("fLast", 0);
        to.short("fBits2", 0);
        to.flag("fTimeDisplay", false);
        to.text("fTimeFormat", "");
        to.null("fLabels");
        to.null("fModLabs");
    });
}

/// What all histograms have.
struct Common<'a> {
    name: &'a str,
    title: &'a str,
    axes: [(&'a str, Axis); 2],
    cells: usize,
    entries: u64,
    /// Sums of weights and squared weights of the entries inside, then of the abscissa.
    statistics: [f64; 4],
    /// Squared errors, where they are not the contents.
    squares: &'a [f64],
}

fn common(to: &mut dyn Members, of: &Common<'_>) {
    base(to, "TH1", 8, &|to| {
        named(to, MUST_CLEANUP, of.name, of.title);
        base(to, "TAttLine", 2, &|to| {
            to.short("fLineColor", 602);
            to.short("fLineStyle", 1);
            to.short("fLineWidth", 1);
        });
        base(to, "TAttFill", 2, &|to| {
            to.short("fFillColor", 0);
            to.short("fFillStyle", 1001);
        });
        base(to, "TAttMarker", 3, &|to| {
            to.short("fMarkerColor", 1);
            to.short("fMarkerStyle", 1);
            to.float("fMarkerSize", 1.0);
        });
        to.int("fNcells", of.cells as i32);
        let [(x_title, x), (y_title, y)] = of.axes;
        axis(to, "fXaxis", "xaxis", x_title, x);
        axis(to, "fYaxis", "yaxis", y_title, y);
        axis(to, "fZaxis", "zaxis", "", UNUSED);
        to.short("fBarOffset", 0);
        to.short("fBarWidth", 1000);
        to.double("fEntries", of.entries as f64);
        let [weight, squares, x, x2] = of.statistics;
        to.double("fTsumw", weight);
        to.double("fTsumw2", squares);
        to.double("fTsumwx", x);
        to.double("fTsumwx2", x2);
        // -1111 means that nobody has set it.
        to.double("fMaximum", -1111.0);
        to.double("fMinimum", -1111.0);
        to.double("fNormFactor", 0.0);
        to.array("fContour", &[]);
        to.array("fSumw2", of.squares);
        to.text("fOption", "");
        to.empty_list("fFunctions");
        to.int("fBufferSize", 0);
        to.no_numbers("fBuffer");
        to.int("fBinStatErrOpt", 0);
        // kNeutral: as the reader's own default says.
        to.int("fStatOverflows", 2);
    });
}

/// A unit as the title of an axis.
fn shown(unit: &str) -> String {
    if unit.is_empty() {
        String::new()
    } else {
        format!("[{unit}]")
    }
}

pub(super) fn histogram<'a>(name: &'a str, of: &'a Histogram) -> Object<'a> {
    let fill = move |to: &mut dyn Members| {
        let Moments { weight, x, x2 } = of.moments();
        let squares = of.variances()[1..=of.axis().bins].iter().sum();
        common(
            to,
            &Common {
                name,
                title: of.title(),
                axes: [(&shown(of.unit()), of.axis()), ("", UNUSED)],
                cells: of.contents().len(),
                entries: of.entries(),
                statistics: [weight, squares, x, x2],
                squares: if of.is_weighted() {
                    of.variances()
                } else {
                    &[]
                },
            },
        );
        to.array("fArray", of.contents());
    };
    Object {
        class: "TH1D",
        version: 3,
        title: of.title(),
        fill: Box::new(fill),
    }
}

pub(super) fn histogram2d<'a>(name: &'a str, of: &'a Histogram2d) -> Object<'a> {
    let fill = move |to: &mut dyn Members| {
        base(to, "TH2", 5, &|to| {
            let Moments2d {
                weight,
                x,
                x2,
                y,
                y2,
                xy,
            } = of.moments();
            let squares = of.inside().map(|cell| of.variances()[cell]).sum();
            let ([x_unit, y_unit], [x_axis, y_axis]) = (of.units().map(shown), of.axes());
            common(
                to,
                &Common {
                    name,
                    title: of.title(),
                    axes: [(&x_unit, x_axis), (&y_unit, y_axis)],
                    cells: of.contents().len(),
                    entries: of.entries(),
                    statistics: [weight, squares, x, x2],
                    squares: if of.is_weighted() {
                        of.variances()
                    } else {
                        &[]
                    },
                },
            );
            to.double("fScalefactor", 1.0);
            to.double("fTsumwy", y);
            to.double("fTsumwy2", y2);
            to.double("fTsumwxy", xy);
        });
        to.array("fArray", of.contents());
    };
    Object {
        class: "TH2D",
        version: 4,
        title: of.title(),
        fill: Box::new(fill),
    }
}

/// A profile is a histogram of weight times ordinate, with the weights beside it.
pub(super) fn profile<'a>(name: &'a str, of: &'a Profile) -> Object<'a> {
    let fill = move |to: &mut dyn Members| {
        let booking = of.booking();
        let bins = 0..booking.axis.bins + 2;
        let y: Vec<f64> = bins.clone().map(|bin| of.y(bin)).collect();
        let y2: Vec<f64> = bins.map(|bin| of.y2(bin)).collect();
        base(to, "TH1D", 3, &|to| {
            let Moments { weight, x, x2 } = of.moments();
            let squares = of.squared_weights()[1..=booking.axis.bins].iter().sum();
            let units = [&booking.unit, &booking.ordinate_unit].map(|unit| shown(unit));
            common(
                to,
                &Common {
                    name,
                    title: of.title(),
                    axes: [(&units[0], booking.axis), (&units[1], UNUSED)],
                    cells: y.len(),
                    entries: of.entries(),
                    statistics: [weight, squares, x, x2],
                    squares: &y2,
                },
            );
            to.array("fArray", &y);
        });
        to.array("fBinEntries", of.weights());
        to.int(
            "fErrorMode",
            match booking.error {
                ErrorOption::Mean => 0,
                ErrorOption::Spread => 1,
            },
        );
        let [low, high] = booking.ordinates.unwrap_or_default();
        to.double("fYmin", low);
        to.double("fYmax", high);
        let [y, y2] = of.ordinate_moments();
        to.double("fTsumwy", y);
        to.double("fTsumwy2", y2);
        to.array(
            "fBinSumw2",
            if of.is_weighted() {
                of.squared_weights()
            } else {
                &[]
            },
        );
    };
    Object {
        class: "TProfile",
        version: 7,
        title: of.title(),
        fill: Box::new(fill),
    }
}

/// Words, or a number as words.
pub(super) fn words(text: &str) -> Object<'_> {
    let fill = move |to: &mut dyn Members| {
        to.object(0);
        to.text("fString", text);
    };
    Object {
        class: "TObjString",
        version: 1,
        title: "Collectable string class",
        fill: Box::new(fill),
    }
}
