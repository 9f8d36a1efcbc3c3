//! Quantities that carry their unit in the type, and how people write them.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A size in bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// Reads `"512"`, `"4KiB"`, `"2.5GiB"`, `"10GB"`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit_at = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(unit_at);
        let factor: f64 = match unit.trim() {
            "" | "B" => 1.0,
            "kB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KiB" => 1_024.0,
            "MiB" => 1_048_576.0,
            "GiB" => 1_073_741_824.0,
            "TiB" => 1_099_511_627_776.0,
            other => {
                return Err(format!(
                    "\"{other}\" is no unit of size; use MiB or GiB as in \"4GiB\""
                ));
            }
        };
        let value: f64 = number
            .parse()
            .map_err(|_| format!("\"{number}\" is not a number; write \"4GiB\""))?;
        let total = value * factor;
        if total.is_finite() && total < 9e18 {
            Ok(Self(total.round() as u64))
        } else {
            Err(format!("\"{text}\" is more than 8 EiB"))
        }
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.0 as f64;
        match self.0 {
            0..1_024 => write!(f, "{} B", self.0),
            1_024..1_048_576 => write!(f, "{:.1} KiB", b / 1_024.0),
            1_048_576..1_073_741_824 => write!(f, "{:.1} MiB", b / 1_048_576.0),
            _ => write!(f, "{:.1} GiB", b / 1_073_741_824.0),
        }
    }
}

/// A number of events.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Events(pub u64);

impl fmt::Display for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_carry_their_unit() {
        let check = |text: &str, expect: Option<u64>| {
            assert_eq!(Bytes::parse(text).ok().map(|b| b.0), expect, "{text}");
        };
        check("512", Some(512));
        check("4GiB", Some(4 << 30));
        check("2.5 KiB", Some(2_560));
        check("10GB", Some(10_000_000_000));
        check("4 bushels", None);
        check("99999999TiB", None);
    }
}
