//! Objects as the JSON of ROOT's `TBufferJSON`, which JSROOT draws and ROOT reads back. In comes an
//! element, out comes its text; members stand in the order of their classes because ROOT minds.

use super::file::object_of;
use super::members::{Members, Place};
use super::objects::Object;
use crate::element::Element;
use serde_json::{Value, json};
use std::fmt::Write;

/// The text of an element; its name is the last part of the path.
pub fn json(path: &str, element: &Element) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut text = Text::default();
    object_of(name, element, &mut |object| text.write(object));
    text.0
}

/// An object being written, from its brace on.
#[derive(Default)]
struct Text(String);

impl Text {
    fn write(&mut self, object: &Object<'_>) {
        self.braced(object.class, &*object.fill);
    }

    fn braced(&mut self, class: &str, fill: &dyn Fn(&mut dyn Members)) {
        write!(self.0, r#"{{"_typename":"{class}""#).expect("a string takes everything");
        fill(self);
        self.0.push('}');
    }

    fn member(&mut self, name: &str, value: Value) {
        write!(self.0, r#","{name}":{value}"#).expect("a string takes everything");
    }
}

/// Numbers as ROOT shows them: whole ones without a point.
fn number(value: f64) -> Value {
    let whole = value as i64;
    if whole as f64 == value && whole.abs() < 1 << 53 {
        json!(whole)
    } else {
        json!(value)
    }
}

impl Members for Text {
    fn part(
        &mut self,
        place: Place<'_>,
        class: &'static str,
        _: u16,
        fill: &dyn Fn(&mut dyn Members),
    ) {
        match place {
            Place::Base => fill(self),
            Place::Member(name) => {
                write!(self.0, r#","{name}":"#).expect("a string takes everything");
                self.braced(class, fill);
            }
        }
    }

    fn object(&mut self, bits: u32) {
        self.member("fUniqueID", json!(0));
        self.member("fBits", json!(bits));
    }

    fn short(&mut self, name: &str, value: i16) {
        self.member(name, json!(value));
    }

    fn int(&mut self, name: &str, value: i32) {
        self.member(name, json!(value));
    }

    fn float(&mut self, name: &str, value: f32) {
        // In its own shortest digits: 0.035, not the nearest number of 64 bits.
        let text = value.to_string();
        write!(self.0, r#","{name}":{text}"#).expect("a string takes everything");
    }

    fn double(&mut self, name: &str, value: f64) {
        self.member(name, number(value));
    }

    fn flag(&mut self, name: &str, value: bool) {
        self.member(name, json!(value));
    }

    fn text(&mut self, name: &str, value: &str) {
        self.member(name, json!(value));
    }

    fn array(&mut self, name: &str, values: &[f64]) {
        self.member(name, values.iter().map(|value| number(*value)).collect());
    }

    fn null(&mut self, name: &str) {
        self.member(name, Value::Null);
    }

    fn empty_list(&mut self, name: &str) {
        let list = r#"{"_typename":"TList","name":"TList","arr":[],"opt":[]}"#;
        write!(self.0, r#","{name}":{list}"#).expect("a string takes everything");
    }

    fn no_numbers(&mut self, name: &str) {
        self.array(name, &[]);
    }
}
