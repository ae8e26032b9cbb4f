//! The comparison of the files that lie in log folders with those that valid digests list.

use std::sync::Arc;

use jiff::Timestamp;

use crate::audit::io::fingerprints::Met;
use crate::audit::listing::log_files::{ListedFiles, LogRegion};
use crate::audit::log_folder::day_check::DayCheck;
use crate::audit::log_folder::unlisted::StrayFiles;
use crate::audit::shared::context::Context;
use crate::model::{ObjectRef, Period, parse_day};
use crate::store::StoreError;

/// The comparison of what lies in log folders with what valid digests list.
#[derive(Clone)]
pub(super) struct Comparison<'a> {
    pub context: &'a Context,
    /// The check of the days that earlier runs verified.
    pub verified: Option<DayCheck<'a>>,
    pub listed: Met<'a>,
    /// Files that digests list and that were written after the newest digest.
    pub recent: Vec<(Timestamp, ObjectRef)>,
    /// The first and the last day of which a file was seen.
    pub days: Option<Period>,
}

impl Comparison<'_> {
    /// Compares a file of a region, and returns whether no valid digest lists it. An object that is
    /// not a regular file does not count as the listed log file.
    fn is_stray(&mut self, prefix: &str, object: &ObjectRef, written: Option<Timestamp>, is_file: bool) -> bool {
        if let Some(day) = day_of(object).filter(|_| self.context.store.properties().is_copy) {
            let Period { start: first, end: last } = self.days.unwrap_or(Period::new(day, day));
            self.days = Some(Period::new(first.min(day), last.max(day)));
        }
        let fingerprint = self.context.fingerprint(object);
        let is_listed = if is_file { self.listed.meet(fingerprint) } else { self.listed.knows(fingerprint) };
        // In a copy, a file that somebody decompressed counts as the compressed one that is listed.
        let uncompressed =
            is_file && !is_listed && self.context.store.properties().is_copy && object.key.ends_with(UNCOMPRESSED);
        let stands_in = uncompressed
            && self.listed.meet(
                self.context.fingerprint(&ObjectRef::new(Arc::clone(&object.bucket), format!("{}{GZIP}", object.key))),
            );
        let is_late = |written: &Timestamp| self.context.written_after.is_some_and(|after| *written > after);
        if let Some(written) = written.filter(is_late)
            && (is_listed || stands_in)
            && self.recent.len() < MAX_RECENT
        {
            self.recent.push((written, object.clone()));
        }
        if let Some(verified) = &mut self.verified {
            verified.see(prefix, object, is_listed || stands_in, written);
        }
        !is_listed && !stands_in
    }

    /// Compares all files of a listing, and adds those to `strays` that no valid digest lists.
    pub(super) fn add_listed(&mut self, files: &ListedFiles, strays: &mut StrayFiles) {
        let found: Vec<bool> =
            files.files().map(|(object, written)| self.is_stray(&files.prefix, &object, written, true)).collect();
        if found.contains(&true) {
            strays.begin(files.bucket(), Some(&files.prefix));
            for ((object, written), _) in files.files().zip(found).filter(|(_, is_stray)| *is_stray) {
                strays.push(&object.key, written);
            }
        }
    }

    /// Compares all files of a region, a page at a time, so that they need not be kept in memory.
    pub(super) async fn add_all(
        &mut self,
        region: &LogRegion,
        Period { start: from, end: to }: Period,
        strays: &mut StrayFiles,
    ) -> Result<(), StoreError> {
        // An incomplete listing proves nothing: the result is applied only once the whole folder
        // was listed.
        let (mut compared, mut found) = (self.clone(), StrayFiles::default());
        let mut listing = self.context.log_files().begin(region, from, to);
        let bucket: Arc<str> = region.bucket.as_str().into();
        found.begin(bucket.clone(), Some(&region.prefix));
        while let Some(page) = listing.next_page(self.context.store.as_ref()).await? {
            for file in page {
                let object = ObjectRef::new(Arc::clone(&bucket), file.key.as_str());
                let written = listing.recent(&file);
                if compared.is_stray(&region.prefix, &object, written, file.is_file) {
                    found.push(&file.key, written);
                }
            }
        }
        *self = compared;
        strays.append(found);
        Ok(())
    }
}

/// The largest number of log files written after the newest digest that are remembered. There are
/// none as long as nobody overwrites what CloudTrail has delivered.
const MAX_RECENT: usize = 10_000;

/// The suffix of a log file, and the one that it has when decompressed.
const GZIP: &str = ".gz";
const UNCOMPRESSED: &str = ".json";

/// The begin of the day whose folder a log file lies in.
pub(crate) fn day_of(object: &ObjectRef) -> Option<Timestamp> {
    let mut folders = object.key.rsplitn(5, '/').skip(1);
    let (day, month, year) = (folders.next()?, folders.next()?, folders.next()?);
    parse_day(&format!("{year}/{month}/{day}"))
}
