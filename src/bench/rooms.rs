//! The folder of a bench: where everything lies, made at the start and removed at the end.
//!
//! In: the disk to measure on. Out: paths, the compiled raw limits, the instance's configuration
//! and its one-task pipeline. After a failure the folder stays, because it says why.

use super::{BenchError, on};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const RAW_C: &str = include_str!("../../benches/raw/raw.c");
const STAMP_C: &str = include_str!("../../benches/raw/stamp.c");

/// Cores that the instance believes in, unless said otherwise: starts shall wait for the machine,
/// not for slots.
const CORES: u32 = 8;

/// The folder of a bench.
pub(super) struct Rooms {
    pub(super) folder: PathBuf,
    /// The raw limit.
    pub(super) raw: PathBuf,
    /// What is started.
    pub(super) program: PathBuf,
}

impl Rooms {
    /// Makes the folder below `parent` and compiles what the bench needs.
    pub(super) fn make(parent: &Path, program: Option<&Path>) -> Result<Self, BenchError> {
        let folder = parent.join(format!("tier0-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(on("making the folder", &folder))?;
        let folder = fs::canonicalize(&folder).map_err(on("finding the folder", &folder))?;
        let raw = compile(&folder, "raw", RAW_C)?;
        let program = match program {
            Some(given) => {
                fs::canonicalize(given).map_err(on("finding the program to start", given))?
            }
            None => compile(&folder, "stamp", STAMP_C)?,
        };
        let rooms = Self {
            folder,
            raw,
            program,
        };
        rooms.room("pipelines")?;
        rooms.configure(CORES, "")?;
        Ok(rooms)
    }

    /// Writes the instance's configuration; `more` are lines of its pipeline's head.
    pub(super) fn configure(&self, cores: u32, more: &str) -> Result<(), BenchError> {
        self.write("site.toml", &SITE.replace("CORES", &cores.to_string()))?;
        self.write("pipelines/bench.toml", &self.pipeline(more))
    }

    /// A place in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A folder in the folder, made.
    pub(super) fn room(&self, name: &str) -> Result<PathBuf, BenchError> {
        let path = self.path(name);
        fs::create_dir_all(&path).map_err(on("making the folder", &path))?;
        Ok(path)
    }

    /// The size of a file in it; 0 if there is none.
    pub(super) fn bytes(&self, name: &str) -> u64 {
        fs::metadata(self.path(name)).map_or(0, |found| found.len())
    }

    fn write(&self, name: &str, text: &str) -> Result<(), BenchError> {
        let path = self.path(name);
        fs::write(&path, text).map_err(on("writing", path))
    }

    fn pipeline(&self, more: &str) -> String {
        let program = toml::Value::from(self.program.display().to_string());
        let stamps = toml::Value::from(self.path("stamps-ours").display().to_string());
        format!("{PIPELINE}{more}{TASK}program = [{program}, {stamps}]\n")
    }

    /// Removes the folder; what cannot be removed is only litter in a folder for such.
    pub(super) fn clear(self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const SITE: &str = "\
[instance]
name = \"bench\"

[executor.local]
cores = CORES

[pipelines]
folder = \"pipelines\"

[[stream]]
name = \"spool\"
folder = \"spool-ours\"
profile = \"generic\"
completion = \"rename\"
how = \"inotify\"
run = 1
stream = \"Bench\"
label = \"simulated\"
run_type = \"test\"
";

const PIPELINE: &str = "\
[pipeline]
name = \"bench\"
class = \"live\"
trigger = { stream = \"Bench\" }
run_types = [\"test\"]
processing = \"Bench-v1\"
";

const TASK: &str = "
[[task]]
name = \"each\"
input = \"trigger\"
split = { by = \"file\", files_per_job = 1 }
mode = \"process\"
needs = { cores = 1, memory = \"64MiB\", wall = \"10m\" }
";

fn compile(folder: &Path, name: &str, text: &str) -> Result<PathBuf, BenchError> {
    let (source, program) = (folder.join(format!("{name}.c")), folder.join(name));
    fs::write(&source, text).map_err(on("writing", &source))?;
    let mut said = String::new();
    // Static, because finding libraries would hide what is measured; not every machine can.
    for link in ["-static", "-O2"] {
        let output = Command::new("cc")
            .args(["-O2", link, "-o"])
            .arg(&program)
            .arg(&source)
            .output()
            .map_err(|error| BenchError::Compiler(error.to_string()))?;
        if output.status.success() {
            return Ok(program);
        }
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .clone_into(&mut said);
    }
    Err(BenchError::Compiler(said))
}
