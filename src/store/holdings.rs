//! What datasets hold, and where it comes from. In come questions with conditions, out go values of
//! the model. Every question follows an index; none adds up more than one run, one open block or
//! one page.

use crate::reader::{ROWS_MAX, SqlCatalogue, after, limit};
use crate::rows::Cell;
use crate::states::{self, BLOCK_OPEN, JOB_DONE};
use model::dataset::{Block, Dataset, LumiContent, Output};
use model::fact::Consumed;
use model::file::File;
use model::ids::{FileId, LumiNumber, OutputId, RunNumber};
use model::job::{InputId, Job};
use model::names::TaskPath;
use model::source::{Evidence, Source};
use ports::catalogue::{Holdings, LumiOfFiles, Page, WhichBlocks, WhichFiles, WhichOutputs};
use ports::store::StoreError;

/// A question for bodies of one table, condition by condition. Its text is made of our own words
/// alone; what people say goes in as values.
struct Question {
    text: String,
    cells: Vec<Cell>,
}

impl Question {
    /// Bodies of a table behind a key.
    fn of(table: &'static str, key: &'static str, page: Page) -> Self {
        Self {
            text: format!("SELECT body FROM {table} WHERE {key} > ?"),
            cells: vec![after(page)],
        }
    }

    /// Only rows with this value in a column.
    fn with(mut self, column: &'static str, value: Option<impl Into<Cell>>) -> Self {
        if let Some(value) = value {
            self.text.push_str(" AND ");
            self.text.push_str(column);
            self.text.push_str(" = ?");
            self.cells.push(value.into());
        }
        self
    }

    /// Only rows for which a condition holds, or only the others.
    fn when(mut self, wanted: Option<bool>, [yes, no]: [&'static str; 2]) -> Self {
        if let Some(wanted) = wanted {
            self.text.push_str(" AND ");
            self.text.push_str(if wanted { yes } else { no });
        }
        self
    }

    /// In the order of the key, as many as the page may have.
    fn page(mut self, key: &'static str, page: Page) -> (String, Vec<Cell>) {
        self.text.push_str(" ORDER BY ");
        self.text.push_str(key);
        self.text.push_str(" LIMIT ?");
        self.cells.push(limit(page));
        (self.text, self.cells)
    }
}

/// Inputs of a run behind more than one published output of a dataset. What the run has consumed is
/// read once, and the outputs of each job by their key. SQLite would rather ask for each output of
/// the dataset what its task has consumed in all runs: the cross join keeps the order, and a
/// condition that no index can serve keeps the key.
pub(crate) const REPEATED_INPUTS: &str = "SELECT COUNT(*) FROM \
    (SELECT consumed.input_kind, consumed.input, consumed.first_event \
    FROM consumed CROSS JOIN output \
    WHERE consumed.run = ? AND output.job = consumed.job \
    AND COALESCE(output.dataset, '') = ? AND output.block IS NOT NULL \
    GROUP BY consumed.input_kind, consumed.input, consumed.first_event \
    HAVING COUNT(DISTINCT output.id) > 1) repeated";

/// Adds up what several agents have of one dataset; rows come in the order of names.
fn add_up(rows: Vec<Dataset>) -> Vec<Dataset> {
    let mut datasets: Vec<Dataset> = Vec::with_capacity(rows.len());
    for row in rows {
        match datasets.last_mut().filter(|last| last.name == row.name) {
            Some(known) => {
                known.closed.add(&row.closed);
                known.created_at = known.created_at.min(row.created_at);
                known.parents.extend(row.parents);
                known.parents.sort();
                known.parents.dedup();
            }
            None => datasets.push(row),
        }
    }
    datasets
}

impl Holdings for SqlCatalogue {
    fn datasets(&self, after: Option<&str>, limit: u32) -> Result<Vec<Dataset>, StoreError> {
        // The names of a page first: a dataset has a row for each agent.
        let sql = "SELECT body FROM dataset WHERE name IN (SELECT name FROM (SELECT DISTINCT name \
                   FROM dataset WHERE name > ? ORDER BY name LIMIT ?) page_of_names) \
                   ORDER BY name, agent";
        let limit = Cell::from(limit.clamp(1, ROWS_MAX));
        let cells = [Cell::from(after.unwrap_or_default()), limit];
        Ok(add_up(self.list("datasets", sql, &cells)?))
    }

    fn dataset(&self, name: &str) -> Result<Option<Dataset>, StoreError> {
        let sql = "SELECT body FROM dataset WHERE name = ? ORDER BY name, agent";
        Ok(add_up(self.list("a dataset", sql, &[name.into()])?).pop())
    }

    fn contents(&self, dataset: &str, page: Page) -> Result<Vec<LumiContent>, StoreError> {
        let question = Question::of("lumi_content", "run", page).with("dataset", Some(dataset));
        let (sql, cells) = question.page("run", page);
        self.list("contents of a dataset", sql, &cells)
    }

    fn contents_of_run(&self, run: RunNumber) -> Result<Vec<LumiContent>, StoreError> {
        let sql = "SELECT body FROM lumi_content WHERE run = ? ORDER BY dataset";
        self.list("contents of datasets", sql, &[run.into()])
    }

    fn which_files(&self, which: &WhichFiles, page: Page) -> Result<Vec<File>, StoreError> {
        let (sql, cells) = Question::of("file", "id", page)
            .with("run", which.run)
            .with("stream", which.stream.as_deref())
            .when(which.late, ["late = 1", "late = 0"])
            .page("id", page);
        self.list("files", sql, &cells)
    }

    fn which_outputs(&self, which: &WhichOutputs, page: Page) -> Result<Vec<Output>, StoreError> {
        let (sql, cells) = Question::of("output", "id", page)
            .with("run", which.run)
            .with("dataset", which.dataset.as_deref())
            .with("block", which.block.map(|block| block.0))
            .with("job", which.job.map(|job| job.0))
            .when(which.published, ["block IS NOT NULL", "block IS NULL"])
            .page("id", page);
        self.list("outputs", sql, &cells)
    }

    fn which_blocks(&self, which: &WhichBlocks, page: Page) -> Result<Vec<Block>, StoreError> {
        // Written as one number or as none, so that the index on states is followed.
        let open = (which.open == Some(true)).then_some(BLOCK_OPEN);
        let closed = which.open.filter(|open| !open).map(|_| true);
        let (sql, cells) = Question::of("block", "id", page)
            .with("run", which.run)
            .with("dataset", which.dataset.as_deref())
            .with("state", open)
            .when(closed, ["state <> 1", "state = 1"])
            .page("id", page);
        self.list("blocks", sql, &cells)
    }

    fn output(&self, id: OutputId) -> Result<Option<Output>, StoreError> {
        let sql = "SELECT body FROM output WHERE id = ?";
        self.one("an output", sql, id.0.into())
    }

    fn source(&self, file: FileId) -> Result<Option<Source>, StoreError> {
        let sql = "SELECT body FROM source_release WHERE file = ?";
        self.one("a source", sql, Cell::Number(file.0))
    }

    fn evidence(&self, file: FileId) -> Result<Vec<Evidence>, StoreError> {
        let sql = "SELECT body FROM source_evidence WHERE file = ? ORDER BY step LIMIT ?";
        let cells = [Cell::Number(file.0), Cell::from(ROWS_MAX)];
        self.list("evidence", sql, &cells)
    }

    fn consumers(&self, input: InputId) -> Result<Vec<Consumed>, StoreError> {
        let sql = "SELECT body FROM consumed WHERE input_kind = ? AND input = ? \
                   ORDER BY pipeline, task, job";
        let kind = Cell::Number(states::input_kind(input));
        self.list("consumers", sql, &[kind, input.number().into()])
    }

    fn lumis_of_files(
        &self,
        run: RunNumber,
        stream: Option<&str>,
    ) -> Result<Vec<LumiOfFiles>, StoreError> {
        let mut cells = vec![Cell::from(run)];
        let of_stream = match stream {
            Some(stream) => {
                cells.push(stream.into());
                " AND stream = ?"
            }
            None => "",
        };
        // Only a report has no bytes.
        let text = format!(
            "SELECT lumi, COUNT(*), CAST(COALESCE(SUM(events), 0) AS BIGINT) FROM file WHERE run = ?{of_stream} \
             AND late = 0 AND bytes > 0 GROUP BY lumi ORDER BY lumi"
        );
        let rows = self.numbers::<3>("lumis of files", text, &cells)?;
        let of = |[lumi, files, events]: [i64; 3]| LumiOfFiles {
            lumi: LumiNumber(u32::try_from(lumi).unwrap_or(u32::MAX)),
            files: files as u64,
            events: events as u64,
        };
        Ok(rows.into_iter().map(of).collect())
    }

    fn jobs_not_done(&self, run: RunNumber, task: &TaskPath) -> Result<Vec<Job>, StoreError> {
        let sql = "SELECT body FROM job WHERE run = ? AND pipeline = ? AND task = ? \
                   AND state <> ? ORDER BY id LIMIT ?";
        let (pipeline, name) = (task.pipeline.as_str(), task.task.as_str());
        let cells = [
            run.into(),
            pipeline.into(),
            name.into(),
            Cell::Number(JOB_DONE),
            Cell::from(ROWS_MAX),
        ];
        self.list("jobs that are not done", sql, &cells)
    }

    fn repeated_inputs(&self, dataset: &str, run: RunNumber) -> Result<u64, StoreError> {
        let cells = [run.into(), dataset.into()];
        let rows = self.numbers::<1>("repeated inputs", REPEATED_INPUTS, &cells)?;
        Ok(rows.first().map_or(0, |[count]| *count as u64))
    }
}
