//! What datasets hold, and where it comes from. In come questions with conditions, out go values of
//! the model. Every question follows an index; none adds up more than one run, one open block or
//! one page.

use crate::both::Both;
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
    table: &'static str,
    text: String,
    cells: Vec<Cell>,
}

impl Question {
    /// Bodies of a table behind a key.
    fn of(table: &'static str, key: &'static str, page: Page) -> Self {
        Self {
            table,
            text: format!("{key} > ?"),
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
        let (table, condition) = (self.table, &self.text);
        let text = format!("SELECT body FROM {table} WHERE {condition} ORDER BY {key} LIMIT ?");
        self.cells.push(limit(page));
        (text, self.cells)
    }

    /// The same, of rows that are at work or history.
    fn both(self, key: &'static str, page: Page) -> (String, Vec<Cell>) {
        Both::of(self.table, self.text, self.cells).page(key, page)
    }
}

/// Inputs of a run behind more than one published output of a dataset. What the run has consumed is
/// read once, and the outputs of each job by their key, at work or history. SQLite would rather ask
/// for each output of the dataset what its task has consumed in all runs: the cross join keeps the
/// order, and a condition that no index can serve keeps the key.
pub(crate) const REPEATED_INPUTS: &str = "SELECT COUNT(*) FROM \
    (SELECT input_kind, input, first_event FROM (\
    SELECT consumed.input_kind, consumed.input, consumed.first_event, output.id AS output_id \
    FROM consumed CROSS JOIN output WHERE consumed.run = ? AND output.job = consumed.job \
    AND COALESCE(output.dataset, '') = ? AND output.block IS NOT NULL UNION ALL \
    SELECT consumed.input_kind, consumed.input, consumed.first_event, output.id AS output_id \
    FROM consumed CROSS JOIN output_history output \
    WHERE consumed.run = ? AND output.job = consumed.job \
    AND COALESCE(output.dataset, '') = ? AND output.block IS NOT NULL UNION ALL \
    SELECT consumed.input_kind, consumed.input, consumed.first_event, output.id AS output_id \
    FROM consumed_history consumed CROSS JOIN output \
    WHERE consumed.run = ? AND output.job = consumed.job \
    AND COALESCE(output.dataset, '') = ? AND output.block IS NOT NULL UNION ALL \
    SELECT consumed.input_kind, consumed.input, consumed.first_event, output.id AS output_id \
    FROM consumed_history consumed CROSS JOIN output_history output \
    WHERE consumed.run = ? AND output.job = consumed.job \
    AND COALESCE(output.dataset, '') = ? AND output.block IS NOT NULL) behind \
    GROUP BY input_kind, input, first_event \
    HAVING COUNT(DISTINCT output_id) > 1) repeated";

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
            .both("id", page);
        self.list("files", sql, &cells)
    }

    fn which_outputs(&self, which: &WhichOutputs, page: Page) -> Result<Vec<Output>, StoreError> {
        let (sql, cells) = Question::of("output", "id", page)
            .with("run", which.run)
            .with("dataset", which.dataset.as_deref())
            .with("block", which.block.map(|block| block.0))
            .with("job", which.job.map(|job| job.0))
            .when(which.published, ["block IS NOT NULL", "block IS NULL"])
            .both("id", page);
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
        self.by_id("an output", "output", id.0)
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
        let kind = Cell::Number(states::input_kind(input));
        let cells = vec![kind, input.number().into()];
        let both = Both::of("consumed", "input_kind = ? AND input = ?", cells);
        let (sql, cells) = both.in_order("pipeline, task, job");
        self.list("consumers", sql, &cells)
    }

    fn lumis_of_files(
        &self,
        run: RunNumber,
        stream: Option<&str>,
    ) -> Result<Vec<LumiOfFiles>, StoreError> {
        let mut cells = vec![Cell::from(run)];
        cells.extend(stream.map(Cell::from));
        cells.extend_from_within(..);
        let of_stream = stream.map_or("", |_| " AND stream = ?");
        // Only a report has no bytes.
        let of = |table: &str| {
            format!(
                "SELECT lumi, COUNT(*) AS files, COALESCE(SUM(events), 0) AS events FROM {table} \
                 WHERE run = ?{of_stream} AND late = 0 AND bytes > 0 GROUP BY lumi"
            )
        };
        let text = format!(
            "SELECT lumi, CAST(SUM(files) AS BIGINT), CAST(SUM(events) AS BIGINT) FROM \
             ({} UNION ALL {}) of_both GROUP BY lumi ORDER BY lumi",
            of("file"),
            of("file_history")
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
        let (pipeline, name) = (task.pipeline.as_str(), task.task.as_str());
        let condition = "run = ? AND pipeline = ? AND task = ? AND state <> ?";
        let done = Cell::Number(JOB_DONE);
        let cells = vec![run.into(), pipeline.into(), name.into(), done];
        let page = Page {
            after: None,
            limit: ROWS_MAX,
        };
        let (sql, cells) = Both::of("job", condition, cells).page("id", page);
        self.list("jobs that are not done", sql, &cells)
    }

    fn repeated_inputs(&self, dataset: &str, run: RunNumber) -> Result<u64, StoreError> {
        let cells: [Cell; 2] = [run.into(), dataset.into()];
        // Once for each place that a row and its output may be in.
        let cells = [&cells[..]; 4].concat();
        let rows = self.numbers::<1>("repeated inputs", REPEATED_INPUTS, &cells)?;
        Ok(rows.first().map_or(0, |[count]| *count as u64))
    }
}
