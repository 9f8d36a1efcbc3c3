//! A Python package that a job program of the demo needs: this Python's own, or one that pip puts
//! into a folder of its own in the cache. Nobody's Python is changed.

use super::ways::{Scratch, Stopped, run_pip};
use super::{DataError, cache_folder, megabytes};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A package with what it needs.
pub struct PythonPackage {
    /// Its name, which is also that of its module.
    pub name: &'static str,
    /// Its exact version, where pip has to get it.
    pub version: &'static str,
    /// What pip has to download, with what it needs.
    pub download_bytes: u64,
}

/// Makes sure that programs can import the package. The folder to import it from, none if this
/// Python has it.
pub fn python_package(
    package: &PythonPackage,
    talk: &mut dyn FnMut(&str),
) -> Result<Option<PathBuf>, DataError> {
    if imports(package.name, None) {
        return Ok(None);
    }
    let cache = cache_folder().ok_or(DataError::NoCache)?;
    let wanted = format!("{}=={}", package.name, package.version);
    let folder = cache.join(format!("python-{}-{}", package.name, package.version));
    // A folder of another Python's does not import, and is made again.
    if imports(package.name, Some(&folder)) {
        return Ok(Some(folder));
    }
    talk(&format!(
        "{wanted}: downloading {} with what it needs, with Python's pip",
        megabytes(package.download_bytes)
    ));
    match install(&wanted, &cache, &folder) {
        Ok(()) if imports(package.name, Some(&folder)) => Ok(Some(folder)),
        Ok(()) => Err(not_reachable(
            &wanted,
            "it is installed and cannot be imported".into(),
        )),
        Err(Stopped::NotReachable(why)) => Err(not_reachable(&wanted, why)),
        Err(Stopped::Final(error)) => Err(error),
    }
}

fn not_reachable(wanted: &str, why: String) -> DataError {
    DataError::NotReachable {
        name: format!("the Python package {wanted}"),
        tried: vec![why],
    }
}

fn install(wanted: &str, cache: &Path, folder: &Path) -> Result<(), Stopped> {
    let scratch = Scratch::below(cache)?;
    let target = scratch.path().join("packages");
    let arguments = ["install", "--only-binary", ":all:", "--target"].map(OsString::from);
    let arguments = arguments
        .into_iter()
        .chain([target.clone().into(), wanted.into()]);
    run_pip(wanted, arguments, scratch.path(), &[])?;
    let placing = |source| {
        let tried = format!("putting it at {}", folder.display());
        Stopped::Final(DataError::Folder { tried, source })
    };
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(placing(error)),
        _ => {}
    }
    std::fs::rename(&target, folder).map_err(placing)
}

/// Whether `python3` can import a module, from a folder if one is given.
fn imports(module: &str, folder: Option<&Path>) -> bool {
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return false;
    }
    let code = "import sys, importlib; sys.path[:0] = sys.argv[2:]; \
                importlib.import_module(sys.argv[1])";
    let status = Command::new("python3")
        .args(["-c", code, module])
        .args(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_here_only_if_it_can_be_imported() {
        let folder = tempfile::tempdir().unwrap();
        let name = "a_module_of_this_test";
        assert!(!imports(name, None));
        assert!(!imports(name, Some(folder.path())));
        std::fs::write(folder.path().join(format!("{name}.py")), "broken(\n").unwrap();
        assert!(!imports(name, Some(folder.path())));
        std::fs::write(folder.path().join(format!("{name}.py")), "").unwrap();
        assert!(imports(name, Some(folder.path())));
        assert!(!imports(name, Some(&folder.path().join("absent"))));
    }
}
