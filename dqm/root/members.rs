//! What an object of ROOT is made of. In come members in the order of their classes, each by its
//! name and kind; bytes and JSON take them, each in its own way.

/// Where the members of a class stand.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// Before those of the class that is derived from it.
    Base,
    /// In an object of its own, by this name.
    Member(&'a str),
}

/// Takes the members of an object, one after the other.
pub(super) trait Members {
    /// Members of a base class or of an object held by value, with the version of its class.
    fn part(
        &mut self,
        place: Place<'_>,
        class: &'static str,
        version: u16,
        fill: &dyn Fn(&mut dyn Members),
    );
    /// `TObject`: no identifier, and these bits.
    fn object(&mut self, bits: u32);
    fn short(&mut self, name: &str, value: i16);
    fn int(&mut self, name: &str, value: i32);
    fn float(&mut self, name: &str, value: f32);
    fn double(&mut self, name: &str, value: f64);
    fn flag(&mut self, name: &str, value: bool);
    fn text(&mut self, name: &str, value: &str);
    /// A `TArrayD`.
    fn array(&mut self, name: &str, values: &[f64]);
    /// A pointer to nothing.
    fn null(&mut self, name: &str);
    /// A pointer, never to nothing, to an empty `TList`.
    fn empty_list(&mut self, name: &str);
    /// A pointer to no numbers, which has a length elsewhere.
    fn no_numbers(&mut self, name: &str);
}
