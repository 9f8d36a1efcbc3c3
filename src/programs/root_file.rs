//! Reading a tree of a ROOT file as text rows, through `oxyroot`: a flat one, or that of NanoAOD.
//!
//! In: a ROOT file and the name of a tree whose branches hold one integer, floating-point number or
//! string an entry; a file with a tree `Events` is taken for NanoAOD (`nano`). Out: column names
//! and rows of comma separated text; numbers in the shortest form that reads back to the same
//! value. The library answers damaged input with panics: they are caught here and become errors. It
//! must never let one pass.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use oxyroot::{Branch, RootFile};

use crate::nano;

/// Columns and rows of a tree.
pub(crate) struct Rows {
    /// Branch names in the order of the file.
    pub(crate) columns: Vec<String>,
    /// Rows, comma separated.
    pub(crate) rows: Vec<String>,
    /// Entries without a pair of muons, which have no row.
    pub(crate) without_pair: u64,
}

/// Reads NanoAOD where the file is such, else the tree `tree`; the error is the reason in words.
pub(crate) fn read(path: &Path, tree: &str) -> Result<Rows, String> {
    catch_unwind(AssertUnwindSafe(|| read_tree(path, tree))).unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(format!("the ROOT reader gave up: {said}"))
    })
}

fn read_tree(path: &Path, tree: &str) -> Result<Rows, String> {
    let mut file = RootFile::open(path).map_err(|error| error.to_string())?;
    if file.keys_name().any(|name| name == nano::TREE) {
        let tree = file
            .get_tree(nano::TREE)
            .map_err(|error| error.to_string())?;
        return nano::rows(&tree);
    }
    let tree = file
        .get_tree(tree)
        .map_err(|error| format!("tree {tree:?}: {error}"))?;
    let entries = tree.entries().max(0) as usize;
    let mut rows = vec![String::new(); entries];
    let mut columns = Vec::new();
    for branch in tree.branches() {
        let values = texts(branch)?;
        if values.len() != entries {
            let found = values.len();
            return Err(format!(
                "branch {:?} has {found} of {entries} entries",
                branch.name()
            ));
        }
        for (row, value) in rows.iter_mut().zip(values) {
            if value.contains([',', '\n']) {
                let name = branch.name();
                return Err(format!(
                    "branch {name:?} holds {value:?}, which no text row can carry"
                ));
            }
            if !columns.is_empty() {
                row.push(',');
            }
            row.push_str(&value);
        }
        columns.push(branch.name().to_owned());
    }
    Ok(Rows {
        columns,
        rows,
        without_pair: 0,
    })
}

/// All values of a branch as text.
fn texts(branch: &Branch) -> Result<Vec<String>, String> {
    fn all<T>(branch: &Branch) -> Result<Vec<String>, String>
    where
        T: oxyroot::UnmarshalerInto<Item = T> + ToString,
    {
        let values = branch.as_iter::<T>().map_err(|error| error.to_string())?;
        Ok(values.map(|value| value.to_string()).collect())
    }
    match branch.item_type_name().as_str() {
        "int32_t" | "int" | "Int_t" => all::<i32>(branch),
        "uint32_t" | "unsigned int" | "UInt_t" => all::<u32>(branch),
        "int64_t" | "Long64_t" => all::<i64>(branch),
        "uint64_t" | "ULong64_t" => all::<u64>(branch),
        "float" | "Float_t" => all::<f32>(branch),
        "double" | "Double_t" => all::<f64>(branch),
        "char*" | "string" | "TString" => all::<String>(branch),
        other => Err(format!(
            "branch {:?} holds {other}, which this reader does not know; keep scalar branches only",
            branch.name()
        )),
    }
}
