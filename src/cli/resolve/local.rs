//! A run over a local copy or an evidence bag (`--from`).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use crate::audit::AuditRequest;
use crate::bag::{Altered, Bag, Collection, CustodyEntry, CustodyLog, UnpackedBag, unzip};
use crate::cli::args::{SourceArgs, VerifyArgs};
use crate::cli::custody::{self, LogSignature};
use crate::cli::exit::Failure;
use crate::cli::resolve::Settings;
use crate::cli::resolve::keys::check_keys;
use crate::cli::resolve::keys::keys_of_file;
use crate::cli::resolve::proof::{ProofOfBag, file_of};
use crate::keys::KeyFile;
use crate::model::{BagStatus, KeysFrom, TimeRange, WarningCode};
use crate::records::{BagProblem, BagRecord, CustodyLine, Setting, WarningRecord, format_time};
use crate::sign::KnownSigners;
use crate::store::Folder;

/// The number of the newest lines of a custody log that the record of a bag has.
const CUSTODY_LINES: usize = 100;
/// The origin of a setting that the records of a bag name.
const OF_BAG: &str = "the bag's records";

/// The name that reports and messages have for a folder: that of the file from which it was unpacked,
/// if it was.
#[derive(Debug, Clone, Default)]
pub(crate) struct ShownAs {
    /// The temporary folder, and the file from which it was unpacked.
    unpacked: Option<(String, String)>,
}

impl ShownAs {
    fn text(&self, text: &str) -> String {
        match &self.unpacked {
            Some((folder, file)) => text.replace(folder.as_str(), file),
            None => text.to_owned(),
        }
    }

    fn path(&self, path: &Path) -> String {
        self.text(&path.display().to_string())
    }

    fn failure(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Usage(text) => Failure::Usage(self.text(&text)),
            Failure::CannotRun(text) => Failure::CannotRun(self.text(&text)),
            other => other,
        }
    }
}

/// Opens a local copy and the public keys for it.
pub(crate) fn open_folder(
    args: &SourceArgs,
    dir: &Path,
    shown: &ShownAs,
    asks_aws: bool,
) -> Result<(Folder, KeyFile), Failure> {
    if dir.is_file() {
        return Err(Failure::Usage(format!(
            "--from {} is a file, and only a run over all of a bag reads one that is packed: unpack it, and name the \
             folder",
            dir.display()
        )));
    }
    let of_aws = [
        ("--profile", args.aws.profile.is_some()),
        ("--region", args.aws.region.is_some()),
        ("--endpoint-url", args.aws.endpoint_url.is_some()),
    ];
    if let Some((flag, _)) = of_aws.iter().find(|(_, given)| *given && !asks_aws) {
        let what = format!("{flag} is about AWS, which --from does not ask: leave it out, or add --check-keys");
        return Err(Failure::Usage(what));
    }
    if args.keys.is_none() && Bag::is_one(dir) {
        let (objects, keys) = (dir.join("data/objects"), dir.join("data/keys.json"));
        let (objects, keys) = (objects.display(), keys.display());
        let what = format!("this command takes the copies in a bag: --from {objects} --keys {keys}");
        return Err(Failure::Usage(what));
    }
    let Some(keys) = &args.keys else {
        return Err(Failure::Usage("--from needs --keys FILE: without public keys nothing can be verified".to_owned()));
    };
    let keys = KeyFile::open_as(keys, &shown.path(keys))?;
    let folder = Folder::open(dir, args.recorded_bucket.clone()).map_err(|error| Failure::Usage(error.to_string()))?;
    Ok((folder.named(shown.path(dir)), keys))
}

/// Resolves a run over a local copy, a bag, or a bag in a ZIP file.
pub(super) async fn local(
    args: &VerifyArgs,
    dir: &Path,
    asks_aws: bool,
    request: AuditRequest,
) -> Result<Settings, Failure> {
    if dir.to_str().is_some_and(|text| text.starts_with("s3://")) {
        return Err(Failure::Usage(format!(
            "--from takes a folder, and {} is in S3: name it with --bucket NAME and --prefix PREFIX, or the trail with \
             --trail-arn ARN",
            dir.display()
        )));
    }
    if !dir.is_file() {
        return folder(args, dir, &ShownAs::default(), asks_aws, request).await;
    }
    if args.log_custody {
        let what = format!(
            "--log-custody adds a line to a bag, and {} is a packed one, which is left as it is: unpack it, or leave \
             --log-custody out",
            dir.display()
        );
        return Err(Failure::Usage(what));
    }
    let unpacked = unpack(dir.to_owned()).await?;
    let root = unpacked.root();
    let shown = ShownAs { unpacked: Some((root.display().to_string(), dir.display().to_string())) };
    let settings = folder(args, root, &shown, asks_aws, request).await.map_err(|failure| shown.failure(failure))?;
    Ok(Settings { unpacked: Some(unpacked), ..settings })
}

/// Unpacks a bag. If the run is interrupted, what was unpacked until then is removed.
async fn unpack(file: PathBuf) -> Result<UnpackedBag, Failure> {
    struct StopOnDrop(Arc<AtomicBool>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = StopOnDrop(Arc::default());
    let stopped = stop.0.clone();
    let unpacking = tokio::task::spawn_blocking(move || unzip(&file, || stopped.load(Ordering::Relaxed)));
    let unpacked =
        unpacking.await.map_err(|error| Failure::CannotRun(format!("the bag can't be unpacked: {error}")))?;
    Ok(unpacked?)
}

/// Resolves a run over a local copy or a bag.
async fn folder(
    args: &VerifyArgs,
    dir: &Path,
    shown: &ShownAs,
    asks_aws: bool,
    mut request: AuditRequest,
) -> Result<Settings, Failure> {
    let of_run = args;
    let VerifyArgs { source: args, signer, log_custody, .. } = args;
    let bag = if Bag::is_one(dir) { Some(Bag::open(dir)?) } else { None };
    let mut state = None;
    if let Some(bag) = &bag {
        let mut problems: Vec<BagProblem> = bag.altered()?.into_iter().map(problem).collect();
        let log = CustodyLog::open(dir)?;
        let known = signer.as_deref().map(KnownSigners::open).transpose()?;
        match custody::check_signature(&log, known.as_ref()) {
            LogSignature::Fits => {}
            LogSignature::Wrong(what) => problems.push(problem(Altered { path: "custody.jsonl".to_owned(), what })),
            // Without `--signer`, unsigned last lines are not worth a warning.
            LogSignature::Partial(_) if known.is_none() => {}
            LogSignature::Partial(what) => {
                let detail = format!("custody.jsonl of the bag {} {what}", shown.path(dir));
                let code = WarningCode::CustodyNotSigned;
                request.warnings_before.push(WarningRecord { code, bucket: None, key: None, detail });
            }
        }
        state = Some((problems, log));
    } else if signer.is_some() {
        return Err(signer_without_bag(&dir.display().to_string()));
    } else if *log_custody {
        let what =
            format!("--log-custody is about the custody log of a bag, and {} is none: leave it out", dir.display());
        return Err(Failure::Usage(what));
    }
    let event = match &bag {
        Some(bag) => bag.event(&shown.path(dir))?,
        None => None,
    };
    if let Some(event) = &event {
        request.files = vec![file_of(event, of_run, &shown.path(dir))?];
    } else if let Some(bag) = &bag {
        let asked = Collection { range: request.range, filters: request.filters() };
        request.range = within(&asked, &bag.collections()?).map_err(|reason| {
            let dir = shown.path(dir);
            Failure::Usage(format!(
                "the records of the bag {dir} name {reason}: ask for a part of that with --start, --end, --regions and \
                 --account-id, or verify its objects as a plain copy, with --from {dir}/data/objects and --keys"
            ))
        })?;
        for (name, given, time) in
            [("--start", asked.range.start, request.range.start), ("--end", asked.range.end, request.range.end)]
        {
            if let (None, Some(time)) = (given, time) {
                let setting = Setting { name: name.to_owned(), value: format_time(time), from: OF_BAG.to_owned() };
                request.statement.settings.push(setting);
            }
        }
    }
    let place = bag.as_ref().map(Bag::objects);
    request.keys_of_bag = bag.is_some() && args.keys.is_none() && !args.check_keys;
    let has_own_keys = args.keys.is_some();
    let args = &SourceArgs { keys: args.keys.clone().or_else(|| bag.as_ref().and_then(Bag::keys)), ..args.clone() };
    let (copy, keys) = open_folder(args, place.as_deref().unwrap_or(dir), shown, asks_aws || args.check_keys)?;
    if let Some(path) = &args.keys {
        let source = if bag.is_some() && !has_own_keys { KeysFrom::Bag } else { KeysFrom::File };
        request.statement.keys = keys_of_file(&keys, Path::new(&shown.path(path)), source);
    }
    let foreign = check_keys(args).await?.into_iter();
    let foreign: Vec<WarningRecord> =
        foreign.map(|warning| WarningRecord { detail: shown.text(&warning.detail), ..warning }).collect();
    if let Some((mut problems, log)) = state {
        // Keys that were given are not the bag's.
        if has_own_keys {
            request.warnings_before.extend(foreign);
        } else {
            problems.extend(
                foreign
                    .into_iter()
                    .map(|warning| problem(Altered { path: "data/keys.json".to_owned(), what: warning.detail })),
            );
        }
        let status = if problems.is_empty() { BagStatus::Intact } else { BagStatus::Altered };
        request.bag = Some(BagRecord {
            path: shown.path(dir),
            status,
            problems,
            custody_entries: log.len() as u64,
            manifest_sha256: log.manifest_sha256(),
            custody: log.entries(CUSTODY_LINES).into_iter().map(custody_line).collect(),
        });
    } else {
        request.warnings_before.extend(foreign);
    }
    request.warnings_before.extend(copy.notes().iter().map(|note| WarningRecord {
        code: WarningCode::SecondCopy,
        bucket: None,
        key: None,
        detail: shown.text(note),
    }));
    request.locations = copy.locations();
    if request.locations.is_empty() {
        return Err(Failure::Usage(format!(
            "{} holds no copy of a trail's digests or log files: --from takes the folder that 'aws s3 sync \
             s3://BUCKET DIR' filled, \
             with …/AWSLogs/ACCOUNT/CloudTrail-Digest/ in it",
            dir.display()
        )));
    }
    if args.concurrency.is_none() {
        request.concurrency = cores();
    }
    let trail_key = bag.as_ref().and_then(Bag::trail_key);
    let event = event.map(|event| {
        let text = bag.as_ref().and_then(Bag::event_text);
        ProofOfBag { event, text }
    });
    let bag = bag.filter(|_| *log_custody).map(|_| dir.to_owned());
    Ok(Settings { bag, event, trail_key, ..Settings::new(Arc::new(copy), Arc::new(keys), request) })
}

/// Returns the range to examine of a bag that was collected in certain ranges: a bag also holds digests
/// beside them, whose log files were not collected and must not be taken for deleted ones.
///
/// # Errors
///
/// Fails if that is more than one of them, or no part of one. The text describes what was collected.
fn within(asked: &Collection, collected: &[Collection]) -> Result<TimeRange, String> {
    let TimeRange { start, end } = asked.range;
    // Parts of one range make it whole. Other parts were collected in their own ranges alone.
    let is_one = collected.windows(2).all(|pair| pair[0].range == pair[1].range)
        || collected.windows(2).all(|pair| pair[0].filters == pair[1].filters);
    let holds = |collection: &&Collection| {
        let range = collection.range;
        start.is_none_or(|start| range.start.is_none_or(|first| first <= start))
            && end.is_none_or(|end| range.end.is_none_or(|last| end <= last))
            // One side alone has to lie in the range.
            && start.is_none_or(|start| range.end.is_none_or(|last| start < last))
            && end.is_none_or(|end| range.start.is_none_or(|first| first < end))
            && (is_one || collection.filters == asked.filters)
    };
    let mut fitting: Vec<TimeRange> = collected.iter().filter(holds).map(|collection| collection.range).collect();
    fitting.dedup();
    match (collected, &fitting[..]) {
        ([], _) => Ok(asked.range),
        (_, [range]) => Ok(TimeRange { start: start.or(range.start), end: end.or(range.end) }),
        _ => {
            let shown = |Collection { range, filters }: &Collection| {
                let side = |time: Option<Timestamp>, open: &str| time.map_or(open.to_owned(), format_time);
                let (from, to) = (side(range.start, "the first digest"), side(range.end, "the last digest"));
                let regions = filters.regions.iter().flatten().map(|region| format!(" {region}"));
                let accounts = filters.accounts.iter().flatten().map(|account| format!(" {account}"));
                format!("{from} to {to}{}", accounts.chain(regions).collect::<String>())
            };
            let collections: Vec<String> = collected.iter().map(shown).collect();
            Err(format!("what was collected, {}", collections.join(", and ")))
        }
    }
}

/// Returns a line of the custody log in its recorded form.
fn custody_line(entry: CustodyEntry) -> CustodyLine {
    let CustodyEntry { number, time, action, by, to, reason, result, .. } = entry;
    CustodyLine { number, time, action: action.as_str().to_owned(), by, to, reason, result }
}

/// Returns a difference of a bag in its recorded form.
fn problem(Altered { path, what }: Altered) -> BagProblem {
    BagProblem { path, problem: what }
}

/// Returns the default number of objects that are read at once from a folder.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(super) fn signer_without_bag(place: &str) -> Failure {
    Failure::Usage(format!("--signer is about the custody log of a bag, and {place} is none: leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Filters;

    #[test]
    fn a_bag_is_examined_in_the_range_in_which_it_was_collected() {
        let at = |hour: i64| Some(Timestamp::from_second(hour * 3600).unwrap());
        let range = |start, end| TimeRange { start, end };
        let of = |ranges: &[TimeRange]| -> Vec<Collection> {
            ranges.iter().map(|range| Collection { range: *range, ..Collection::default() }).collect()
        };
        let (all, one) = (range(None, None), [range(at(12), at(18))]);
        let two = [range(at(1), at(2)), range(at(12), at(18))];
        for (asked, collected, expected) in [
            (all, &[][..], Some(all)),
            (range(at(1), at(2)), &[all][..], Some(range(at(1), at(2)))),
            (all, &one, Some(one[0])),
            (range(at(13), None), &one, Some(range(at(13), at(18)))),
            (range(at(12), at(18)), &one, Some(one[0])),
            (range(at(11), None), &one, None),
            (range(None, at(19)), &one, None),
            (range(None, at(12)), &one, None),
            (all, &two, None),
            (range(at(13), None), &two, Some(range(at(13), at(18)))),
        ] {
            let asked = Collection { range: asked, ..Collection::default() };
            assert_eq!(within(&asked, &of(collected)).ok(), expected, "{asked:?} of {collected:?}");
        }
        // Two regions were collected in two ranges: neither was collected in both.
        let region = |region: &str| Filters { regions: Some(vec![region.parse().unwrap()]), ..Filters::default() };
        let (east, west) = (region("us-east-1"), region("eu-west-1"));
        let collected = [
            Collection { range: range(at(12), at(18)), filters: east.clone() },
            Collection { range: range(at(6), at(12)), filters: west },
        ];
        assert!(within(&Collection::default(), &collected).is_err());
        let asked = Collection { filters: east, ..Collection::default() };
        assert_eq!(within(&asked, &collected), Ok(range(at(12), at(18))));
        let parts = collected.map(|collection| Collection { range: range(at(6), at(12)), ..collection });
        assert_eq!(within(&Collection::default(), &parts), Ok(range(at(6), at(12))));
    }
}
