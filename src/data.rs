//! The demo's data sets: where they lie, and how to get them.
//!
//! In: a name of a set or of one of its files, folders to look in. Out: the path of a right copy,
//! or an error that says every way that was tried. A copy is right when its sha256 is the one of
//! the manifest (`config/data.toml`, embedded). Files appear in the cache only whole and verified.
//! This room must never start a download that was not announced with its size, keep more of a
//! package than the file needed, or hide why there are no data: the demo goes on without them and
//! says so.

mod manifest;
mod python;
mod ways;

pub use manifest::{DataSet, Manifest, Member};
pub use python::{PythonPackage, python_package};

use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Folders below a data folder that are looked into; a data set lies near the top.
const SEARCH_DEPTH_MAX: usize = 4;

/// Entries looked at in one search: a folder given by mistake must not stall the demo.
const SEARCH_ENTRIES_MAX: usize = 100_000;

/// Where and how to fetch.
#[derive(Clone, Debug, Default)]
pub struct FetchOptions {
    /// The folder that gets the file; the cache if none.
    pub to: Option<PathBuf>,
}

/// Why there are no data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No set and no file has that name.
    #[error("there is no data set \"{name}\"; known are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that exist.
        known: String,
    },
    /// No way led to the data: the distinct answer that lets a caller go on without them.
    #[error(
        "{name} cannot be had: {}; get it by hand and give its folder with TIER0_DATA",
        tried.join("; ")
    )]
    NotReachable {
        /// The set or file.
        name: String,
        /// Each way with what it said.
        tried: Vec<String>,
    },
    /// Something came, and it was not what the manifest says.
    #[error("{name} from {place} is not the expected file: {detail}; nothing was kept")]
    Wrong {
        /// The file.
        name: String,
        /// Where it came from.
        place: String,
        /// What differs.
        detail: String,
    },
    /// The folder cannot be used.
    #[error("{tried} failed: {source}; choose another folder with --to, or free some space")]
    Folder {
        /// What was tried, on what.
        tried: String,
        /// Why it failed.
        source: std::io::Error,
    },
    /// There is no place for a cache.
    #[error("no cache folder: neither XDG_CACHE_HOME nor HOME is set; choose a folder with --to")]
    NoCache,
    /// The embedded manifest cannot be read; a test keeps this from happening.
    #[error("config/data.toml: {0}; this is a bug, report it")]
    Manifest(String),
}

/// The file of a set (its first member that is there), or the file of that name: looked for in the
/// given folders, then in `TIER0_DATA`, then in the cache. What lies in a folder that somebody
/// named is taken as it is.
pub fn find(name: &str, dirs: &[PathBuf]) -> Option<PathBuf> {
    let mut folders = dirs.to_vec();
    folders.extend(
        std::env::var_os("TIER0_DATA")
            .filter(|v| !v.is_empty())
            .map(PathBuf::from),
    );
    folders.extend(cache_folder());
    find_in(name, &folders)
}

fn find_in(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let manifest = Manifest::embedded().ok()?;
    let names: Vec<&str> = match manifest.set(name) {
        Some(set) => set
            .members
            .iter()
            .map(|member| member.name.as_str())
            .collect(),
        None => vec![name],
    };
    names
        .iter()
        .find_map(|name| folders.iter().find_map(|folder| search(folder, name)))
}

/// Every file of a whole set: found, or fetched together.
pub fn get_all(
    name: &str,
    dirs: &[PathBuf],
    talk: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>, DataError> {
    let manifest = Manifest::embedded()?;
    let members = manifest.set(name).map_or(&[][..], |set| &set.members);
    let found: Option<Vec<PathBuf>> = members.iter().map(|m| find(&m.name, dirs)).collect();
    match found {
        Some(paths) if !paths.is_empty() => Ok(paths),
        _ => fetch(name, &FetchOptions::default(), talk),
    }
}

/// Breadth first and in the order of names, so that the same folder always gives the same file.
fn search(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut level = vec![folder.to_owned()];
    let mut entries = 0;
    for _ in 0..=SEARCH_DEPTH_MAX {
        let mut below = Vec::new();
        for folder in level {
            let direct = folder.join(name);
            if direct.is_file() {
                return Some(direct);
            }
            let Ok(listing) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in listing.flatten() {
                entries += 1;
                let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
                // Links are not followed: they may lead round in circles.
                if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    below.push(entry.path());
                }
            }
            if entries > SEARCH_ENTRIES_MAX {
                return None;
            }
        }
        below.sort();
        level = below;
    }
    None
}

/// Gets a set (its first member that can be had, or all of them where all are needed) or a file
/// into the cache or the folder asked for. A right copy that is there already is not fetched again,
/// and a package that holds several members is downloaded once. `talk` hears what is about to
/// happen, sizes first.
pub fn fetch(
    name: &str,
    options: &FetchOptions,
    talk: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>, DataError> {
    fetch_by(&Manifest::embedded()?, name, options, talk)
}

fn fetch_by(
    manifest: &Manifest,
    name: &str,
    options: &FetchOptions,
    talk: &mut dyn FnMut(&str),
) -> Result<Vec<PathBuf>, DataError> {
    let groups = manifest.groups_of(name).ok_or_else(|| DataError::Unknown {
        name: name.to_owned(),
        known: manifest.names().join(", "),
    })?;
    let folder = match &options.to {
        Some(folder) => folder.clone(),
        None => cache_folder().ok_or(DataError::NoCache)?,
    };
    let mut fetching = ways::Fetching::into(&folder);
    groups
        .iter()
        .map(|members| fetch_any(name, members, &mut fetching, talk))
        .collect()
}

/// Gets the first of some members that can be had.
fn fetch_any(
    name: &str,
    members: &[&Member],
    fetching: &mut ways::Fetching,
    talk: &mut dyn FnMut(&str),
) -> Result<PathBuf, DataError> {
    let place = |member: &Member| fetching.folder().join(&member.name);
    if let Some(there) = members.iter().find(|m| differs(m, &place(m)).is_none()) {
        let path = place(there);
        talk(&format!("{} is there: {}", there.name, path.display()));
        return Ok(path);
    }
    let mut tried = Vec::new();
    for member in members {
        for way in &member.ways {
            if !fetching.has_package_of(way) {
                talk(&format!(
                    "{}: downloading {} from {}",
                    member.name,
                    megabytes(way.download_bytes()),
                    way.place()
                ));
            }
            match fetching.get(member, way) {
                Ok(path) => {
                    talk(&format!("{}: verified, {}", member.name, path.display()));
                    return Ok(path);
                }
                Err(ways::Stopped::NotReachable(why)) => {
                    talk(&format!("{}: {why}", member.name));
                    tried.push(why);
                }
                Err(ways::Stopped::Final(error)) => return Err(error),
            }
        }
    }
    Err(DataError::NotReachable {
        name: name.to_owned(),
        tried,
    })
}

/// `$XDG_CACHE_HOME/tier0`, or `~/.cache/tier0`. As the XDG base directory specification has it, a
/// relative path there does not count.
pub fn cache_folder() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("tier0"))
}

/// What keeps a file from being a right copy of a member; none if it is one.
pub fn differs(member: &Member, path: &Path) -> Option<String> {
    let size = match std::fs::metadata(path) {
        Ok(meta) => meta.len(),
        Err(error) => return Some(error.to_string()),
    };
    if size != member.bytes {
        return Some(format!("{size} bytes instead of {}", member.bytes));
    }
    match sha256_of(path) {
        Ok(sum) if sum == member.sha256 => None,
        Ok(sum) => Some(format!("its sha256 is {sum} instead of {}", member.sha256)),
        Err(error) => Some(error.to_string()),
    }
}

/// sha256 of a file, in hex.
fn sha256_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Bytes as lower-case hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing into a string cannot fail");
        text
    })
}

/// A size as downloads are announced.
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::net::TcpListener;

    /// A web server for a few requests: path, then status and body.
    fn serve(answers: Vec<(&'static str, u16, Vec<u8>)>) -> String {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", socket.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 4096];
                let n = stream.read(&mut request).unwrap();
                let line = String::from_utf8_lossy(&request[..n]).into_owned();
                let path = line.split(' ').nth(1).unwrap_or("").to_owned();
                let found = answers.iter().find(|(known, ..)| *known == path);
                let (status, body) = found.map_or((404, &[][..]), |(_, s, body)| (*s, body));
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                // A client that has seen enough hangs up; that is its right.
                let _ = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(body));
            }
        });
        base
    }

    fn manifest(base: &str, members: &[(&str, &[u8], &str)]) -> Manifest {
        let mut text = "[[set]]\nname = 's'\nact = 4\ntitle = 't'\nsource = 'x'\nrecord = 'r'\n\
                        licence = 'CC0'\n"
            .to_owned();
        for (name, content, path) in members {
            let (bytes, sum) = (content.len(), hex(&Sha256::digest(content)));
            text += &format!(
                "[[set.member]]\nname = '{name}'\nbytes = {bytes}\nevents = 1\nsha256 = '{sum}'\n\
                 [[set.member.way]]\nkind = 'http'\nplace = 'the portal'\nbase = '{base}'\n\
                 path = '{path}'\ndownload_bytes = {bytes}\n"
            );
        }
        Manifest::parse(&text).unwrap()
    }

    fn folder_names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_portal_route_keeps_only_right_files() {
        let good = b"Run,Event\n1,2\n".to_vec();
        let mut long = good.clone();
        long.extend_from_slice(b"more");
        let mut other = good.clone();
        other[0] = b'r';
        let base = serve(vec![
            ("/good", 200, good.clone()),
            ("/long", 200, long),
            ("/short", 200, good[..5].to_vec()),
            ("/other", 200, other),
            ("/broken", 500, good.clone()),
        ]);
        let check = |path: &str, expect: Result<(), &str>| {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("deeper");
            let manifest = manifest(&base, &[("a.csv", &good, path)]);
            let mut heard = String::new();
            let options = FetchOptions {
                to: Some(to.clone()),
            };
            let mut talk = |line: &str| heard.push_str(line);
            let got = fetch_by(&manifest, "s", &options, &mut talk);
            assert!(
                heard.contains("downloading 0.0 MB from the portal"),
                "{heard}"
            );
            match (got, expect) {
                (Ok(paths), Ok(())) => {
                    assert_eq!(std::fs::read(&paths[0]).unwrap(), good);
                    assert_eq!(folder_names(&to), ["a.csv"]);
                }
                (Err(error), Err(part)) => {
                    assert!(error.to_string().contains(part), "{path}: {error}");
                    assert_eq!(
                        folder_names(&to),
                        [""; 0],
                        "{path}: something was left behind"
                    );
                }
                (got, expect) => panic!("{path}: {got:?}, expected {expect:?}"),
            }
        };
        check("/good", Ok(()));
        check("/long", Err("more than 14 bytes"));
        check("/short", Err("5 bytes instead of 14"));
        check("/other", Err("its sha256 is"));
        check("/broken", Err("500"));
        check("/absent", Err("404"));
    }

    #[test]
    fn a_set_is_satisfied_by_the_first_member_that_can_be_had() {
        let (first, second) = (b"first".to_vec(), b"second".to_vec());
        let base = serve(vec![("/second", 200, second.clone())]);
        let manifest = manifest(
            &base,
            &[("a.csv", &first, "/first"), ("b.csv", &second, "/second")],
        );
        let folder = tempfile::tempdir().unwrap();
        let options = FetchOptions {
            to: Some(folder.path().to_owned()),
        };
        let path = folder.path().join("b.csv");
        let got = fetch_by(&manifest, "s", &options, &mut |_| {}).unwrap();
        assert_eq!(got, std::slice::from_ref(&path));
        // Fetched once: the server is not asked again for what is there.
        let mut heard = String::new();
        fetch_by(&manifest, "s", &options, &mut |line| heard.push_str(line)).unwrap();
        assert!(
            heard.contains("is there") && !heard.contains("downloading"),
            "{heard}"
        );
        // A damaged copy is replaced.
        std::fs::write(&path, b"sEcond").unwrap();
        fetch_by(&manifest, "b.csv", &options, &mut |_| {}).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), second);
        let unknown = fetch_by(&manifest, "c.csv", &options, &mut |_| {}).unwrap_err();
        assert!(matches!(unknown, DataError::Unknown { .. }), "{unknown}");
    }

    #[test]
    fn a_whole_set_is_satisfied_by_all_its_members() {
        let (first, second) = (b"first".to_vec(), b"second".to_vec());
        let folder = tempfile::tempdir().unwrap();
        let options = FetchOptions {
            to: Some(folder.path().to_owned()),
        };
        let members: [(&str, &[u8], &str); 2] =
            [("a.csv", &first, "/first"), ("b.csv", &second, "/second")];
        let check = |answers, expect: Option<[&str; 2]>| {
            let mut manifest = manifest(&serve(answers), &members);
            manifest.sets[0].whole = true;
            match (fetch_by(&manifest, "s", &options, &mut |_| {}), expect) {
                (Ok(paths), Some(names)) => {
                    assert_eq!(paths, names.map(|name| folder.path().join(name)));
                }
                (Err(DataError::NotReachable { .. }), None) => {}
                (got, expect) => panic!("{got:?}, expected {expect:?}"),
            }
        };
        check(vec![("/first", 200, first.clone())], None);
        // What came before the failure is kept and not asked for again.
        check(
            vec![("/second", 200, second.clone())],
            Some(["a.csv", "b.csv"]),
        );
    }

    #[test]
    fn what_cannot_be_reached_says_so_distinctly() {
        // Bound and closed again: nobody listens there.
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let base = format!("http://127.0.0.1:{port}");
        let manifest = manifest(&base, &[("a.csv", b"x", "/a")]);
        let folder = tempfile::tempdir().unwrap();
        let options = FetchOptions {
            to: Some(folder.path().to_owned()),
        };
        let error = fetch_by(&manifest, "a.csv", &options, &mut |_| {}).unwrap_err();
        assert!(matches!(error, DataError::NotReachable { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("the portal") && text.contains("TIER0_DATA"),
            "{text}"
        );
    }

    #[test]
    fn files_are_found_by_their_name_or_by_their_set() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("b/c");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::create_dir_all(folder.path().join(".hidden")).unwrap();
        std::fs::write(folder.path().join(".hidden/Zmumu.csv"), "").unwrap();
        let dirs = [folder.path().join("absent"), folder.path().to_owned()];
        assert_eq!(find_in("cms-2011-dimuon", &dirs), None);
        std::fs::write(deep.join("Zmumu.csv"), "").unwrap();
        let check = |name: &str, expect: Option<&str>| {
            assert_eq!(
                find_in(name, &dirs),
                expect.map(|p| folder.path().join(p)),
                "{name}"
            );
        };
        check("cms-2011-dimuon", Some("b/c/Zmumu.csv"));
        check("Zmumu.csv", Some("b/c/Zmumu.csv"));
        check("Zmumu_Run2011A.csv", None);
        std::fs::write(folder.path().join("Zmumu_Run2011A.csv"), "").unwrap();
        check("cms-2011-dimuon", Some("Zmumu_Run2011A.csv"));
    }
}
