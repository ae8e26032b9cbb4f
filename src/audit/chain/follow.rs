//! Reading and judging the digests of one chain: first those that a listing shows, then those that
//! digests name as their predecessors and that no listing showed. Only a direct read can establish
//! that a digest is missing.

use std::sync::Arc;

use ahash::{HashSet, HashSetExt};
use futures::stream::{self, TryStreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::audit::chain::read::{Reading, read_digest};
use crate::audit::chain::verify::{self, DigestMeta};
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::{ChainEntry, Remarks};
use crate::audit::digests::listed_digests::{AbsentDigest, ListedDigest, ListedDigests};
use crate::audit::error::AuditError;
use crate::audit::io::lookahead::Admission;
use crate::audit::io::ordered_tasks;
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DigestKind, DigestName, DigestStatus, Fault, ObjectRef, TimeRange, is_bucket_name};
use crate::store::Location;
use crate::verify::{KeyRing, PendingDigest, Rejection, try_recorded_signatures};

/// The judged digests of a chain.
pub(crate) struct JudgedDigests {
    /// Sorted by end time, standard before backfill, then by key.
    pub entries: Vec<ChainEntry>,
    /// The spool that holds the content of the digests.
    pub spool: Arc<DigestSpool>,
    /// The reason why a part of the chain could not be listed.
    pub failure: Option<String>,
    /// The folders that hold the chain: those that were known, and those that pointers led to.
    pub folders: Vec<RegionFolder>,
}

/// Reads and judges the given digests, and the unlisted ones that they name.
pub(crate) async fn judge_digests(
    context: &Arc<Context>,
    id: &Arc<ChainId>,
    folders: &[RegionFolder],
    digests: ListedDigests,
    admission: &mut Admission,
) -> Result<JudgedDigests, AuditError> {
    let (folders, known) = (folders.to_vec(), HashSet::with_capacity(digests.len()));
    let mut reader = ChainReader {
        context,
        id,
        known,
        folders,
        collected: Collected::default(),
        spool: Arc::default(),
        failure: None,
        trials: Trials::default(),
    };
    let (reaching, past, count) = by_range(digests, context.range);
    context.progress.found_digests(id, count);
    reader.collected.read.reserve_exact(count);
    reader.read_each(reaching, admission).await?;
    reader.read_past_end(past).await?;
    let mut unproven_steps = 0;
    let keys = loop {
        let keys = reader.keys_for_all().await?;
        let named = reader.unknown_predecessors(unproven_steps < MAX_UNPROVEN_STEPS)?;
        let listed = reader.list_new_locations(&named.elsewhere).await?;
        unproven_steps += usize::from(!named.by_unproven.is_empty());
        let missed = [named.by_proven, named.by_unproven].concat();
        if reader.read_all(missed).await? == 0 && !listed {
            break keys;
        }
    };
    let ChainReader { collected: Collected { read, absent, .. }, spool, known, failure, folders, .. } = reader;
    drop(known);
    let entries = verify::judge(context, read, absent, &spool, &keys)?;
    Ok(JudgedDigests { entries, spool, failure, folders })
}

/// Splits digests at the end of the range. Returns those that reach into the range, with the first
/// standard digest past its end, which is always needed; those past its end, sorted by time; and
/// the number of the former.
fn by_range(digests: ListedDigests, range: TimeRange) -> (Digests, Vec<ListedDigest>, usize) {
    let mut past: Vec<ListedDigest> = digests.iter().filter(|digest| range.is_after_end(digest.end)).collect();
    past.sort_by_key(|digest| digest.end);
    let next = past.iter().find(|digest| digest.kind == DigestKind::Standard).cloned();
    let count = digests.len() - past.len() + usize::from(next.is_some());
    let reaching = digests.into_iter().filter(move |digest| !range.is_after_end(digest.end)).chain(next);
    (Box::new(reaching), past, count)
}

/// An iterator over digests; those of [`ListedDigests`] are decoded one at a time.
type Digests = Box<dyn Iterator<Item = ListedDigest> + Send>;

/// The number of admitted digests that may be queued for reading.
const ADMITTED_AHEAD: usize = 64;

/// Sends each digest that is not known yet to `admitted`, as soon as the look-ahead limit admits
/// it.
async fn admit_digests(
    context: &Context,
    digests: Digests,
    known: &mut HashSet<u64>,
    admission: &mut Admission,
    admitted: mpsc::Sender<ListedDigest>,
) -> Result<(), AuditError> {
    for digest in digests {
        if known.insert(context.fingerprint(&digest.object)) {
            admission.take().await?;
            if admitted.send(digest).await.is_err() {
                // The reading side has failed, and reports its own error.
                break;
            }
        }
    }
    // All digests are admitted: the next chain may use the remaining permits while this one is
    // still being read.
    admission.close();
    Ok(())
}

/// A reader of the digests of one chain, with all that it has found so far.
struct ChainReader<'a> {
    context: &'a Arc<Context>,
    id: &'a Arc<ChainId>,
    /// The digests that were read, by [`Context::fingerprint`].
    known: HashSet<u64>,
    folders: Vec<RegionFolder>,
    collected: Collected,
    /// The spool that holds the content of the digests that were read.
    spool: Arc<DigestSpool>,
    failure: Option<String>,
    /// The results of trying recorded signatures, under the keys that were requested last.
    trials: Trials,
}

/// The results of trying signatures that successors recorded: each pair is tried once, however
/// often more digests are found.
#[derive(Default)]
struct Trials {
    /// Pairs of a digest and one that names it, as indexes.
    tried: HashSet<(usize, usize)>,
    /// The digests that a recorded signature proves, as indexes.
    proven: HashSet<usize>,
    wants_newer_keys: bool,
    has_newer_keys: bool,
}

/// The largest number of rounds in which predecessors named by unproven digests are followed.
/// Without a limit, planted digests that name each other would keep the run busy forever.
const MAX_UNPROVEN_STEPS: usize = 64;

/// The results of reading digests, in the order in which they were read.
#[derive(Default)]
struct Collected {
    read: Vec<(DigestMeta, PendingDigest)>,
    absent: Vec<AbsentDigest>,
    /// The proven digests that begin past the end of the range, by [`Context::fingerprint`].
    begin_past_end: HashSet<u64>,
}

impl Collected {
    fn len(&self) -> usize {
        self.read.len() + self.absent.len()
    }

    /// Adds the result of one reading. Returns the fingerprint of the name that the digest bears,
    /// if it is another one than it was read under.
    fn add(&mut self, context: &Context, reading: Reading) -> Option<u64> {
        let found = match reading {
            Reading::Read(found) => *found,
            Reading::Absent(digest) => {
                self.absent.push(digest);
                return None;
            }
        };
        let ListedDigest { object, kind, end, last_modified, .. } = found.listed;
        if found.begins_past_end {
            self.begin_past_end.insert(context.fingerprint(&object));
        }
        let borne = found.bears.map(|bears| context.fingerprint(&bears));
        let has_remarks = found.note.is_some() || found.generated.is_some() || found.is_uncompressed;
        let remarks = has_remarks.then(|| {
            let (note, generated, is_uncompressed) = (found.note, found.generated, found.is_uncompressed);
            Box::new(Remarks { note, generated, is_uncompressed, ..Remarks::default() })
        });
        let meta = DigestMeta {
            kind,
            end,
            last_modified,
            remarks,
            object: borne.map(|_| Box::new(object)),
            spool_key: found.spool_key,
        };
        self.read.push((meta, found.pending));
        borne
    }
}

/// The pointer of a digest to its predecessor.
struct Pointer {
    /// True if a signature proves the digest.
    is_proven: bool,
    /// The series of the digest.
    kind: DigestKind,
    /// The start of its period.
    start: Timestamp,
    /// The object that it was read from.
    from: ObjectRef,
    predecessor: ListedDigest,
    /// The location of the predecessor.
    location: Location,
}

impl ChainReader<'_> {
    /// Reads the digests that were not read yet, and returns their number.
    async fn read_all(&mut self, digests: Vec<ListedDigest>) -> Result<usize, AuditError> {
        let new = |digest: &ListedDigest| !self.known.contains(&self.context.fingerprint(&digest.object));
        let mut new: Vec<ListedDigest> = digests.into_iter().filter(new).collect();
        new.sort_by(|one, other| one.object.cmp(&other.object));
        new.dedup_by(|one, other| one.object == other.object);
        self.context.progress.found_digests(self.id, new.len());
        self.read_each(Box::new(new.into_iter()), &mut Admission::apart()).await
    }

    /// Reads the digests that are not known yet, each as soon as `admission` admits it, and returns
    /// their number.
    async fn read_each(&mut self, digests: Digests, admission: &mut Admission) -> Result<usize, AuditError> {
        let Self { context, id, known, spool, collected, .. } = self;
        let context: &Arc<Context> = context;
        let before = collected.len();
        let (send, mut receive) = mpsc::channel(ADMITTED_AHEAD);
        let admitted = stream::poll_fn(move |context| receive.poll_recv(context).map(|digest| digest.map(Ok)));
        let (shared, id, onto) = (context.clone(), id.clone(), spool.clone());
        let readings = ordered_tasks::in_order(context.task_limits(), admitted, move |digest| {
            let (context, id, spool) = (shared.clone(), id.clone(), onto.clone());
            async move { read_digest(&context, &id, digest, &spool).await }
        });
        let mut borne = Vec::new();
        let taken = async {
            let mut readings = Box::pin(readings);
            while let Some(reading) = readings.try_next().await? {
                borne.extend(collected.add(context, reading));
            }
            Ok(())
        };
        let (admission, taken): (_, Result<(), AuditError>) =
            futures::join!(admit_digests(context, digests, known, admission, send), taken);
        taken.and(admission)?;
        known.extend(borne);
        Ok(self.collected.len() - before)
    }

    /// Returns the keys that judge this chain: those for the range, unless a digest's own signature
    /// or one that its successor recorded needs newer ones.
    async fn keys_for_all(&mut self) -> Result<Arc<KeyRing>, AuditError> {
        let region = &self.id.region;
        if !self.trials.has_newer_keys {
            let keys = self.context.keys.for_range(region).await;
            let lacks_key = |digest: &PendingDigest| match digest {
                PendingDigest::Parsed(_, Err(own)) => wants_newer_keys(own.rejection()),
                PendingDigest::Parsed(_, Ok(())) | PendingDigest::Unparsed(_) => false,
            };
            self.trials.wants_newer_keys |= self.collected.read.iter().any(|(_, digest)| lacks_key(digest));
            if !self.trials.wants_newer_keys {
                self.try_recorded_signatures(&keys)?;
            }
            if !self.trials.wants_newer_keys {
                return Ok(keys);
            }
            self.trials = Trials { has_newer_keys: true, ..Trials::default() };
        }
        let keys = self.context.keys.up_to_now(region).await;
        self.try_recorded_signatures(&keys)?;
        Ok(keys)
    }

    fn try_recorded_signatures(&mut self, keys: &KeyRing) -> Result<(), AuditError> {
        let Self { collected, spool, trials, .. } = self;
        let Trials { tried, proven, wants_newer_keys: wants_newer, .. } = trials;
        try_recorded_signatures(
            &collected.read,
            |meta, summary| spool.open(&meta.spool_key, summary),
            keys,
            tried,
            |index, came| match came {
                Ok(()) => drop(proven.insert(index)),
                Err(rejection) => *wants_newer |= wants_newer_keys(&rejection),
            },
        )
    }

    /// Reads digests past the end of the range, each series in order of time, until a proven one
    /// begins past that end and shows what came before it.
    async fn read_past_end(&mut self, past: Vec<ListedDigest>) -> Result<(), AuditError> {
        for kind in [DigestKind::Standard, DigestKind::Backfill] {
            for digest in past.iter().filter(|digest| digest.kind == kind) {
                self.read_all(vec![digest.clone()]).await?;
                if self.collected.begin_past_end.contains(&self.context.fingerprint(&digest.object)) {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Returns the digests that were named as predecessors and that no listing showed.
    fn unknown_predecessors(&self, follows_unproven: bool) -> Result<Named, AuditError> {
        let first = self.first_start();
        let mut named = Named::default();
        for index in 0..self.collected.read.len() {
            let Some(pointer) = self.pointer_of(index, follows_unproven)? else { continue };
            if self.is_wanted(&pointer, first) {
                let list = if pointer.is_proven { &mut named.by_proven } else { &mut named.by_unproven };
                list.push(pointer.predecessor);
            }
            if pointer.is_proven {
                named.elsewhere.push(pointer.location);
            }
        }
        Ok(named)
    }

    /// Returns the pointer of a digest to a predecessor that is not known yet. Ignores what an
    /// invalid digest names, what an unproven one names that lies past the range or at a location
    /// that is not listed for this chain, and pointers to other chains.
    fn pointer_of(&self, index: usize, follows_unproven: bool) -> Result<Option<Pointer>, AuditError> {
        let (meta, PendingDigest::Parsed(summary, own)) = &self.collected.read[index] else { return Ok(None) };
        let is_proven = own.is_ok() || self.trials.proven.contains(&index);
        let is_unproven = follows_unproven
            && own.as_ref().is_err_and(|own| own.rejection().status == DigestStatus::Unverified)
            && !self.context.range.is_after_end(meta.end);
        let fingerprint = meta.spool_key.predecessor_fingerprint();
        let is_unknown = fingerprint.is_some_and(|fingerprint| !self.known.contains(&fingerprint));
        if !is_unknown || !(is_proven || is_unproven) {
            return Ok(None);
        }
        let open = self.spool.open(&meta.spool_key, summary)?;
        let Some(predecessor) = open.predecessor() else { return Ok(None) };
        let name = DigestName::parse(&predecessor.object.key).filter(|name| name.chain == **self.id);
        let Some(name) = name else { return Ok(None) };
        let location = Location { bucket: predecessor.object.bucket.to_string(), root: name.root };
        if !is_bucket_name(&location.bucket) || !(is_proven || self.knows(&location)) {
            return Ok(None);
        }
        let object = predecessor.object.clone();
        Ok(Some(Pointer {
            is_proven,
            kind: meta.kind,
            start: open.start(),
            from: meta.object.as_deref().unwrap_or(open.object()).clone(),
            predecessor: ListedDigest { object, kind: name.kind, end: name.end, last_modified: None, size: None },
            location,
        }))
    }

    /// Returns whether the predecessor that a pointer names belongs to the range, or is looked for
    /// all the same. `first` is the start of the chain's earliest digest.
    fn is_wanted(&self, pointer: &Pointer, first: Option<Timestamp>) -> bool {
        let range = &self.context.range;
        let Pointer { predecessor, .. } = pointer;
        let resume = self.context.resume.as_ref();
        let is_lost = resume.is_some_and(|resume| {
            resume.is_in_open_gap(predecessor.end) || resume.follows(&pointer.from, predecessor.end)
        });
        // Without a start, the whole chain is requested, and only a starting digest begins a chain.
        let is_before_first = range.start.is_none()
            && pointer.is_proven
            && (pointer.kind, predecessor.kind) == (DigestKind::Standard, DigestKind::Standard)
            && first == Some(pointer.start);
        // The standard series has no holes of its own: the predecessor of a digest that begins in
        // the range touches the range.
        let touches = |begin| predecessor.kind == DigestKind::Standard || predecessor.end > begin;
        let begin = range.start.or(first);
        is_lost || is_before_first || begin.is_some_and(|begin| pointer.start > begin && touches(begin))
    }

    /// Returns whether this location is among those listed for this chain.
    fn knows(&self, location: &Location) -> bool {
        self.folders.iter().any(|folder| folder.location == *location)
    }

    /// Returns the start of the earliest standard digest that was read and parsed.
    fn first_start(&self) -> Option<Timestamp> {
        let starts = self.collected.read.iter().filter_map(|(meta, digest)| match digest {
            PendingDigest::Parsed(summary, _) if meta.kind == DigestKind::Standard => Some(summary.period().start),
            _ => None,
        });
        starts.min()
    }

    /// Lists each bucket and prefix that a pointer led to and that was not listed before, and reads
    /// the digests found there. Returns whether any were new.
    async fn list_new_locations(&mut self, locations: &[Location]) -> Result<bool, AuditError> {
        let mut found = Vec::new();
        for location in locations {
            if !self.context.store.properties().is_live || self.knows(location) {
                continue;
            }
            let ChainId { organization, account, region, .. } = (**self.id).clone();
            let folder = RegionFolder { location: location.clone(), organization, account, region };
            let store = self.context.store.as_ref();
            let listing = digests::digests(store, &folder, &self.context.range, &self.context.request).await;
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

/// The unlisted digests and locations that digests name.
#[derive(Default)]
struct Named {
    /// Digests of the range that proven digests name and no listing showed.
    by_proven: Vec<ListedDigest>,
    /// The same, named by unproven digests.
    by_unproven: Vec<ListedDigest>,
    /// The locations that pointers of proven digests lead to.
    elsewhere: Vec<Location>,
}

fn wants_newer_keys(rejection: &Rejection) -> bool {
    matches!(rejection.fault, Fault::KeyUnknown | Fault::KeyNotValidThen)
}
