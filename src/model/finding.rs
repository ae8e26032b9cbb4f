//! The terms of a judgement: statuses, faults, causes and verdicts, with the names that reports
//! write.
//!
//! The names are part of the public interface: scripts match on them.

use std::fmt;

use schemars::JsonSchema;

use super::text_form::serialize_as_text;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, JsonSchema)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* #[schemars(rename = $text)] $variant),+ }

        serialize_as_text!($name);

        impl $name {
            /// Every value, in the order in which reports list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word that reports write.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.iter().copied().find(|word| word.as_str() == text);
                found.ok_or_else(|| format!("'{text}' is no word of this version"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words!(
    /// The judgement on a log file.
    LogFileStatus {
        /// Its uncompressed bytes have the hash that a valid digest recorded.
        Intact = "intact",
        /// It exists, and its uncompressed bytes do not have that hash.
        Modified = "modified",
        /// A valid digest lists it, and the store says that it does not exist.
        Deleted = "deleted",
        /// The log file could not be judged.
        Unverified = "unverified",
        /// It lies in the log folder, within a period that valid digests cover, and none of them
        /// lists it.
        Unlisted = "unlisted",
        /// It lies in the log folder, in the range, in a time that no valid digest covers, and no
        /// valid digest lists it.
        Uncovered = "uncovered",
    }
);

words!(
    /// The depth of an audit.
    Depth {
        /// Digests only: signatures and links.
        Chain = "chain",
        /// Also whether each log file exists, by listing.
        Presence = "presence",
        /// Also whether each log file has the recorded content.
        Content = "content",
    }
);

words!(
    /// The judgement on a digest.
    DigestStatus {
        /// Its signature verifies, and no valid successor recorded anything else.
        Valid = "valid",
        /// It is not what CloudTrail signed, or not at the location that it was signed for.
        Invalid = "invalid",
        /// Its successor names it, or an earlier run verified it, and reading it directly answers
        /// that it does not exist.
        Missing = "missing",
        /// The digest could not be judged.
        Unverified = "unverified",
    }
);

words!(
    /// The series a digest belongs to.
    DigestKind {
        /// The series with one digest an hour.
        Standard = "standard",
        /// The series for log files that processing delay kept out of the hour's standard digest.
        Backfill = "backfill",
    }
);

words!(
    /// The origin of the signature that proved a digest.
    SignatureFrom {
        /// The object's own metadata.
        Metadata = "metadata",
        /// `previousDigestSignature` of the digest after it.
        Successor = "successor",
    }
);

words!(
    /// The fault of an object, or the reason why it could not be judged.
    Fault {
        /// The content's SHA-256 is not the recorded one.
        HashMismatch = "hash_mismatch",
        /// The object does not begin as gzip does.
        NotGzip = "not_gzip",
        /// The gzip stream ends early.
        Truncated = "truncated",
        /// The gzip stream can't be decompressed, or its own checksum is wrong.
        Corrupt = "corrupt",
        /// Bytes follow the last gzip member.
        TrailingData = "trailing_data",
        /// The store says that it does not exist.
        NotFound = "not_found",
        /// The store denied access to it.
        AccessDenied = "access_denied",
        /// It lies in an archive tier and has to be restored first.
        Archived = "archived",
        /// It could not be read, retries included.
        ReadFailed = "read_failed",
        /// It is larger than the ceiling that was set.
        TooLarge = "too_large",
        /// The digest names a hash algorithm that this version doesn't know.
        UnknownHashAlgorithm = "unknown_hash_algorithm",
        /// No valid digest lists it.
        NotListed = "not_listed",
        /// No valid digest covers its time.
        NotCovered = "not_covered",
        /// It is gone, and a lifecycle rule of the bucket explains that.
        Expired = "expired",
        /// Only a digest that isn't valid lists it.
        ListedByInvalidDigest = "listed_by_invalid_digest",
        /// The digest's content is not a digest.
        Malformed = "malformed",
        /// The digest names another location as its own.
        Moved = "moved",
        /// No signature is known for the digest.
        SignatureMissing = "signature_missing",
        /// The signature doesn't verify.
        SignatureMismatch = "signature_mismatch",
        /// The digest names a signature algorithm that this version doesn't know.
        UnknownSignatureAlgorithm = "unknown_signature_algorithm",
        /// The public key with the digest's fingerprint is not known.
        KeyUnknown = "key_unknown",
        /// The key was not valid when the digest was signed.
        KeyNotValidThen = "key_not_valid_then",
        /// A valid successor recorded another hash.
        PredecessorHashMismatch = "predecessor_hash_mismatch",
        /// A valid successor recorded another signature.
        PredecessorSignatureMismatch = "predecessor_signature_mismatch",
        /// The name would lead outside the folder that is examined.
        UnsafeName = "unsafe_name",
    }
);

words!(
    /// The reason why a part of the range is not covered.
    GapCause {
        /// A starting digest follows: logging or validation was off, or earlier digests were
        /// removed.
        LoggingStopped = "logging_stopped",
        /// Digests that were delivered are not there.
        DigestsMissing = "digests_missing",
        /// The digests there are invalid.
        DigestsInvalid = "digests_invalid",
        /// The digests there could not be judged.
        DigestsUnverified = "digests_unverified",
        /// The store would not list the digests.
        ListingFailed = "listing_failed",
        /// The newest hours up to now, whose digests may still come: two hours, or the grace period
        /// if that is longer.
        NotYetDelivered = "not_yet_delivered",
        /// A chain that should be there and is not.
        NoDigests = "no_digests",
        /// The range begins before the chain does.
        BeforeFirstDigest = "before_first_digest",
        /// The range ends after the chain does.
        AfterLastDigest = "after_last_digest",
        /// The oldest losses, where a lifecycle rule of the bucket explains them.
        Expired = "expired",
    }
);

words!(
    /// The fault of a chain as a whole.
    ChainFault {
        /// Its newest digests were removed.
        TailCut = "tail_cut",
        /// A digest that an earlier run verified is gone or another one, or the links of the chain no
        /// longer lead to it.
        CheckpointContradicted = "checkpoint_contradicted",
    }
);

words!(
    /// The outcome of a call that weakens logging or the protection of the logs.
    TamperingOutcome {
        /// The call succeeded: its record has no error.
        Succeeded = "succeeded",
        /// The call failed.
        Attempted = "attempted",
    }
);

words!(
    /// The kind of a warning: something that a reader should know. Few kinds affect the verdict.
    WarningCode {
        /// The object's signature is gone or changed; its successor's record of it proved the
        /// digest.
        ObjectTouched = "object_touched",
        /// The two implementations of RSA disagree on a signature.
        WitnessesDisagree = "witnesses_disagree",
        /// A public key's fingerprint is not the MD5 of its bytes.
        FingerprintMismatch = "fingerprint_mismatch",
        /// Public keys could not be read.
        KeysUnavailable = "keys_unavailable",
        /// A metadata file beside a digest can't be read as such.
        MetadataUnreadable = "metadata_unreadable",
        /// A part of the location could not be listed.
        ListingFailed = "listing_failed",
        /// CloudTrail did not say when it last delivered a digest.
        StatusUnavailable = "status_unavailable",
        /// Files that no digest lists can't be distinguished from those of a trail that delivers no
        /// digests.
        UnlistedNotJudged = "unlisted_not_judged",
        /// The caller may not look at the versions that a versioned bucket still holds.
        VersionsUnavailable = "versions_unavailable",
        /// The accounts or regions that the trail has to reach could not be determined.
        ReachUnknown = "reach_unknown",
        /// The request names a region, an account, an organization, a trail or a prefix that is not
        /// there.
        NothingFound = "nothing_found",
        /// An unlisted file that an earlier run reported is no longer found: it is gone, or a digest
        /// lists it now.
        FindingClosed = "finding_closed",
        /// A public key in a file is none that CloudTrail publishes. Unlike other warnings, this one
        /// makes the verdict `violated`: what rests on the key proves nothing.
        KeyNotPublished = "key_not_published",
        /// A second copy of a bucket lies in the folder that is read, where no layout puts it: it
        /// is not read.
        SecondCopy = "second_copy",
        /// A starting digest follows the digest before it without a hole.
        ChainRestarted = "chain_restarted",
        /// Chains of several organizations' trails of one name lie at one location.
        SeveralOrganizations = "several_organizations",
        /// The newest lines of a bag's custody log are not signed, though those before them are.
        CustodyNotSigned = "custody_not_signed",
        /// Not all events of an intact log file could be looked at for tampering.
        EventsUnreadable = "events_unreadable",
        /// Calls about the trail's KMS key were not looked for, as it is not known which it is.
        TrailKeyUnknown = "trail_key_unknown",
        /// CloudTrail says that the trail is not logging now.
        NotLogging = "not_logging",
        /// A series of digests is empty, and the chain's own past makes that improbable.
        Silence = "silence",
        /// The digests of a day list far fewer log files than those of the weeks before.
        FewerLogFiles = "fewer_log_files",
        /// CloudTrail says that it could not deliver log files, digests, or events to CloudWatch Logs.
        DeliveryFailed = "delivery_failed",
    }
);

words!(
    /// The state of an evidence bag.
    BagStatus {
        /// Its files are those that its manifests and its custody log record.
        Intact = "intact",
        /// A file is not as they record: the bag was changed.
        Altered = "altered",
    }
);

words!(
    /// The source of public keys.
    #[derive(Default)]
    KeysFrom {
        /// CloudTrail's `ListPublicKeys`.
        #[default]
        ListPublicKeys = "ListPublicKeys",
        /// A file.
        File = "file",
        /// The evidence bag that is examined.
        Bag = "bag",
    }
);

words!(
    /// The answer that a run gives.
    Verdict {
        /// All that was examined is as CloudTrail delivered it, and nothing is left open.
        Verified = "verified",
        /// Something was changed or removed.
        Violated = "violated",
        /// Nothing was found changed, and something could not be judged.
        Inconclusive = "inconclusive",
    }
);

impl GapCause {
    /// Returns whether a gap of this cause makes the verdict `violated`.
    pub const fn is_violation(self) -> bool {
        matches!(self, Self::DigestsMissing)
    }

    /// Returns whether a gap of this cause is a finding, and not just a time to wait for.
    pub const fn is_finding(self) -> bool {
        !matches!(self, Self::NotYetDelivered)
    }
}

impl std::error::Error for Fault {}

impl Verdict {
    /// The process exit code that stands for this verdict.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Verified => exit_code::VERIFIED,
            Self::Violated => exit_code::VIOLATED,
            Self::Inconclusive => exit_code::INCONCLUSIVE,
        }
    }
}

/// The exit codes of a run. They are part of the public interface, and are written to the summary
/// record.
pub mod exit_code {
    /// The verdict is `verified`.
    pub const VERIFIED: u8 = 0;
    /// The verdict is `violated`.
    pub const VIOLATED: u8 = 1;
    /// The command line, or a file that it names, is wrong.
    pub const USAGE: u8 = 2;
    /// The verdict is `inconclusive`.
    pub const INCONCLUSIVE: u8 = 3;
    /// The run could not be made.
    pub const CANNOT_RUN: u8 = 4;
    /// The run was interrupted: 128 and the number of SIGINT, as shells have it.
    pub const INTERRUPTED: u8 = 130;

    /// Describes an exit code.
    pub fn meaning(code: u8) -> &'static str {
        match code {
            VERIFIED => "verified, no violation and no open point counts",
            VIOLATED => "violated, at least one violation counts",
            USAGE => "the command line, or a file that it names, is wrong",
            INCONCLUSIVE => "inconclusive, no violation counts and something could not be judged",
            CANNOT_RUN => "the run could not be made",
            INTERRUPTED => "the run was interrupted",
            _ => "not an exit code of this version",
        }
    }
}
