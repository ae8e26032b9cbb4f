//! The walk along one chain: what a listing shows is read first, then what digests name as their predecessors and no listing
//! showed. Only a direct read tells that a digest is missing.

use std::sync::Arc;

use ahash::{HashSet, HashSetExt};
use futures::stream::{self, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::context::Context;
use super::element::{Element, Remarks};
use super::error::AuditError;
use super::judged::{self, Handle};
use super::listed::{ListedDigest, ListedDigests};
use super::listing::{self, RegionFolder};
use super::pool;
use super::read::{Reading, read_digest};
use super::room::Seat;
use super::shelf::Shelf;
use crate::model::{ChainId, DigestKind, DigestName, DigestStatus, Fault, TimeRange};
use crate::store::Location;
use crate::verify::{Examined, KeyRing, Rejection, WaitingDigest, try_recorded_signatures};

/// The digests of a chain, judged.
pub(super) struct JudgedDigests {
    /// By end time, standard before backfill, then key.
    pub elements: Vec<Element>,
    /// What they say.
    pub shelf: Shelf,
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
    let mut walk = Walk {
        context,
        id,
        known,
        folders,
        read: Vec::new(),
        shelf: Shelf::default(),
        begin_past_end: HashSet::new(),
        absent: Vec::new(),
        failure: None,
    };
    let (reaching, past, count) = by_range(digests, context.range);
    context.progress.found_digests(count);
    walk.read.reserve_exact(count);
    walk.read_each(reaching, seat).await?;
    walk.read_past_end(past).await?;
    let keys = loop {
        let (keys, proven_by_successor) = walk.keys_for_all().await?;
        let named = walk.unlisted_predecessors(&proven_by_successor)?;
        let listed = walk.list_new_locations(&named.elsewhere).await?;
        if walk.read_all(named.missed).await? == 0 && !listed {
            break keys;
        }
    };
    let Walk { read, shelf, known, absent, failure, folders, .. } = walk;
    drop(known);
    let elements = judged::judge(context, read, absent, &shelf, &keys)?;
    Ok(JudgedDigests { elements, shelf, failure, folders })
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
    read: Vec<(Handle, WaitingDigest)>,
    /// What those say.
    shelf: Shelf,
    /// Those of them that are proven and begin past the end of the range, by [`Context::fingerprint`].
    begin_past_end: HashSet<u64>,
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
        let Self { context, id, known, read, shelf, begin_past_end, absent, .. } = self;
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
                    Reading::Read(digest, examined, note) => {
                        let ListedDigest { place, kind, end, last_modified, .. } = digest;
                        let mut elsewhere = None;
                        if let Examined::Open(open, own) = &examined {
                            if *open.object() != place {
                                borne.push(context.fingerprint(open.object()));
                                elsewhere = Some(Box::new(place.clone()));
                            }
                            if own.is_ok() && context.range.end.is_some_and(|end| open.start() >= end) {
                                begin_past_end.insert(context.fingerprint(&place));
                            }
                        }
                        let (waiting, kept) = shelf.keep(examined, |object| context.fingerprint(object))?;
                        let remarks = note.map(|note| Box::new(Remarks { note: Some(note), versions: None }));
                        read.push((Handle { kind, end, last_modified, remarks, place: elsewhere, kept }, waiting));
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

    /// The keys that judge this chain: those for the range, unless a signature that a successor recorded wants newer ones. And the places
    /// of the digests that such a signature proves.
    async fn keys_for_all(&self) -> Result<(Arc<KeyRing>, HashSet<usize>), AuditError> {
        let region = &self.id.region;
        let keys = self.context.keys.for_range(region).await;
        let own = self.read.iter().filter_map(|(_, digest)| match digest {
            WaitingDigest::Open(_, own) => own.as_ref().err(),
            WaitingDigest::Closed(_) => None,
        });
        let lacks_key = |rejection: &Rejection| matches!(rejection.fault, Fault::KeyUnknown | Fault::KeyNotValidThen);
        let mut wants_newer = own.into_iter().any(|unproven| lacks_key(unproven.rejection()));
        let mut proven = HashSet::new();
        if !wants_newer {
            self.try_recorded_signatures(&keys, |index, tried| match tried {
                Ok(()) => drop(proven.insert(index)),
                Err(rejection) => wants_newer |= lacks_key(&rejection),
            })?;
        }
        if !wants_newer {
            return Ok((keys, proven));
        }
        let keys = self.context.keys.up_to_now(region).await;
        proven.clear();
        self.try_recorded_signatures(&keys, |index, tried| {
            if tried.is_ok() {
                proven.insert(index);
            }
        })?;
        Ok((keys, proven))
    }

    fn try_recorded_signatures(
        &self,
        keys: &KeyRing,
        tell: impl FnMut(usize, Result<(), Rejection>),
    ) -> Result<(), AuditError> {
        try_recorded_signatures(&self.read, |handle, outline| self.shelf.open(&handle.kept, outline), keys, tell)
    }

    /// Reads on past the end of the range, by time, until a proven digest shows what came before it.
    async fn read_past_end(&mut self, past: Vec<ListedDigest>) -> Result<(), AuditError> {
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            for digest in past.iter().filter(|digest| digest.kind == kind) {
                self.read_all(vec![digest.clone()]).await?;
                if self.begin_past_end.contains(&self.context.fingerprint(&digest.place)) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The digests that were named as predecessors, and not found by listing. What an invalid digest names is nobody's word, nor is what
    /// an unproven one names that lies past the range. A pointer out of the chain is none.
    fn unlisted_predecessors(&self, proven_by_successor: &HashSet<usize>) -> Result<Named, AuditError> {
        let range = &self.context.range;
        // Without a requested start, what lies before the first digest is not asked about.
        let begin = range.start.or_else(|| self.first_start());
        let mut named = Named::default();
        for (index, (handle, digest)) in self.read.iter().enumerate() {
            let WaitingDigest::Open(outline, own) = digest else { continue };
            let proven = own.is_ok() || proven_by_successor.contains(&index);
            let unproven = own.as_ref().is_err_and(|own| own.rejection().status == DigestStatus::Unverified)
                && !range.is_past(handle.end);
            let Some(predecessor) = handle.kept.follows().filter(|_| proven || unproven) else { continue };
            if self.known.contains(&predecessor) {
                continue;
            }
            let open = self.shelf.open(&handle.kept, outline)?;
            let Some(predecessor) = open.predecessor() else { continue };
            let place = handle.place.as_deref().unwrap_or(open.object());
            let Some(name) = DigestName::parse(&predecessor.object.key).filter(|name| name.chain == **self.id) else {
                continue;
            };
            let location = Location { bucket: predecessor.object.bucket.to_string(), root: name.root };
            let named_place = predecessor.object.clone();
            let digest =
                ListedDigest { place: named_place, kind: name.kind, end: name.end, last_modified: None, size: None };
            // The standard series has no holes of its own: the digest before one that begins in the range touches the range.
            let touches = |begin| name.kind == DigestKind::Standard || name.end > begin;
            let is_lost = self
                .context
                .resume
                .as_ref()
                .is_some_and(|resume| resume.is_in_open_gap(name.end) || resume.follows(place, name.end));
            if is_lost || begin.is_some_and(|begin| open.start() > begin && touches(begin)) {
                named.missed.push(digest);
            }
            named.elsewhere.push(location);
        }
        Ok(named)
    }

    /// Where the chain begins, as far as it was read.
    fn first_start(&self) -> Option<Timestamp> {
        let starts = self.read.iter().filter_map(|(handle, digest)| match digest {
            WaitingDigest::Open(outline, _) if handle.kind == DigestKind::Standard => Some(outline.period().0),
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
