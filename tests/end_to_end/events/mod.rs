//! `ctverify events`: the events of proven log files, and of no others.

mod conditions;
mod formats;
mod interrupted;
mod large;
mod proof_file;
mod proven;
mod single;
pub(crate) mod table;
mod tampering;

use std::process::Command;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, gunzip};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::{Mirror, Run, ctverify, ctverify_at, range_of};

/// The program, told to emit the events of a copy.
fn events_of(mirror: &Mirror) -> Command {
    let mut command = ctverify();
    command.arg("events").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
    command
}

/// The program, told to emit the events of a trail in S3, and the server.
fn events_at(trail: &ForgedTrail) -> (Command, Server) {
    let server = Server::start(trail, ServerOptions::default());
    let mut command = ctverify_at(&server);
    command.arg("events").args(range_of(trail));
    (command, server)
}

/// A line of events in JSON Lines, with the event as it stands.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    proof: Value,
}

/// The events of a run and their proofs, and its summary.
fn emitted(run: &Run) -> (Vec<(String, Value)>, Value) {
    let mut lines: Vec<&str> = run.stdout.lines().collect();
    let summary: Value = serde_json::from_str(lines.pop().unwrap_or_else(|| panic!("{}", run.stderr))).unwrap();
    let events = lines.iter().map(|line| {
        let Line { event, proof } = serde_json::from_str(line).unwrap();
        (event.get().to_owned(), proof)
    });
    (events.collect(), summary["summary"].clone())
}

/// The records of a log file's content, as they stand in it.
fn records_in(content: &str) -> Vec<String> {
    #[derive(Deserialize)]
    struct Content<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'a RawValue>,
    }
    let content: Content<'_> = serde_json::from_str(content).unwrap();
    content.records.iter().map(|record| record.get().to_owned()).collect()
}

/// The events that a verification permits: those of the log files that it found intact, in its order,
/// with the name, the digest and the index of each.
fn permitted(trail: &ForgedTrail, verification: &Run) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    for file in verification.of("log_file").into_iter().filter(|file| file["status"] == "intact") {
        let name = (file["bucket"].as_str().unwrap().to_owned(), file["key"].as_str().unwrap().to_owned());
        let content = String::from_utf8(gunzip(&trail.objects[&name].body).unwrap()).unwrap();
        events.extend(records_in(&content).into_iter().enumerate().map(|(index, record)| {
            let proof = serde_json::json!({
                "bucket": name.0, "key": name.1, "sha256": file["expected_sha256"], "digest": file["digest"],
                "account": file["account"], "region": file["region"], "index": index,
            });
            (record, proof)
        }));
    }
    events
}

/// A copy of a trail, in the layout of `aws s3 sync`.
fn copy_of(trail: &ForgedTrail) -> Mirror {
    Mirror::new(trail, Layout::Keys, true)
}
