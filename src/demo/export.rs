//! What an act leaves for outside judges: the list of its published files and its constants, as
//! plain JSON. A judge reads these, the data set that was played and the files; nothing of ours.

use model::conditions::Iov;
use model::dataset::Output;
use ports::catalogue::Catalogue;
use serde_json::{Value, json};
use std::path::Path;
use store::SqlCatalogue;

/// Writes `published.json` and `conditions.json` into the act's folder.
pub(super) fn write(
    folder: &Path,
    storage: &Path,
    outputs: &[Output],
    iovs: &[Iov],
    catalogue: &SqlCatalogue,
) -> Result<(), String> {
    let published: Vec<Value> = outputs
        .iter()
        .filter(|output| output.block.is_some())
        .map(|output| {
            json!({
                "dataset": output.dataset.as_str(),
                "tier": output.label.as_str(),
                "path": storage.join(output.name.as_str()),
                "run": output.run.0,
                "events": output.events.0,
            })
        })
        .collect();
    let mut conditions = Vec::new();
    for iov in iovs {
        let payload = catalogue
            .payload(&iov.hash)
            .map_err(|error| error.to_string())?;
        let text = payload.map(|payload| payload.text).unwrap_or_default();
        let payload: Value = serde_json::from_str(&text)
            .map_err(|error| format!("payload {} is no JSON: {error}", iov.hash))?;
        // Judges know the tag by its plain name; the act says whether it is simulated.
        let tag = iov.tag.as_str().trim_end_matches("/SIM");
        conditions.push(
            json!({ "tag": tag, "since": iov.since.0, "hash": iov.hash, "payload": payload }),
        );
    }
    for (name, document) in [
        ("published.json", Value::from(published)),
        ("conditions.json", Value::from(conditions)),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, format!("{document:#}\n"))
            .map_err(|error| format!("writing {}: {error}", path.display()))?;
    }
    Ok(())
}
