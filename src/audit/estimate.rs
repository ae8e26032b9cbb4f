//! An estimate of what a run would read, from listings and a few digests.

use std::time::Instant;

use futures::stream::{self, StreamExt};

use super::{Audit, AuditError};
use crate::audit::digests::listed_digests::ListedDigest;
use crate::audit::discovery::chains::{Discovery, discover};
use crate::audit::listing::folders::RegionFolder;
use crate::audit::shared::context::Context;
use crate::model::{Depth, Estimate, Requests};
use crate::store::StoreError;
use crate::verify::{limits, peek_log_files, uncompressed};

/// The number of digests that are read to estimate the number of log files.
const SAMPLED_DIGESTS: usize = 64;
/// The number of regions in which a page of log files is listed to estimate their size.
const SAMPLED_REGIONS: usize = 8;
/// The number of objects on a page of a listing (S3 API reference, ListObjectsV2).
const PAGE: u64 = 1000;
/// The assumed network throughput in bytes per second, as nothing was measured.
const BYTES_A_SECOND: f64 = 50e6;
/// The CPU time per object that is read through the SDK, in seconds on one core.
const CORE_SECONDS: f64 = 120e-6;

impl Audit {
    /// Lists what the run would read, reads a few digests, and estimates the rest.
    ///
    /// # Errors
    ///
    /// Fails if nothing can be listed.
    pub async fn estimate(&self) -> Result<Estimate, AuditError> {
        let Self { store, request, .. } = self;
        let range = request.bounded_range(store.properties().is_live);
        let Discovery { chains, folders, .. } = discover(store, None, request, &range).await?;
        let listed = store.requests();
        let context = self.context(range, None);
        let digests: Vec<ListedDigest> = chains.values().flat_map(|chain| chain.digests.iter()).collect();
        let step = digests.len().div_ceil(SAMPLED_DIGESTS).max(1);
        let sampled: Vec<ListedDigest> = digests.iter().step_by(step).cloned().collect();
        let begun = Instant::now();
        let counts: Vec<Result<u64, StoreError>> = stream::iter(&sampled)
            .map(|digest| count_log_files(&context, digest))
            .buffered(sampled.len().clamp(1, request.concurrency))
            .collect()
            .await;
        let round_trip = begun.elapsed().as_secs_f64() / rounds(sampled.len(), request.concurrency);
        let known: Vec<u64> = counts.into_iter().flatten().collect();
        let each = known.iter().sum::<u64>() as f64 / known.len().max(1) as f64;
        let log_files = (each * digests.len() as f64).round() as u64;
        let read = if request.depth == Depth::Content { log_files } else { 0 };
        let read = request.sample.map_or(read, |sample| sample.size.of(log_files));
        let size = mean_size(&context, &folders.log_files).await;
        let gets = digests.len() as u64 + read;
        let pages = if request.depth == Depth::Chain {
            0
        } else {
            log_files / PAGE + u64::try_from(folders.log_files.len()).unwrap_or_default()
        };
        let digest_bytes = digests.iter().filter_map(|digest| digest.size).sum::<u64>();
        let log_file_bytes = (size * read as f64).round() as u64;
        let cores = std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64);
        let waiting = rounds(usize::try_from(gets).unwrap_or(usize::MAX), request.concurrency) * round_trip;
        let transfer = (digest_bytes + log_file_bytes) as f64 / BYTES_A_SECOND;
        let computing = gets as f64 * CORE_SECONDS / cores;
        Ok(Estimate {
            chains: chains.len() as u64,
            digests: digests.len() as u64,
            digest_bytes,
            sampled_digests: known.len() as u64,
            log_files,
            log_file_bytes,
            requests: Requests { get: gets, list: listed.list + pages, other: listed.other + request.requests_before },
            seconds: waiting.max(transfer).max(computing),
            spent: Requests { other: store.requests().other + request.requests_before, ..store.requests() },
        })
    }
}

/// Returns the number of successive rounds that reading `objects` takes, `at_once` of them per
/// round.
fn rounds(objects: usize, at_once: usize) -> f64 {
    objects.div_ceil(at_once.max(1)).max(1) as f64
}

/// Returns the number of log files that a digest claims to list. Nothing is verified for an
/// estimate.
async fn count_log_files(context: &Context, digest: &ListedDigest) -> Result<u64, StoreError> {
    let (bytes, object) = crate::audit::chain::read::read_bytes(context, &digest.object, None).await?;
    let json = uncompressed(&bytes, object.is_uncompressed, limits::MAX_DIGEST_BYTES).unwrap_or_default();
    Ok(peek_log_files(&json).unwrap_or_default() as u64)
}

/// Estimates the mean size of log files, in bytes as stored, from a few pages of listings.
async fn mean_size(context: &Context, folders: &[RegionFolder]) -> f64 {
    let lister = context.log_files();
    let step = folders.len().div_ceil(SAMPLED_REGIONS).max(1);
    let pages: Vec<(u64, u64)> = stream::iter(folders.iter().step_by(step))
        .map(|folder| lister.sizes(folder, &context.range))
        .buffered(SAMPLED_REGIONS)
        .collect()
        .await;
    let (files, bytes) = pages.into_iter().fold((0, 0), |(files, bytes), (more, size)| (files + more, bytes + size));
    bytes as f64 / files.max(1) as f64
}
