//! For tests: the elements of a document, or why it is no well-formed XML. Knows what pictures may
//! use: elements, attributes in double quotes, text, the five named characters and numbered ones.

use std::collections::BTreeMap;

/// One element with what stands in it before its first child.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) text: String,
}

impl Element {
    pub(super) fn is(&self, name: &str, class: &str) -> bool {
        self.name == name
            && self
                .attributes
                .get("class")
                .is_some_and(|found| found == class)
    }

    pub(super) fn number(&self, attribute: &str) -> f64 {
        self.attributes[attribute].parse().expect("a number")
    }
}

/// Elements in the order in which they begin.
pub(super) fn elements(text: &str) -> Result<Vec<Element>, String> {
    let mut found: Vec<Element> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut rest = text.trim_end();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("</") {
            let (name, after) = after.split_once('>').ok_or("a tag without an end")?;
            let index = open.pop().ok_or(format!("</{name}> closes nothing"))?;
            if found[index].name != name {
                return Err(format!("<{}> is closed by </{name}>", found[index].name));
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix('<') {
            let (tag, after) = split_tag(after)?;
            let (tag, closed) = match tag.strip_suffix('/') {
                Some(tag) => (tag, true),
                None => (tag, false),
            };
            if open.is_empty() && !found.is_empty() {
                return Err("two roots".to_owned());
            }
            if !closed {
                open.push(found.len());
            }
            found.push(element(tag)?);
            rest = after;
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            let index = *open
                .last()
                .ok_or(format!("text outside: {}", &rest[..end]))?;
            let said = plain(&rest[..end])?;
            found[index].text.push_str(&said);
            rest = &rest[end..];
        }
    }
    if open.is_empty() {
        Ok(found)
    } else {
        Err("not all is closed".to_owned())
    }
}

/// A tag and what follows; `>` may stand in quotes.
fn split_tag(text: &str) -> Result<(&str, &str), String> {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'<' => return Err(format!("< in a tag: {text:.40}")),
            b'>' if !quoted => return Ok((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    Err("a tag without an end".to_owned())
}

fn element(tag: &str) -> Result<Element, String> {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = BTreeMap::new();
    while !rest.trim_start().is_empty() {
        let (key, after) = rest
            .trim_start()
            .split_once("=\"")
            .ok_or(format!("no value: {rest}"))?;
        let (value, after) = after.split_once('"').ok_or(format!("no end: {rest}"))?;
        if attributes.insert(key.to_owned(), plain(value)?).is_some() {
            return Err(format!("{key} twice in <{tag}>"));
        }
        rest = after;
    }
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_name {
        return Err(format!("no name: <{tag}>"));
    }
    let (name, text) = (name.to_owned(), String::new());
    Ok(Element {
        name,
        attributes,
        text,
    })
}

/// Text with its named characters as they are.
fn plain(text: &str) -> Result<String, String> {
    if let Some(control) = text
        .chars()
        .find(|c| c.is_control() && !"\n\t".contains(*c))
    {
        return Err(format!("a control character {control:?}"));
    }
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part
            .split_once(';')
            .ok_or(format!("a bare & before {part:.20}"))?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => return Err(format!("&{other}; is not known")),
        });
        out.push_str(rest);
    }
    Ok(out)
}

#[test]
fn what_is_not_well_formed_is_noticed() {
    for wrong in [
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>&</a>",
        "<a b=1/>",
        "<a b=\"<\"/>",
        "x",
    ] {
        assert!(elements(wrong).is_err(), "{wrong}");
    }
    assert_eq!(
        elements("<a b=\"&lt;\">x&amp;<c/></a>")
            .expect("fine")
            .len(),
        2
    );
}
