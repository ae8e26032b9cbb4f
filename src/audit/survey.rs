//! A survey of a trail: its chains, and the number of objects of each on each day. It reads no
//! digest and no log file that a run would judge, so that a run can be divided by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::pipeline::{CLOUDTRAIL_BEGAN, Chains, Found, key_range};
use super::{Audit, AuditError};
use crate::audit::digests::identity::rank;
use crate::audit::discovery::chains::ListedChain;
use crate::audit::discovery::discovered::{DiscoveredChain, DiscoveredFacts};
use crate::audit::listing::log_files::LogRegion;
use crate::audit::listing::pages::Pages;
use crate::audit::log_folder::beside_regions::FoundBeside;
use crate::audit::shared::context::Context;
use crate::model::{ChainId, DAY, Depth, LOG_FOLDER, Period, begin_of_day, later};

/// The way in which log files are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFileCount {
    /// Every log file of the range is listed.
    Listed,
    /// One day of each month is listed, drawn by this seed, and stands for the others.
    Sampled {
        /// The seed of the draw.
        seed: u64,
    },
}

/// The chains of a trail, with the number of objects of each.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The facts that the discovery learned besides the chains.
    pub facts: DiscoveredFacts,
    /// The chains, in the order of their identities.
    pub chains: Vec<SurveyedChain>,
    /// The time for which a run needs public keys.
    pub keys: Period,
}

/// One chain, with the number of its objects by day: each day is named by its begin, 00:00 UTC.
#[derive(Debug, Clone)]
pub struct SurveyedChain {
    /// The chain.
    pub chain: DiscoveredChain,
    /// The digests that end on each day.
    pub digests: BTreeMap<Timestamp, u64>,
    /// The log files of each day, as far as they were counted; none at a depth that reads none.
    pub log_files: BTreeMap<Timestamp, u64>,
}

impl Audit {
    /// Finds the chains of the request as a run does, and counts their objects.
    ///
    /// # Errors
    ///
    /// Fails if nothing of the trail can be listed. A log folder that can't be listed counts as empty:
    /// the run that examines it reports that.
    pub async fn survey(&self, count: LogFileCount) -> Result<Survey, AuditError> {
        let range = self.request.bounded_range(self.store.properties().is_live);
        let Found { chains, context, beside_regions, warnings } = self.find(range).await?;
        let chains = match chains {
            Chains::Listed(chains) => chains,
            Chains::Unlisted(_) => BTreeMap::new(),
        };
        let FoundBeside { files, warnings: beside_warnings } = beside_regions;
        let facts = DiscoveredFacts {
            statuses: context.statuses.clone(),
            warnings,
            beside_regions: files,
            beside_warnings,
            neighbours: context.neighbours.known(),
            ends: context.ends,
        };
        let surveyed = stream::iter(chains)
            .map(|(id, listed)| survey_chain(&context, id, listed, count))
            .buffered(self.request.concurrency);
        let keys = key_range(&range, self.request.now, context.ends);
        Ok(Survey { facts, chains: surveyed.collect().await, keys })
    }
}

async fn survey_chain(context: &Arc<Context>, id: ChainId, listed: ListedChain, count: LogFileCount) -> SurveyedChain {
    let mut digests: BTreeMap<Timestamp, u64> = BTreeMap::new();
    for end in listed.digests.ends() {
        *digests.entry(begin_of_day(end)).or_default() += 1;
    }
    let chain = DiscoveredChain::new(&id, &listed);
    let mut log_files = BTreeMap::new();
    // Names can state any time, and every month is asked about.
    let first = context.range.start.or(digests.keys().next().copied()).map(|first| first.max(CLOUDTRAIL_BEGAN));
    let last = context.range.end.or(digests.keys().next_back().map(|day| later(*day, DAY)));
    let last = last.map(|last| last.min(context.request.now));
    if let (Some(start), Some(end)) = (first, last)
        && context.request.depth == Depth::Content
    {
        for folder in chain.folders() {
            let region = LogRegion::of(folder, LOG_FOLDER);
            match count {
                LogFileCount::Listed => list(context, &region, Period { start, end }, &mut log_files).await,
                LogFileCount::Sampled { seed } => {
                    sample(context, &id, &region, Period { start, end }, seed, &mut log_files).await;
                }
            }
        }
    }
    SurveyedChain { chain, digests, log_files }
}

/// Counts every log file of a region's folder.
async fn list(context: &Context, region: &LogRegion, period: Period, counts: &mut BTreeMap<Timestamp, u64>) {
    let mut listing = context.log_files().begin(region, period.start, period.end);
    while let Ok(Some(files)) = listing.next_page(context.store.as_ref()).await {
        for file in files {
            *counts.entry(begin_of_day(file.name.from)).or_default() += 1;
        }
    }
}

/// Counts the log files of one day of each month, and takes the month's other days to have as many.
async fn sample(
    context: &Context,
    id: &ChainId,
    region: &LogRegion,
    period: Period,
    seed: u64,
    counts: &mut BTreeMap<Timestamp, u64>,
) {
    for days in months(period) {
        let drawn = days.iter().min_by_key(|day| rank(seed, &format!("{id} {day}")));
        let Some(drawn) = drawn else { continue };
        let prefix = format!("{}{}", region.prefix, drawn.strftime("%Y/%m/%d/"));
        let mut pages = Pages::of_keys(&region.bucket, &prefix, None);
        let mut found = 0;
        while let Ok(Some(page)) = pages.next(context.store.as_ref()).await {
            found += page.objects.len() as u64;
        }
        for day in days {
            *counts.entry(day).or_default() += found;
        }
    }
}

/// The days of a period, by their begins, a list for each calendar month in UTC.
fn months(period: Period) -> Vec<Vec<Timestamp>> {
    let mut months: Vec<Vec<Timestamp>> = Vec::new();
    let mut last = None;
    let mut day = begin_of_day(period.start);
    while day < period.end {
        let date = day.to_zoned(TimeZone::UTC).date();
        let month = (date.year(), date.month());
        if last != Some(month) {
            months.push(Vec::new());
            last = Some(month);
        }
        months.last_mut().into_iter().for_each(|days| days.push(day));
        let next = later(day, DAY);
        if next <= day {
            break;
        }
        day = next;
    }
    months
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_a_period_are_those_that_it_touches() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let count = |start, end| months(Period::new(at(start), at(end))).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(count("2026-01-30T05:00:00Z", "2026-03-02T00:00:00Z"), [2, 28, 1]);
        assert_eq!(count("2026-01-30T05:00:00Z", "2026-01-30T06:00:00Z"), [1]);
        assert!(count("2026-01-30T00:00:00Z", "2026-01-30T00:00:00Z").is_empty());
    }
}
