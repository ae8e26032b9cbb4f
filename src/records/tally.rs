//! Counts of what was found, and the verdict that follows from them: the only code that makes a
//! verdict.

use std::collections::{BTreeMap, BTreeSet};

use super::{Record, SinceCheckpoint, TamperingCounts};
use crate::model::{ChainFault, DigestStatus, Fault, GapCause, LogFileStatus, TamperingOutcome, Verdict, WarningCode};

/// The findings that a caller accepts: they stay in the reports and do not affect the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Allowances {
    /// Gaps of every cause that alone would leave the verdict open.
    pub every_gap: bool,
    /// Gaps of these causes.
    pub gaps: BTreeSet<GapCause>,
    /// Log files that no digest lists.
    pub unlisted: bool,
    /// Log files that a sample left unread.
    pub sample: bool,
}

impl Allowances {
    /// The words of `--allow` that have this effect.
    pub fn words(&self) -> Vec<String> {
        let gap = self.every_gap.then(|| "gap".to_owned());
        let gaps = self.gaps.iter().map(|cause| format!("gap:{cause}"));
        let others = [(self.unlisted, "unlisted"), (self.sample, "sample")];
        let others = others.into_iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, word)| word.to_owned());
        gap.into_iter().chain(gaps).chain(others).collect()
    }

    /// Returns whether gaps of this cause are accepted.
    pub fn gap(&self, cause: GapCause) -> bool {
        self.every_gap || self.gaps.contains(&cause)
    }
}

/// The number of records of each kind and status.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    digests: BTreeMap<DigestStatus, u64>,
    log_files: BTreeMap<LogFileStatus, u64>,
    gaps: BTreeMap<GapCause, u64>,
    /// Chains with a fault of their own, by fault.
    chain_faults: BTreeMap<ChainFault, u64>,
    /// Hourly digests for which the gaps left by missing digests have room.
    lost_hours: u64,
    /// Warnings given.
    pub warnings: u64,
    /// Findings of tampering in proven log files. They are no part of the verdict.
    pub tampering: TamperingCounts,
    /// Proven log files of which not all events could be looked at for tampering.
    pub unreadable: u64,
    /// Problems of the evidence bag, and of the public keys that CloudTrail does not publish.
    pub altered: u64,
    /// Log files that a sample left unread.
    pub unsampled: u64,
    /// Chains and trails whose unlisted log files could not be judged.
    pub unjudged: u64,
    /// Unverified log files that a lifecycle rule removed.
    pub expired: u64,
    /// Findings that somebody has acknowledged. No other count contains them.
    pub acknowledged: u64,
    /// Violations of earlier runs that have no record in this run, and that nobody has acknowledged.
    pub counted: u64,
}

impl Tally {
    /// Counts one record.
    pub fn count(&mut self, record: &Record) {
        if record.acknowledged().is_some() {
            self.acknowledged += 1;
            return;
        }
        match record {
            Record::Digest(digest) => *self.digests.entry(digest.status).or_default() += 1,
            Record::LogFile(log_file) => {
                *self.log_files.entry(log_file.status).or_default() += 1;
                let is_expired = log_file.fault == Some(Fault::Expired) && log_file.status == LogFileStatus::Unverified;
                self.expired += u64::from(is_expired);
            }
            Record::Gap(gap) => {
                *self.gaps.entry(gap.cause).or_default() += 1;
                if gap.cause == GapCause::DigestsMissing {
                    self.lost_hours = self.lost_hours.saturating_add(gap.missing_digests);
                }
            }
            Record::Tampering(tampering) => match tampering.outcome {
                TamperingOutcome::Succeeded => self.tampering.succeeded += 1,
                TamperingOutcome::Attempted => self.tampering.attempted += 1,
            },
            Record::Warning(warning) => {
                self.warnings += 1;
                self.unreadable += u64::from(warning.code == WarningCode::EventsUnreadable);
                self.altered += u64::from(warning.code == WarningCode::KeyNotPublished);
                self.unjudged += u64::from(warning.code == WarningCode::UnlistedNotJudged);
            }
            Record::Chain(chain) => {
                if let Some(fault) = chain.fault {
                    *self.chain_faults.entry(fault).or_default() += 1;
                }
            }
            Record::Bag(bag) => self.altered += bag.problems.len() as u64,
            Record::Run(_) | Record::Circumstances(_) | Record::Summary(_) => {}
        }
    }

    /// Counts the violations of earlier runs that have no records.
    pub fn take_counted(&mut self, since: &SinceCheckpoint) {
        self.counted = since.counted.values().sum();
        let acknowledged: u64 = since.counted_acknowledged.iter().map(|counted| counted.count).sum();
        self.acknowledged = self.acknowledged.saturating_add(acknowledged);
    }

    /// Digests with this status.
    pub fn digests(&self, status: DigestStatus) -> u64 {
        self.digests.get(&status).copied().unwrap_or_default()
    }

    /// Log files with this status.
    pub fn log_files(&self, status: LogFileStatus) -> u64 {
        self.log_files.get(&status).copied().unwrap_or_default()
    }

    /// Chains with a fault of their own.
    pub fn chain_faults(&self) -> u64 {
        self.chain_faults.values().sum()
    }

    /// Chains with this fault.
    pub fn chain_faults_of(&self, fault: ChainFault) -> u64 {
        self.chain_faults.get(&fault).copied().unwrap_or_default()
    }

    /// The number of digests that are gone at least: those that are missing, or the hourly digests
    /// for which the gaps that they left have room, if those are more.
    pub fn lost_digests(&self) -> u64 {
        self.digests(DigestStatus::Missing).max(self.lost_hours)
    }

    /// Returns whether nothing but the evidence bag or its keys makes the verdict `violated`.
    pub fn is_only_altered(&self) -> bool {
        let rest = Self { altered: 0, ..self.clone() };
        self.altered > 0 && rest.verdict(&Allowances::default(), false) != Verdict::Violated
    }

    /// Gaps of every cause.
    pub fn gaps(&self) -> u64 {
        self.gaps.values().sum()
    }

    /// Gaps of this cause.
    pub fn gaps_of(&self, cause: GapCause) -> u64 {
        self.gaps.get(&cause).copied().unwrap_or_default()
    }

    /// Returns the verdict on what was counted. A run that examined nothing is never `verified`.
    ///
    /// An allowance never softens a violation: a gap left by digests that were removed stays one.
    pub fn verdict(&self, allowed: &Allowances, interrupted: bool) -> Verdict {
        let violated = self.log_files(LogFileStatus::Modified)
            + self.log_files(LogFileStatus::Deleted)
            + self.digests(DigestStatus::Invalid)
            + self.digests(DigestStatus::Missing)
            + self.gaps_of(GapCause::DigestsMissing)
            + self.chain_faults()
            + self.counted
            + self.altered;
        let expired = if allowed.gap(GapCause::Expired) { self.expired } else { 0 };
        let open = self.log_files(LogFileStatus::Unverified).saturating_sub(expired)
            + self.digests(DigestStatus::Unverified)
            + if allowed.unlisted { 0 } else { self.log_files(LogFileStatus::Unlisted) + self.unjudged }
            + if allowed.sample { 0 } else { self.unsampled }
            + self
                .gaps
                .iter()
                .filter(|(cause, _)| cause.is_finding() && !allowed.gap(**cause))
                .map(|(_, count)| count)
                .sum::<u64>();
        if interrupted {
            Verdict::Inconclusive
        } else if violated > 0 {
            Verdict::Violated
        } else if open > 0 || self.digests(DigestStatus::Valid) == 0 {
            Verdict::Inconclusive
        } else {
            Verdict::Verified
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(valid: u64, gap: Option<GapCause>) -> Tally {
        Tally {
            digests: BTreeMap::from([(DigestStatus::Valid, valid)]),
            gaps: gap.map(|cause| (cause, 1)).into_iter().collect(),
            ..Tally::default()
        }
    }

    #[test]
    fn nothing_examined_is_never_verified() {
        assert_eq!(Tally::default().verdict(&Allowances::default(), false), Verdict::Inconclusive);
        let all = Allowances { every_gap: true, ..Allowances::default() };
        assert_eq!(tally(0, Some(GapCause::NoDigests)).verdict(&all, false), Verdict::Inconclusive);
    }

    #[test]
    fn gaps_decide_by_their_cause() {
        let none = Allowances::default();
        assert_eq!(tally(1, None).verdict(&none, false), Verdict::Verified);
        assert_eq!(tally(1, Some(GapCause::NotYetDelivered)).verdict(&none, false), Verdict::Verified);
        assert_eq!(tally(1, Some(GapCause::LoggingStopped)).verdict(&none, false), Verdict::Inconclusive);
        assert_eq!(tally(1, Some(GapCause::DigestsMissing)).verdict(&none, false), Verdict::Violated);
    }

    #[test]
    fn an_allowance_keeps_a_gap_out_of_the_verdict_but_never_a_violation() {
        let stopped = Allowances { gaps: BTreeSet::from([GapCause::LoggingStopped]), ..Allowances::default() };
        let every = Allowances { every_gap: true, ..Allowances::default() };
        assert_eq!(tally(1, Some(GapCause::LoggingStopped)).verdict(&stopped, false), Verdict::Verified);
        assert_eq!(tally(1, Some(GapCause::NoDigests)).verdict(&stopped, false), Verdict::Inconclusive);
        assert_eq!(tally(1, Some(GapCause::NoDigests)).verdict(&every, false), Verdict::Verified);
        assert_eq!(tally(1, Some(GapCause::DigestsMissing)).verdict(&every, false), Verdict::Violated);
    }

    #[test]
    fn a_sample_leaves_the_verdict_open_unless_it_is_allowed() {
        let sampled = Tally { unsampled: 3, ..tally(1, None) };
        assert_eq!(sampled.verdict(&Allowances::default(), false), Verdict::Inconclusive);
        let allowed = Allowances { sample: true, ..Allowances::default() };
        assert_eq!(sampled.verdict(&allowed, false), Verdict::Verified);
    }

    #[test]
    fn an_interrupted_run_is_inconclusive() {
        assert_eq!(tally(1, None).verdict(&Allowances::default(), true), Verdict::Inconclusive);
    }
}
