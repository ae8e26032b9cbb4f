//! The comparison of given events with the proven ones.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use super::given::GivenEvent;
use crate::audit::Extract;
use crate::cli::args::EventForm;
use crate::cli::commands::verify::Watch;
use crate::events::{CoveredTimes, Event, EventTime, NotCovered, Proof, Searched, differences, readable};
use crate::model::printable;
use crate::records::{LogFileRecord, Record};

/// Given events, and what the verification says of them.
pub(super) struct Comparison {
    given: Vec<GivenEvent>,
    /// The indexes of the events with each identifier.
    by_id: HashMap<String, Vec<usize>>,
    results: Vec<Option<Match>>,
    covered: CoveredTimes,
    /// True if the run was interrupted.
    is_interrupted: bool,
}

/// The comparison with a proven event of the same identifier.
struct Match {
    differences: Vec<String>,
    /// The proof of the proven event, as JSON.
    proof: Value,
}

/// The number of events by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub genuine: u64,
    pub altered: u64,
    pub not_found: u64,
}

/// The line on an event.
#[derive(Serialize)]
struct Line<'a> {
    line: usize,
    event_id: &'a str,
    result: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    differs: &'a [String],
    /// True if the time of an event that was not found is covered.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<&'a Value>,
}

impl Comparison {
    pub(super) fn new(given: Vec<GivenEvent>) -> Self {
        let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, event) in given.iter().enumerate() {
            by_id.entry(event.id.clone()).or_default().push(index);
        }
        let results = given.iter().map(|_| None).collect();
        Self { given, by_id, results, covered: CoveredTimes::default(), is_interrupted: false }
    }

    /// Takes note that the run was interrupted: the absence of an event says nothing then.
    pub(super) fn interrupt(&mut self) {
        self.is_interrupted = true;
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for result in &self.results {
            match result {
                Some(found) if found.differences.is_empty() => counts.genuine += 1,
                Some(_) => counts.altered += 1,
                None => counts.not_found += 1,
            }
        }
        counts
    }

    pub(super) fn write(&self, format: EventForm, out: &mut dyn Write) -> io::Result<()> {
        for (given, result) in self.given.iter().zip(&self.results) {
            let line = self.line(given, result.as_ref());
            match format {
                EventForm::Jsonl => {
                    serde_json::to_writer(&mut *out, &line)?;
                    out.write_all(b"\n")?;
                }
                EventForm::Text => {
                    let what = match (&line.proof, line.detail) {
                        (Some(_), _) if line.differs.is_empty() => String::new(),
                        (Some(_), _) => format!("  differs in {}", line.differs.join(", ")),
                        (None, detail) => format!("  {}", detail.unwrap_or_default()),
                    };
                    let result = line.result.replace('_', " ");
                    writeln!(out, "{result:<9}  line {}  {}{}", line.line, printable(&given.id), printable(&what))?;
                }
            }
        }
        Ok(())
    }

    fn line<'a>(&'a self, given: &'a GivenEvent, result: Option<&'a Match>) -> Line<'a> {
        let line = Line {
            line: given.line,
            event_id: &given.id,
            result: "not_found",
            differs: &[],
            covered: None,
            detail: None,
            proof: None,
        };
        match result {
            Some(found) if found.differences.is_empty() => {
                Line { result: "genuine", proof: Some(&found.proof), ..line }
            }
            Some(found) => Line { result: "altered", differs: &found.differences, proof: Some(&found.proof), ..line },
            None => {
                let (covered, detail) = self.absence(&given.event);
                Line { covered, detail: Some(detail), ..line }
            }
        }
    }

    /// Says what the absence of an event means, by what the given event says of its time and place.
    fn absence(&self, event: &str) -> (Option<bool>, &'static str) {
        if self.is_interrupted {
            return (None, "the run was interrupted before it was found");
        }
        let event = readable(event);
        let event = Event::parse(&event).unwrap_or_default();
        let (account, region, time) = (event.account(), event.text("awsRegion"), event.time());
        let (Some(account), Some(region), Some(EventTime { start: at, .. })) = (account, region, time) else {
            return (
                None,
                "the event names no time, account or region, so that it is unknown whether they are covered",
            );
        };
        match self.covered.why_not(&account, &region, at) {
            None => (Some(true), "valid digests cover its time, and no proven log file of what was verified has it"),
            Some(NotCovered::NoChain) => (Some(false), "no chain of its account and region was verified"),
            Some(NotCovered::OutsideRange) => {
                (Some(false), "its time, with the quarter of an hour after it, is not in the range that was verified")
            }
            Some(NotCovered::Gap) => (Some(false), "its time lies in a gap, which no valid digest covers"),
            Some(NotCovered::UnprovenLogFile) => (Some(false), "the events of a log file of its time are not known"),
        }
    }
}

impl Watch for &mut Comparison {
    fn record(&mut self, record: &Record) {
        self.covered.record(record);
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        for searched in Searched::read(extract) {
            let found = match searched? {
                Searched::Found(found) => found,
                Searched::Unreadable(_) => {
                    self.covered.add_unproven(file);
                    continue;
                }
            };
            let proof = Proof::of(file).map(|proof| Proof { index: found.index, ..proof });
            let proof = serde_json::to_value(proof)?;
            for index in self.by_id.get(&found.id).into_iter().flatten() {
                let differences = differences(&found.record, &self.given[*index].event);
                // An event may be delivered twice: it is genuine if it is one of them.
                let known = &mut self.results[*index];
                let is_better = known.as_ref().is_none_or(|known| differences.len() < known.differences.len());
                if is_better {
                    *known = Some(Match { differences, proof: proof.clone() });
                }
            }
        }
        Ok(())
    }
}
