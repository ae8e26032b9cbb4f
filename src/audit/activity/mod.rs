//! The activity of a chain: how many log files its digests list hour by hour, compared with the
//! same hours of the weeks before.
//!
//! An empty digest is proven silence: CloudTrail states that it delivered no log file. An attacker
//! who keeps events from CloudTrail without stopping the trail, or a source of events that broke,
//! leaves a chain that verifies and is emptier than it was. That is no violation, so that it ends as
//! a warning and never touches the verdict.

mod decline;
mod habit;
mod silence;
#[cfg(test)]
mod simulation;

use crate::audit::coverage::examined_chain::ExaminedChain;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::error::AuditError;
use crate::audit::shared::context::Context;
use crate::model::{Activity, ChainId, Level, PackedActivity, WarningCode};
use crate::records::WarningRecord;

/// The number of past hours with which an hour is compared, and which a checkpoint keeps: 13 weeks.
const WINDOW: usize = 13 * WEEK;
/// The hours of a week.
const WEEK: usize = 7 * 24;
/// The fewest hours that must be known before anything is said: 28 days.
const FEWEST_KNOWN: usize = 28 * 24;
/// The probability below which silence or a decline is worth a note, over all chains of a run.
const RARE: f64 = 1e-6;

/// The activity of a chain, for the next run, and the warnings about it.
#[derive(Debug)]
pub(crate) struct ExaminedActivity {
    /// The newest hours of the chain.
    pub kept: PackedActivity,
    pub warnings: Vec<WarningRecord>,
}

/// Compares the hours of a chain that this run covers with those before them, which an earlier run
/// may have kept. `chains` is the number of chains of the run.
pub(crate) fn examine(chain: &ExaminedChain, context: &Context, chains: usize) -> Result<ExaminedActivity, AuditError> {
    let before = context.resume.as_ref().map(|resume| resume.activity().unpack().unwrap_or_default());
    // Hours that are still to come were not written by any run.
    let before = before.filter(|before| before.end() <= Activity::hour_of(context.request.now) + 1);
    let mut activity = before.unwrap_or_default();
    let known_to = activity.end();
    for entry in &chain.judged.entries {
        let Some(digest) = entry.valid() else { continue };
        if context.range.includes(entry.start(), entry.end()) || is_late(entry, chain, context)? {
            let log_files = u64::try_from(digest.summary().log_files()).unwrap_or(u64::MAX);
            activity.add(digest.summary().period().start, log_files);
        }
    }
    let warnings = notes(&activity, known_to, chains).into_iter().map(|note| note.warning(&chain.judged.id));
    Ok(ExaminedActivity { warnings: warnings.collect(), kept: PackedActivity::of(&kept(&activity)) })
}

/// Returns whether a digest of an hour that earlier runs covered came late or was restored, so that none
/// of them has counted its log files.
fn is_late(entry: &ChainEntry, chain: &ExaminedChain, context: &Context) -> Result<bool, AuditError> {
    let resume = context.resume.as_ref().filter(|resume| resume.expects_late());
    match resume.filter(|resume| resume.start().is_some_and(|start| entry.end() <= start)) {
        Some(resume) => Ok(resume.came_late(&entry.whole(&chain.judged.spool)?)),
        None => Ok(false),
    }
}

/// Returns the hours that the next run needs: those with which it compares the days that it covers
/// and a silence that may go on.
fn kept(activity: &Activity) -> Activity {
    let is_empty = |level: &&Level| **level == Level::EMPTY;
    let silent = activity.levels().iter().rev().take_while(is_empty).count();
    activity.newest(WINDOW + silent.max(decline::HOURS_BEFORE))
}

/// Something unusual about the activity of a chain.
#[derive(Debug, Clone, PartialEq)]
struct Note {
    code: WarningCode,
    /// The statement, to follow the name of the chain.
    statement: String,
}

impl Note {
    fn warning(self, chain: &ChainId) -> WarningRecord {
        let ChainId { account, region, trail, .. } = chain;
        let detail = format!("the trail {trail} in account {account}, {region}: {}", self.statement);
        WarningRecord { code: self.code, bucket: None, key: None, detail }
    }
}

/// Returns the notes about the hours from `known_to` on. `chains` is the number of chains of the run:
/// the more there are, the likelier is something rare in one of them.
fn notes(activity: &Activity, known_to: i64, chains: usize) -> Vec<Note> {
    #[expect(clippy::cast_precision_loss, reason = "a number of chains is far smaller")]
    let rare = RARE / chains.max(1) as f64;
    let silences = silence::find(activity, known_to, rare);
    let declines = decline::find(activity, known_to, rare, &silences);
    let new = silences.iter().filter(|silence| silence.hours.end > known_to);
    let new = new.map(|silence| Note { code: WarningCode::Silence, statement: silence.statement(chains) });
    let declines = declines
        .iter()
        .filter_map(|decline| Some(Note { code: WarningCode::FewerLogFiles, statement: decline.statement()? }));
    new.chain(declines).collect()
}
