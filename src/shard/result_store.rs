//! A store that answers from the evidence of a plan's units.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ahash::RandomState;
use async_trait::async_trait;
use bytes::Bytes;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::OnceCell;

use super::evidence::{Digest, Evidence, Listing, LoggingEventsOfFile, TamperingOfFile, decoded, time};
use super::loaded_unit::{KnownContent, LoadedUnit, Loader, Segment, Span, subject};
use super::manifest::Manifest;
use super::results::{ResultError, Results};
use crate::audit::LoggingEvent;
use crate::debug::opaque_debug;
use crate::model::{AWS_LOGS_FOLDER, DigestName, Fault, ObjectRef, Requests, earlier, later};
use crate::records::LogFileRecord;
use crate::store::{
    Body, Head, LifecycleRule, ListRequest, ListedObject, Object, ObjectVersion, Page, Store, StoreError,
    StoreProperties,
};
use crate::sync::lock;
use crate::verify::Content;
use crate::verify::limits::MAX_DIGEST_OBJECT_BYTES;

/// The number of units whose evidence is at hand at once: the one whose records are emitted, its
/// neighbours in time, and those of the chains that are examined ahead.
const UNITS_AT_HAND: usize = 6;
/// The time around a unit's range within which it is asked first: it reads the log files and digests
/// of some days on both sides.
const NEAR: SignedDuration = SignedDuration::from_hours(4 * 24);
/// The marks of a continuation: the last name of a page of evidence, or a token of the store behind.
const NAME: &str = "name:";
const TOKEN: &str = "token:";

/// A store that answers from the evidence of all units, and asks the store behind it for what no
/// unit was asked. That is rare: a digest beside a unit's edge that only its neighbour's digests
/// lead to, or the digests of another trail between two unlisted files.
pub struct ResultStore {
    live: Arc<dyn Store>,
    results: Results,
    lifecycle_rules: BTreeMap<String, Result<Vec<LifecycleRule>, StoreError>>,
    planned: Requests,
    hasher: RandomState,
    at_hand: Mutex<AtHand>,
    /// The number of questions that went to the store behind.
    asked_live: AtomicU64,
    /// The first reason why an answer could not be had.
    trouble: Mutex<Option<String>>,
}

opaque_debug!(ResultStore);

/// The evidence of a unit, once it is loaded.
type Slot = Arc<OnceCell<Result<Arc<LoadedUnit>, String>>>;

/// The units whose evidence is at hand.
struct AtHand {
    units: HashMap<u32, Slot>,
    /// The same, the one that was used longest ago first.
    order: VecDeque<u32>,
}

impl AtHand {
    fn slot(&mut self, unit: u32) -> Slot {
        if self.order.back() != Some(&unit) {
            self.order.retain(|other| *other != unit);
            self.order.push_back(unit);
        }
        let slot = self.units.entry(unit).or_default().clone();
        while self.order.len() > UNITS_AT_HAND {
            if let Some(oldest) = self.order.pop_front() {
                self.units.remove(&oldest);
            }
        }
        slot
    }
}

impl ResultStore {
    /// Answers from `results`, and from `live` for what they lack. `live` is the store that one
    /// machine's run would read.
    pub fn new(manifest: &Manifest, results: Results, live: Arc<dyn Store>) -> Self {
        Self {
            live,
            lifecycle_rules: manifest.lifecycle_rules.clone(),
            planned: manifest.requests,
            results,
            hasher: RandomState::new(),
            at_hand: Mutex::new(AtHand { units: HashMap::new(), order: VecDeque::new() }),
            asked_live: AtomicU64::new(0),
            trouble: Mutex::default(),
        }
    }

    /// The number of questions that no unit's evidence answers, and that were asked anew.
    pub fn asked_live(&self) -> u64 {
        self.asked_live.load(Ordering::Relaxed)
    }

    /// The reason why an answer could not be had: the merge is then worth nothing.
    pub fn trouble(&self) -> Option<String> {
        lock(&self.trouble).clone()
    }

    /// Takes note of an error that says nothing about an object: evidence that can't be read, or a store
    /// that can't be reached.
    fn note<T>(&self, asked: Result<T, StoreError>, about: impl FnOnce() -> String) -> Result<T, StoreError> {
        if let Err(error @ (StoreError::Credentials(_) | StoreError::Unreachable(_) | StoreError::Unwritable(_))) =
            &asked
        {
            lock(&self.trouble).get_or_insert_with(|| format!("{}: {error}", about()));
        }
        asked
    }

    fn ask_live(&self) -> &dyn Store {
        self.asked_live.fetch_add(1, Ordering::Relaxed);
        self.live.as_ref()
    }

    async fn load(&self, unit: u32) -> Result<LoadedUnit, ResultError> {
        let failed = |error: io::Error| ResultError::Unreadable {
            place: "a temporary file for evidence".to_owned(),
            reason: error.to_string(),
        };
        let loader = Arc::new(Mutex::new(Some(Loader::new(self.hasher.clone()).map_err(failed)?)));
        let taking = loader.clone();
        let take = move |line: &[u8]| lock(&taking).as_mut().map_or(Ok(()), |loader| loader.take(line));
        self.results.evidence(unit, take).await?;
        let loader = lock(&loader).take();
        let loader = loader.ok_or_else(|| failed(io::Error::other("it was given away")))?;
        loader.finish().map_err(failed)
    }

    async fn unit(&self, number: u32) -> Result<Arc<LoadedUnit>, StoreError> {
        let slot = lock(&self.at_hand).slot(number);
        let load = || async { self.load(number).await.map(Arc::new).map_err(|error| error.to_string()) };
        let unit = slot.get_or_init(load).await.clone().map_err(StoreError::Unwritable);
        self.note(unit, || format!("the result of unit {number}"))
    }

    /// The units that have a chain of the account and region that a name lies in: first those whose
    /// range is near a time, then the others. Without a time, all are near.
    fn units_about(&self, name: &str, at: Option<Timestamp>) -> [Vec<u32>; 2] {
        let numbers =
            account_and_region(name).map_or(&[][..], |(account, region)| self.results.units_of(account, region));
        let is_near = |number: &&u32| {
            let Some(at) = at else { return true };
            let range = self.results.ranges[**number as usize];
            range.start.is_none_or(|start| earlier(start, NEAR) <= at)
                && range.end.is_none_or(|end| at <= later(end, NEAR))
        };
        let (near, far): (Vec<u32>, Vec<u32>) = numbers.iter().partition(is_near);
        [near, far]
    }

    /// Finds an answer about an object: the unit whose range it belongs to counts most, then one
    /// that could read it.
    async fn find<T>(
        &self,
        object: &ObjectRef,
        look: impl Fn(&LoadedUnit) -> Option<Result<T, StoreError>>,
        is_error: impl Fn(&T) -> Option<StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let end = DigestName::parse(&object.key).map(|name| name.end);
        for units in self.units_about(&object.key, end.or_else(|| day_in(&object.key))) {
            let mut best: Option<(u8, T)> = None;
            for number in units {
                let Some(answer) = look(&*self.unit(number).await?) else { continue };
                let answer = answer?;
                let range = self.results.ranges[number as usize];
                let is_own = end.is_none_or(|end| range.reaches(end) && !range.is_after_end(end));
                let rank = match is_error(&answer) {
                    None if is_own => 0,
                    Some(error) if is_own && error.is_absence() => 1,
                    None => 2,
                    Some(error) if error.is_absence() => 3,
                    Some(_) => 4,
                };
                if best.as_ref().is_none_or(|(other, _)| rank < *other) {
                    best = Some((rank, answer));
                }
                if rank == 0 {
                    break;
                }
            }
            if let Some((_, answer)) = best {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    /// Returns a page of a listing from evidence, if some unit has listed it.
    pub(super) async fn known_page(
        &self,
        request: &ListRequest,
        continuation: Option<&str>,
    ) -> Result<Option<Page>, StoreError> {
        match position(request, continuation) {
            (_, Some(_)) => Ok(None),
            (start, None) if request.folders => self.page_of_folders(request, start).await,
            (start, None) => self.page_of_keys(request, start).await,
        }
    }

    /// Returns a digest from evidence, if some unit has read it.
    pub(super) async fn known_digest(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
    ) -> Result<Option<Object>, StoreError> {
        if DigestName::parse(&object.key).is_none() {
            return Ok(None);
        }
        let name = subject(&self.hasher, &object.bucket, &object.key, version);
        let look = |unit: &LoadedUnit| {
            let span = *unit.digests.get(&name)?;
            Some(match unit.read(span) {
                Ok(Evidence::Digest(digest)) => Ok(digest),
                Ok(_) => Err(StoreError::Failed("evidence is of another kind".to_owned())),
                Err(error) => Err(error),
            })
        };
        let found = self.find(object, look, |digest: &Digest| digest.error.clone()).await;
        let digest = self.note(found, || object.to_string())?;
        digest.map(|digest| object_of(&digest)).transpose()
    }

    /// Returns the events of a log file that start or stop the logging of trails, as a unit read them;
    /// `None` if no unit has read the file, or its events can't be read.
    pub(super) async fn logging_events(&self, object: &ObjectRef) -> Result<Option<Vec<LoggingEvent>>, StoreError> {
        let name = subject(&self.hasher, &object.bucket, &object.key, None);
        let look = |unit: &LoadedUnit| {
            if let Some(span) = unit.logging_events.get(&name) {
                return Some(unit.read(*span));
            }
            // Log files without such events are left out.
            let nothing = LoggingEventsOfFile {
                bucket: object.bucket.to_string(),
                key: object.key.to_string(),
                events: Some(Vec::new()),
            };
            unit.contents.contains_key(&name).then_some(Ok(Evidence::LoggingEvents(nothing)))
        };
        let found = self.note(self.find(object, look, |_| None).await, || object.to_string())?;
        let Some(Evidence::LoggingEvents(file)) = found else { return Ok(None) };
        let of_file = |event| LoggingEvent { object: Some(object.clone()), ..event };
        Ok(file.events.map(|events| events.into_iter().map(of_file).collect()))
    }

    /// Returns the findings of tampering in a log file that was found intact, by parts in their order, as a unit
    /// made them of the same content; `None` if no unit has looked at it.
    pub(super) async fn tampering(&self, file: &LogFileRecord) -> Result<Option<Vec<TamperingOfFile>>, StoreError> {
        let found = self.find_tampering(file).await;
        self.note(found, || file.object.to_string())
    }

    async fn find_tampering(&self, file: &LogFileRecord) -> Result<Option<Vec<TamperingOfFile>>, StoreError> {
        let object = &file.object;
        let name = subject(&self.hasher, &object.bucket, &object.key, None);
        let digest = file.digest.as_deref().and_then(DigestName::parse);
        for number in self.units_about(&object.key, digest.as_ref().map(|digest| digest.end)).concat() {
            let unit = self.unit(number).await?;
            let content = unit.contents.get(&name).and_then(|(_, content)| content.as_ref().ok());
            let is_same = |content: &Content| content.sha256.is_some() && content.sha256 == file.actual_sha256;
            if !content.is_some_and(is_same) {
                continue;
            }
            if let Some(spans) = unit.tampering.get(&name) {
                let read = |span: &Span| match unit.read(*span)? {
                    Evidence::Tampering(part) => Ok(part),
                    _ => Err(StoreError::Unwritable("evidence is of another kind".to_owned())),
                };
                let mut parts = spans.iter().map(read).collect::<Result<Vec<_>, _>>()?;
                parts.sort_by_key(|part| part.part);
                return Ok(Some(parts));
            }
            // Log files without findings are left out. A unit that does not judge the digest may have read the
            // file for another reason, such as a gap, without looking for tampering.
            let range = self.results.ranges[number as usize];
            let judges = |digest: &DigestName| range.reaches(digest.end) && !range.is_after_end(digest.end);
            if digest.as_ref().is_some_and(judges) {
                return Ok(Some(Vec::new()));
            }
        }
        Ok(None)
    }

    /// Returns a page of keys from evidence, if some unit has listed what follows `start`.
    async fn page_of_keys(&self, request: &ListRequest, start: Option<&str>) -> Result<Option<Page>, StoreError> {
        let ListRequest { bucket, prefix, .. } = request;
        let mut covering: Vec<(Arc<LoadedUnit>, Option<String>, Span)> = Vec::new();
        let mut failed: Option<(Arc<LoadedUnit>, Span)> = None;
        let [near, far] = self.units_about(prefix, start.and_then(day_in).or_else(|| day_in(prefix)));
        let all_near = near.len();
        for (index, number) in near.into_iter().chain(far).enumerate() {
            // All that are near count; of the others, the first that has an answer.
            if index >= all_near && !covering.is_empty() {
                break;
            }
            let unit = self.unit(number).await?;
            for above in prefixes(prefix) {
                let Some(segments) = unit.keys.get(&self.hasher.hash_one((bucket, above))) else { continue };
                for segment in segments {
                    if segment.is_error {
                        if above == prefix && segment.after.as_deref() == start {
                            failed.get_or_insert((unit.clone(), segment.span));
                        }
                    } else if covers(segment, prefix, start) {
                        covering.push((unit.clone(), segment.to.clone(), segment.span));
                    }
                }
            }
        }
        if covering.is_empty() {
            return match failed {
                Some((unit, span)) => match unit.read(span)? {
                    Evidence::Listing(Listing { error: Some(error), .. }) => Err(error),
                    _ => Ok(None),
                },
                None => Ok(None),
            };
        }
        // The page that reaches furthest; one without an end reaches to the end of the prefix.
        let to = if covering.iter().any(|(_, to, _)| to.is_none()) {
            None
        } else {
            covering.iter().filter_map(|(_, to, _)| to.clone()).max()
        };
        let mut objects: BTreeMap<String, ListedObject> = BTreeMap::new();
        for (unit, _, span) in covering {
            let Evidence::Listing(listing) = unit.read(span)? else { continue };
            let is_inside = |object: &ListedObject| {
                object.key.starts_with(prefix.as_str())
                    && start.is_none_or(|start| object.key.as_str() > start)
                    && to.as_ref().is_none_or(|to| object.key <= *to)
            };
            for object in listing.objects().filter(is_inside) {
                objects.entry(object.key.clone()).or_insert(object);
            }
        }
        // Names after those with the prefix belong to another listing.
        let next = to.filter(|to| to.starts_with(prefix.as_str())).map(|to| format!("{NAME}{to}"));
        Ok(Some(Page { objects: objects.into_values().collect(), folders: Vec::new(), next }))
    }

    /// Returns a page of folders from evidence, if some unit has listed the same.
    async fn page_of_folders(&self, request: &ListRequest, start: Option<&str>) -> Result<Option<Page>, StoreError> {
        let ListRequest { bucket, prefix, .. } = request;
        let mut page: Option<Page> = None;
        let mut failed = None;
        let (mut objects, mut folders) = (BTreeMap::new(), BTreeSet::new());
        // Every unit lists the folders above the years: the first one's answer is taken.
        let at = day_in(&format!("{prefix}01/"));
        'found: for units in self.units_about(prefix, at) {
            for number in units {
                let unit = self.unit(number).await?;
                let segments = unit.folders.get(&self.hasher.hash_one((bucket, prefix)));
                for segment in segments.into_iter().flatten().filter(|segment| segment.after.as_deref() == start) {
                    let Evidence::Listing(listing) = unit.read(segment.span)? else { continue };
                    if let Some(error) = listing.error {
                        failed.get_or_insert(error);
                        continue;
                    }
                    for object in listing.objects() {
                        objects.entry(object.key.clone()).or_insert(object);
                    }
                    folders.extend(listing.below.iter().map(|rest| format!("{prefix}{rest}")));
                    let next = listing.to.map(|to| format!("{NAME}{to}"));
                    page.get_or_insert(Page { next, ..Page::default() });
                }
                if page.is_some() && at.is_none() {
                    break 'found;
                }
            }
            if page.is_some() {
                break;
            }
        }
        match (page, failed) {
            (Some(page), _) => Ok(Some(Page {
                objects: objects.into_values().collect(),
                folders: folders.into_iter().collect(),
                next: page.next,
            })),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }
}

/// Returns the name after which a page begins, or the token of the store behind.
fn position<'a>(request: &'a ListRequest, continuation: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    match continuation {
        None => (request.start_after.as_deref(), None),
        Some(continuation) => (continuation.strip_prefix(NAME), continuation.strip_prefix(TOKEN)),
    }
}

/// Returns whether a page has all keys with `prefix` that follow `start` up to its end, and does not
/// end before them. The page's own prefix is known to be a beginning of `prefix`.
fn covers(segment: &Segment, prefix: &str, start: Option<&str>) -> bool {
    // Nothing with the prefix comes before it.
    let start = start.filter(|start| *start >= prefix);
    let begins = match (&segment.after, start) {
        (None, _) => true,
        (Some(after), Some(start)) => after.as_str() <= start || after.as_str() < prefix,
        (Some(after), None) => after.as_str() < prefix,
    };
    let reaches = match (&segment.to, start) {
        (None, _) => true,
        (Some(to), Some(start)) => to.as_str() > start,
        (Some(to), None) => to.as_str() >= prefix,
    };
    begins && reaches
}

/// The beginnings of a prefix that end with a slash, and itself.
fn prefixes(prefix: &str) -> impl Iterator<Item = &str> {
    let above = prefix.match_indices('/').map(|(at, _)| &prefix[..=at]).filter(move |above| *above != prefix);
    above.chain([prefix])
}

/// The account and the region of the folder that a key or prefix lies in.
///
/// ```text
/// [prefix/]AWSLogs/[O-ID/]ACCOUNT/CloudTrail…/REGION/…
/// ```
fn account_and_region(name: &str) -> Option<(&str, &str)> {
    let inside = &name[name.rfind(AWS_LOGS_FOLDER)? + AWS_LOGS_FOLDER.len()..];
    let mut parts = inside.split('/');
    let first = parts.next()?;
    let account = if first.starts_with("o-") { parts.next()? } else { first };
    let _folder = parts.next()?;
    let region = parts.next().filter(|region| !region.is_empty())?;
    Some((account, region))
}

/// The begin of the day that the folders of a key or prefix name.
///
/// ```text
/// …/CloudTrail…/REGION/YYYY/MM/DD/…
/// ```
fn day_in(name: &str) -> Option<Timestamp> {
    let inside = &name[name.rfind(AWS_LOGS_FOLDER)? + AWS_LOGS_FOLDER.len()..];
    let mut parts = inside.split('/').skip(if inside.starts_with("o-") { 4 } else { 3 });
    let date = Date::new(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The body of a digest from evidence.
struct DigestBody(Option<Bytes>);

#[async_trait]
impl Body for DigestBody {
    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok(self.0.take())
    }
}

fn object_of(digest: &Digest) -> Result<Object, StoreError> {
    if let Some(error) = &digest.error {
        return Err(error.clone());
    }
    let bytes = match &digest.bytes {
        Some(text) => decoded(text).map_err(|reason| StoreError::Failed(format!("evidence is damaged: {reason}")))?,
        // Its bytes were not kept, since nobody reads so many: any others of that number do.
        None => vec![0; usize::try_from(MAX_DIGEST_OBJECT_BYTES).unwrap_or(usize::MAX).saturating_add(1)],
    };
    let metadata = digest.metadata();
    let head = Head {
        metadata: digest.metadata.clone().unwrap_or_default(),
        last_modified: digest.modified.and_then(time),
        ..Head::default()
    };
    Ok(Object {
        metadata,
        metadata_note: digest.note.clone(),
        head: Some(head),
        is_uncompressed: false,
        body: Box::new(DigestBody(Some(Bytes::from(bytes)).filter(|bytes| !bytes.is_empty()))),
    })
}

#[async_trait]
impl Store for ResultStore {
    fn source(&self) -> String {
        self.live.source()
    }

    fn properties(&self) -> StoreProperties {
        self.live.properties()
    }

    async fn list(&self, request: &ListRequest, continuation: Option<&str>) -> Result<Page, StoreError> {
        if let Some(page) = self.known_page(request, continuation).await? {
            return Ok(page);
        }
        let (start, token) = position(request, continuation);
        let asked = ListRequest { start_after: start.map(ToOwned::to_owned), ..request.clone() };
        let page = self.ask_live().list(&asked, token).await;
        let page = self.note(page, || format!("s3://{}/{}", request.bucket, request.prefix))?;
        // Evidence may go on where the page ends.
        let last = page.objects.last().filter(|_| !request.folders).map(|object| format!("{NAME}{}", object.key));
        let next = page.next.map(|next| last.unwrap_or(format!("{TOKEN}{next}")));
        Ok(Page { next, ..page })
    }

    async fn get(&self, object: &ObjectRef, version: Option<&str>) -> Result<Object, StoreError> {
        if let Some(found) = self.known_digest(object, version).await? {
            return Ok(found);
        }
        let opened = self.ask_live().get(object, version).await;
        self.note(opened, || object.to_string())
    }

    async fn content(
        &self,
        object: &ObjectRef,
        version: Option<&str>,
        ceiling: u64,
    ) -> Option<Result<Content, StoreError>> {
        let name = subject(&self.hasher, &object.bucket, &object.key, version);
        let look = |unit: &LoadedUnit| unit.contents.get(&name).cloned().map(Ok);
        let is_error = |(_, content): &KnownContent| content.as_ref().err().map(|error| (**error).clone());
        let (read_to, content) = match self.find(object, look, is_error).await {
            Ok(found) => found?,
            Err(error) => return Some(Err(error)),
        };
        let content = match content {
            Ok(content) => content,
            Err(error) => return Some(Err(*error)),
        };
        // A content that passed another ceiling has to be read again.
        let is_same = read_to == ceiling || (content.fault != Some(Fault::TooLarge) && content.hashed <= ceiling);
        is_same.then_some(Ok(content))
    }

    async fn versions(&self, object: &ObjectRef) -> Result<Vec<ObjectVersion>, StoreError> {
        let name = subject(&self.hasher, &object.bucket, &object.key, None);
        // A denial is recorded for the bucket.
        let of_bucket = subject(&self.hasher, &object.bucket, "", None);
        for number in self.units_about(&object.key, day_in(&object.key)).into_iter().flatten() {
            let unit = self.unit(number).await?;
            let Some(span) = unit.versions.get(&name).or_else(|| unit.versions.get(&of_bucket)) else { continue };
            if let Evidence::Versions(versions) = unit.read(*span)? {
                return versions.versions;
            }
        }
        let versions = self.ask_live().versions(object).await;
        self.note(versions, || object.to_string())
    }

    async fn lifecycle_rules(&self, bucket: &str) -> Result<Vec<LifecycleRule>, StoreError> {
        match self.lifecycle_rules.get(bucket) {
            Some(rules) => rules.clone(),
            // That a former bucket's rules may not be read is an answer.
            None => self.ask_live().lifecycle_rules(bucket).await,
        }
    }

    fn listed_name<'a>(&self, object: &'a ObjectRef) -> Cow<'a, ObjectRef> {
        self.live.listed_name(object)
    }

    fn in_place(&self, place: &ObjectRef, claimed: &ObjectRef) -> Result<bool, StoreError> {
        self.live.in_place(place, claimed)
    }

    fn absence(&self) -> &'static str {
        self.live.absence()
    }

    /// The requests of the plan, of all units, and of what was asked anew.
    fn requests(&self) -> Requests {
        let parts = [self.planned, self.results.requests, self.live.requests()];
        let sum = |of: fn(&Requests) -> u64| parts.iter().map(of).sum();
        Requests { get: sum(|part| part.get), list: sum(|part| part.list), other: sum(|part| part.other) }
    }

    fn refusals(&self) -> u64 {
        self.live.refusals()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.live.clock_ahead_ms()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_answers_for_the_names_between_its_ends_alone() {
        let segment = |after: Option<&str>, to: Option<&str>| Segment {
            after: after.map(ToOwned::to_owned),
            to: to.map(ToOwned::to_owned),
            is_error: false,
            span: Span { start: 0, length: 0 },
        };
        for (after, to, prefix, start, expected) in [
            (None, None, "a/", None, true),
            (None, None, "a/", Some("a/7"), true),
            (None, Some("a/5"), "a/", Some("a/4"), true),
            // It ends where the question begins.
            (None, Some("a/5"), "a/", Some("a/5"), false),
            (Some("a/3"), None, "a/", None, false),
            (Some("a/3"), None, "a/", Some("a/2"), false),
            (Some("a/3"), None, "a/", Some("a/3"), true),
            // A page of a shorter prefix, for a question about a part of it.
            (Some("a/3"), None, "a/4/", None, true),
            (Some("a/3"), Some("a/4/x"), "a/4/", None, true),
            (Some("a/3"), Some("a/39"), "a/4/", None, false),
            (Some("a/4/x"), None, "a/4/", None, false),
            // A question that begins before its own prefix.
            (Some("a/3"), None, "a/4/", Some("a/1"), true),
        ] {
            let shown = format!("{after:?} {to:?} {prefix} {start:?}");
            assert_eq!(covers(&segment(after, to), prefix, start), expected, "{shown}");
        }
    }

    #[test]
    fn the_account_and_the_region_are_read_from_keys_and_prefixes() {
        for (name, expected) in [
            ("AWSLogs/111122223333/CloudTrail/eu-west-1/", Some(("111122223333", "eu-west-1"))),
            ("p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/x", Some(("111122223333", "eu-west-1"))),
            ("AWSLogs/111122223333/CloudTrail/", None),
            ("AWSLogs/", None),
            ("elsewhere", None),
        ] {
            assert_eq!(account_and_region(name), expected, "{name}");
        }
    }

    #[test]
    fn the_day_is_read_from_folders_alone() {
        let day = |name: &str| day_in(name).map(|day| day.to_string());
        let folder = "AWSLogs/111122223333/CloudTrail/eu-west-1";
        let midnight = Some("2026-03-01T00:00:00Z".to_owned());
        assert_eq!(day(&format!("{folder}/2026/03/01/x.json.gz")), midnight);
        assert_eq!(day("p/AWSLogs/o-abc/111122223333/CloudTrail-Digest/eu-west-1/2026/03/01/"), midnight);
        for other in [
            format!("{folder}/2026/03/"),
            format!("{folder}/2026/13/01/"),
            format!("{folder}/x/y/z/"),
            folder.to_owned(),
        ] {
            assert_eq!(day(&other), None, "{other}");
        }
    }

    #[test]
    fn the_prefixes_above_a_prefix_end_with_slashes() {
        assert_eq!(prefixes("a/b/c").collect::<Vec<_>>(), ["a/", "a/b/", "a/b/c"]);
        assert_eq!(prefixes("a/b/").collect::<Vec<_>>(), ["a/", "a/b/"]);
    }
}
