//! The sentences of a report: the verdict, what it proves, and what it does not prove.

use super::super::text::KEYS_OF_BAG;
use super::super::text_style::counted;
use crate::model::{ChainFault, Depth, DigestStatus, GapCause, LogFileStatus, Verdict};
use crate::records::{Filters, Merged, RunRecord, SummaryRecord, format_time as time};

/// Returns the verdict in one sentence that a court understands.
pub(super) fn sentence(run: &RunRecord, summary: &SummaryRecord) -> String {
    let verdict = match (verdict(summary), summary.tally.acknowledged) {
        (rest, acknowledged) if acknowledged > 0 && summary.verdict != Verdict::Violated && !summary.interrupted => {
            let acknowledged = counted(acknowledged, "finding");
            format!("Apart from {acknowledged} that somebody has acknowledged, this holds: {}", in_sentence(&rest))
        }
        (verdict, _) => verdict,
    };
    let verdict = match run.allow.len() {
        0 => verdict,
        _ if summary.verdict != Verdict::Verified => verdict,
        _ => format!(
            "Apart from what was kept out of the verdict on request ({}), this holds: {}",
            run.allow.join(", "),
            in_sentence(&verdict)
        ),
    };
    match verdict.strip_suffix('.') {
        Some(verdict) if summary.keys_of_bag => format!("{verdict}; {KEYS_OF_BAG}."),
        _ => verdict,
    }
}

/// Returns a sentence as it stands after a colon.
fn in_sentence(sentence: &str) -> String {
    match sentence.split_once(' ') {
        Some((word @ ("All" | "Nothing"), rest)) => format!("{} {rest}", word.to_lowercase()),
        _ => sentence.to_owned(),
    }
}

fn verdict(summary: &SummaryRecord) -> String {
    let tally = &summary.tally;
    let log_files = counted(tally.log_files(LogFileStatus::Intact), "log file");
    let digests = counted(tally.digests(DigestStatus::Valid), "digest file");
    let changed = tally.log_files(LogFileStatus::Modified) + tally.digests(DigestStatus::Invalid);
    let removed = tally.log_files(LogFileStatus::Deleted) + tally.lost_digests();
    // A row of digests that are gone is known from the one that follows, which names only the last.
    let at_least = if tally.lost_digests() > 0 { "at least " } else { "" };
    match (summary.verdict, summary.depth) {
        _ if summary.interrupted => {
            "The examination was stopped before its end; what it had found until then stands in this report and \
             says nothing of the rest."
                .to_owned()
        }
        (Verdict::Verified, Depth::Content) if summary.not_read == 0 => format!(
            "All {log_files} and {digests} that were examined have the content that Amazon Web Services \
             delivered, and none that \
             belongs to them is missing."
        ),
        (Verdict::Verified, Depth::Content) => format!(
            "{log_files} of a random sample and all {digests} have the content that Amazon Web Services \
             delivered; {} were not read.",
            counted(summary.not_read, "log file")
        ),
        (Verdict::Verified, _) => format!(
            "All {digests} have the content that Amazon Web Services delivered, and none is missing; the \
             content of log files was not read."
        ),
        (Verdict::Violated, _) if tally.is_only_altered() => format!(
            "The evidence bag that was examined, or its keys or signatures, are not as they have to be: {}, named in \
             the findings.",
            counted(tally.altered, "problem")
        ),
        (Verdict::Violated, _) => {
            let mut parts = Vec::new();
            parts.extend((changed > 0).then(|| format!("{} changed", counted(changed, "file"))));
            parts.extend((removed > 0).then(|| format!("{at_least}{} missing", counted(removed, "file"))));
            let gaps = tally.gaps_of(GapCause::DigestsMissing);
            parts.extend((parts.is_empty() && gaps > 0).then(|| {
                format!(
                    "{} left by removed \
                digests",
                    counted(gaps, "gap")
                )
            }));
            let cut = tally.chain_faults_of(ChainFault::TailCut);
            parts.extend((cut > 0).then(|| format!("the newest digest files of {} missing", counted(cut, "chain"))));
            let contradicted = tally.chain_faults_of(ChainFault::CheckpointContradicted);
            parts.extend((contradicted > 0).then(|| {
                format!(
                    "digest files of {} that an earlier run verified missing or \
                    exchanged",
                    counted(contradicted, "chain")
                )
            }));
            parts.extend((tally.altered > 0).then(|| "parts of the evidence bag or its keys changed".to_owned()));
            parts.extend((tally.counted > 0).then(|| {
                let counted = counted(tally.counted, "more file");
                format!("{counted} that earlier runs named changed or missing")
            }));
            let parts = if parts.is_empty() { "parts of it changed".to_owned() } else { parts.join(" and ") };
            let earlier = summary.since_checkpoint.as_ref().is_some_and(|since| since.known > 0 || tally.counted > 0);
            let examined = if earlier { "What this run or earlier ones examined" } else { "What was examined" };
            format!("{examined} is not what Amazon Web Services delivered: {parts}.")
        }
        (Verdict::Inconclusive, _) => {
            "Nothing that was examined was found changed or removed, but not everything could be judged; what \
             is open stands in this report."
                .to_owned()
        }
    }
}

/// Describes the origin of a side of the range (`--start` or `--end`), if the records of a bag name it.
pub(crate) fn of_bag(run: &RunRecord, side: &str) -> &'static str {
    let is_of_bag = run.settings.iter().any(|setting| setting.name == side && setting.from == "the bag's records");
    if is_of_bag { " (as the bag's records name it)" } else { "" }
}

/// Describes the begin of the range.
pub(super) fn begin(run: &RunRecord, summary: &SummaryRecord) -> String {
    let last_run = summary.since_checkpoint.as_ref().and_then(|since| since.last_run);
    match (last_run, run.range.start.map(time)) {
        (Some(last), None) => format!("where the run of {} had ended", time(last.started)),
        (Some(last), Some(start)) => {
            format!(
                "{start} (of which earlier runs examined the part up to where that of {} ended)",
                time(last.started)
            )
        }
        (None, Some(start)) => format!("{start}{}", of_bag(run, "--start")),
        (None, None) => "the first digest of each chain".to_owned(),
    }
}

/// Describes the end of the range.
pub(super) fn end(run: &RunRecord) -> String {
    let shown = |end| format!("{}{}", time(end), of_bag(run, "--end"));
    run.range.end.map_or("the last digest of each chain".to_owned(), shown)
}

/// Describes the scope of the verdict.
pub(super) fn scope(run: &RunRecord, summary: &SummaryRecord, chains: usize) -> String {
    let trail = run.trail_arn.as_ref().map_or_else(
        || "every CloudTrail trail found at the source".to_owned(),
        |arn| format!("the CloudTrail trail {arn}"),
    );
    let (from, to) = (begin(run, summary), end(run));
    let depth = match run.depth {
        Depth::Chain => "the digest files alone",
        Depth::Presence => "the digest files, and the existence of every log file that they list",
        Depth::Content if run.sample.is_some() => {
            "the digest files, and a random sample of the log files that they list"
        }
        Depth::Content => "the digest files, and the log files that they list",
    };
    if run.files > 0 {
        let files = counted(run.files as u64, "log file");
        return format!(
            "It speaks of {files} that were asked about, as found in {}, and of the digest files that list \
             them, with their \
             links on both sides.{}",
            run.source,
            allowed(run)
        );
    }
    let chains = counted(chains as u64, "chain");
    let again = recheck(run).map(|share| format!(" {share} of the days that earlier runs verified were read again."));
    let again = again.unwrap_or_default();
    let stopped = if summary.interrupted { ", as far as the run came before it was stopped" } else { "" };
    format!(
        "It speaks of {trail}{}, as found in {}, from {from} to {to}, in {chains} of digest files: {depth}{stopped}.\
         {again}{}",
        limited(&run.filters),
        run.source,
        allowed(run)
    )
}

/// States the filters of a run, to follow the name of the trail.
pub(crate) fn limited(filters: &Filters) -> String {
    let list = |what: &str, items: Vec<String>| format!("{what} {}", items.join(", "));
    let accounts = filters.accounts.as_ref().map(|accounts| {
        list(
            if accounts.len() == 1 { "account" } else { "accounts" },
            accounts.iter().map(ToString::to_string).collect(),
        )
    });
    let regions = filters.regions.as_ref().map(|regions| {
        list(if regions.len() == 1 { "region" } else { "regions" }, regions.iter().map(ToString::to_string).collect())
    });
    let limits: Vec<String> = accounts.into_iter().chain(regions).collect();
    if limits.is_empty() { String::new() } else { format!(", limited to {}", limits.join(" and ")) }
}

/// Returns the share of the earlier runs' days that a run reads again, if it was asked to.
pub(crate) fn recheck(run: &RunRecord) -> Option<&str> {
    run.settings.iter().find(|setting| setting.name == "--recheck").map(|setting| setting.value.as_str())
}

/// States what was kept out of the verdict.
fn allowed(run: &RunRecord) -> String {
    match run.allow.len() {
        0 => String::new(),
        _ => format!(" Kept out of the verdict on request: {}.", run.allow.join(", ")),
    }
}

/// Returns the statements that follow from the verdict.
pub(super) fn proves(summary: &SummaryRecord) -> Vec<String> {
    let mut proven = vec![
        "Each digest file called valid bears an RSA signature, its own or the one that its successor recorded, \
         that verifies under a public \
         key which the source of keys that this report names gives for that time; where that source says of which region each key is, under one of the \
         region that the digest file names."
            .to_owned(),
        "Each of them, unless it begins a chain, names the digest file before it by its SHA-256 and its signature: \
         where that one is valid, too, none between the two can have been left out, and it can't have been \
         exchanged."
            .to_owned(),
    ];
    if summary.depth == Depth::Content {
        proven.push(
            "Each log file called intact has, uncompressed, the SHA-256 that a valid digest file recorded when \
             CloudTrail delivered it. Changing \
             it without changing that value is not feasible with any known method."
                .to_owned(),
        );
    }
    if summary.verdict == Verdict::Violated || summary.tally.acknowledged > 0 {
        proven.push(
            "Each file called modified, deleted, invalid or missing differs from what CloudTrail signed and \
             delivered, or is gone. Before a \
             signature was called wrong, two independent implementations of RSA agreed on that."
                .to_owned(),
        );
    }
    proven
}

/// Returns the statements that do not follow from the verdict.
pub(super) fn does_not_prove(summary: &SummaryRecord) -> Vec<String> {
    let mut open = vec![
        "That events are true or complete: what CloudTrail wrote is what is verified, not what happened.",
        "That logging was on all the time: where it was off, nothing was delivered. Such times show as gaps.",
        "Who changed or removed a file, and when: that is for other evidence to tell, such as access logs of \
         the bucket.",
        "That the public keys are those of Amazon Web Services, beyond the way in which they were obtained, \
         which this report states.",
        "Anything of files that are called unverified, unlisted or uncovered, of times outside the range, or of gaps.",
    ];
    if summary.depth != Depth::Content || summary.not_read > 0 {
        open.push("Anything of the content of log files that were not read.");
    }
    open.into_iter().map(str::to_owned).collect()
}

/// The method of the examination. Each step is stated only if the run made it.
pub(super) fn method(run: &RunRecord, summary: &SummaryRecord) -> Vec<String> {
    let mut steps: Vec<String> = METHOD_OF_DIGESTS.iter().map(|step| (*step).to_owned()).collect();
    if summary.depth == Depth::Content {
        steps.push(
            "Each log file that was to be read was read to its end, decompressed, hashed, and compared with \
             what the valid digest files recorded."
                .to_owned(),
        );
    }
    if let Some(Merged { plan, units, planned }) = &run.merged {
        steps.push(format!(
            "The run merges the results of {} of the plan {plan}, made at {}, as of which the trail is judged. The \
             units read the objects, each in a run of its own, which may have been on another machine. This run \
             checked the plan's and the results' hashes and that no unit is missing, checked every signature again on \
             the bytes of the digest files that the units kept, took {} from the results, and compared and judged all \
             of it as a run on one machine does. What no result had was read by this run.",
            if *units == 1 { "1 unit of work".to_owned() } else { format!("{units} units of work") },
            time(*planned),
            match summary.depth {
                Depth::Chain => "the listings",
                Depth::Presence => "the listings of log files",
                Depth::Content => "the listings and the SHA-256 of each log file",
            }
        ));
    }
    let logs_custody = run.settings.iter().any(|setting| setting.name == "--log-custody");
    steps.push(if logs_custody {
        "A line on this verification was added to the custody log of the bag; nothing else was written to the \
         place that was examined."
            .to_owned()
    } else {
        "Nothing was written to the place that was examined.".to_owned()
    });
    if summary.since_checkpoint.as_ref().is_some_and(|since| since.last_run.is_some()) {
        steps.push(
            "Violations that earlier runs reported, and acknowledgements of findings, were taken from the checkpoint. A \
             finding that this run could not look at again, or did not, says so."
                .to_owned(),
        );
    }
    steps.push("A refusal, a timeout or a broken connection was never taken as evidence.".to_owned());
    steps
}

const METHOD_OF_DIGESTS: &[&str] = &[
    "Digest files were found by listing the trail's folders, and by following the name of the predecessor that \
     each digest file records.",
    "Each was decompressed (RFC 1952), its SHA-256 computed (FIPS 180-4), and its signature checked as \
     RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017) over: \
     end time, bucket and name, SHA-256 of the content, and the signature of the predecessor, as AWS documents it.",
    "Signatures were checked with AWS-LC; one that failed was checked again with the independent RustCrypto \
     implementation.",
    "Hash and signature of each digest file were compared with what its successor recorded of it.",
];

/// The sources of the rules that the examination follows.
pub(super) const REFERENCES: &[(&str, &str)] = &[
    (
        "AWS CloudTrail User Guide",
        "Validating CloudTrail log file integrity; CloudTrail digest file structure; custom implementations",
    ),
    ("NIST SP 800-86", "Guide to Integrating Forensic Techniques into Incident Response, sections 3.1 and 3.2"),
    (
        "ISO/IEC 27037:2012",
        "Guidelines for identification, collection, acquisition and preservation of digital evidence",
    ),
    ("RFC 3227", "Guidelines for Evidence Collection and Archiving, section 4"),
    ("RFC 8017, FIPS 180-4, RFC 1952", "RSASSA-PKCS1-v1_5, SHA-256, gzip"),
];

/// The terms that the report uses, with their meanings.
pub(super) const GLOSSARY: &[(&str, &str)] = &[
    ("log file", "A file in which CloudTrail writes events, delivered to an Amazon S3 bucket every few minutes."),
    (
        "digest file",
        "A file that CloudTrail delivers every hour: it lists the log files of that hour with their hashes, \
         names the digest file before it, and is signed.",
    ),
    (
        "hash, SHA-256",
        "A number of 64 hexadecimal digits computed from a file's content. Two different files with the same \
         one are not known, and no method to make them is.",
    ),
    (
        "signature",
        "A number that only the holder of a private key can compute from a content, and anybody can check with \
         the public key.",
    ),
    ("chain", "The digest files of one account, region and trail, each naming the one before it."),
    ("intact", "The content is the one that a valid digest file recorded."),
    ("modified, deleted", "The content is another one; the file is gone."),
    (
        "valid, invalid, missing",
        "Of a digest file: proven; not what was signed, or not in its place; named by its successor and gone.",
    ),
    ("unverified", "Nobody can say, and the report says why."),
    ("unlisted", "A file in the log folder that no digest file lists."),
    ("uncovered", "A file in the log folder that no digest file lists, in a time that no valid digest file covers."),
    ("gap", "A part of the range that no valid digest file covers."),
];

/// Describes the cause of a gap.
pub(super) fn gap_cause(cause: GapCause) -> &'static str {
    match cause {
        GapCause::LoggingStopped => {
            "A starting digest file follows: logging or log file validation was off, or earlier digest files were \
             removed."
        }
        GapCause::DigestsMissing => "Digest files of this time do not exist, and later ones show that they did.",
        GapCause::DigestsInvalid => "The digest files of this time are not valid.",
        GapCause::DigestsUnverified => "The digest files of this time could not be judged.",
        GapCause::ListingFailed => "The digest files could not be listed.",
        GapCause::NotYetDelivered => "The time is so recent that its digest files may still come.",
        GapCause::NoDigests => "The chain should be there, and has no digest file.",
        GapCause::BeforeFirstDigest => "The time lies before the first digest file that was found.",
        GapCause::AfterLastDigest => "The time lies after the last digest file that was found.",
        GapCause::Expired => "The oldest digest files are gone, and a lifecycle rule of the bucket explains it.",
    }
}
