//! A ROOT file of monitor elements, in the folders of a harvested run:
//! `DQMData/Run N/Subsystem/Run summary/...`. In come elements by path, out come the bytes.
//!
//! The file is of the small format (32 bit offsets), not compressed: header, root folder, folders
//! each followed by its objects, `StreamerInfo`, lists of keys, list of free places. Dates are the
//! first that ROOT can tell, identifiers are made of the content: the same elements are the same
//! bytes.

use super::RootError;
use super::bytes::Bytes;
use super::infos::infos;
use super::objects::{Object, histogram, histogram2d, profile, words};
use crate::element::{Element, Elements};
use std::collections::BTreeMap;

/// The version of ROOT whose classes are written: 6.40/00.
const ROOT_VERSION: u32 = 64_000;
/// Where the first key begins; the header is shorter.
const BEGIN: usize = 100;
/// 1995-01-01 00:00:00, from which ROOT counts.
const DATE: u32 = (1 << 22) | (1 << 17);
/// Offsets are 32 bit and signed, and ROOT ends its list of free places here.
const BYTES_MAX: usize = 2_000_000_000;
/// Names and titles are told in keys, whose length has 16 bits.
const WORD_BYTES_MAX: usize = 8_000;

/// The bytes of a file by the name `name`, of one run.
pub fn file(name: &str, run: u32, elements: &Elements) -> Result<Vec<u8>, RootError> {
    let mut root = Folder::default();
    for (path, element) in elements {
        put(&mut root, run, path, element)?;
    }
    let mut writer = Writer {
        bytes: vec![0; BEGIN],
        content: root.fingerprint(Fingerprint::of(name.as_bytes())),
        lists: Vec::new(),
    };
    writer.root_folder(name, &root);
    let end = writer.end(name);
    if end > BYTES_MAX {
        return Err(RootError::TooLarge { bytes: end });
    }
    Ok(writer.bytes)
}

/// Gives the object of an element to somebody.
pub(super) fn object_of(name: &str, element: &Element, give: &mut dyn FnMut(&Object<'_>)) {
    match element {
        Element::Histogram(it) => give(&histogram(name, it)),
        Element::Histogram2d(it) => give(&histogram2d(name, it)),
        Element::Profile(it) => give(&profile(name, it)),
        // Words and numbers as CMS keeps them: named, with a letter for what they are.
        Element::Counter(count) => give(&words(&format!("<{name}>i={count}</{name}>"))),
        Element::Text(said) => {
            let said: Vec<&str> = said.keys().map(String::as_str).collect();
            let said = said.join("; ");
            give(&words(&format!("<{name}>s={said}</{name}>")));
        }
    }
}

/// An object ready to be written.
struct Stored {
    class: &'static str,
    title: String,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Folder {
    folders: BTreeMap<String, Folder>,
    objects: BTreeMap<String, Stored>,
}

impl Folder {
    fn fingerprint(&self, mut so_far: Fingerprint) -> Fingerprint {
        for (name, object) in &self.objects {
            so_far = so_far.with(name.as_bytes()).with(&object.bytes);
        }
        for (name, folder) in &self.folders {
            so_far = folder.fingerprint(so_far.with(name.as_bytes()));
        }
        so_far
    }
}

fn put(root: &mut Folder, run: u32, path: &str, element: &Element) -> Result<(), RootError> {
    let refuse = |why| {
        let path = path.to_owned();
        RootError::Path { path, why }
    };
    let parts: Vec<&str> = path.split('/').collect();
    if parts
        .iter()
        .any(|part| part.is_empty() || part.contains(';'))
    {
        return Err(refuse("has a part that is empty or contains ';'"));
    }
    if parts.iter().any(|part| part.len() > WORD_BYTES_MAX) {
        return Err(refuse("has a part that is too long"));
    }
    let [subsystem, folders @ .., name] = parts.as_slice() else {
        return Err(refuse("has no subsystem"));
    };
    let run = format!("Run {run}");
    let above = ["DQMData", &run, subsystem, "Run summary"];
    let mut folder = root;
    for part in above.iter().chain(folders) {
        if folder.objects.contains_key(*part) {
            return Err(refuse("has a part that is an element as well as a folder"));
        }
        folder = folder.folders.entry((*part).to_owned()).or_default();
    }
    if folder.folders.contains_key(*name) {
        return Err(refuse("is an element as well as a folder"));
    }
    let mut stored = None;
    object_of(name, element, &mut |object| {
        let mut bytes = Bytes::after(key_bytes(object.class, name, object.title));
        bytes.write(object);
        stored = Some(Stored {
            class: object.class,
            title: object.title.to_owned(),
            bytes: bytes.into_bytes(),
        });
    });
    let stored = stored.expect("every element is an object");
    if stored.title.len() > WORD_BYTES_MAX {
        return Err(refuse("has a title that is too long"));
    }
    folder.objects.insert((*name).to_owned(), stored);
    Ok(())
}

/// FNV-1a with 128 bits: enough to tell files apart, not against anybody who means harm.
#[derive(Clone, Copy)]
struct Fingerprint(u128);

impl Fingerprint {
    fn of(bytes: &[u8]) -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d).with(bytes)
    }

    /// After a list of bytes and its length, so that lists do not run into each other.
    fn with(self, bytes: &[u8]) -> Self {
        const PRIME: u128 = (1 << 88) + 0x13b;
        let length = (bytes.len() as u64).to_be_bytes();
        let step = |hash: u128, byte: &u8| (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        Self(bytes.iter().chain(&length).fold(self.0, step))
    }

    /// As a UUID of version 8, "made in a way of one's own" (RFC 9562).
    fn uuid(self) -> [u8; 16] {
        let mut bytes = self.0.to_be_bytes();
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        bytes
    }
}

/// Bytes of a `TString`.
fn string_bytes(text: &str) -> usize {
    text.len() + if text.len() < 255 { 1 } else { 5 }
}

/// Bytes of a key.
fn key_bytes(class: &str, name: &str, title: &str) -> usize {
    26 + string_bytes(class) + string_bytes(name) + string_bytes(title)
}

/// The key of an object; `seek` is where it begins, `parent` where its folder does.
fn key(
    [class, name, title]: [&str; 3],
    object_bytes: usize,
    seek: usize,
    parent: usize,
) -> Vec<u8> {
    let length = key_bytes(class, name, title);
    let mut bytes = Bytes::default();
    bytes.u32((length + object_bytes) as u32);
    bytes.u16(4);
    bytes.u32(object_bytes as u32);
    bytes.u32(DATE);
    bytes.u16(length as u16);
    bytes.u16(1);
    bytes.u32(seek as u32);
    bytes.u32(parent as u32);
    for word in [class, name, title] {
        bytes.string(word);
    }
    bytes.into_bytes()
}

/// A folder whose list of keys is still to be written.
struct KeyList {
    class: &'static str,
    name: String,
    /// Where the folder begins.
    seek: usize,
    /// Where its record says how long the list is; 16 bytes on it says where.
    record: usize,
    keys: Vec<Vec<u8>>,
}

struct Writer {
    bytes: Vec<u8>,
    content: Fingerprint,
    lists: Vec<KeyList>,
}

impl Writer {
    /// Writes a key with its object; gives the key.
    fn object(&mut self, words: [&str; 3], object: &[u8], parent: usize) -> Vec<u8> {
        let key = key(words, object.len(), self.bytes.len(), parent);
        self.bytes.extend_from_slice(&key);
        self.bytes.extend_from_slice(object);
        key
    }

    /// The record of a folder: when, how long the list of its keys is, where it and that are.
    fn record(&self, name_bytes: usize, seek: usize, parent: usize) -> Vec<u8> {
        let mut bytes = Bytes::default();
        bytes.u16(5);
        bytes.u32(DATE);
        bytes.u32(DATE);
        bytes.u32(0);
        bytes.u32(name_bytes as u32);
        bytes.u32(seek as u32);
        bytes.u32(parent as u32);
        bytes.u32(0);
        bytes.u16(1);
        bytes.raw(&self.content.with(&seek.to_be_bytes()).uuid());
        // Room for offsets of 64 bits.
        bytes.raw(&[0; 12]);
        bytes.into_bytes()
    }

    fn root_folder(&mut self, name: &str, folder: &Folder) {
        const CLASS: &str = "TFile";
        let mut words = Bytes::default();
        words.string(name);
        words.string("");
        let mut object = words.into_bytes();
        let name_bytes = key_bytes(CLASS, name, "") + object.len();
        object.extend(self.record(name_bytes, BEGIN, 0));
        self.object([CLASS, name, ""], &object, 0);
        self.fill(CLASS, name, BEGIN, folder);
    }

    /// What is in a folder whose record has just been written.
    fn fill(&mut self, class: &'static str, name: &str, seek: usize, folder: &Folder) {
        const RECORD_BYTES: usize = 60;
        let place = self.lists.len();
        self.lists.push(KeyList {
            class,
            name: name.to_owned(),
            seek,
            record: self.bytes.len() - RECORD_BYTES + 10,
            keys: Vec::new(),
        });
        for (name, object) in &folder.objects {
            let words = [object.class, name, &object.title];
            let key = self.object(words, &object.bytes, seek);
            self.lists[place].keys.push(key);
        }
        for (name, inner) in &folder.folders {
            const CLASS: &str = "TDirectory";
            let begin = self.bytes.len();
            let record = self.record(key_bytes(CLASS, name, name), begin, seek);
            let key = self.object([CLASS, name, name], &record, seek);
            self.lists[place].keys.push(key);
            self.fill(CLASS, name, begin, inner);
        }
    }

    fn patch(&mut self, place: usize, value: usize) {
        self.bytes[place..place + 4].copy_from_slice(&(value as u32).to_be_bytes());
    }

    /// What ends a file, and its header. Gives the file's length.
    fn end(&mut self, name: &str) -> usize {
        const INFOS: [&str; 3] = ["TList", "StreamerInfo", "Doubly linked list"];
        let infos_at = self.bytes.len();
        let list = infos(key_bytes(INFOS[0], INFOS[1], INFOS[2]));
        self.object(INFOS, &list, BEGIN);
        let infos_bytes = self.bytes.len() - infos_at;
        for list in std::mem::take(&mut self.lists) {
            let begin = self.bytes.len();
            let mut object = (list.keys.len() as u32).to_be_bytes().to_vec();
            list.keys
                .iter()
                .for_each(|key| object.extend_from_slice(key));
            // The title of a folder is its name, that of the file is empty.
            let title = if list.class == "TFile" {
                ""
            } else {
                &list.name
            };
            self.object([list.class, &list.name, title], &object, list.seek);
            let length = self.bytes.len() - begin;
            self.patch(list.record, length);
            self.patch(list.record + 16, begin);
        }
        let free_at = self.bytes.len();
        const FREE_BYTES: usize = 10;
        let end = free_at + key_bytes("TFile", name, "") + FREE_BYTES;
        // One free place: all that is behind the end.
        let mut free = Bytes::default();
        free.u16(1);
        free.u32(end as u32);
        free.u32(BYTES_MAX as u32);
        self.object(["TFile", name, ""], &free.into_bytes(), BEGIN);
        let name_bytes = key_bytes("TFile", name, "") + string_bytes(name) + string_bytes("");
        let mut header = Bytes::default();
        header.raw(b"root");
        for value in [
            ROOT_VERSION as usize,
            BEGIN,
            end,
            free_at,
            end - free_at,
            1,
            name_bytes,
        ] {
            header.u32(value as u32);
        }
        // Offsets have 4 bytes; no compression.
        header.u8(4);
        header.u32(0);
        header.u32(infos_at as u32);
        header.u32(infos_bytes as u32);
        header.u16(1);
        header.raw(&self.content.uuid());
        let header = header.into_bytes();
        self.bytes[..header.len()].copy_from_slice(&header);
        end
    }
}
