//! The command that collects a trail into an evidence bag and verifies it at the same time.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;

use super::verify::{audit_with, interruption, runtime, shut_down};
use crate::bag::{
    Action, BagInfo, BagSource, BagWriter, CollectingKeys, CollectingStore, CustodyLog, NO_FILE_NAME, zip,
};
use crate::cli::args::{CollectArgs, Format, ReportKind};
use crate::cli::custody::{LogSignature, add, check_signature, entry, now};
use crate::cli::evidence::{self, Signing};
use crate::cli::exit::Failure;
use crate::cli::paths;
use crate::cli::resolve::{self, Settings};
use crate::model::{Depth, DigestStatus, LogFileStatus, ObjectRef, exit_code, printable};
use crate::records::Record;

/// Collects what the arguments name, and returns the exit code for the verdict.
pub(crate) fn collect(args: &CollectArgs) -> Result<u8, Failure> {
    if args.verify.what.depth != Depth::Content || args.verify.sample.is_some() || args.verify.estimate {
        let what = "a bag holds every digest and every log file: leave --depth, --sample and --estimate out";
        return Err(Failure::Usage(what.to_owned()));
    }
    paths::check_collect(args)?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(fill(args));
    shut_down(runtime);
    outcome
}

async fn fill(args: &CollectArgs) -> Result<u8, Failure> {
    let begun = now();
    if args.verify.config.is_some() {
        return Err(Failure::Usage("--config is for verifying: a bag is collected of one trail".to_owned()));
    }
    if !args.verify.notices.notify.is_empty() {
        return Err(Failure::Usage("nobody waits for a notice of a collection: leave --notify out".to_owned()));
    }
    if let Some(name) = &args.verify.scheduled.state {
        let what = format!("a bag holds all of its range: leave --state {name} out");
        return Err(Failure::Usage(what));
    }
    // Faults of the command line are found before the bag is touched.
    let case = evidence::case(&args.verify.reports.evidence)?;
    let signing = Arc::new(Signing::open(&args.verify.reports)?);
    signing.check_use(&args.verify.reports, true)?;
    let settings = resolve::resolve(&args.verify, begun).await?;
    if let (Some(event), Some(place)) = (&settings.event, &args.verify.copy.from) {
        let (place, id) = (place.display(), printable(&event.event.event_id));
        return Err(Failure::Usage(format!("{place} is a bag already, the proof of event {id}: copy the file itself")));
    }
    let Settings { store, keys, trail, ref request, .. } = settings;
    if let LogSignature::Wrong(what) = check_signature(&CustodyLog::open(&args.output)?, None) {
        let place = args.output.display();
        return Err(Failure::Usage(format!("the custody log of {place} {what}; nothing is added to it")));
    }
    let trail_arn = request.trail.as_ref().map(ToString::to_string);
    let bag = BagWriter::begin(&args.output, &BagSource { source: store.source(), trail_arn, event: None })?;
    let range = range(request.range.start, request.range.end);
    let asked = request.range;
    let info = BagInfo { case: case.clone(), source: store.source(), range };
    let (bag, keys) = (Arc::new(bag), Arc::new(CollectingKeys::new(keys)));
    let store = Arc::new(CollectingStore::new(store, bag.clone()));
    let own = [(ReportKind::Jsonl, bag.records(begun)?)];
    let mut missing: Vec<Missing> = Vec::new();
    let stop = Notify::new();
    let watch = |record: &Record| {
        match record {
            // Such a log file is copied later, with the others that no digest lists.
            Record::LogFile(file) if matches!(file.status, LogFileStatus::Unlisted | LogFileStatus::Uncovered) => {}
            Record::LogFile(file) if !bag.holds(&file.object) => {
                let why = file.detail.as_deref().or(Some(NO_FILE_NAME));
                missing.push(Missing::new(&file.object, file.status.as_str(), why));
            }
            Record::Digest(digest) if !bag.holds(&digest.object) && digest.status != DigestStatus::Valid => {
                missing.push(Missing::new(&digest.object, digest.status.as_str(), digest.detail.as_deref()));
            }
            _ => {}
        }
        if bag.trouble().is_some() {
            stop.notify_one();
        }
    };
    let settings = Settings { store: store.clone(), keys: keys.clone(), trail: None, collects: true, ..settings };
    let outcome = audit_with(&args.verify.reports, (&own, &signing), settings, watch, stop.notified()).await;
    let stays = |trouble: &str| {
        let place = args.output.display();
        Failure::CannotRun(format!(
            "{trouble}; what was collected until then stays in {place}, and the same command goes on with it"
        ))
    };
    if let Some(trouble) = bag.trouble() {
        return Err(stays(trouble));
    }
    let summary = outcome.map_err(|failure| match failure {
        Failure::CannotRun(trouble) => stays(&trouble),
        other => other,
    })?;
    if summary.interrupted {
        bag.leave_whole(&own[0].1)?;
        return Ok(summary.exit_code);
    }
    let rest = tokio::select! {
        rest = store.copy_the_rest(&asked) => rest,
        () = interruption() => {
            bag.leave_whole(&own[0].1)?;
            return Ok(exit_code::INTERRUPTED);
        }
    };
    if let Some(trouble) = bag.trouble() {
        return Err(stays(trouble));
    }
    missing.extend(rest.into_iter().map(|(object, reason)| Missing::new(&object, "unlisted", Some(&reason))));
    missing.retain(|missing| !bag.holds(&missing.object));
    let lines: String = missing.iter().map(|missing| format!("{}\n", missing.line)).collect();
    let name = own[0].1.file_name().unwrap_or_default().to_string_lossy();
    bag.put(&format!("not-collected/{name}"), lines.as_bytes())?;
    if let Some(trail) = &trail {
        bag.put("trail.json", format!("{trail:#}\n").as_bytes())?;
    }
    bag.put_keys(&keys.listing())?;
    bag.close(&info)?;
    let line = crate::bag::CustodyEntry {
        result: Some(summary.verdict.as_str().to_owned()),
        ..entry(Action::Collect, case.examiner)
    };
    let is_named = line.by.is_some();
    add(&args.output, line, &signing)?;
    if let Some(target) = &args.zip {
        zip(&args.output, target)?;
    }
    let (objects, bytes) = bag.contents();
    if !args.verify.reports.quiet && args.verify.reports.format == Format::Text {
        print_collected(&args.output, objects, bytes, missing.len());
        if !is_named {
            // If it can't be printed, that is no reason to fail: the bag is complete.
            let _ = writeln!(anstream::stderr(), "the line in its custody log has no name: --examiner gives one");
        }
    }
    Ok(summary.exit_code)
}

/// Prints a summary of the bag to standard error, since standard output has the report.
fn print_collected(bag: &Path, objects: u64, bytes: u64, missing: usize) {
    let size = indicatif::DecimalBytes(bytes);
    let shown = bag.display();
    // If it can't be printed, that is no reason to fail: the bag is complete.
    let _ = writeln!(
        anstream::stderr(),
        "collected {objects} objects, {size}, into {shown}; {missing} could not be (data/not-collected)\n\
         check it anywhere with: cd {shown} && sha256sum -c manifest-sha256.txt, or ctverify --from {shown}"
    );
}

/// An object that is listed but is not in the bag.
struct Missing {
    object: ObjectRef,
    line: serde_json::Value,
}

impl Missing {
    fn new(object: &ObjectRef, status: &str, why: Option<&str>) -> Self {
        let line = json!({ "bucket": &*object.bucket, "key": &*object.key, "status": status, "reason": why });
        Self { object: object.clone(), line }
    }
}

fn range(start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    let start = start.map_or("the first digest".to_owned(), |at| at.to_string());
    let end = end.map_or("the last digest".to_owned(), |at| at.to_string());
    format!("{start} to {end}")
}
