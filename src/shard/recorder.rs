//! A store that records every answer that the store behind it gives, as evidence.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::edges::{EdgeDigest, EdgeNames};
use super::evidence::{
    Digest, Evidence, Kind, Listing, LogFileContent, LoggingEventsOfFile, Rules, Subject, TamperingOfFile, Versions,
    encoded, millis,
};
use super::manifest::Manifest;
use crate::audit::LoggingEvent;
use crate::debug::opaque_debug;
use crate::model::{ChainId, DigestName, ObjectRef, Requests, TimeRange};
use crate::records::{TamperingRecord, WarningRecord};
use crate::store::{
    Body, Head, LifecycleRule, ListRequest, ListedObject, Object, ObjectVersion, Page, Store, StoreError,
    StoreProperties,
};
use crate::sync::lock;
use crate::verify::Content;
use crate::verify::limits::MAX_DIGEST_OBJECT_BYTES;

/// A store that records what it is asked. Answers are kept in a temporary file; in memory stay their
/// places there, 32 bytes each.
pub struct Recorder {
    inner: Arc<dyn Store>,
    /// The lifecycle rules that the plan has: no unit asks for them.
    lifecycle_rules: BTreeMap<String, Result<Vec<LifecycleRule>, StoreError>>,
    kept: Arc<Mutex<Kept>>,
}

opaque_debug!(Recorder);

/// A page that follows another one: the listing that it belongs to, and its continuation.
type NextPage = (String, String, bool, String);

/// An answer in the temporary file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Answer {
    rank: Rank,
    start: u64,
    length: u32,
}

struct Kept {
    file: BufWriter<File>,
    length: u64,
    /// The answers in the file, in the order in which they came.
    index: Vec<Answer>,
    /// The names of the digests at the edges of the unit's range, by chain.
    edges: HashMap<ChainId, EdgeNames>,
    range: TimeRange,
    /// The last name before each page that follows another one.
    pages: HashMap<NextPage, String>,
    /// The first error of writing the file.
    failure: Option<io::Error>,
    /// The first error that says nothing about any object: no credentials, or no answer at all to
    /// several questions in a row.
    outage: Option<StoreError>,
    /// The first error because of which a log file was not read again.
    not_read_again: Option<StoreError>,
    /// The questions in a row to which there was no answer at all.
    unanswered: usize,
    /// True once any question was answered.
    is_answered: bool,
}

/// The number of questions in a row without an answer by which the store counts as unreachable. A
/// single object that times out is a finding about that object, as in any run.
const OUTAGE: usize = 8;

/// The number of findings of tampering that a line has at most. Each names what its caller has chosen, of up to
/// some 100 kB.
const FINDINGS_OF_PART: usize = 100;

/// The place of an answer in the order of a result: by kind, then by the folder of what it is about,
/// so that similar names stand together and compress well, then by the name. Folder and name count by
/// their SHA-256, whose first bits stand here. It depends on nothing but the subject: a result is to
/// have the same bytes in every run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// The kind in the highest byte, then the folder.
    kind_and_folder: u64,
    name: u64,
}

impl Rank {
    fn of(subject: &Subject<'_>) -> Self {
        let name = &*subject.name;
        let folder = name.rfind('/').map_or("", |end| &name[..end]);
        let part = subject.part.as_deref();
        let whole = [&*subject.bucket, name, part.unwrap_or_default(), if part.is_some() { "part" } else { "" }];
        let kind = subject.kind as u64;
        Self { kind_and_folder: kind << 56 | first_bits(&[&subject.bucket, folder]) >> 8, name: first_bits(&whole) }
    }

    fn kind(self) -> Option<Kind> {
        Kind::ALL.get(usize::try_from(self.kind_and_folder >> 56).ok()?).copied()
    }
}

/// The first 64 bits of the SHA-256 of some texts.
fn first_bits(texts: &[&str]) -> u64 {
    let hash = texts.iter().fold(Sha256::new(), |hash, text| hash.chain_update(text).chain_update([0])).finalize();
    hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl Kept {
    fn keep(&mut self, evidence: &Evidence) {
        match evidence.error() {
            Some(error @ StoreError::Credentials(_)) => drop(self.outage.get_or_insert_with(|| error.clone())),
            Some(error @ StoreError::Unreachable(_)) => {
                self.unanswered += 1;
                if self.unanswered >= OUTAGE || !self.is_answered {
                    self.outage.get_or_insert_with(|| error.clone());
                }
            }
            _ => {
                self.unanswered = 0;
                self.is_answered = true;
            }
        }
        let written = serde_json::to_vec(evidence).map_err(io::Error::from).and_then(|mut line| {
            line.push(b'\n');
            self.file.write_all(&line)?;
            u32::try_from(line.len()).map_err(io::Error::other)
        });
        match written {
            Ok(length) => {
                let answer = Answer { rank: Rank::of(&evidence.subject()), start: self.length, length };
                self.index.push(answer);
                self.length += u64::from(length);
                self.note_edge(evidence, answer);
            }
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    /// Takes note of a digest that may be at the edge of the range.
    fn note_edge(&mut self, evidence: &Evidence, answer: Answer) {
        if let Evidence::Digest(digest) = evidence
            && digest.version.is_none()
            && let Some(name) = DigestName::parse(&digest.key)
        {
            let object = ObjectRef::new(digest.bucket.as_str(), digest.key.as_str());
            let read = EdgeDigest { end: name.end, object, answer: (answer.start, answer.length) };
            self.edges.entry(name.chain).or_default().add(name.kind, read, &self.range);
        }
    }

    /// Sorts the answers by their place in the result. Of several about one subject, the last stays.
    fn sort(&mut self) {
        self.index.sort_unstable_by_key(|answer| (answer.rank, std::cmp::Reverse(answer.start)));
        self.index.dedup_by_key(|answer| answer.rank);
    }

    /// Reads an answer into `line`.
    fn read(file: &mut File, (start, length): (u64, u32), line: &mut Vec<u8>) -> io::Result<()> {
        file.seek(SeekFrom::Start(start))?;
        line.resize(length as usize, 0);
        file.read_exact(line)
    }
}

impl Recorder {
    /// Records the answers of `inner` to the audit of a unit of this range of the plan.
    ///
    /// # Errors
    ///
    /// No temporary file can be made.
    pub fn new(inner: Arc<dyn Store>, manifest: &Manifest, range: TimeRange) -> io::Result<Self> {
        let kept = Kept {
            file: BufWriter::new(tempfile::tempfile()?),
            length: 0,
            index: Vec::new(),
            edges: HashMap::new(),
            range,
            pages: HashMap::new(),
            failure: None,
            outage: None,
            not_read_again: None,
            unanswered: 0,
            is_answered: false,
        };
        let lifecycle_rules = manifest.lifecycle_rules.clone();
        Ok(Self { inner, lifecycle_rules, kept: Arc::new(Mutex::new(kept)) })
    }

    /// Passes every answer to `take`, as a line of JSON with its line break, in an order that depends on
    /// the answers alone.
    ///
    /// # Errors
    ///
    /// An answer could not be kept or can't be read back, or `take` fails.
    pub(super) fn each_line(&self, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut kept = lock(&self.kept);
        if let Some(error) = kept.failure.take() {
            return Err(error);
        }
        kept.file.flush()?;
        kept.sort();
        let Kept { file, index, .. } = &mut *kept;
        let mut line = Vec::new();
        for answer in index {
            Kept::read(file.get_mut(), (answer.start, answer.length), &mut line)?;
            take(&line)?;
        }
        file.get_mut().seek(SeekFrom::End(0))?;
        Ok(())
    }

    /// The requests that the answers take, each once. It does not depend on how often a request was
    /// repeated.
    pub(super) fn requests_answered(&self) -> Requests {
        let mut kept = lock(&self.kept);
        kept.sort();
        let mut requests = Requests::default();
        for kind in kept.index.iter().filter_map(|answer| answer.rank.kind()) {
            match kind {
                Kind::Digest | Kind::Content => requests.get += 1,
                Kind::Keys | Kind::Folders => requests.list += 1,
                Kind::Versions | Kind::Rules => requests.other += 1,
                // They come with the content of their log file. A log file that was read again for them
                // counts once, as every request that was repeated.
                Kind::Events | Kind::Tampering => {}
            }
        }
        requests
    }

    /// Takes the names of the digests at the edges of the range, by chain.
    pub(super) fn take_edges(&self) -> HashMap<ChainId, EdgeNames> {
        std::mem::take(&mut lock(&self.kept).edges)
    }

    /// Returns a digest at an edge as it was read.
    pub(super) fn digest(&self, edge: &EdgeDigest) -> io::Result<Option<Digest>> {
        let mut kept = lock(&self.kept);
        kept.file.flush()?;
        let mut line = Vec::new();
        Kept::read(kept.file.get_mut(), edge.answer, &mut line)?;
        kept.file.get_mut().seek(SeekFrom::End(0))?;
        match serde_json::from_slice(&line)? {
            Evidence::Digest(digest) => Ok(Some(digest)),
            _ => Ok(None),
        }
    }

    /// Keeps the events of a log file that start or stop the logging of trails; `None` if they can't
    /// be read.
    pub(super) fn keep_logging_events(&self, object: &ObjectRef, events: Option<&[LoggingEvent]>) {
        if events.is_some_and(<[LoggingEvent]>::is_empty) {
            return;
        }
        self.keep(&Evidence::LoggingEvents(LoggingEventsOfFile {
            bucket: object.bucket.to_string(),
            key: object.key.to_string(),
            events: events.map(<[LoggingEvent]>::to_vec),
        }));
    }

    /// Keeps the findings of tampering in a log file, and the warning that not all of its events were looked at.
    pub(super) fn keep_tampering(
        &self,
        object: &ObjectRef,
        findings: &[TamperingRecord],
        warning: Option<&WarningRecord>,
    ) {
        let of_part = |part: usize, findings: &[TamperingRecord]| TamperingOfFile {
            bucket: object.bucket.to_string(),
            key: object.key.to_string(),
            part,
            findings: findings.to_vec(),
            warning: warning.filter(|_| part == 0).cloned(),
        };
        for (part, findings) in findings.chunks(FINDINGS_OF_PART).enumerate() {
            self.keep(&Evidence::Tampering(of_part(part, findings)));
        }
        if findings.is_empty() && warning.is_some() {
            self.keep(&Evidence::Tampering(of_part(0, findings)));
        }
    }

    /// Takes note of the error because of which a log file was not read again.
    pub(super) fn note_not_read_again(&self, error: &StoreError) {
        lock(&self.kept).not_read_again.get_or_insert_with(|| error.clone());
    }

    /// Returns the first error because of which a log file was not read again.
    pub(super) fn not_read_again(&self) -> Option<StoreError> {
        lock(&self.kept).not_read_again.clone()
    }

    /// Returns the first error that says nothing about any object, but that the store could not be
    /// reached.
    pub(super) fn outage(&self) -> Option<StoreError> {
        lock(&self.kept).outage.clone()
    }

    fn keep(&self, evidence: &Evidence) {
        lock(&self.kept).keep(evidence);
    }
}

/// The body of a digest, which is kept once it was read to its end.
struct RecordedBody {
    inner: Box<dyn Body>,
    kept: Arc<Mutex<Kept>>,
    /// The digest without its bytes; taken once it is kept.
    digest: Option<Digest>,
    bytes: Vec<u8>,
}

#[async_trait]
impl Body for RecordedBody {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        let piece = self.inner.next().await;
        let Some(mut digest) = self.digest.take() else { return piece };
        match &piece {
            Ok(Some(piece)) => {
                self.bytes.extend_from_slice(piece);
                if self.bytes.len() as u64 <= MAX_DIGEST_OBJECT_BYTES {
                    self.digest = Some(digest);
                    return Ok(Some(piece.clone()));
                }
                // Nobody reads on.
                digest.too_large = true;
            }
            Ok(None) => digest.bytes = Some(encoded(&self.bytes)),
            Err(error) => digest.error = Some(error.clone()),
        }
        self.bytes = Vec::new();
        lock(&self.kept).keep(&Evidence::Digest(digest));
        piece
    }
}

#[async_trait]
impl Store for Recorder {
    fn source(&self) -> String {
        self.inner.source()
    }

    fn properties(&self) -> StoreProperties {
        self.inner.properties()
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        let ListRequest { bucket, prefix, start_after, folders } = request;
        let next_page = |token: &str| (bucket.clone(), prefix.clone(), *folders, token.to_owned());
        let after = match continuation {
            None => start_after.clone(),
            Some(token) => lock(&self.kept).pages.get(&next_page(token)).cloned(),
        };
        let page = self.inner.list(request, continuation).await;
        let rest = |name: &str| name.strip_prefix(prefix.as_str()).unwrap_or(name).to_owned();
        let mut listing = Listing {
            bucket: bucket.clone(),
            prefix: prefix.clone(),
            folders: *folders,
            after,
            to: None,
            objects: Vec::new(),
            below: Vec::new(),
            error: None,
        };
        match &page {
            Ok(Page { objects, folders: below, next }) => {
                let object = |object: &ListedObject| (rest(&object.key), object.last_modified.map(millis), object.size);
                listing.objects = objects.iter().map(object).collect();
                listing.below = below.iter().map(|name| rest(name)).collect();
                let names = objects.iter().map(|object| &object.key).chain(below);
                let last = names.max().or(listing.after.as_ref());
                listing.to = next.is_some().then(|| last.cloned().unwrap_or_default());
                if let (Some(next), Some(to)) = (next, &listing.to) {
                    lock(&self.kept).pages.insert(next_page(next), to.clone());
                }
            }
            Err(error) => listing.error = Some(error.clone()),
        }
        self.keep(&Evidence::Listing(listing));
        page
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        let opened = self.inner.get(object, version).await;
        if DigestName::parse(&object.key).is_none() {
            return opened;
        }
        let mut digest = Digest {
            bucket: object.bucket.to_string(),
            key: object.key.to_string(),
            version: version.map(ToOwned::to_owned),
            metadata: None,
            note: None,
            modified: None,
            too_large: false,
            bytes: None,
            error: None,
        };
        match opened {
            Ok(Object { metadata, metadata_note, head, is_uncompressed, body }) => {
                digest.metadata = metadata.kept.then(|| metadata.pairs());
                digest.note.clone_from(&metadata_note);
                digest.modified = head.as_ref().and_then(|head: &Head| head.last_modified).map(millis);
                let body =
                    RecordedBody { inner: body, kept: self.kept.clone(), digest: Some(digest), bytes: Vec::new() };
                Ok(Object { metadata, metadata_note, head, is_uncompressed, body: Box::new(body) })
            }
            Err(error) => {
                digest.error = Some(error.clone());
                self.keep(&Evidence::Digest(digest));
                Err(error)
            }
        }
    }

    fn note_content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
        content: &Result<Content, StoreError>,
    ) {
        self.keep(&Evidence::Content(LogFileContent {
            bucket: object.bucket.to_string(),
            key: object.key.to_string(),
            version: version.map(ToOwned::to_owned),
            ceiling,
            content: content.clone(),
        }));
    }

    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        let versions = self.inner.versions(object).await;
        // A denial is one of the bucket. After it nobody asks again, so that the object which was asked
        // about is a matter of chance.
        let is_denied = matches!(versions, Err(StoreError::AccessDenied(_)));
        let key = if is_denied { String::new() } else { object.key.to_string() };
        let bucket = object.bucket.to_string();
        self.keep(&Evidence::Versions(Versions { bucket, key, versions: versions.clone() }));
        versions
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        if let Some(rules) = self.lifecycle_rules.get(bucket) {
            return rules.clone();
        }
        let rules = self.inner.lifecycle_rules(bucket).await;
        self.keep(&Evidence::LifecycleRules(Rules { bucket: bucket.to_owned(), rules: rules.clone() }));
        rules
    }

    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.inner.listed_name(object)
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        self.inner.in_place(place, claimed)
    }

    fn absence(&self) -> &'static str {
        self.inner.absence()
    }

    fn requests(&self) -> Requests {
        self.inner.requests()
    }

    fn refusals(&self) -> u64 {
        self.inner.refusals()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.inner.clock_ahead_ms()
    }
}
