//! The walk along one chain: what a listing shows is read first, then what digests name as their predecessors and no listing
//! showed. Only a direct read tells that a digest is missing.

use std::borrow::Cow;
use std::sync::Arc;

use ahash::{HashMap, HashMapExt, HashSet, HashSetExt};
use futures::stream::{self, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::context::Context;
use super::element::{Element, State};
use super::error::AuditError;
use super::listed::{ListedDigest, ListedDigests};
use super::listing::{self, RegionFolder};
use super::pool;
use super::read::{Handle, Reading, read_digest};
use super::request::awaited_from;
use super::room::Seat;
use crate::model::{ChainId, DigestKind, DigestName, DigestStatus, Fault, TimeRange};
use crate::store::Location;
use crate::verify::{
    Examined, KeyRing, OpenDigest, RejectedDigest, Rejection, Settled, SettledDigest, recorded_signatures, settle,
};

/// The digests of a chain, judged.
pub(super) struct JudgedDigests {
    pub elements: Vec<Element>,
    /// Why a part of the chain could not be listed.
    pub failure: Option<String>,
    /// The folders that hold it: those that were known, and those that pointers led to.
    pub folders: Vec<RegionFolder>,
}

/// Reads and judges digests, and those that they name.
pub(super) async fn judge_digests(
    context: &Arc<Context>,
    id: &Arc<ChainId>,
    folders: &[RegionFolder],
    digests: ListedDigests,
    seat: &mut Seat,
) -> Result<JudgedDigests, AuditError> {
    let (folders, known) = (folders.to_vec(), HashSet::with_capacity(digests.len()));
    let mut walk = Walk { context, id, known, folders, read: Vec::new(), absent: Vec::new(), failure: None };
    let (reaching, past, count) = by_range(digests, context.range);
    context.progress.found_digests(count);
    walk.read.reserve_exact(count);
    walk.read_each(reaching, seat).await?;
    walk.read_past_end(past).await?;
    let keys = loop {
        let keys = walk.keys_for_all().await;
        let named = walk.unlisted_predecessors(&keys);
        let listed = walk.list_new_locations(&named.elsewhere).await?;
        if walk.read_all(named.missed).await? == 0 && !listed {
            break keys;
        }
    };
    let Walk { read, absent, failure, folders, .. } = walk;
    let mut elements: Vec<Element> = settle(read, &keys).into_iter().map(element).collect();
    let absent = absent_elements(context, &elements, absent);
    elements.extend(absent);
    elements.sort_by(|a, b| (a.end, a.kind, &a.object.key, &a.object).cmp(&(b.end, b.kind, &b.object.key, &b.object)));
    Ok(JudgedDigests { elements, failure, folders })
}

/// Digests that reach into the range, with the first one past its end, which is always wanted; those past its end, by time; and how
/// many the former are.
fn by_range(digests: ListedDigests, range: TimeRange) -> (Digests, Vec<ListedDigest>, usize) {
    let mut past: Vec<ListedDigest> = digests.iter().filter(|digest| range.is_past(digest.end)).collect();
    past.sort_by_key(|digest| digest.end);
    let next = past.iter().find(|digest| digest.kind == DigestKind::Standard).cloned();
    let count = digests.len() - past.len() + usize::from(next.is_some());
    let reaching = digests.into_iter().filter(move |digest| !range.is_past(digest.end)).chain(next);
    (Box::new(reaching), past, count)
}

/// What becomes of digests that are not there. Only one that another digest names is missing, and one that a valid digest names may
/// still come, if it is young enough. One that a listing showed, that nobody names and that was gone when it was read, is
/// nobody's evidence.
fn absent_elements(context: &Context, elements: &[Element], absent: Vec<ListedDigest>) -> Vec<Element> {
    if absent.is_empty() {
        return Vec::new();
    }
    let mut named: HashMap<Cow<'_, str>, bool> = HashMap::new();
    for element in elements {
        let (predecessor, valid) = match &element.state {
            State::Valid(digest) => (digest.predecessor(), true),
            State::Rejected(digest) => (digest.predecessor.as_ref(), false),
            State::Missing | State::NotYetDelivered | State::Expired => continue,
        };
        if let Some(predecessor) = predecessor {
            *named.entry(context.identity(&predecessor.object)).or_default() |= valid;
        }
    }
    let now = context.request.now;
    let youngest = awaited_from(&context.request);
    let resume = context.resume.as_ref();
    let by_valid = |digest: &ListedDigest| {
        let before = resume.is_some_and(|resume| resume.awaits(&digest.place)).then_some(true);
        named.get(&context.identity(&digest.place)).copied().max(before)
    };
    let state = |digest: &ListedDigest| match by_valid(digest) {
        // What an earlier run has seen can't be on its way.
        _ if resume.is_some_and(|resume| resume.was_verified(&digest.place)) => State::Missing,
        Some(true) if context.store.is_live() && digest.end > youngest && digest.end <= now => State::NotYetDelivered,
        Some(_) => State::Missing,
        None => State::Rejected(Box::new(RejectedDigest {
            rejection: Rejection::unverified(Fault::ReadFailed, "was listed, and gone when it was read"),
            sha256: None,
            object: None,
            period: None,
            predecessor: None,
            log_files: Vec::new(),
        })),
    };
    let mut found: Vec<Element> = Vec::new();
    for digest in absent {
        let state = state(&digest);
        let ListedDigest { place, kind, end, last_modified, .. } = digest;
        found.push(Element {
            kind,
            object: place,
            start: hour_before(end),
            end,
            state,
            last_modified,
            note: None,
            versions: None,
        });
    }
    found
}

/// Digests that are made when their turn comes.
type Digests = Box<dyn Iterator<Item = ListedDigest> + Send>;

/// How many digests with a seat wait to be read.
const SEATED_AHEAD: usize = 64;

/// Hands on the digests that were not known yet, as far as there is room.
async fn take_seats(
    context: &Context,
    digests: Digests,
    known: &mut HashSet<u64>,
    seat: &mut Seat,
    seated: mpsc::Sender<ListedDigest>,
) -> Result<(), AuditError> {
    for digest in digests {
        if known.insert(context.fingerprint(&digest.place)) {
            seat.take().await?;
            if seated.send(digest).await.is_err() {
                // Reading has failed, and says so itself.
                break;
            }
        }
    }
    // It needs no more: the next chain may take what is left while this one reads.
    seat.close();
    Ok(())
}

/// The digests of one chain, as they are found.
struct Walk<'a> {
    context: &'a Arc<Context>,
    id: &'a Arc<ChainId>,
    /// What was read, by [`Context::fingerprint`].
    known: HashSet<u64>,
    folders: Vec<RegionFolder>,
    read: Vec<(Handle, Examined)>,
    absent: Vec<ListedDigest>,
    failure: Option<String>,
}

impl Walk<'_> {
    /// Reads digests that were not read yet, and says how many those were.
    async fn read_all(&mut self, digests: Vec<ListedDigest>) -> Result<usize, AuditError> {
        let new = |digest: &ListedDigest| !self.known.contains(&self.context.fingerprint(&digest.place));
        let mut new: Vec<ListedDigest> = digests.into_iter().filter(new).collect();
        new.sort_by(|one, other| one.place.cmp(&other.place));
        new.dedup_by(|one, other| one.place == other.place);
        self.context.progress.found_digests(new.len());
        self.read_each(Box::new(new.into_iter()), &mut Seat::apart()).await
    }

    /// The same, one at a time as far as there is room.
    async fn read_each(&mut self, digests: Digests, seat: &mut Seat) -> Result<usize, AuditError> {
        let Self { context, id, known, read, absent, .. } = self;
        let context: &Arc<Context> = context;
        let before = read.len() + absent.len();
        let (send, mut receive) = mpsc::channel(SEATED_AHEAD);
        let seated = stream::poll_fn(move |context| receive.poll_recv(context).map(|digest| digest.map(Ok)));
        let (shared, id) = (context.clone(), id.clone());
        let readings = pool::in_order(context, seated, move |digest| {
            let (context, id) = (shared.clone(), id.clone());
            async move { read_digest(&context, &id, digest).await }
        });
        let mut borne = Vec::new();
        let taken = async {
            let mut readings = Box::pin(readings);
            while let Some(reading) = readings.try_next().await? {
                match reading {
                    Reading::Read(handle, mut examined) => {
                        // Its predecessor has nearly always come right before.
                        if let (Examined::Open(open, _), Some((_, Examined::Open(before, _)))) =
                            (&mut examined, read.last())
                        {
                            open.share_with(before);
                        }
                        if let Examined::Open(open, _) = &examined
                            && *open.object() != handle.place
                        {
                            borne.push(context.fingerprint(open.object()));
                        }
                        read.push((handle, examined));
                    }
                    Reading::Absent(digest) => absent.push(digest),
                }
            }
            Ok(())
        };
        let (seating, taken): (_, Result<(), AuditError>) =
            futures::join!(take_seats(context, digests, known, seat, send), taken);
        taken.and(seating)?;
        let count = read.len() + absent.len() - before;
        known.extend(borne);
        Ok(count)
    }

    /// The keys that judge this chain: those for the range, unless a signature that a successor recorded wants newer ones.
    async fn keys_for_all(&self) -> Arc<KeyRing> {
        let region = &self.id.region;
        let keys = self.context.keys.for_range(region).await;
        let own = self.read.iter().filter_map(|(_, examined)| match examined {
            Examined::Open(_, own) => own.as_ref().err(),
            Examined::Closed(_) => None,
        });
        let lacks_key = |fault| matches!(fault, Fault::KeyUnknown | Fault::KeyNotValidThen);
        let asked_again = own.into_iter().any(|unproven| lacks_key(unproven.rejection().fault));
        let wanting = || {
            let mut recorded = recorded_signatures(&self.read).into_iter();
            recorded.any(|word| word.check(&keys).is_err_and(|rejection| lacks_key(rejection.fault)))
        };
        if asked_again || wanting() { self.context.keys.up_to_now(region).await } else { keys }
    }

    /// Reads on past the end of the range, by time, until a proven digest shows what came before it.
    async fn read_past_end(&mut self, past: Vec<ListedDigest>) -> Result<(), AuditError> {
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            for digest in past.iter().filter(|digest| digest.kind == kind) {
                self.read_all(vec![digest.clone()]).await?;
                let found = self.read.iter().rfind(|(handle, _)| handle.place == digest.place);
                if found.is_some_and(|(_, examined)| self.begins_past_end(examined)) {
                    break;
                }
            }
        }
        Ok(())
    }

    fn begins_past_end(&self, examined: &Examined) -> bool {
        let end = self.context.range.end;
        matches!(examined, Examined::Open(open, Ok(())) if end.is_some_and(|end| open.start() >= end))
    }

    /// The digests that were named as predecessors, and not found by listing. What an invalid digest names is nobody's word, nor is what
    /// an unproven one names that lies past the range. A pointer out of the chain is none.
    fn unlisted_predecessors(&self, keys: &KeyRing) -> Named {
        let range = &self.context.range;
        let proven_by_successor: HashSet<*const OpenDigest> = recorded_signatures(&self.read)
            .into_iter()
            .filter(|word| word.check(keys).is_ok())
            .map(|word| std::ptr::from_ref(word.digest))
            .collect();
        // Without a requested start, what lies before the first digest is not asked about.
        let begin = range.start.or_else(|| self.first_start());
        let mut named = Named::default();
        for (handle, examined) in &self.read {
            let Examined::Open(open, own) = examined else { continue };
            let proven = own.is_ok() || proven_by_successor.contains(&std::ptr::from_ref(open.as_ref()));
            let unproven = own.as_ref().is_err_and(|own| own.rejection().status == DigestStatus::Unverified)
                && !range.is_past(handle.end);
            let Some(predecessor) = open.predecessor().filter(|_| proven || unproven) else { continue };
            if self.known.contains(&self.context.fingerprint(&predecessor.object)) {
                continue;
            }
            let Some(name) = DigestName::parse(&predecessor.object.key).filter(|name| name.chain == **self.id) else {
                continue;
            };
            let location = Location { bucket: predecessor.object.bucket.to_string(), root: name.root };
            let place = predecessor.object.clone();
            let digest = ListedDigest { place, kind: name.kind, end: name.end, last_modified: None, size: None };
            // The standard series has no holes of its own: the digest before one that begins in the range touches the range.
            let touches = |begin| name.kind == DigestKind::Standard || name.end > begin;
            let is_lost = self
                .context
                .resume
                .as_ref()
                .is_some_and(|resume| resume.is_in_open_gap(name.end) || resume.follows(&handle.place, name.end));
            if is_lost || begin.is_some_and(|begin| open.start() > begin && touches(begin)) {
                named.missed.push(digest);
            }
            named.elsewhere.push(location);
        }
        named
    }

    /// Where the chain begins, as far as it was read.
    fn first_start(&self) -> Option<Timestamp> {
        let starts = self.read.iter().filter_map(|(handle, examined)| match examined {
            Examined::Open(open, _) if handle.kind == DigestKind::Standard => Some(open.start()),
            _ => None,
        });
        starts.min()
    }

    /// Where a pointer leads to a bucket or prefix that was not listed, the chain goes on there. Says whether anything was found.
    async fn list_new_locations(&mut self, locations: &[Location]) -> Result<bool, AuditError> {
        let mut found = Vec::new();
        for location in locations {
            if !self.context.store.is_live() || self.folders.iter().any(|folder| folder.location == *location) {
                continue;
            }
            let ChainId { organization, account, region, .. } = (**self.id).clone();
            let folder = RegionFolder { location: location.clone(), organization, account, region };
            let store = self.context.store.as_ref();
            let listing = listing::digests(store, &folder, &self.context.range, &self.context.request).await;
            self.folders.push(folder);
            let own = listing.digests.into_iter().filter(|(chain, _)| *chain == **self.id);
            own.for_each(|(_, digests)| found.extend(digests.iter()));
            if let Some(error) = listing.failure.filter(|error| !error.is_absence()) {
                self.failure.get_or_insert(error.to_string());
            }
        }
        Ok(self.read_all(found).await? > 0)
    }
}

/// What digests name that was not read yet.
#[derive(Default)]
struct Named {
    /// Digests of the range that no listing showed.
    missed: Vec<ListedDigest>,
    /// Where pointers lead.
    elsewhere: Vec<Location>,
}

fn element(settled: Settled<Handle>) -> Element {
    let Handle { place, kind, end, last_modified, note } = settled.handle;
    match settled.digest {
        SettledDigest::Valid(digest) => {
            let (start, end) = digest.period();
            Element {
                kind,
                object: digest.object().clone(),
                start,
                end,
                state: State::Valid(digest),
                last_modified,
                note,
                versions: None,
            }
        }
        SettledDigest::Rejected(digest) => {
            let object = digest.object.clone().unwrap_or(place);
            Element {
                kind,
                object,
                start: hour_before(end),
                end,
                state: State::Rejected(digest),
                last_modified,
                note,
                versions: None,
            }
        }
    }
}

fn hour_before(end: Timestamp) -> Timestamp {
    end.saturating_sub(SignedDuration::from_hours(1)).unwrap_or(end)
}
