//! The options of `tier0 program mc` as the program itself reads them: `--name value` pairs.
//!
//! In: arguments and the names known. Out: values by name, or one line that says what is wrong.
//! Real command lines are read by the windows; this is only for programs that an executor starts.

use std::collections::BTreeMap;
use std::str::FromStr;

/// Options by name.
pub(crate) struct Arguments(BTreeMap<String, String>);

impl Arguments {
    /// Reads `--name value` and `--name=value`; only `known` names, each once.
    pub(crate) fn read(args: &[String], known: &[&str]) -> Result<Self, String> {
        let mut values = BTreeMap::new();
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let known_all = || format!("known are --{}", known.join(" --"));
            let Some(option) = arg.strip_prefix("--") else {
                return Err(format!("{arg:?} is not an option; {}", known_all()));
            };
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (option, None),
            };
            if !known.contains(&name) {
                return Err(format!("option --{name} is not known; {}", known_all()));
            }
            let value = value.or_else(|| rest.next().cloned());
            let value = value.ok_or_else(|| format!("option --{name} needs a value"))?;
            if values.insert(name.to_owned(), value).is_some() {
                return Err(format!("option --{name} is given twice"));
            }
        }
        Ok(Self(values))
    }

    /// A value, or the default when the option is absent.
    pub(crate) fn value<T: FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.0.get(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| format!("option --{name}: {text:?} is not a number")),
        }
    }

    /// A value that must be there.
    pub(crate) fn text(&self, name: &str) -> Result<String, String> {
        self.0
            .get(name)
            .cloned()
            .ok_or_else(|| format!("option --{name} is missing"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused_in_words() {
        let read = |text: &str| {
            let args: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            Arguments::read(&args, &["out", "seed"])
                .and_then(|all| Ok(format!("{} {}", all.text("out")?, all.value("seed", 7u64)?)))
                .unwrap_or_else(|message| message)
        };
        let check = |text: &str, expect: &str| assert_eq!(read(text), expect, "{text}");
        check("--out a", "a 7");
        check("--seed=3 --out=a", "a 3");
        check("--seed 3", "option --out is missing");
        check("--out a --seed x", "option --seed: \"x\" is not a number");
        check(
            "--out a --sed 1",
            "option --sed is not known; known are --out --seed",
        );
        check("--out a --out b", "option --out is given twice");
        check("--out", "option --out needs a value");
        check("a", "\"a\" is not an option; known are --out --seed");
    }
}
