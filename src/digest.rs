//! What two results are compared by: a digest of what is published, of content only - no names, no
//! times, no identities - so two instances that published the same have the same digest, whatever
//! happened on the way. In: outputs. Out: sha256 in hex.

use sha2::{Digest, Sha256};
use view::dataset::OutputView;

/// sha256 in hex over what is published: for each output its dataset, run, lumis, events, size and
/// checksum, in sorted order. Outputs of runs that do not publish are left out.
pub fn digest<'a>(outputs: impl IntoIterator<Item = &'a OutputView>) -> String {
    let line = |output: &OutputView| {
        let (run, lumis) = (output.run, &output.lumis);
        let (events, bytes, sum) = (output.events, output.bytes, &output.adler32);
        format!(
            "{}\t{run}\t{lumis:?}\t{events}\t{bytes}\t{sum}\n",
            output.dataset
        )
    };
    let mut lines: Vec<String> = outputs
        .into_iter()
        .filter(|output| output.block.is_some())
        .map(line)
        .collect();
    lines.sort();
    let mut hasher = Sha256::new();
    for line in &lines {
        hasher.update(line);
    }
    crate::data::hex(&hasher.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(id: i64, run: u32, events: u64, block: Option<i64>) -> OutputView {
        OutputView {
            id,
            dataset: "/Muons/express-reco/RECO".into(),
            block,
            replaces: None,
            superseded_by: None,
            name: format!("name-{id}"),
            run,
            lumis: vec![(1, 2)],
            pipeline: "express".into(),
            task: "reco".into(),
            label: "RECO".into(),
            job: id,
            attempt: 1,
            bytes: 100,
            events,
            adler32: "00000001".into(),
            seen_at: String::new(),
            committed_at: String::new(),
            seen_to_published_s: 0.0,
        }
    }

    #[test]
    fn the_digest_is_of_content_only() {
        let reference = digest(&[output(1, 5, 10, Some(1)), output(2, 6, 20, Some(2))]);
        let check = |outputs: &[OutputView], same: bool| {
            assert_eq!(digest(outputs) == reference, same, "{outputs:?}");
        };
        // Other identities, another order, and a run that does not publish: the same content.
        let unpublished = output(9, 7, 1, None);
        check(
            &[
                output(7, 6, 20, Some(3)),
                unpublished,
                output(8, 5, 10, Some(4)),
            ],
            true,
        );
        let mut second_attempt = output(1, 5, 10, Some(1));
        second_attempt.attempt = 2;
        check(&[second_attempt, output(2, 6, 20, Some(2))], true);
        check(
            &[output(1, 5, 11, Some(1)), output(2, 6, 20, Some(2))],
            false,
        );
        check(&[output(1, 5, 10, Some(1))], false);
        let twice = output(2, 6, 20, Some(2));
        check(&[output(1, 5, 10, Some(1)), twice.clone(), twice], false);
    }
}
