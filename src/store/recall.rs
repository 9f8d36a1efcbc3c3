//! Late files of runs that are history: is a file known under its name? In come files as they were
//! seen, out go the rows of their runs and of the files accepted under their names, wherever those
//! rows are. One look-up by run and name each; rows on their way to the history are found too,
//! because a question sees both tables at one moment.

use crate::reader::SqlCatalogue;
use crate::rows::Cell;
use model::arrival::Arrival;
use model::file::File;
use model::ids::RunNumber;
use model::run::Run;
use ports::catalogue::Catalogue as _;
use ports::store::{Recall, Recalled, StoreError};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A file by the name under which it was accepted.
const FILE: &str = "SELECT body FROM file WHERE profile = ? AND name = ? AND run = ? \
    UNION ALL SELECT body FROM file_history WHERE run = ? AND name = ? AND profile = ?";

/// Letters of a name that its column takes.
const NAME_MAX: usize = 512;

impl Recall for SqlCatalogue {
    fn recall(&self, seen: Vec<Arrival>) -> Result<Vec<Recalled>, StoreError> {
        let mut runs: BTreeMap<RunNumber, Option<Run>> = BTreeMap::new();
        let mut recalled = Vec::with_capacity(seen.len());
        for arrival in seen {
            let number = arrival.run;
            if let Entry::Vacant(place) = runs.entry(number) {
                place.insert(self.run(number)?);
            }
            let Some(Some(run)) = runs.get(&number).cloned() else {
                continue;
            };
            let profile = arrival.profile.as_str();
            // As much of it as its column takes.
            let name: String = arrival.name.as_str().chars().take(NAME_MAX).collect();
            let name = name.as_str();
            let cells: [Cell; 6] = [
                profile.into(),
                name.into(),
                number.into(),
                number.into(),
                name.into(),
                profile.into(),
            ];
            let files: Vec<File> = self.list("a file of the history", FILE, &cells)?;
            recalled.push(Recalled {
                file: files
                    .into_iter()
                    .find(|file| file.arrival.name == arrival.name),
                arrival,
                run,
            });
        }
        Ok(recalled)
    }
}
