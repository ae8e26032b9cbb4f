//! The log files that the valid digests of a chain list.

use std::collections::BTreeSet;

use crate::audit::chain::follow::JudgedDigests;
use crate::audit::digests::digest_spool::SpooledDigest;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::error::AuditError;
use crate::audit::io::fingerprints::Fingerprints;
use crate::audit::log_folder::unlisted::StrayFiles;
use crate::audit::shared::context::Context;
use crate::model::{LOG_FOLDER, log_folder_of};

/// The log files that valid digests list.
pub(crate) struct ListedEntries {
    /// The log files, by [`Context::fingerprint`].
    pub fingerprints: Fingerprints,
    /// The log files that are listed more than once.
    pub twice: Fingerprints,
    /// The log folders beside `CloudTrail/` that hold some of them.
    pub other_folders: BTreeSet<String>,
}

pub(crate) fn listed_entries(context: &Context, judged: &JudgedDigests) -> Result<ListedEntries, AuditError> {
    let log_files = |digest: &&SpooledDigest| digest.summary().log_files();
    let digests = || judged.entries.iter().filter_map(ChainEntry::valid).filter(|digest| log_files(digest) > 0);
    let mut fingerprints = Vec::with_capacity(digests().map(|digest| log_files(&digest)).sum());
    let mut other_folders = BTreeSet::new();
    for digest in digests() {
        let digest = judged.spool.valid(digest)?;
        for log_file in digest.log_files().iter() {
            fingerprints.push(context.fingerprint(&log_file.object));
            let other = log_folder_of(&log_file.object.key).filter(|folder| *folder != LOG_FOLDER);
            if let Some(other) = other.filter(|other| !other_folders.contains(*other)) {
                other_folders.insert(other.to_owned());
            }
        }
    }
    let (fingerprints, twice) = Fingerprints::of(fingerprints);
    Ok(ListedEntries { fingerprints, twice, other_folders })
}

/// The files that valid digests among these list.
pub(crate) fn listed_by(context: &Context, judged: &JudgedDigests) -> Result<Fingerprints, AuditError> {
    Ok(listed_entries(context, judged)?.fingerprints)
}

/// The files that no valid digest among these lists.
pub(crate) fn without_listed(
    context: &Context,
    strays: StrayFiles,
    judged: &JudgedDigests,
) -> Result<StrayFiles, AuditError> {
    let listed = listed_by(context, judged)?;
    Ok(strays.filtered(|stray| !listed.contains(context.fingerprint(&stray.object))))
}
