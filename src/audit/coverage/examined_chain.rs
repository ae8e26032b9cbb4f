//! A chain whose digests were verified, with all facts by which its gaps and log files are judged.

use std::sync::Arc;

use crate::audit::chain::handover::Handover;
use crate::audit::coverage::expiry::ExpiryExplainer;
use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::listing::folders::RegionFolder;
use crate::audit::log_folder::examine::LogFolder;
use crate::audit::resume::contradictions::Contradiction;
use crate::audit::resume::late_arrivals::Deliveries;
use crate::model::ChainId;

/// The digests of a chain, judged, and what may explain its losses.
#[derive(Debug)]
pub(crate) struct JudgedChain {
    pub id: Arc<ChainId>,
    /// Sorted by end time, standard before backfill, then by key. Includes digests past the end of
    /// the range.
    pub entries: Vec<ChainEntry>,
    /// The spool that holds the content of the digests.
    pub spool: Arc<DigestSpool>,
    /// The lifecycle rules that may explain the chain's losses.
    pub expiry: ExpiryExplainer,
}

/// A judged chain, with all that its range's coverage and its log files are judged by.
#[derive(Debug)]
pub(crate) struct ExaminedChain {
    pub judged: JudgedChain,
    /// The folders that hold the chain.
    pub folders: Vec<RegionFolder>,
    /// The reason why a part of the chain could not be listed.
    pub listing_failure: Option<String>,
    /// True if that failure concerns the chain's known folders, and not a location that a pointer
    /// led to.
    pub own_listing_failed: bool,
    /// The chain that this one continues: nothing is missing in between.
    pub goes_on_from: Option<Handover>,
    /// The chain that continues this one: nothing is missing after the handover.
    pub goes_on_as: Option<Handover>,
    /// True if the chain has no digest but is known to have had some.
    pub lost_all: bool,
    /// True if there are digests older than the range.
    pub has_earlier: bool,
    /// True if a digest from before the range accounts for CloudTrail's last delivery.
    pub delivery_accounted: bool,
    /// The findings on its log folder; empty at depth `chain`.
    pub log_folder: LogFolder,
    /// The deliveries to the chain that the listing shows.
    pub deliveries: Deliveries,
    /// The digests that earlier runs verified and that the history no longer leads to.
    pub contradictions: Vec<Contradiction>,
}
