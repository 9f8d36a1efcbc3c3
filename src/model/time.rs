//! Time, in two types that do not mix by accident: a [`Moment`] is a point, a [`Span`] is a
//! difference (D20).
//!
//! A moment is nanoseconds since 1970 on the agent's own clock (monotonic, anchored to wall time
//! once). This room never reads a clock: it is told.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// A point in time: nanoseconds since 1970-01-01 UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub i64);

/// A difference of two moments, in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(pub i64);

impl Moment {
    /// Later than everything.
    pub const END_OF_TIME: Self = Self(i64::MAX);

    /// Microseconds since 1970, the form of the store's rows (D11).
    pub fn as_micros(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// From the store's form.
    pub fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Reads RFC 3339 in UTC, as moments are shown: `2026-11-27T19:48:13Z`, with up to nine digits
    /// behind the second. Date to days after Howard Hinnant, "chrono-compatible low-level date
    /// algorithms", `days_from_civil`.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<i64>().ok()).flatten()
        };
        let three = |text: &str, by: char| {
            let parts: Vec<i64> = text.split(by).map(number).collect::<Option<_>>()?;
            <[i64; 3]>::try_from(parts).ok()
        };
        let [year, month, day] = three(date, '-')?;
        let [hour, minute, second] = three(clock, ':')?;
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_of_month = match month {
            2 => 28 + i64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1..=12 => 31,
            _ => return None,
        };
        let is_real = (1..=days_of_month).contains(&day)
            && (1970..=2261).contains(&year)
            && (hour, minute, second) < (24, 0, 0)
            && minute < 60
            && second < 60;
        if !is_real || fraction.len() > 9 {
            return None;
        }
        let year = year - i64::from(month <= 2);
        let (era, month) = (year / 400, (month + 9) % 12);
        let day_of_year = (153 * month + 2) / 5 + day - 1;
        let year_of_era = year - era * 400;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - 719_468;
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        let nanoseconds = number(&format!("{fraction:0<9}"))?;
        Some(Self(seconds * 1_000_000_000 + nanoseconds))
    }

    /// How long after `earlier` this is; negative when it was before.
    pub fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From whole seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000_000_000)
    }

    /// From whole milliseconds.
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds * 1_000_000)
    }

    /// In seconds, for people and JSON.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// As the standard library's duration; a negative span is none.
    pub fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// From the standard library's duration.
    pub fn from_duration(duration: std::time::Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// Reads `"250ms"`, `"60s"`, `"10m"`, `"48h"`, `"7d"`: a whole or decimal number and a unit.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let unit_at = text
            .find(|c: char| !(c.is_ascii_digit() || c == '.'))
            .ok_or_else(|| format!("\"{text}\" has no unit; write a duration as \"60s\""))?;
        let (number, unit) = text.split_at(unit_at);
        let nanoseconds = match unit.trim() {
            "us" => 1_000.0,
            "ms" => 1_000_000.0,
            "s" => 1e9,
            "m" | "min" => 60e9,
            "h" => 3_600e9,
            "d" => 86_400e9,
            other => {
                return Err(format!(
                    "\"{other}\" is no unit of time; use us, ms, s, m, h or d as in \"60s\""
                ));
            }
        };
        let value: f64 = number
            .parse()
            .map_err(|_| format!("\"{number}\" is not a number; write \"60s\""))?;
        let total = value * nanoseconds;
        if total.is_finite() && total < i64::MAX as f64 {
            Ok(Self(total.round() as i64))
        } else {
            Err(format!("\"{text}\" is longer than 292 years"))
        }
    }
}

impl Add<Span> for Moment {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Moment {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Span {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = self.as_secs_f64();
        match s.abs() {
            x if x >= 3_600.0 => write!(f, "{:.1} h", s / 3_600.0),
            x if x >= 60.0 => write!(f, "{:.1} min", s / 60.0),
            x if x >= 1.0 => write!(f, "{s:.2} s"),
            x if x >= 1e-3 => write!(f, "{:.2} ms", s * 1e3),
            _ => write!(f, "{:.0} us", s * 1e6),
        }
    }
}

impl fmt::Display for Moment {
    /// RFC 3339 in UTC with microseconds. Days to date after Howard Hinnant, "chrono-compatible
    /// low-level date algorithms", `civil_from_days`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.as_micros();
        let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_index + 2) / 5 + 1;
        let month = if month_index < 10 {
            month_index + 3
        } else {
            month_index - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_rfc_3339() {
        let check = |seconds: i64, expect: &str| {
            assert_eq!(Moment(seconds * 1_000_000_000).to_string(), expect);
        };
        check(0, "1970-01-01T00:00:00.000000Z");
        check(951_782_400, "2000-02-29T00:00:00.000000Z");
        check(1_795_478_399, "2026-11-23T23:59:59.000000Z");
        check(-1, "1969-12-31T23:59:59.000000Z");
    }

    #[test]
    fn moments_are_read_as_they_are_printed() {
        for days in (0..106_000).step_by(17) {
            let moment = Moment((days * 86_400 + days % 86_400) * 1_000_000_000 + days * 1_000);
            assert_eq!(Moment::parse(&moment.to_string()), Some(moment), "{moment}");
        }
        let check = |text: &str, expect: Option<i64>| {
            assert_eq!(Moment::parse(text).map(|moment| moment.0), expect, "{text}");
        };
        check("1970-01-01T00:00:01Z", Some(1_000_000_000));
        check("1970-01-01T00:00:00.5Z", Some(500_000_000));
        check("2000-02-29T00:00:00Z", Some(951_782_400_000_000_000));
        for wrong in [
            "",
            "now",
            "2026-11-27",
            "2026-11-27T19:48:13",
            "2026-11-27T19:48:13+01:00",
            "2026-11-27T24:00:00Z",
            "2026-11-27T19:60:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-27T19:48:13.0000000001Z",
            "+2026-11-27T19:48:13Z",
            "9999-01-01T00:00:00Z",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn spans_carry_their_unit() {
        let check = |text: &str, expect: Result<i64, &str>| match (Span::parse(text), expect) {
            (Ok(span), Ok(nanoseconds)) => assert_eq!(span.0, nanoseconds, "{text}"),
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (got, expected) => panic!("{text}: {got:?}, expected {expected:?}"),
        };
        check("60s", Ok(60_000_000_000));
        check("250 ms", Ok(250_000_000));
        check("1.5h", Ok(5_400_000_000_000));
        check("48h", Ok(172_800_000_000_000));
        check("60", Err("has no unit"));
        check("3 parsec", Err("no unit of time"));
        check("..s", Err("not a number"));
        check("999999999999999d", Err("longer than"));
    }
}
