//! A chain whose digests were verified, with everything that its gaps and log files are judged by.

use std::sync::Arc;

use crate::audit::chain::handover::Handover;
use crate::audit::coverage::expiry::Expiry;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::resume::late_arrivals::Deliveries;
use crate::audit::resume::selection::Contradiction;
use crate::model::ChainId;

/// A chain whose digests were judged.
#[derive(Debug)]
pub(crate) struct ExaminedChain {
    pub id: Arc<ChainId>,
    /// By end time, standard before backfill, then key. Those past the end of the range are among them.
    pub entries: Vec<ChainEntry>,
    /// What they say.
    pub spool: Arc<DigestSpool>,
    /// Why a part of it could not be listed.
    pub listing_failure: Option<String>,
    /// True if that was in the places where it is known to lie, and not where a digest's pointer led.
    pub own_listing_failed: bool,
    /// The chain that this one goes on from: nothing is missing in between.
    pub goes_on_from: Option<Handover>,
    /// The chain that goes on from this one: nothing is missing after that.
    pub goes_on_as: Option<Handover>,
    /// True if it has no digest, and is known to have had some.
    pub lost_all: bool,
    /// Whether there are digests older than the range.
    pub has_earlier: bool,
    /// Whether a digest from before the range accounts for CloudTrail's last delivery.
    pub delivery_accounted: bool,
    /// What lies in its log folder; nothing at depth `chain`.
    pub log_folder: LogFolder,
    /// What lifecycle rules say of what it lost.
    pub expiry: Expiry,
    /// What the listing shows of the deliveries to it.
    pub deliveries: Deliveries,
    /// What earlier runs verified, and history leads to no longer.
    pub contradictions: Vec<Contradiction>,
}
