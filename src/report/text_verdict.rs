//! The verdict in words, for people.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::text_style::counted;
use crate::model::{Depth, DigestStatus, GapCause, LogFileStatus, SampleResult};
use crate::records::{Allowances, SummaryRecord, Tally, TamperingCounts};

/// States what a verified run proved.
pub(super) fn intact(summary: &SummaryRecord, scope: &str) -> String {
    let tally = &summary.tally;
    if tally.acknowledged > 0 {
        let acknowledged = counted(tally.acknowledged, "acknowledged finding");
        return format!("apart from {acknowledged}, {}", intact_rest(summary, scope));
    }
    intact_rest(summary, scope)
}

fn intact_rest(summary: &SummaryRecord, scope: &str) -> String {
    let tally = &summary.tally;
    let intact = counted(tally.log_files(LogFileStatus::Intact), "log file");
    let valid = counted(tally.digests(DigestStatus::Valid), "digest");
    let unread = counted(summary.not_read, "log file");
    match summary.depth {
        Depth::Content if summary.sample.is_some_and(|sample| sample.read < sample.total) => {
            format!(
                "{intact} of a sample and {valid}{scope} have the content that CloudTrail delivered; {unread} exist and were \
                 not read"
            )
        }
        Depth::Content => format!("{intact} and {valid}{scope} have the content that CloudTrail delivered"),
        Depth::Presence => format!(
            "{valid}{scope} have the content that CloudTrail delivered, and {unread} that were looked for exist; what is in \
             them was not read"
        ),
        Depth::Chain => {
            format!("{valid}{scope} have the content that CloudTrail delivered; log files were not looked at")
        }
    }
}

/// Names the chains that were examined and their time, to follow what was counted in them.
pub(super) fn scope(chains: usize, period: Option<(Timestamp, Timestamp)>) -> String {
    let Some((from, to)) = period else { return String::new() };
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date().to_string();
    // The end is not part of the range.
    let last = to.checked_sub(SignedDuration::from_nanos(1)).map_or(from, |last| last.max(from));
    let (first, last) = (day(from), day(last));
    let days = if first == last { first } else { format!("{first} … {last}") };
    format!(" in {}, {days},", counted(chains as u64, "chain"))
}

/// Lists what makes a run `violated`.
pub(super) fn violations(tally: &Tally) -> String {
    let lost = tally.lost_digests();
    let parts = [
        (tally.log_files(LogFileStatus::Modified), "log file", "modified"),
        (tally.log_files(LogFileStatus::Deleted), "log file", "deleted"),
        (tally.digests(DigestStatus::Invalid), "digest", "invalid"),
        (lost, "digest", "missing"),
        (tally.gaps_of(GapCause::DigestsMissing), "gap", "left by missing digests"),
        (tally.chain_faults(), "chain", "at fault as a whole"),
        (tally.altered, "problem", "of the evidence bag or its keys"),
        (tally.counted, "more violation", "that earlier runs reported"),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        // A row of digests that are gone is known from the one that follows, which names only the
        // last.
        .map(|(count, what, how)| {
            let at_least = if how == "missing" { "at least " } else { "" };
            format!("{at_least}{} {how}", counted(count, what))
        })
        .collect();
    if tally.is_only_altered() {
        return format!("the evidence bag or its keys are not as they have to be: {}", parts.join(", "));
    }
    format!("what was found is not what CloudTrail delivered: {}", parts.join(", "))
}

/// States the number of findings of tampering, and the log files in which they were looked for.
pub(super) fn tampering(summary: &SummaryRecord) -> String {
    let TamperingCounts { succeeded, attempted } = summary.tally.tampering;
    let looked = counted(summary.tally.log_files(LogFileStatus::Intact), "intact log file");
    let unreadable = match summary.tally.unreadable {
        0 => String::new(),
        count => format!(", apart from events of {count} of them, which could not be looked at"),
    };
    let found = match (succeeded, attempted) {
        (0, 0) => format!("no call that the rules of tampering name was found in {looked}"),
        _ => format!(
            "{} of calls that weaken logging, and {attempted} of failed ones, in {looked}",
            counted(succeeded, "finding")
        ),
    };
    let code = if summary.fails_by_tampering_alone() { "; the exit code is 1, by --fail-on tampering" } else { "" };
    format!("{found}{unreadable}{code}")
}

/// Lists what leaves a run `inconclusive`.
pub(super) fn open_points(tally: &Tally, allowed: &Allowances) -> String {
    let mut parts = Vec::new();
    if tally.digests(DigestStatus::Valid) == 0 {
        parts.push("no digest was proven valid".to_owned());
    }
    for (count, what) in
        [(tally.digests(DigestStatus::Unverified), "digest"), (tally.log_files(LogFileStatus::Unverified), "log file")]
    {
        if count > 0 {
            parts.push(format!("{} could not be verified", counted(count, what)));
        }
    }
    let unlisted = tally.log_files(LogFileStatus::Unlisted);
    if unlisted > 0 && !allowed.unlisted {
        parts.push(format!("no digest lists {}", counted(unlisted, "log file")));
    }
    if tally.unjudged > 0 && !allowed.unlisted {
        parts.push("log files that no digest lists could not be looked for everywhere".to_owned());
    }
    if tally.unsampled > 0 && !allowed.sample {
        parts.push(format!("{} not read, because a sample was asked for", counted(tally.unsampled, "log file")));
    }
    let gaps = GapCause::ALL.iter().filter(|cause| cause.is_finding() && !allowed.gap(**cause));
    let gaps: BTreeMap<&str, u64> =
        gaps.map(|cause| (cause.as_str(), tally.gaps_of(*cause))).filter(|(_, count)| *count > 0).collect();
    if !gaps.is_empty() {
        let total: u64 = gaps.values().sum();
        let causes: Vec<&str> = gaps.into_keys().collect();
        parts.push(format!("{} in what is covered ({})", counted(total, "gap"), causes.join(", ")));
    }
    let apart = match tally.acknowledged {
        0 => String::new(),
        count => format!("apart from {}, ", counted(count, "acknowledged finding")),
    };
    format!("{apart}nothing was found changed, and not everything could be judged: {}", parts.join(", "))
}

/// Describes what a sample implies for the log files that it left out.
pub(super) fn bound(sample: &SampleResult) -> String {
    let SampleResult { total, read, bad } = *sample;
    let at_most = sample.at_most_bad();
    // Rounded up, because the bound must hold.
    let share = if total == 0 { 0 } else { (u128::from(at_most) * 10_000).div_ceil(u128::from(total)) };
    format!(
        "The sample: {read} of {} that exist, drawn at random; {}. With 95 % confidence, at most {at_most} of \
         the {total} \
         ({}.{:02} %) are not as CloudTrail delivered them.",
        counted(total, "log file"),
        if bad == 0 { "none is changed, gone or unreadable".to_owned() } else { format!("{bad} not intact") },
        share / 100,
        share % 100
    )
}

/// Lists what was kept out of the verdict.
pub(super) fn kept_out(summary: &SummaryRecord, allowed: &Allowances) -> Vec<String> {
    let tally = &summary.tally;
    let mut kept_out = allowed_gaps(tally, allowed);
    let unlisted = tally.log_files(LogFileStatus::Unlisted);
    if allowed.unlisted && unlisted > 0 {
        kept_out.push(counted(unlisted, "unlisted log file"));
    }
    if allowed.unlisted && tally.unjudged > 0 {
        kept_out.push("log files that no digest lists, where they could not be looked for".to_owned());
    }
    if allowed.gap(GapCause::Expired) && tally.expired > 0 {
        kept_out.push(format!("{} (expired)", counted(tally.expired, "unverified log file")));
    }
    if allowed.sample && summary.sample.is_some_and(|sample| sample.read < sample.total) {
        kept_out.push("what the sample left unread".to_owned());
    }
    kept_out
}

fn allowed_gaps(tally: &Tally, allowed: &Allowances) -> Vec<String> {
    let spared = GapCause::ALL.iter().filter(|cause| allowed.gap(**cause));
    spared
        .map(|cause| (cause, tally.gaps_of(*cause)))
        .filter(|(cause, count)| *count > 0 && !cause.is_violation())
        .map(|(cause, count)| format!("{} ({cause})", counted(count, "gap")))
        .collect()
}
