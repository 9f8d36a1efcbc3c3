//! Beam spots of real primary vertices, against numpy.

use crate::judging::{
    Comparison, Data, Item, caught, leading_number, members, needs_data, number_before, raised,
    text,
};
use calibration::vertex_moments::{CLIP_SIGMAS, LuminousRegion, Moments, Slope, fit};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// Run, lumi and position of a vertex.
type Vertex = (u64, u64, [f64; 3]);

pub(crate) fn judge(case: &Value, data: &Data) -> Vec<Item> {
    let file = text(&case["data"]);
    let expected: Vec<(&str, &Value)> = members(&case["expected"]).collect();
    let Some(path) = data.path(file) else {
        return expected
            .iter()
            .map(|(id, _)| needs_data(*id, file))
            .collect();
    };
    let is_root = path
        .extension()
        .is_some_and(|extension| extension == "root");
    let vertices = if is_root {
        read_root(&path)
    } else {
        read_parquet(&path)
    };
    let clip = number_before(&case["method"], "*sd").unwrap_or(CLIP_SIGMAS);
    // "1e-6 relative", or a number, or what the first case said.
    let tolerance = &case["tolerance"];
    let tolerance = if tolerance.is_null() {
        1e-6
    } else {
        leading_number(tolerance)
    };
    let item = |(id, expect): (&str, &Value)| {
        let chosen: Vec<[f64; 3]> = vertices
            .iter()
            .filter(|vertex| belongs(id, vertex))
            .map(|vertex| vertex.2)
            .collect();
        match fit(&chosen, clip) {
            Ok(region) => compare(id, &region, expect, tolerance),
            Err(error) => raised(id, error),
        }
    };
    let items = expected.into_iter();
    items
        .map(|(id, expect)| caught(id, || item((id, expect)), |item| item))
        .collect()
}

/// Whether a vertex is of `run:lumi`; `all` stands for any.
fn belongs(id: &str, (run, lumi, _): &Vertex) -> bool {
    let is = |word: &str, number: u64| word == "all" || word.parse() == Ok(number);
    let (wanted_run, wanted_lumi) = id.split_once(':').unwrap_or((id, "all"));
    is(wanted_run, *run) && is(wanted_lumi, *lumi)
}

fn compare(id: &str, got: &LuminousRegion, expect: &Value, tolerance: f64) -> Item {
    let mut comparison = Comparison::default();
    for (axis, got) in [("x", got.x), ("y", got.y), ("z", got.z)] {
        moments(&mut comparison, axis, &got, &expect[axis], tolerance);
    }
    for (name, got) in [("dxdz", got.dxdz), ("dydz", got.dydz)] {
        let Slope { value, error } = got;
        for (what, got) in [("value", value), ("error", error)] {
            let expect = &expect[name][what];
            comparison.near_asked_relative(&format!("{what} of {name}"), got, expect, tolerance);
        }
    }
    comparison.count_asked("n_joint", got.n_joint, &expect["n_joint"]);
    comparison.count_asked("n_events", got.n_vertices, &expect["n_events"]);
    comparison.item(id)
}

fn moments(comparison: &mut Comparison, axis: &str, got: &Moments, expect: &Value, tolerance: f64) {
    for (name, got) in [
        ("mean", got.mean_cm),
        ("mean_err", got.mean_err_cm),
        ("sigma", got.sigma_cm),
        ("sigma_err", got.sigma_err_cm),
    ] {
        let what = format!("{name} of {axis}");
        comparison.near_asked_relative(&what, got, &expect[name], tolerance);
    }
    comparison.count_asked(&format!("n of {axis}"), got.n, &expect["n"]);
}

/// The vertices of a Parquet file with the columns of NanoAOD.
fn read_parquet(path: &Path) -> Vec<Vertex> {
    let file = File::open(path).expect("the data file can be opened");
    let reader = SerializedFileReader::new(file).expect("the data file is Parquet");
    let rows = reader.get_row_iter(None).expect("the data file has rows");
    rows.map(|row| {
        let row = row.expect("a row can be read");
        let axis = |name: &str| column(&row, name);
        let position = [axis("PV_x"), axis("PV_y"), axis("PV_z")];
        (
            column(&row, "run") as u64,
            column(&row, "luminosityBlock") as u64,
            position,
        )
    })
    .collect()
}

/// A number of a row, widened to 64 bits.
fn column(row: &Row, name: &str) -> f64 {
    let field = row.get_column_iter().find(|(column, _)| *column == name);
    match field.map(|(_, field)| field) {
        Some(Field::Float(value)) => f64::from(*value),
        Some(Field::Double(value)) => *value,
        Some(Field::Int(value)) => f64::from(*value),
        Some(Field::UInt(value)) => f64::from(*value),
        Some(Field::Long(value)) => *value as f64,
        Some(Field::ULong(value)) => *value as f64,
        other => panic!("column {name} should hold a number and is {other:?}"),
    }
}

/// The vertices of a NanoAOD file.
fn read_root(path: &Path) -> Vec<Vertex> {
    let mut file = oxyroot::RootFile::open(path).expect("the data file is a ROOT file");
    let tree = file
        .get_tree("Events")
        .expect("NanoAOD has a tree of events");
    let branch = |name: &str| {
        tree.branch(name)
            .unwrap_or_else(|| panic!("no branch {name}"))
    };
    let whole = |name: &str| -> Vec<u32> {
        branch(name)
            .as_iter::<u32>()
            .expect("a branch of whole numbers")
            .collect()
    };
    let axis = |name: &str| -> Vec<f32> {
        branch(name)
            .as_iter::<f32>()
            .expect("a branch of numbers")
            .collect()
    };
    let (run, lumi) = (whole("run"), whole("luminosityBlock"));
    let (x, y, z) = (axis("PV_x"), axis("PV_y"), axis("PV_z"));
    (0..run.len())
        .map(|row| {
            let position = [x[row], y[row], z[row]].map(f64::from);
            (u64::from(run[row]), u64::from(lumi[row]), position)
        })
        .collect()
}
