//! The command that proves single events.

mod comparison;
mod given;
mod proof;
mod proof_file;

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Notify;

use super::events::verdict_in_words;
use super::verify::{Watch, audit_with, interruption, runtime, shut_down};
use crate::audit::Extract;
use crate::cli::args::{EventArgs, EventForm};
use crate::cli::custody::now;
use crate::cli::evidence::Signing;
use crate::cli::exit::Failure;
use crate::cli::output::cannot_write_standard;
use crate::cli::paths;
use crate::cli::resolve::{self, ProofOfBag, Settings};
use crate::events::{EventFinder, FoundEvent, Searched};
use crate::model::{BagStatus, Depth, LogFileStatus, exit_code, printable};
use crate::records::{BagRecord, DigestRecord, KeysAsked, LogFileRecord, Record};
use comparison::Comparison;
use given::GivenEvent;
use proof::ProvenEvent;
use proof_file::Origin;

/// Proves the event that the arguments name, or compares those of a file.
pub(crate) fn event(args: &EventArgs) -> Result<u8, Failure> {
    if args.what.depth != Depth::Content {
        return Err(Failure::Usage(format!(
            "events stand in log files, and --depth {} reads none: leave it out",
            args.what.depth
        )));
    }
    paths::check_event(args)?;
    let given = match &args.matched {
        Some(path) => Some(given::read(path, args.match_field.as_deref())?),
        None => None,
    };
    let runtime = runtime()?;
    let outcome = runtime.block_on(async {
        match (given, &args.id) {
            (Some(given), _) => compare(args, given).await,
            (None, Some(id)) => prove(args, id).await,
            (None, None) => {
                Err(Failure::Usage("name an event by its eventID, or a file of events with --match".to_owned()))
            }
        }
    });
    shut_down(runtime);
    outcome
}

/// The inputs of the verification, with a finder of these identifiers.
async fn settings(args: &EventArgs, identifiers: HashSet<String>) -> Result<Settings, Failure> {
    let verification = args.verification();
    let settings = tokio::select! {
        settings = resolve::resolve(&verification, now()) => settings?,
        () = interruption() => return Err(Failure::Interrupted),
    };
    Ok(Settings { consumer: Some(Arc::new(EventFinder::new(identifiers))), ..settings })
}

/// Proves one event. The run ends once it is found: its digest is judged with the whole chain before.
async fn prove(args: &EventArgs, id: &str) -> Result<u8, Failure> {
    let mut settings = settings(args, HashSet::from([id.to_owned()])).await?;
    check_event_of_bag(args, &settings, id)?;
    let origin =
        Origin { store: settings.store.clone(), keys: settings.keys.clone(), request: settings.request.clone() };
    let stated = settings.event.take().map(|of_bag| of_bag.text);
    let (store, stop) = (settings.store.clone(), Notify::new());
    // The digest is read once more after the run: a bag that was unpacked has to be there until then.
    let _unpacked = settings.unpacked.take();
    let mut search = Search { digest: None, keys: None, found: None, unreadable: 0, altered: None, stop: &stop };
    let verification = args.verification();
    let signing = Arc::new(Signing::open(&verification.reports)?);
    let run = audit_with(&verification.reports, (&[], &signing), settings, &mut search, stop.notified());
    let summary = run.await?;
    let Search { found, keys, unreadable, altered, .. } = search;
    // Not a stream that strips control characters: a record comes out in its original bytes.
    let mut out = io::stdout().lock();
    let Some((event, file, digest)) = found else {
        if summary.interrupted {
            return Err(Failure::Stopped("interrupted before the event was found".to_owned()));
        }
        use LogFileStatus::{Deleted, Modified, Uncovered, Unlisted, Unverified};
        let unproven = [Modified, Deleted, Unverified, Unlisted, Uncovered];
        let left_out: u64 = unproven.map(|status| summary.tally.log_files(status)).iter().sum();
        let text = format!(
            "NOT FOUND  no event that could be read in the proven log files has the eventID {}\n  verdict on the \
             logs: {}; log files that are not proven: {left_out}; proven ones whose events can't be read: \
             {unreadable}\n",
            printable(id),
            verdict_in_words(&summary, &[])
        );
        let line = serde_json::json!({
            "event_id": id,
            "result": "not_found",
            "verdict": summary.verdict.as_str(),
            "keys_of_bag": summary.keys_of_bag,
            "log_files_not_proven": left_out,
            "log_files_not_readable": unreadable,
        });
        let written = match args.format {
            EventForm::Text => out.write_all(text.as_bytes()),
            EventForm::Jsonl => writeln!(out, "{line}"),
        };
        written.map_err(|error| cannot_write_standard(&error))?;
        return Ok(exit_code::INCONCLUSIVE);
    };
    let proven = ProvenEvent::of(event, file, digest, keys, store.as_ref()).await;
    if let Some(target) = &args.output {
        proof_file::write(target, &proven, origin, &signing).await?;
    }
    let written = match args.format {
        EventForm::Text => proven.write_text(&mut out),
        EventForm::Jsonl => proven.write_json(&mut out),
    };
    written.map_err(|error| cannot_write_standard(&error))?;
    if let Some(Some(stated)) = stated
        && !proven.is_as(&stated)
    {
        let _ = writeln!(
            anstream::stderr(),
            "note: event.json of the proof does not have this event and proof: it was changed, and proves nothing"
        );
    }
    if let Some(altered) = altered {
        // If standard error is closed, nobody reads it.
        let _ = writeln!(anstream::stderr(), "note: {altered}; the event is proven by the signature of its digest");
    }
    Ok(exit_code::VERIFIED)
}

/// Refuses an event other than the one of a bag that proves one.
fn check_event_of_bag(args: &EventArgs, settings: &Settings, id: &str) -> Result<(), Failure> {
    let Some(ProofOfBag { event, .. }) = &settings.event else { return Ok(()) };
    if event.event_id == id {
        return Ok(());
    }
    let place = args.copy.from.as_deref().unwrap_or(Path::new("the bag")).display();
    Err(Failure::Usage(format!(
        "{place} is the proof of event {}, as its collect.json says, and of no other",
        printable(&event.event_id)
    )))
}

/// An event, its log file, and the digest that lists the file.
type Found = (FoundEvent, LogFileRecord, Option<DigestRecord>);

/// Keeps the first event that is found.
struct Search<'s> {
    /// The digest whose log files come next.
    digest: Option<DigestRecord>,
    keys: Option<KeysAsked>,
    found: Option<Found>,
    /// The number of proven log files whose events can't be read.
    unreadable: u64,
    /// Says that the bag was altered, if it was.
    altered: Option<String>,
    stop: &'s Notify,
}

impl Watch for &mut Search<'_> {
    fn record(&mut self, record: &Record) {
        match record {
            Record::Run(run) => self.keys = Some(run.keys.clone()),
            Record::Digest(digest) => self.digest = Some(digest.clone()),
            Record::Bag(bag) if bag.status == BagStatus::Altered => {
                let BagRecord { path, problems, .. } = bag;
                self.altered = Some(format!("the bag {path} was altered, with {} differences", problems.len()));
            }
            _ => {}
        }
    }

    fn extract(&mut self, file: &LogFileRecord, extract: Extract) -> io::Result<()> {
        let lists = |digest: &&DigestRecord| Some(&digest.object.key) == file.digest.as_ref();
        let digest = self.digest.as_ref().filter(lists).cloned();
        match Searched::read(extract).next().transpose()? {
            Some(Searched::Found(event)) if self.found.is_none() => {
                self.found = Some((event, file.clone(), digest));
                self.stop.notify_one();
            }
            Some(Searched::Unreadable(_)) => self.unreadable += 1,
            Some(Searched::Found(_)) | None => {}
        }
        Ok(())
    }
}

/// Compares given events with the proven ones.
async fn compare(args: &EventArgs, given: Vec<GivenEvent>) -> Result<u8, Failure> {
    let identifiers = given.iter().map(|event| event.id.clone()).collect();
    let settings = settings(args, identifiers).await?;
    if let (Some(event), Some(place)) = (&settings.event, &args.copy.from) {
        return Err(Failure::Usage(format!(
            "{} holds one log file, the proof of event {}: events are compared with those of a trail",
            place.display(),
            printable(&event.event.event_id)
        )));
    }
    let mut comparison = Comparison::new(given);
    let verification = args.verification();
    let signing = Arc::new(Signing::open(&verification.reports)?);
    let run = audit_with(&verification.reports, (&[], &signing), settings, &mut comparison, std::future::pending());
    let summary = run.await?;
    if summary.interrupted {
        comparison.interrupt();
    }
    let written = comparison.write(args.format, &mut io::stdout().lock());
    written.map_err(|error| cannot_write_standard(&error))?;
    let counts = comparison.counts();
    // If standard error is closed, nobody reads it.
    let _ = writeln!(
        anstream::stderr(),
        "{}{} genuine, {} altered, {} not found; verdict on the logs: {}",
        if summary.interrupted { "interrupted: " } else { "" },
        counts.genuine,
        counts.altered,
        counts.not_found,
        verdict_in_words(&summary, &[])
    );
    Ok(match counts {
        _ if summary.interrupted => exit_code::INTERRUPTED,
        counts if counts.altered > 0 => exit_code::VIOLATED,
        counts if counts.not_found > 0 => exit_code::INCONCLUSIVE,
        _ => exit_code::VERIFIED,
    })
}
