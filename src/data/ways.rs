//! The ways to get a file: out of a Python package, or from a web server.
//!
//! In: a member of the manifest, a way, the folder that shall get it. Out: the path of a verified
//! copy. Everything happens in a scratch folder beside the final place, which is removed whatever
//! happens; the last step is a rename. Must never wait without an end, nor write more than the
//! manifest says.

use super::manifest::{Member, Way};
use super::{DataError, differs};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A package of 80 MB over a slow line takes minutes; a line that hangs must not hold the demo for
/// ever.
const PIP_WALL_MAX: Duration = Duration::from_mins(15);

/// How long pip waits for a server that says nothing.
const PIP_SILENCE_S: &str = "20";

/// How long a web server may take to answer at all.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// How long a download may take; the files are small.
const DOWNLOAD_MAX: Duration = Duration::from_mins(5);

/// How much of what pip says goes into an error.
const SAID_BYTES_MAX: usize = 300;

/// Why a way did not lead to the file.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It leads nowhere now; another may.
    NotReachable(String),
    /// No use in trying others.
    Final(DataError),
}

/// One fetch into a folder. Packages that were downloaded are kept until it ends.
pub(super) struct Fetching {
    folder: PathBuf,
    scratch: Option<Scratch>,
    /// Wheels by what was asked of pip.
    wheels: BTreeMap<String, PathBuf>,
}

impl Fetching {
    /// Begins; nothing is made before something is fetched.
    pub(super) fn into(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            scratch: None,
            wheels: BTreeMap::new(),
        }
    }

    /// The folder that gets the files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a way leads to a package that is here already.
    pub(super) fn has_package_of(&self, way: &Way) -> bool {
        way.package()
            .is_some_and(|wanted| self.wheels.contains_key(&wanted))
    }

    /// Gets a member by one way.
    pub(super) fn get(&mut self, member: &Member, way: &Way) -> Result<PathBuf, Stopped> {
        self.get_with(member, way, &[])
    }

    fn get_with(
        &mut self,
        member: &Member,
        way: &Way,
        pip_environment: &[(&str, OsString)],
    ) -> Result<PathBuf, Stopped> {
        let scratch = match &self.scratch {
            Some(scratch) => scratch.0.clone(),
            None => self.scratch.insert(Scratch::below(&self.folder)?).0.clone(),
        };
        let fetched = scratch.join("member");
        match way {
            Way::PythonPackage { path, .. } => {
                let wanted = way.package().unwrap_or_default();
                let wheel = match self.wheels.get(&wanted) {
                    Some(wheel) => wheel.clone(),
                    None => download_package(&wanted, &scratch.join(&wanted), pip_environment)?,
                };
                self.wheels.insert(wanted, wheel.clone());
                extract(member, &wheel, path, &fetched)?;
            }
            Way::Http { base, path, .. } => {
                download(member, &way.place(), &format!("{base}{path}"), &fetched)?;
            }
        }
        if let Some(detail) = differs(member, &fetched) {
            return Err(wrong(member, &way.place(), detail));
        }
        let place = self.folder.join(&member.name);
        fs::rename(&fetched, &place).map_err(|e| failed("putting it at", &place, e))?;
        Ok(place)
    }
}

fn wrong(member: &Member, place: &str, detail: String) -> Stopped {
    Stopped::Final(DataError::Wrong {
        name: member.name.clone(),
        place: place.to_owned(),
        detail,
    })
}

fn failed(what: &str, path: &Path, source: io::Error) -> Stopped {
    Stopped::Final(DataError::Folder {
        tried: format!("{what} {}", path.display()),
        source,
    })
}

/// A folder for half-finished things; gone when this value is.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new one in a folder, which is made if need be.
    pub(super) fn below(folder: &Path) -> Result<Self, Stopped> {
        let path = folder.join(format!(".fetch-{}", std::process::id()));
        // A process of the same number that was killed may have left one.
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).map_err(|e| failed("making", &path, e))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nothing useful can be done if it cannot be removed; the next fetch tries again.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lets pip download one package and nothing it depends on; returns the wheel.
fn download_package(
    wanted: &str,
    folder: &Path,
    environment: &[(&str, OsString)],
) -> Result<PathBuf, Stopped> {
    let arguments = ["download", "--no-deps", "--only-binary", ":all:", "-d"].map(OsString::from);
    let arguments = arguments.into_iter().chain([folder.into(), wanted.into()]);
    run_pip(wanted, arguments, folder, environment)?;
    let wheel = fs::read_dir(folder)
        .map_err(|e| failed("reading", folder, e))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| {
        Stopped::NotReachable(format!("pip and {wanted}: it succeeded, but left no wheel"))
    })
}

/// Runs pip to its end or its limit. What it says goes into a file in the folder, its last words
/// into the error.
pub(super) fn run_pip(
    wanted: &str,
    arguments: impl Iterator<Item = OsString>,
    folder: &Path,
    environment: &[(&str, OsString)],
) -> Result<(), Stopped> {
    fs::create_dir_all(folder).map_err(|e| failed("making", folder, e))?;
    let said_path = folder.join("said");
    let said = File::create(&said_path).map_err(|e| failed("making", &said_path, e))?;
    let not_reachable = |why: String| Stopped::NotReachable(format!("pip and {wanted}: {why}"));
    let mut pip = Command::new("python3")
        .args(["-m", "pip"])
        .args([
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
            "--retries",
            "1",
            "--timeout",
            PIP_SILENCE_S,
        ])
        .args(arguments)
        .args(["--progress-bar", "off"])
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .map_err(|e| {
            not_reachable(format!(
                "python3 cannot be started ({e}); install Python with pip"
            ))
        })?;
    let began = Instant::now();
    let status = loop {
        match pip.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if began.elapsed() < PIP_WALL_MAX => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(None) | Err(_) => {
                let _ = pip.kill();
                let _ = pip.wait();
                let why = format!("no end after {} s; ended", PIP_WALL_MAX.as_secs());
                return Err(not_reachable(why));
            }
        }
    };
    if status.success() {
        Ok(())
    } else {
        Err(not_reachable(last_words(&said_path)))
    }
}

/// The last line of what pip said, bounded.
fn last_words(path: &Path) -> String {
    let said = fs::read(path).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let line = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it says nothing");
    line.trim().chars().take(SAID_BYTES_MAX).collect()
}

/// Takes the one file needed out of a wheel.
fn extract(member: &Member, wheel: &Path, path: &str, to: &Path) -> Result<(), Stopped> {
    let place = wheel
        .file_name()
        .map_or_else(|| "the wheel".into(), |name| name.to_string_lossy());
    let file = File::open(wheel).map_err(|e| failed("opening", wheel, e))?;
    let mut archive = zip::ZipArchive::new(file)
        .map_err(|e| wrong(member, &place, format!("no zip archive ({e})")))?;
    let inside = archive
        .by_name(path)
        .map_err(|e| wrong(member, &place, format!("{path} is not inside ({e})")))?;
    keep(member, &place, inside, to)
}

/// Gets one file from a web server.
fn download(member: &Member, place: &str, address: &str, to: &Path) -> Result<(), Stopped> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(CONNECT_MAX))
        .timeout_global(Some(DOWNLOAD_MAX))
        .build()
        .into();
    let not_reachable = |why: String| Stopped::NotReachable(format!("{place}, {address}: {why}"));
    let response = agent
        .get(address)
        .call()
        .map_err(|e| not_reachable(e.to_string()))?;
    keep(member, place, response.into_body().into_reader(), to)
}

/// Writes what comes, up to the size the manifest says, and syncs it.
fn keep(member: &Member, place: &str, from: impl Read, to: &Path) -> Result<(), Stopped> {
    let mut file = File::create(to).map_err(|e| failed("making", to, e))?;
    let mut bounded = from.take(member.bytes + 1);
    let mut buffer = vec![0; 64 * 1024];
    let mut written = 0;
    loop {
        let n = match bounded.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) => {
                let why = format!("{place}: broke off after {written} bytes ({e})");
                return Err(Stopped::NotReachable(why));
            }
        };
        io::Write::write_all(&mut file, &buffer[..n]).map_err(|e| failed("writing", to, e))?;
        written += n as u64;
    }
    if written > member.bytes {
        return Err(wrong(
            member,
            place,
            format!("it has more than {} bytes", member.bytes),
        ));
    }
    file.sync_all().map_err(|e| failed("syncing", to, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Manifest;
    use std::io::Write;

    fn first_member() -> Member {
        Manifest::embedded().unwrap().sets[0].members[0].clone()
    }

    #[test]
    fn an_unreachable_package_index_is_said_and_nothing_is_left() {
        // Bound and closed again: nobody listens there. No configuration of this machine may help.
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let index = format!("http://{}/simple", socket.local_addr().unwrap());
        drop(socket);
        let environment = [
            ("PIP_INDEX_URL", OsString::from(index)),
            ("PIP_CONFIG_FILE", OsString::from("/dev/null")),
            ("PIP_FIND_LINKS", OsString::new()),
            ("PIP_EXTRA_INDEX_URL", OsString::new()),
        ];
        let folder = tempfile::tempdir().unwrap();
        let member = first_member();
        let mut fetching = Fetching::into(folder.path());
        match fetching.get_with(&member, &member.ways[0], &environment) {
            Err(Stopped::NotReachable(why)) => {
                assert!(why.contains("scikit-hep-testdata==0.3.12"), "{why}");
            }
            other => panic!("{other:?}"),
        }
        drop(fetching);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn only_the_file_needed_is_taken_out_of_a_wheel() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = folder.path().join("p-1-py3-none-any.whl");
        let mut archive = zip::ZipWriter::new(File::create(&wheel).unwrap());
        let plain = zip::write::SimpleFileOptions::default();
        for (name, content) in [("data/a", "wanted"), ("data/b", "not wanted")] {
            archive.start_file(name, plain).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
        archive.finish().unwrap();
        let check = |path: &str, bytes: u64, expect: Result<&str, &str>| {
            let member = Member {
                bytes,
                ..first_member()
            };
            let to = folder.path().join("member");
            match (extract(&member, &wheel, path, &to), expect) {
                (Ok(()), Ok(content)) => assert_eq!(fs::read_to_string(&to).unwrap(), content),
                (Err(Stopped::Final(error)), Err(part)) => {
                    assert!(error.to_string().contains(part), "{path}: {error}");
                }
                (got, expect) => panic!("{path}: {got:?}, expected {expect:?}"),
            }
        };
        check("data/a", 6, Ok("wanted"));
        check("data/a", 5, Err("more than 5 bytes"));
        check("data/c", 6, Err("data/c is not inside"));
    }
}
