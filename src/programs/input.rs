//! The events of a job's `.dat` inputs, as express and prompt both read them.
//!
//! In: a job. Out: one dimuon an event, in order of run, lumi and event, each exactly once, and the
//! columns that every derived event has. A damaged file, an event that comes twice, a label that
//! does not fit: the job fails with the input named. It never drops an event.

use std::collections::BTreeSet;

use crate::event::{Dimuon, Layout, representative};
use crate::format::{Container, Label};
use crate::job::{JobError, JobFile, JobInput};
use crate::monitor::Monitor;
use crate::outputs::ranges;
use crate::table::{Table, Values};

/// One event as the programs work on it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) run: u32,
    pub(crate) lumi: u32,
    pub(crate) event: u64,
    /// The pair that stands for the event.
    pub(crate) dimuon: Dimuon,
    /// Rows the event has in the source.
    pub(crate) rows: u32,
}

/// What the inputs of a job have in common.
pub(crate) struct Origin {
    /// Real or simulated, the same for all.
    pub(crate) label: Label,
    /// Name of the data set, the same for all.
    pub(crate) source: String,
    /// Runs and lumis of the inputs, those without events too.
    pub(crate) parts: BTreeSet<(u32, u32)>,
}

/// All events of a job.
pub(crate) struct Events {
    /// Sorted by run, lumi and event.
    pub(crate) all: Vec<Event>,
    /// Where they come from.
    pub(crate) origin: Origin,
}

/// Reads all inputs of a job.
pub(crate) fn read(job: &JobFile) -> Result<Events, JobError> {
    let mut all = Vec::new();
    let origin = each_container(job, |input, container| {
        read_container(input, container, &mut all)
    })?;
    all.sort_by_key(|event| (event.run, event.lumi, event.event));
    refuse_twice(job, all.iter().map(|event| (event.run, event.event)))?;
    Ok(Events { all, origin })
}

/// Hands the containers of a job to `take`, one after the other, each checked to be what the job
/// says and to fit the others.
pub(crate) fn each_container(
    job: &JobFile,
    mut take: impl FnMut(&JobInput, &Container) -> Result<(), JobError>,
) -> Result<Origin, JobError> {
    let mut parts = BTreeSet::new();
    let mut kind: Option<(Label, String)> = None;
    let demanded = job.label()?;
    for input in &job.inputs {
        let container =
            Container::from_bytes(&input.read()?).map_err(|error| JobError::Container {
                path: input.path.clone(),
                error,
            })?;
        let header = &container.header;
        check_label(
            input,
            header.label,
            kind.as_ref().map(|(label, _)| *label).or(demanded),
        )?;
        let source = kind.get_or_insert_with(|| (header.label, header.source.clone()));
        if source.1 != header.source {
            return Err(mixed(input, &header.source, &source.1));
        }
        if let Some(run) = job.run.filter(|run| *run != header.run) {
            return Err(mixed(
                input,
                &format!("run {}", header.run),
                &format!("run {run}"),
            ));
        }
        input.check_events(header.events)?;
        parts.insert((header.run, header.lumi));
        take(input, &container)?;
    }
    let Some((label, source)) = kind else {
        let what = "the job has no inputs, this program reads event containers".into();
        return Err(JobError::Definition { what });
    };
    Ok(Origin {
        label,
        source,
        parts,
    })
}

/// Refuses an event (run and number) that comes twice.
pub(crate) fn refuse_twice(
    job: &JobFile,
    events: impl Iterator<Item = (u32, u64)>,
) -> Result<(), JobError> {
    let mut numbers: Vec<(u32, u64)> = events.collect();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0] == pair[1]) {
        let (run, event) = pair[0];
        let reason = format!("event {event} of run {run} comes twice among the inputs");
        return Err(job.inputs[0].refuse(reason));
    }
    Ok(())
}

/// Refuses an input of another label than the one expected.
pub(crate) fn check_label(
    input: &JobInput,
    found: Label,
    expected: Option<Label>,
) -> Result<(), JobError> {
    match expected {
        Some(expected) if expected != found => Err(mixed(input, found.as_str(), expected.as_str())),
        _ => Ok(()),
    }
}

/// An input that does not fit the others or the job.
pub(crate) fn mixed(input: &JobInput, found: &str, expected: &str) -> JobError {
    let (found, expected) = (found.to_owned(), expected.to_owned());
    JobError::Mixed {
        path: input.path.clone(),
        found,
        expected,
    }
}

fn read_container(
    input: &JobInput,
    container: &Container,
    all: &mut Vec<Event>,
) -> Result<(), JobError> {
    let header = &container.header;
    let layout = Layout::of(&header.columns).map_err(|error| input.refuse(error.to_string()))?;
    for raw in &container.events {
        let at = |reason: &str| input.refuse(format!("event {}: {reason}", raw.event));
        let row = representative(&raw.rows).ok_or_else(|| at("it has no rows"))?;
        let dimuon = layout.dimuon(row).map_err(|error| at(&error.to_string()))?;
        all.push(Event {
            run: header.run,
            lumi: header.lumi,
            event: raw.event,
            dimuon,
            rows: raw.rows.len() as u32,
        });
    }
    Ok(())
}

impl Origin {
    /// Closed ranges of the lumis read.
    pub(crate) fn lumis(&self) -> Vec<[u32; 2]> {
        ranges(self.parts.iter().map(|(_, lumi)| *lumi))
    }

    /// The document of a job's histograms over `events` events; its inputs must be of one run.
    pub(crate) fn document(
        &self,
        program: &str,
        events: u64,
        monitor: Monitor,
    ) -> Result<Vec<u8>, JobError> {
        let runs: BTreeSet<u32> = self.parts.iter().map(|(run, _)| *run).collect();
        let (Some(run), 1) = (runs.first(), runs.len()) else {
            let what = format!("output DQM is asked for of runs {runs:?}, it is made for one run");
            return Err(JobError::Definition { what });
        };
        let lumis = self.parts.iter().map(|(_, lumi)| *lumi);
        Ok(monitor.into_bytes(program, self.label, *run, lumis, events))
    }

    /// Run, lumi and event of each row, and the file metadata that names label and source.
    pub(crate) fn key_table(&self, keys: impl Iterator<Item = (u32, u32, u64)> + Clone) -> Table {
        let mut table = Table::default();
        let column = |at: fn((u32, u32, u64)) -> u32| Values::U32(keys.clone().map(at).collect());
        table.push("run", column(|(run, _, _)| run));
        table.push("lumi", column(|(_, lumi, _)| lumi));
        let numbers = keys.clone().map(|(_, _, event)| event);
        table.push("event", Values::U64(numbers.collect()));
        table.note("tier0.schema", "1");
        table.note("tier0.label", self.label.as_str());
        table.note("tier0.source", self.source.as_str());
        table
    }
}

impl Events {
    /// The document of a job's histograms.
    pub(crate) fn document(&self, program: &str, monitor: Monitor) -> Result<Vec<u8>, JobError> {
        self.origin.document(program, self.count(), monitor)
    }

    /// Number of events.
    pub(crate) fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// The columns every derived event has: what was read, unchanged.
    pub(crate) fn raw_table(&self) -> Table {
        let mut table = self.key_table();
        for (index, n) in [(0, 1), (1, 2)] {
            let muon = |of: fn(&crate::event::Muon) -> f64| {
                Values::F64(
                    self.all
                        .iter()
                        .map(|event| of(&event.dimuon.muons[index]))
                        .collect(),
                )
            };
            table.push(&format!("pt{n}"), muon(|muon| muon.pt_gev));
            table.push(&format!("eta{n}"), muon(|muon| muon.eta));
            table.push(&format!("phi{n}"), muon(|muon| muon.phi_rad));
            let charges = self
                .all
                .iter()
                .map(|event| event.dimuon.muons[index].charge);
            table.push(&format!("q{n}"), Values::I32(charges.collect()));
            table.push(&format!("dxy{n}"), self.dxy(index));
        }
        table.push("mass_gev", self.masses());
        table.push(
            "n_rows",
            Values::U32(self.all.iter().map(|event| event.rows).collect()),
        );
        table
    }

    /// Run, lumi and event, and the file metadata that names label and source.
    pub(crate) fn key_table(&self) -> Table {
        let keys = self.all.iter();
        self.origin
            .key_table(keys.map(|event| (event.run, event.lumi, event.event)))
    }

    /// Impact parameters of the first (0) or second (1) muon in cm.
    pub(crate) fn dxy(&self, muon: usize) -> Values {
        let values = self.all.iter().map(|event| event.dimuon.muons[muon].dxy_cm);
        Values::OptionF64(values.collect())
    }

    /// Azimuths of the first (0) or second (1) muon in radian.
    pub(crate) fn phi(&self, muon: usize) -> Values {
        Values::F64(
            self.all
                .iter()
                .map(|event| event.dimuon.muons[muon].phi_rad)
                .collect(),
        )
    }

    /// Masses in GeV.
    pub(crate) fn masses(&self) -> Values {
        Values::F64(self.all.iter().map(|event| event.dimuon.mass_gev).collect())
    }
}
