//! The proof of one event as a file that stands alone: a packed bag with the log file that has the
//! event, the digest that lists the file, the digests before and after it, and the public keys.

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::proof::ProvenEvent;
use crate::audit::{Audit, AuditRequest, Extract, Observer};
use crate::bag::{
    Action, Bag, BagInfo, BagSource, BagWriter, CollectingKeys, CollectingStore, CustodyEntry, EventOfBag, zip,
};
use crate::cli::commands::verify::interruption;
use crate::cli::custody::{add, entry, now};
use crate::cli::evidence::Signing;
use crate::cli::exit::Failure;
use crate::disk;
use crate::events::{EventFinder, Searched};
use crate::keys::{KeyFile, KeySource};
use crate::model::{DigestStatus, LogFileStatus, ObjectRef, Sha256Hash, SignatureFrom, TimeRange, printable};
use crate::records::{CaseInfo, DigestRecord, LogFileRecord, Record, write_record};
use crate::report;
use crate::store::{Folder, Store};

/// The name of the folder in the ZIP file.
const FOLDER: &str = "event-proof";

/// The store, the keys and the request of the run that has proven the event.
pub(super) struct Origin {
    pub store: Arc<dyn Store>,
    pub keys: Arc<dyn KeySource>,
    pub request: AuditRequest,
}

/// Writes the proof of an event to `target`, a ZIP file. It is verified by itself before it appears.
pub(super) async fn write(
    target: &Path,
    proven: &ProvenEvent,
    origin: Origin,
    signing: &Signing,
) -> Result<(), Failure> {
    tokio::select! {
        written = fill(target, proven, origin, signing) => written,
        () = interruption() => Err(Failure::Interrupted),
    }
}

async fn fill(target: &Path, proven: &ProvenEvent, origin: Origin, signing: &Signing) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::CannotRun(format!("{} can't be written: {error}", target.display()));
    let target = disk::target(target).map_err(failed)?;
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let partial = disk::partial_folder(folder).map_err(failed)?;
    let root = partial.path().join(FOLDER);
    let Origin { store, keys, request } = origin;
    let file = &proven.file().object;
    let source = BagSource {
        source: store.source(),
        trail_arn: request.trail.as_ref().map(ToString::to_string),
        event: Some(EventOfBag {
            event_id: proven.event().id.clone(),
            bucket: file.bucket.to_string(),
            key: file.key.to_string(),
        }),
    };
    let bag = Arc::new(BagWriter::begin(&root, &source)?);
    let keys = Arc::new(CollectingKeys::new(keys));
    let request = AuditRequest {
        files: vec![file.clone()],
        concurrency: request.concurrency,
        max_log_file_bytes: request.max_log_file_bytes,
        keys_of_bag: request.keys_of_bag,
        statement: request.statement,
        ..AuditRequest::new(TimeRange::default(), now())
    };
    let begun = request.now;
    let found = examine(&bag, proven, Audit::new(store.clone(), keys.clone(), request), begun).await?;
    let collecting = CollectingStore::new(store, bag.clone());
    for object in found.objects() {
        let copied = collecting.copy(object).await;
        copied.map_err(|error| Failure::CannotRun(format!("{object} can't be put into the proof: {error}")))?;
        if !bag.holds(object) {
            let what = format!("{object} can't be put into the proof: its name can't be that of a file");
            return Err(Failure::CannotRun(what));
        }
    }
    bag.put_keys(&keys.listing())?;
    let mut line = Vec::new();
    proven.write_json(&mut line).map_err(failed)?;
    bag.put("event.json", &line)?;
    bag.put_readme(&readme(&root, proven, &found))?;
    let range = format!("those that prove event {}", proven.event().id);
    bag.close(&BagInfo { case: CaseInfo::default(), source: source.source, range })?;
    let reason = Some(format!("the proof of event {}", proven.event().id));
    add(&root, CustodyEntry { reason, ..entry(Action::Collect, None) }, signing)?;
    verify(&root, proven).await?;
    Ok(zip(&root, &target)?)
}

/// The digests that prove a log file.
#[derive(Default)]
struct Found {
    file: Option<LogFileRecord>,
    digests: Vec<DigestRecord>,
    /// True if the event was found in the log file again, at its position.
    has_event: bool,
}

impl Found {
    fn digest(&self) -> Option<&DigestRecord> {
        let key = self.file.as_ref()?.digest.as_ref()?;
        self.digests.iter().find(|digest| digest.object.key == *key && digest.status == DigestStatus::Valid)
    }

    /// The digests that were read beside that of the log file, and are in its chain.
    fn beside(&self) -> impl Iterator<Item = &DigestRecord> {
        let digest = self.digest();
        let is_beside = move |other: &&DigestRecord| {
            let is_read = other.status == DigestStatus::Valid
                || (other.status == DigestStatus::Unverified && other.sha256.is_some());
            is_read && digest.is_some_and(|digest| other.chain == digest.chain && other.kind == digest.kind)
        };
        self.digests.iter().filter(is_beside)
    }

    /// The digest after that of the log file, which names it. Its own signature may not be known: where the
    /// metadata are gone, it has the one of the digest before it.
    fn successor(&self) -> Option<&DigestRecord> {
        let digest = self.digest()?;
        self.beside().filter(|other| other.end > digest.end).min_by_key(|other| other.end)
    }

    /// The digest before that of the log file, which this one names.
    fn predecessor(&self) -> Option<&DigestRecord> {
        let digest = self.digest()?;
        self.beside().filter(|other| other.end < digest.end).max_by_key(|other| other.end)
    }

    fn objects(&self) -> impl Iterator<Item = &ObjectRef> {
        let digests = [self.predecessor(), self.digest(), self.successor()];
        digests.into_iter().flatten().map(|digest| &digest.object).chain(self.file.iter().map(|file| &file.object))
    }

    /// Returns whether the log file is the one that was proven, and is proven again.
    fn proves(&self, proven: &ProvenEvent) -> bool {
        let is_intact = self.file.as_ref().is_some_and(|file| {
            file.status == LogFileStatus::Intact && file.actual_sha256 == proven.file().actual_sha256
        });
        is_intact && self.digest().is_some() && self.has_event
    }
}

/// Takes the records on one log file, and the event that was found in it.
struct Examination<'p, W> {
    proven: &'p ProvenEvent,
    found: Found,
    /// Gets the records.
    out: W,
}

impl<W: io::Write> Observer for Examination<'_, W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::LogFile(file) => self.found.file = Some(file.clone()),
            Record::Digest(digest) => self.found.digests.push(digest.clone()),
            _ => {}
        }
        write_record(record, &mut self.out)?;
        self.out.write_all(b"\n")
    }

    fn extract(&mut self, _: &LogFileRecord, extract: Extract) -> io::Result<()> {
        for searched in Searched::read(extract) {
            if let Searched::Found(event) = searched? {
                self.found.has_event |= event == *self.proven.event();
            }
        }
        Ok(())
    }
}

/// Verifies the log file of the event by itself, as `ctverify file` does: this finds the digests that
/// belong to it. The records are kept in the bag.
async fn examine(
    bag: &BagWriter,
    proven: &ProvenEvent,
    audit: Audit,
    begun: jiff::Timestamp,
) -> Result<Found, Failure> {
    let mut records = Vec::new();
    let found = found_by(audit, proven, &mut records).await?;
    let path = bag.records(begun)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    bag.put(&format!("records/{name}"), &records)?;
    if !found.proves(proven) {
        return Err(Failure::CannotRun(format!(
            "{} or its digest is not what it was when the event was proven: prove it again",
            proven.file().object
        )));
    }
    Ok(found)
}

/// Verifies the bag by itself: what somebody gets has to prove the event without anything else.
async fn verify(root: &Path, proven: &ProvenEvent) -> Result<(), Failure> {
    let incomplete = |what: String| Failure::CannotRun(format!("the proof does not stand alone: {what}"));
    let bag = Bag::open(root)?;
    if let Some(altered) = bag.altered()?.into_iter().next() {
        return Err(incomplete(format!("{} {}", altered.path, altered.what)));
    }
    let Some(keys) = bag.keys() else { return Err(incomplete("it has no public key".to_owned())) };
    let keys = KeyFile::open(&keys).map_err(|error| incomplete(error.to_string()))?;
    let copy = Folder::open(&bag.objects(), None).map_err(|error| incomplete(error.to_string()))?;
    let request =
        AuditRequest { files: vec![proven.file().object.clone()], ..AuditRequest::new(TimeRange::default(), now()) };
    let found = found_by(Audit::new(Arc::new(copy), Arc::new(keys), request), proven, &mut io::sink()).await?;
    match found.proves(proven) {
        true => Ok(()),
        false => Err(incomplete("verified by itself, it does not prove the event".to_owned())),
    }
}

async fn found_by(mut audit: Audit, proven: &ProvenEvent, out: &mut dyn io::Write) -> Result<Found, Failure> {
    audit.consumer = Some(Arc::new(EventFinder::new([proven.event().id.clone()].into())));
    let mut examination = Examination { proven, found: Found::default(), out };
    audit.run(&mut examination, std::future::pending()).await?;
    Ok(examination.found)
}

/// The text for whoever gets the proof.
fn readme(root: &Path, proven: &ProvenEvent, found: &Found) -> String {
    let (event, file) = (proven.event(), proven.file());
    let mut text = format!(
        "The proof of an event that AWS CloudTrail recorded\n\
         ==================================================\n\n\
         eventID   {}\n\
         log file  {}\n\
         \x20         record {} of the file, counted from 0\n",
        plain(&event.id),
        plain(&file.object.to_string()),
        event.index
    );
    let mut add = |name: &str, value: &str| {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name:<10}{}", plain(value));
    };
    let sha256 = |add: &mut dyn FnMut(&str, &str), sha256: Option<Sha256Hash>| {
        if let Some(sha256) = sha256 {
            add("", &format!("SHA-256 of the uncompressed content {sha256}"));
        }
    };
    sha256(&mut add, file.actual_sha256);
    if let Some(digest) = found.digest() {
        add("digest", &digest.object.to_string());
        add("", &format!("covers {} to {}", digest.start, digest.end));
        sha256(&mut add, digest.sha256);
    }
    if let Some(fingerprint) = proven.fingerprint() {
        add("key", &format!("fingerprint {fingerprint}"));
    }
    for (name, digest) in [("before it", found.predecessor()), ("after it", found.successor())] {
        if let Some(digest) = digest {
            add(name, &digest.object.to_string());
        }
    }
    text.push_str(
        "\nCloudTrail writes events to log files, and signs each hour a digest file that lists the log files\n\
         of the hour with their SHA-256. The event stands in the log file, the digest lists the file with\n\
         the hash that it has, and the signature of the digest verifies with a public key in data/keys.json.\n\
         Each digest but one that starts a chain names the one before it, with its hash and signature.\n\n\
         data/event.json    the event in its original bytes, and what proves it\n\
         data/objects/      the log file and the digests as they were stored, by bucket and key; beside\n\
         \x20                  each digest its metadata, where the source had them, with the signature\n\
         data/keys.json     the public keys that the run got for the digest's region and time\n\
         data/records/      the records of the verification of the log file\n\
         custody.jsonl      when and with what this was made\n\n\
         The keys come from this file. AWS tells whether they are CloudTrail's: compare the fingerprint with\n\
         the answer of 'aws cloudtrail list-public-keys' in the digest's region for the digest's time.\n\n\
         With ctverify (this file unpacked or not):\n\n",
    );
    // Writing to a text does not fail.
    let _ = writeln!(text, "    ctverify event {} --from FILE.zip", quoted(&event.id));
    if let Some(script) = script(root, proven, found) {
        text.push_str("\nWithout it, in the folder of this text, with openssl, jq and perl:\n\n");
        for line in script.lines() {
            let _ = writeln!(text, "    {line}");
        }
        text.push_str(
            "\nThe last three commands say \"Verified OK\", that the digest lists the hash of the log file, and show\n\
             the event.\n",
        );
    }
    text
}

/// A text without control characters.
fn plain(text: &str) -> String {
    printable(text).into_owned()
}

/// A word of a shell's command line.
fn quoted(word: &str) -> String {
    report::quoted(&[plain(word)])
}

/// The shell commands that check the proof without this program; `None` if one needs what is not known.
fn script(root: &Path, proven: &ProvenEvent, found: &Found) -> Option<String> {
    let reads = |object: &ObjectRef| {
        let path = format!("data/objects/{}/{}", object.bucket, object.key);
        match root.join(&path).is_file() {
            true => format!("gzip -dc {}", quoted(&path)),
            false => format!("cat {}", quoted(path.trim_end_matches(".gz"))),
        }
    };
    let is_word = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric());
    let (digest, fingerprint) = (found.digest()?, proven.fingerprint().filter(is_word)?);
    let signature = match digest.signature_from? {
        SignatureFrom::Metadata => {
            let path = format!("data/objects/{}/{}", digest.object.bucket, digest.object.key);
            let paths = [path.as_str(), path.trim_end_matches(".gz")].map(|path| format!("{path}.metadata.json"));
            let path = paths.into_iter().find(|path| root.join(path).is_file())?;
            format!("jq -r '.Metadata.signature' {}", quoted(&path))
        }
        SignatureFrom::Successor => {
            format!("{} | jq -r .previousDigestSignature", reads(&found.successor()?.object))
        }
    };
    let (read_digest, read_file) = (reads(&digest.object), reads(&proven.file().object));
    let index = proven.event().index;
    Some(format!(
        r#"jq -r '.. | objects | select(.Fingerprint == "{fingerprint}") | .Value' data/keys.json |
  head -n 1 | openssl base64 -d -A > key.der
openssl rsa -RSAPublicKey_in -inform DER -in key.der -pubout -out key.pem
{signature} | perl -ne 'chomp; print pack "H*", $_' > signature.bin
hash=$({read_digest} | openssl dgst -sha256 -r | cut -d ' ' -f 1)
{read_digest} | jq -j --arg hash "$hash" \
  '.digestEndTime, "\n", .digestS3Bucket, "/", .digestS3Object, "\n", $hash, "\n",
   .previousDigestSignature // "null"' > signed.txt
openssl dgst -sha256 -verify key.pem -signature signature.bin signed.txt
{read_digest} | grep -qi "$({read_file} | openssl dgst -sha256 -r | cut -d ' ' -f 1)" && echo listed
{read_file} | jq '(.Records // .)[{index}]'
"#
    ))
}
