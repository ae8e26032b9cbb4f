//! A run that is divided into units, verified unit by unit, and merged.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ctverify::shard::{Manifest, Plan, PlanFiles, Unit};
use ctverify_testkit::Server;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Run, ctverify_at, records, run};

/// A plan, and a folder for its results.
pub(super) struct Distributed<'a> {
    pub server: &'a Server,
    folder: TempDir,
}

impl<'a> Distributed<'a> {
    /// Makes a plan for what the arguments of a verification select.
    pub(super) fn plan(server: &'a Server, arguments: &[&str]) -> Self {
        let planned = Self { server, folder: tempfile::tempdir().unwrap() };
        let made = run(ctverify_at(server).arg("plan").args(arguments).arg("--output").arg(planned.plan_folder()));
        assert_eq!(made.code, 0, "{}", made.stderr);
        planned
    }

    pub(super) fn plan_folder(&self) -> PathBuf {
        self.folder.path().join("plan")
    }

    pub(super) fn results(&self) -> PathBuf {
        self.folder.path().join("results")
    }

    pub(super) fn manifest(&self) -> Manifest {
        PlanFiles::of(&self.plan_folder()).read_manifest().unwrap()
    }

    pub(super) fn units(&self) -> Vec<Unit> {
        let mut units = Vec::new();
        PlanFiles::of(&self.plan_folder()).each_unit(&self.manifest(), |unit| units.push(unit)).unwrap();
        units
    }

    /// Divides the plan's units anew: at these times, and into groups of chains of these sizes, which
    /// are repeated as often as necessary.
    pub(super) fn recut(self, times: &[Timestamp], sizes: &[usize]) -> Self {
        let mut units: Vec<Unit> = Vec::new();
        for unit in self.units() {
            let mut edges: Vec<Timestamp> = times.to_vec();
            edges.retain(|at| unit.range.start.is_none_or(|start| start < *at));
            edges.retain(|at| unit.range.end.is_none_or(|end| *at < end));
            edges.sort_unstable();
            edges.dedup();
            let starts = [unit.range.start].into_iter().chain(edges.iter().copied().map(Some));
            let ends = edges.iter().copied().map(Some).chain([unit.range.end]);
            for (start, end) in starts.zip(ends) {
                let mut chains = unit.chains.as_slice();
                for size in sizes.iter().cycle() {
                    let (some, rest) = chains.split_at((*size).clamp(1, chains.len()));
                    let mut part = Unit { unit: units.len() as u64, chains: some.to_vec(), ..unit.clone() };
                    (part.range.start, part.range.end) = (start, end);
                    units.push(part);
                    chains = rest;
                    if chains.is_empty() {
                        break;
                    }
                }
            }
        }
        let plan = Plan::of(self.manifest(), &units);
        let folder = self.plan_folder();
        std::fs::write(folder.join("units.jsonl"), &plan.units).unwrap();
        std::fs::write(folder.join("chains.jsonl"), &plan.chains).unwrap();
        std::fs::write(folder.join("manifest.json"), plan.manifest.to_json()).unwrap();
        self
    }

    /// The command that verifies units, without naming any.
    pub(super) fn shard(&self) -> Command {
        let mut command = ctverify_at(self.server);
        command.arg("shard").arg("--plan").arg(self.plan_folder()).arg("--output").arg(self.results());
        command
    }

    /// Verifies all units, given as lines on standard input.
    pub(super) fn verify_all(&self) -> Run {
        let lines = std::fs::read(self.plan_folder().join("units.jsonl")).unwrap();
        with_input(self.shard().arg("--stdin"), &lines)
    }

    /// The command that merges.
    pub(super) fn merge(&self) -> Command {
        let mut command = ctverify_at(self.server);
        command.arg("merge").arg("--plan").arg(self.plan_folder()).arg("--results").arg(self.results());
        command
    }

    /// Verifies all units and merges them.
    pub(super) fn verdict(&self) -> Run {
        let verified = self.verify_all();
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        records(&mut self.merge())
    }
}

/// Runs a command with this standard input.
pub(super) fn with_input(command: &mut Command, input: &[u8]) -> Run {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        records: Vec::new(),
    }
}

/// The lines of a run that a merge has to give byte for byte: all but the run, the circumstances, and
/// of the summary the end of the run and the number of requests.
pub(super) fn comparable(run: &Run) -> Vec<String> {
    let mut lines = Vec::new();
    for line in run.stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        match record["record"].as_str().unwrap() {
            "run" | "circumstances" => {}
            "summary" => {
                let mut summary = record;
                for field in ["finished", "requests"] {
                    assert!(summary.as_object_mut().unwrap().remove(field).is_some(), "{field}");
                }
                lines.push(summary.to_string());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// Asserts that a merged run has the records of a run on one machine.
#[track_caller]
pub(super) fn assert_same(merged: &Run, single: &Run) {
    let (found, expected) = (comparable(merged), comparable(single));
    let at =
        found.iter().zip(&expected).position(|(one, other)| one != other).unwrap_or(found.len().min(expected.len()));
    let shown = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(nothing)".to_owned());
    assert!(
        found == expected,
        "line {at} differs, of {} and {}:\nmerged: {}\nsingle: {}\n{}{}",
        found.len(),
        expected.len(),
        shown(&found),
        shown(&expected),
        merged.stderr,
        single.stderr
    );
    assert_eq!(merged.code, single.code);
}

/// The path of a unit's result.
pub(super) fn result_of(folder: &Path, unit: u64) -> PathBuf {
    folder.join(format!("unit-{unit:06}.jsonl.gz"))
}
