//! Verifying the hours of a home region's chain around a gap, and reading the events in them.

use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};

use super::{KnownEvents, LoggingEvent, LoggingEvents};
use crate::audit::error::AuditError;
use crate::audit::io::read_object::ObjectReader;
use crate::audit::listing::digests;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_files::content::is_intact;
use crate::audit::observer::Progress;
use crate::audit::request::{AuditRequest, EDGE};
use crate::audit::shared::context::Context;
use crate::audit::shared::kept_content::KeptContent;
use crate::audit::single_files::judge_chain;
use crate::model::{ChainId, Coverage, DigestKind, LogFileKey, Period, TimeRange, later};
use crate::sync::lock;
use crate::verify::LogFileEntry;

/// The events about the logging of trails in the log files of a time, and how far these are proven.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Looked {
    /// The events, by time.
    pub events: Vec<LoggingEvent>,
    /// The time that valid digests cover.
    pub coverage: Coverage,
    /// The times at which valid digests begin, those next to the time included, each with whether it is a
    /// starting digest, which names none before it.
    pub begins: Vec<(Timestamp, bool)>,
    /// The number of log files of the time that a valid digest lists and that are not proven, or whose
    /// events can't be read.
    pub unproven: usize,
    /// The reason why the digests could not be looked up.
    pub failure: Option<String>,
}

/// The time behind the one that is asked for in which digests are read, too: they tell whether logging was
/// on, and may list a log file that was delivered late.
const BEHIND: SignedDuration = SignedDuration::from_hours(2);

/// The log files of a home region's chain that are read at once.
const AT_ONCE: usize = 8;

impl LoggingEvents {
    /// Returns what the log files of a chain tell that were delivered in a time, or shortly after it.
    pub(crate) async fn look(
        &self,
        context: &Context,
        chain: &ChainId,
        folders: &[RegionFolder],
        time: Period,
    ) -> Result<Arc<Looked>, AuditError> {
        let answer = lock(&self.answers).of(chain, time);
        let look = || async { self.look_anew(context, chain, folders, time).await.map(Arc::new) };
        answer.get_or_try_init(look).await.cloned()
    }

    async fn look_anew(
        &self,
        context: &Context,
        chain: &ChainId,
        folders: &[RegionFolder],
        time: Period,
    ) -> Result<Looked, AuditError> {
        let range = TimeRange { start: Some(time.start), end: Some(later(time.end, BEHIND)) };
        // The run's filters, its checkpoint and its progress are about its own chains.
        let request = AuditRequest {
            accounts: Default::default(),
            regions: Default::default(),
            organization: chain.organization.clone(),
            checkpoint: None,
            recheck: None,
            ..context.request.clone()
        };
        let progress = Arc::new(Progress::default());
        let (resume, written_after) = (None, None);
        let mut context = Context { request, range, progress, resume, written_after, ..context.clone() };
        if let Some(store) = self.reader.store() {
            context.reader = ObjectReader { store: store.clone(), ..context.reader };
            context.store = store;
        }
        let context = Arc::new(context);
        let mut looked = Looked::default();
        for folder in folders {
            let mut listing = digests::digests(context.store.as_ref(), folder, &range, &context.request).await;
            if let Some(error) = listing.failure {
                looked.failure.get_or_insert_with(|| error.to_string());
            }
            let Some(listed) = listing.digests.remove(chain) else { continue };
            let judged = judge_chain(&context, chain.clone(), folder, listed, false).await?;
            let mut files: Vec<LogFileEntry> = Vec::new();
            for digest in judged.entries.iter().filter_map(|entry| entry.valid().map(|valid| (entry.kind, valid))) {
                let (kind, digest) = digest;
                if kind == DigestKind::Standard {
                    let Period { start, end } = digest.summary().period();
                    looked.coverage.add(start, end);
                    looked.begins.push((start, digest.summary().predecessor().is_none()));
                }
                let of_digest = judged.spool.valid(digest)?;
                files.extend(of_digest.log_files().iter().filter(|file| is_of(file, time)));
            }
            self.read(&context, files, &mut looked).await;
        }
        looked.events.sort_by(|one, other| (one.at, &one.event.event_id).cmp(&(other.at, &other.event.event_id)));
        looked.events.dedup_by(|one, other| one.event.event_id.is_some() && one.event.event_id == other.event.event_id);
        Ok(looked)
    }

    /// Reads the events of log files that are proven. A file that can't be read is not proven.
    async fn read(&self, context: &Context, files: Vec<LogFileEntry>, looked: &mut Looked) {
        let read = stream::iter(files).map(|file| self.events_of(context, file));
        let mut read = std::pin::pin!(read.buffered(AT_ONCE));
        while let Some(events) = read.next().await {
            match events {
                Some(events) => looked.events.extend(events),
                None => looked.unproven += 1,
            }
        }
    }

    /// Returns the events of a log file, if it is proven and can be read.
    async fn events_of(&self, context: &Context, file: LogFileEntry) -> Option<Vec<LoggingEvent>> {
        let ceiling = context.request.max_log_file_bytes;
        let expected = std::slice::from_ref(&file.expected);
        match self.reader.known(&file.object).await {
            KnownEvents::Known(events) => {
                let content = context.reader.read_content(&file.object, None, ceiling).await.ok()?;
                is_intact(&content, expected).then_some(events)
            }
            KnownEvents::Unknown => None,
            KnownEvents::ToRead => {
                let copy = || KeptContent::new(&self.contents, ceiling);
                let (content, kept) = context.reader.read_copy(&file.object, ceiling, copy).await.ok()?;
                let kept = kept.finish().ok()?;
                if !is_intact(&content, expected) {
                    return None;
                }
                self.reader.read(&file.object, &kept).ok()
            }
        }
    }
}

/// Returns whether a log file may have events of a time: it is named after its delivery, some minutes
/// later.
fn is_of(file: &LogFileEntry, time: Period) -> bool {
    LogFileKey::parse(&file.object.key)
        .is_some_and(|name| name.time.to >= time.start && name.time.from <= later(time.end, EDGE))
}
