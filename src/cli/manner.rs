//! How an order is meant, and by whom: the arguments that every verb with consequences shares.
//!
//! In: arguments, and the name of whoever is logged in. Out: parameters of a request. Must never
//! turn a preview into an act.

use super::Desk;
use super::client::shape;
use super::outcome::{Exit, Failure};
use clap::Args;
use serde_json::Value;
use view::answer::{PreviewView, ReplyView};

/// Who asks, why, and whether it is meant.
#[derive(Debug, Args)]
pub struct Manner {
    /// Only show what would be done, and to what
    #[arg(long)]
    dry_run: bool,
    /// Refuse when another number of lumis, files or jobs is concerned, as --dry-run shows it
    #[arg(long, value_name = "N")]
    expect_count: Option<u64>,
    /// Who asks; kept in the audit
    #[arg(long, value_name = "NAME", env = "USER")]
    by: Option<String>,
    /// Why; kept in the audit
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

impl Manner {
    /// As parameters of the request.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, Option<String>)> {
        vec![
            ("dry_run", self.dry_run.then(|| "true".to_owned())),
            ("expect_count", self.expect_count.map(|n| n.to_string())),
            ("by", self.by.clone()),
            ("reason", self.reason.clone()),
        ]
    }

    /// What the engine said: done, or what would be.
    pub(crate) fn answered(&self, answer: &Value, desk: &mut Desk) -> Result<Exit, Failure> {
        if desk.common.json {
            return desk.document(answer);
        }
        if self.dry_run {
            let preview: PreviewView = shape(answer.clone())?;
            writeln!(desk.out, "would do: {}", preview.would)?;
            for object in &preview.objects {
                writeln!(desk.out, "  {object}")?;
            }
            if preview.count > 0 {
                writeln!(
                    desk.out,
                    "{} concerned; nothing was done (--expect-count {} does it only as shown)",
                    preview.count, preview.count
                )?;
            }
        } else {
            let reply: ReplyView = shape(answer.clone())?;
            writeln!(desk.out, "{}", reply.done)?;
        }
        Ok(Exit::Fine)
    }
}

/// A lumi or a range of them: `7`, `5-9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lumis {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

impl std::str::FromStr for Lumis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.trim().parse::<u32>().ok().filter(|lumi| *lumi > 0);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err("write a lumi (7) or a range of them (5-9)".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lumis_are_written_as_one_or_as_a_range() {
        let check = |text: &str, expect: Option<(u32, u32)>| {
            let read: Option<Lumis> = text.parse().ok();
            assert_eq!(
                read.map(|lumis| (lumis.first, lumis.last)),
                expect,
                "{text}"
            );
        };
        check("7", Some((7, 7)));
        check("5-9", Some((5, 9)));
        check("9-5", None);
        check("0", None);
        check("", None);
        check("all", None);
    }
}
