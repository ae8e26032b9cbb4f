//! Arguments that name what is verified, and the sources of objects and keys.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::builder::FalseyValueParser;
use clap::{Args as ClapArgs, ValueEnum};

use super::reports::ReportArgs;
use super::scheduled::{NoticeArgs, StateArgs};
use super::values::{
    Allowance, MAX_SEED, Price, Suggested, allowance_suggestions, depth_suggestions, parse_allowance, parse_depth,
    parse_price, parse_sample,
};
use crate::audit::SampleSize;
use crate::model::{AccountId, Depth, OrganizationId, Region, TimeArgument, TrailArn, parse_time};

#[derive(Debug, ClapArgs)]
pub(crate) struct VerifyArgs {
    /// Several trails in one run: a TOML file with these flags as settings, for all of them and,
    /// under a `[[trail]]`, for each. The environment counts more, and the command line most
    #[arg(long, env = "CTVERIFY_CONFIG", hide_env = true, value_name = "FILE", help_heading = "What to verify")]
    pub config: Option<PathBuf>,

    #[command(flatten)]
    pub what: SelectArgs,

    /// The custody log of the bag has to be signed by the holder of this public key, or of one in a
    /// file of allowed signers as ssh-keygen takes it
    #[arg(long, env = "CTVERIFY_SIGNER", hide_env = true, value_name = "FILE", help_heading = "Where to look")]
    pub signer: Option<PathBuf>,

    /// Read a random part of the log files only: so many, or so many percent (2000, or 5%). Digests
    /// and the existence of every file are checked all the same, and the report says what the
    /// sample bounds
    #[arg(
        long,
        env = "CTVERIFY_SAMPLE",
        hide_env = true,
        allow_hyphen_values = true,
        value_parser = parse_sample,
        value_name = "N|P%",
        help_heading = "What to verify"
    )]
    pub sample: Option<SampleSize>,

    /// Draw the sample that an earlier report names by this seed
    #[arg(
        long,
        env = "CTVERIFY_SEED",
        hide_env = true,
        value_name = "N",
        requires = "sample",
        value_parser = clap::value_parser!(u64).range(..=MAX_SEED),
        help_heading = "What to verify"
    )]
    pub seed: Option<u64>,

    /// Say what the run would read, how long it would take and what S3 would charge; lists, and
    /// reads a few digests alone
    #[arg(
        long,
        env = "CTVERIFY_ESTIMATE",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "What to verify",
        conflicts_with_all = ["from", "report"]
    )]
    pub estimate: bool,

    /// Prices for the estimate in US dollars, as get=0.0004,list=0.005,gb=0.09: a thousand GETs, a
    /// thousand LISTs, a GB of transfer
    #[arg(
        long,
        env = "CTVERIFY_PRICES",
        hide_env = true,
        value_name = "NAME=DOLLARS",
        value_delimiter = ',',
        value_parser = parse_price,
        requires = "estimate",
        help_heading = "What to verify"
    )]
    pub prices: Vec<(Price, f64)>,

    /// Ask CloudTrail for the management events in gaps, and for the call that stopped the logging
    /// where no proven event does (LookupEvents: of this account, the last 90 days, two requests a
    /// second). The answers are not signed, and change no verdict
    #[arg(
        long,
        env = "CTVERIFY_EVENT_HISTORY",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "What to verify",
        conflicts_with = "estimate"
    )]
    pub event_history: bool,

    #[command(flatten)]
    pub copy: CopyArgs,

    #[command(flatten)]
    pub source: SourceArgs,

    #[command(flatten)]
    pub scheduled: StateArgs,

    #[command(flatten)]
    pub notices: NoticeArgs,

    #[command(flatten)]
    pub reports: ReportArgs,

    /// Add a line on this verification to the custody log of the bag, which is left as it is
    /// otherwise
    #[arg(
        long,
        env = "CTVERIFY_LOG_CUSTODY",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        requires = "from",
        help_heading = "Evidence"
    )]
    pub log_custody: bool,

    /// Keep a kind in the reports and out of the verdict: gap, gap:CAUSE, unlisted, or sample
    /// (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_ALLOW",
        hide_env = true,
        value_name = "KIND",
        value_delimiter = ',',
        value_parser = Suggested { parse: parse_allowance, suggestions: allowance_suggestions },
        hide_possible_values = true,
        help_heading = "Verdict"
    )]
    pub allow: Vec<Allowance>,

    #[command(flatten)]
    pub fail: FailArgs,
}

/// The findings that make the exit code 1 whatever the verdict is.
#[derive(Debug, Clone, Default, ClapArgs)]
pub(crate) struct FailArgs {
    /// Make the exit code 1, whatever the verdict is, if a proven event weakens logging and succeeded:
    /// tampering
    #[arg(
        long,
        env = "CTVERIFY_FAIL_ON",
        hide_env = true,
        value_name = "KIND",
        value_enum,
        value_delimiter = ',',
        hide_possible_values = true,
        help_heading = "Verdict"
    )]
    pub fail_on: Vec<FailOn>,
}

/// A kind of finding that makes the exit code 1 whatever the verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A proven event that weakens logging or the protection of the logs
    Tampering,
}

impl VerifyArgs {
    /// The arguments of a verification that names what is verified and no more.
    pub(super) fn of(what: SelectArgs, copy: CopyArgs, source: SourceArgs, reports: ReportArgs) -> Self {
        Self {
            config: None,
            what,
            signer: None,
            sample: None,
            seed: None,
            estimate: false,
            prices: Vec::new(),
            event_history: false,
            copy,
            source,
            scheduled: StateArgs::default(),
            notices: NoticeArgs::default(),
            reports,
            log_custody: false,
            allow: Vec::new(),
            fail: FailArgs::default(),
        }
    }
}

/// Which trail, which part of it, and where it lies.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SelectArgs {
    /// The trail. Without it, every trail found at the location is verified.
    #[arg(long, env = "CTVERIFY_TRAIL_ARN", hide_env = true, value_name = "ARN", help_heading = "What to verify")]
    pub trail_arn: Option<TrailArn>,

    /// Begin of the range: RFC 3339, a date, 20260301T000000Z, or an age such as 24h or 7d
    /// [default: each chain's first digest]
    #[arg(
        long,
        env = "CTVERIFY_START",
        hide_env = true,
        allow_hyphen_values = true,
        visible_alias = "start-time",
        value_name = "TIME",
        value_parser = parse_time,
        help_heading = "What to verify"
    )]
    pub start: Option<TimeArgument>,

    /// End of the range, in the same forms [default: now; for a local copy, each chain's last
    /// digest]
    #[arg(
        long,
        env = "CTVERIFY_END",
        hide_env = true,
        allow_hyphen_values = true,
        visible_alias = "end-time",
        value_name = "TIME",
        value_parser = parse_time,
        help_heading = "What to verify"
    )]
    pub end: Option<TimeArgument>,

    /// Only these accounts (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_ACCOUNT_ID",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "What to verify"
    )]
    pub account_id: Vec<AccountId>,

    /// Only these regions (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_REGIONS",
        hide_env = true,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "What to verify"
    )]
    pub regions: Vec<Region>,

    /// How deep to look: chain (digests only), presence (also whether each log file exists, by
    /// listing), content
    #[arg(
        long,
        env = "CTVERIFY_DEPTH",
        hide_env = true,
        value_parser = Suggested { parse: parse_depth, suggestions: depth_suggestions },
        hide_possible_values = true,
        default_value = "content",
        value_name = "DEPTH",
        help_heading = "What to verify"
    )]
    pub depth: Depth,

    /// An account that has to be there: without any digest of it, the report has a gap (repeatable,
    /// or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_EXPECT_ACCOUNT",
        hide_env = true,
        value_name = "ID",
        value_delimiter = ',',
        help_heading = "What has to be there"
    )]
    pub expect_account: Vec<AccountId>,

    /// A region in which every account has to have digests (repeatable, or comma-separated)
    #[arg(
        long,
        env = "CTVERIFY_EXPECT_REGION",
        hide_env = true,
        value_name = "REGION",
        value_delimiter = ',',
        help_heading = "What has to be there"
    )]
    pub expect_region: Vec<Region>,

    /// The trail's bucket [default: what GetTrail or DescribeTrails tells]
    #[arg(
        long,
        env = "CTVERIFY_BUCKET",
        hide_env = true,
        visible_alias = "s3-bucket",
        value_name = "NAME",
        help_heading = "Where to look"
    )]
    pub bucket: Option<String>,

    /// The key prefix before AWSLogs/
    #[arg(
        long,
        env = "CTVERIFY_PREFIX",
        hide_env = true,
        visible_alias = "s3-prefix",
        value_name = "PREFIX",
        requires = "bucket",
        help_heading = "Where to look"
    )]
    pub prefix: Option<String>,

    /// The organization whose folder holds the digests [default: each that is found, or the caller's
    /// own if that is among them]
    #[arg(
        long,
        env = "CTVERIFY_ORGANIZATION_ID",
        hide_env = true,
        value_name = "O-ID",
        help_heading = "Where to look"
    )]
    pub organization_id: Option<OrganizationId>,
}

/// A local copy that is read in place of S3.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct CopyArgs {
    /// A local copy of the bucket, such as 'aws s3 sync' makes, an evidence bag, or a bag in a ZIP
    /// file, which is unpacked into a temporary folder; AWS is asked for nothing but what
    /// --check-keys and --notify sns: need
    #[arg(long, env = "CTVERIFY_FROM", hide_env = true, value_name = "DIR", help_heading = "Where to look")]
    pub from: Option<PathBuf>,
}

/// The sources of bytes and keys.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct SourceArgs {
    /// Public keys, as 'aws cloudtrail list-public-keys' prints them, or {REGION: that, …} [default
    /// for a bag: its own]
    #[arg(long, env = "CTVERIFY_KEYS", hide_env = true, value_name = "FILE", help_heading = "Where to look")]
    pub keys: Option<PathBuf>,

    /// Compare the public keys of a bag, or of --keys, with those that CloudTrail publishes: asks
    /// AWS
    #[arg(
        long,
        env = "CTVERIFY_CHECK_KEYS",
        hide_env = true,
        value_parser = FalseyValueParser::new(),
        help_heading = "Where to look"
    )]
    pub check_keys: bool,

    /// The bucket that the digests record, where the one that is read is a replica or a restored
    /// copy of it
    #[arg(
        long,
        env = "CTVERIFY_RECORDED_BUCKET",
        hide_env = true,
        value_name = "NAME",
        help_heading = "Where to look"
    )]
    pub recorded_bucket: Option<String>,

    /// The uncompressed size to which a log file is read, such as 100GiB; a larger one is
    /// unverified [default: 64GiB]
    #[arg(
        long,
        env = "CTVERIFY_MAX_LOG_FILE_SIZE",
        hide_env = true,
        value_name = "SIZE",
        help_heading = "What to verify"
    )]
    pub max_log_file_size: Option<ByteSize>,

    #[command(flatten)]
    pub aws: AwsArgs,

    /// How many objects are read at once [default: 192 from S3, fewer while it asks to slow down
    /// or log files are large; the number of cores from a folder]
    #[arg(
        long,
        env = "CTVERIFY_CONCURRENCY",
        hide_env = true,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=4096),
        help_heading = "AWS"
    )]
    pub concurrency: Option<u16>,
}

/// The connection to AWS.
#[derive(Debug, Clone, ClapArgs)]
pub(crate) struct AwsArgs {
    /// Profile of the AWS configuration
    #[arg(long, env = "CTVERIFY_PROFILE", hide_env = true, value_name = "NAME", help_heading = "AWS")]
    pub profile: Option<String>,

    /// Region of the API calls that need one; filters nothing
    #[arg(long, env = "CTVERIFY_REGION", hide_env = true, value_name = "REGION", help_heading = "AWS")]
    pub region: Option<Region>,

    /// Another endpoint for every AWS service
    #[arg(long, env = "CTVERIFY_ENDPOINT_URL", hide_env = true, value_name = "URL", help_heading = "AWS")]
    pub endpoint_url: Option<String>,
}
