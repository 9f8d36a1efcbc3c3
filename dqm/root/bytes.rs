//! Objects as bytes of ROOT's own form: big-endian, each class with the count of its bytes and its
//! version. In come members, out come bytes that a `TBufferFile` reads.

use super::members::{Members, Place};
use super::objects::Object;
use std::collections::BTreeMap;

/// Marks a count of bytes.
const COUNTED: u32 = 0x4000_0000;
/// In place of a reference: the name of a class follows.
const NEW_CLASS: u32 = 0xFFFF_FFFF;
/// Marks a reference to a class that was named before.
const CLASS: u32 = 0x8000_0000;
/// References count from this before the first byte of the key.
const REFERENCES_FROM: usize = 2;

/// Bytes being written. Counts are below 2^30 because a file is: `file` checks its size.
#[derive(Default)]
pub(super) struct Bytes {
    bytes: Vec<u8>,
    /// Bytes of the key before these.
    before: usize,
    classes: BTreeMap<&'static str, u32>,
}

impl Bytes {
    /// What follows a key of so many bytes.
    pub(super) fn after(key_bytes: usize) -> Self {
        Self {
            before: key_bytes,
            ..Self::default()
        }
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.raw(&value.to_be_bytes());
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.raw(&value.to_be_bytes());
    }

    /// A `TString`: one byte of length, or 255 and four.
    pub(super) fn string(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length) if length < u8::MAX => self.u8(length),
            _ => {
                self.u8(u8::MAX);
                self.u32(text.len() as u32);
            }
        }
        self.raw(text.as_bytes());
    }

    /// What `fill` writes, after the count of its bytes.
    fn counted(&mut self, fill: impl FnOnce(&mut Self)) {
        let place = self.bytes.len();
        self.u32(0);
        fill(self);
        let count = COUNTED | (self.bytes.len() - place - 4) as u32;
        self.bytes[place..place + 4].copy_from_slice(&count.to_be_bytes());
    }

    /// Members of a class after their count and its version.
    pub(super) fn class(&mut self, version: u16, fill: impl FnOnce(&mut Self)) {
        self.counted(|to| {
            to.u16(version);
            fill(to);
        });
    }

    /// What a pointer points to: its class by name or reference, then `fill`.
    pub(super) fn pointed(&mut self, class: &'static str, fill: impl FnOnce(&mut Self)) {
        self.counted(|to| {
            let place = (to.before + to.bytes.len() + REFERENCES_FROM) as u32;
            if let Some(known) = to.classes.get(class) {
                to.u32(CLASS | known);
            } else {
                to.classes.insert(class, place);
                to.u32(NEW_CLASS);
                to.raw(class.as_bytes());
                to.u8(0);
            }
            fill(to);
        });
    }

    /// A `TObject`, which has a version and no count.
    pub(super) fn root_object(&mut self, bits: u32) {
        self.u16(1);
        self.u32(0);
        self.u32(bits);
    }

    /// A `TNamed`.
    pub(super) fn named(&mut self, bits: u32, name: &str, title: &str) {
        self.class(1, |to| {
            to.root_object(bits);
            to.string(name);
            to.string(title);
        });
    }

    /// A whole object.
    pub(super) fn write(&mut self, object: &Object<'_>) {
        self.class(object.version, |to| (object.fill)(to));
    }
}

impl Members for Bytes {
    fn part(
        &mut self,
        _: Place<'_>,
        _: &'static str,
        version: u16,
        fill: &dyn Fn(&mut dyn Members),
    ) {
        self.class(version, |to| fill(to));
    }

    fn object(&mut self, bits: u32) {
        self.root_object(bits);
    }

    fn short(&mut self, _: &str, value: i16) {
        self.raw(&value.to_be_bytes());
    }

    fn int(&mut self, _: &str, value: i32) {
        self.raw(&value.to_be_bytes());
    }

    fn float(&mut self, _: &str, value: f32) {
        self.raw(&value.to_be_bytes());
    }

    fn double(&mut self, _: &str, value: f64) {
        self.raw(&value.to_be_bytes());
    }

    fn flag(&mut self, _: &str, value: bool) {
        self.u8(u8::from(value));
    }

    fn text(&mut self, _: &str, value: &str) {
        self.string(value);
    }

    fn array(&mut self, _: &str, values: &[f64]) {
        self.u32(values.len() as u32);
        for value in values {
            self.raw(&value.to_be_bytes());
        }
    }

    fn null(&mut self, _: &str) {
        self.u32(0);
    }

    fn empty_list(&mut self, _: &str) {
        // "->" in the description of a member: the object follows, without a word which it is. Bit
        // 16 as ROOT sets it in lists of histograms.
        self.class(5, |to| {
            to.root_object(1 << 16);
            to.string("");
            to.u32(0);
        });
    }

    fn no_numbers(&mut self, _: &str) {
        self.u8(0);
    }
}
