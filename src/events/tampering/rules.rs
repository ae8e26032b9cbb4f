//! The rules by which an event counts as tampering.
//!
//! Names of calls and of parameters are those that records have (CloudTrail user guide, "CloudTrail
//! record contents"; S3 user guide, "Amazon S3 CloudTrail events": the names there differ from those of
//! the API). Techniques are those of MITRE ATT&CK for IaaS: T1685.002, formerly T1562.008, is to disable
//! or modify cloud logs, and T1070 to remove indicators.

/// A rule: calls that weaken logging or the protection of the logs.
#[derive(Debug)]
#[non_exhaustive]
pub struct TamperingRule {
    /// The name of the rule, in lower case with underscores.
    pub name: &'static str,
    /// The service that is called.
    pub source: &'static str,
    /// The names of the calls.
    pub calls: &'static [&'static str],
    /// The resource that the call has to be about.
    pub(super) subject: Subject,
    /// The parameters that decide: any of the tests has to hold.
    pub(super) tests: &'static [Test],
    /// The effect, to follow the name of the call.
    pub why: &'static str,
    /// The techniques of MITRE ATT&CK.
    pub attack: &'static [&'static str],
}

/// The resource that a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Any resource, which the parameter at one of these paths names.
    Named(&'static [&'static str]),
    /// A bucket that the trail delivers to.
    TrailBucket,
    /// Log files and digests in such a bucket.
    TrailObjects,
    /// The KMS key that the trail uses.
    TrailKey,
}

/// A test of the parameters of a call. Names of parameters count in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    /// No parameter matters.
    Always,
    /// The parameter at this path has this value.
    Is(&'static str, &'static str),
    /// The parameter at this path is given.
    Given(&'static str),
    /// The parameter at this path is not given.
    NotGiven(&'static str),
    /// The parameter at this path is an empty list.
    Empty(&'static str),
    /// Event selectors without management events.
    NoManagementEvents,
    /// Event selectors that leave out some management events.
    PartOfManagementEvents,
}

use Subject::{Named, TrailBucket, TrailKey, TrailObjects};
use Test::{Always, Empty, Given, Is, NoManagementEvents, NotGiven, PartOfManagementEvents};

const CLOUDTRAIL: &str = "cloudtrail.amazonaws.com";
const ORGANIZATIONS: &str = "organizations.amazonaws.com";
const S3: &str = "s3.amazonaws.com";
const KMS: &str = "kms.amazonaws.com";

/// A trail.
const TRAIL: Subject = Named(&["name", "trailName"]);
/// An event data store of CloudTrail Lake.
const DATA_STORE: Subject = Named(&["eventDataStore"]);
const LOGGING: &[&str] = &["T1685.002"];
const REMOVAL: &[&str] = &["T1070"];

const fn rule(
    name: &'static str,
    (source, calls): (&'static str, &'static [&'static str]),
    subject: Subject,
    tests: &'static [Test],
    why: &'static str,
    attack: &'static [&'static str],
) -> TamperingRule {
    TamperingRule { name, source, calls, subject, tests, why, attack }
}

/// All rules.
#[rustfmt::skip]
pub static RULES: &[TamperingRule] = &[
    rule("logging_stopped", (CLOUDTRAIL, &["StopLogging"]), TRAIL, &[Always],
        "stops the delivery of log files and digests in every region of the trail", LOGGING),
    rule("trail_deleted", (CLOUDTRAIL, &["DeleteTrail"]), TRAIL, &[Always],
        "ends the delivery of log files and digests for good", LOGGING),
    rule("validation_off", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Is("enableLogFileValidation", "false")],
        "sets log file validation to off, without which no digests are delivered", LOGGING),
    rule("trail_bucket_changed", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Given("s3BucketName"), Given("s3KeyPrefix")],
        "names the place that log files and digests are delivered to", LOGGING),
    rule("trail_key_changed", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Given("kmsKeyId")],
        "names the key that log files and digests are encrypted with, or none", LOGGING),
    rule("multi_region_off", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Is("isMultiRegionTrail", "false")],
        "sets the trail to log its own region alone", LOGGING),
    rule("global_events_off", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Is("includeGlobalServiceEvents", "false")],
        "sets the trail to leave out global services, such as IAM", LOGGING),
    rule("organization_trail_off", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL, &[Is("isOrganizationTrail", "false")],
        "sets the trail to log its own account alone", LOGGING),
    rule("log_group_changed", (CLOUDTRAIL, &["UpdateTrail"]), TRAIL,
        &[Given("cloudWatchLogsLogGroupArn"), Given("cloudWatchLogsRoleArn")],
        "names the log group that events are sent to, or none", LOGGING),
    rule("management_events_off", (CLOUDTRAIL, &["PutEventSelectors"]), TRAIL, &[NoManagementEvents],
        "sets event selectors that log no management events", LOGGING),
    rule("management_events_excluded", (CLOUDTRAIL, &["PutEventSelectors"]), TRAIL, &[PartOfManagementEvents],
        "sets event selectors that leave out some management events", LOGGING),
    rule("insights_off", (CLOUDTRAIL, &["PutInsightSelectors"]), TRAIL, &[Empty("insightSelectors")],
        "sets the detection of unusual activity to off", LOGGING),
    rule("data_store_deleted", (CLOUDTRAIL, &["DeleteEventDataStore"]), DATA_STORE, &[Always],
        "deletes the events that CloudTrail Lake holds", REMOVAL),
    rule("data_store_stopped", (CLOUDTRAIL, &["StopEventDataStoreIngestion"]), DATA_STORE, &[Always],
        "ends the collection of events by CloudTrail Lake", LOGGING),
    rule("data_store_unprotected", (CLOUDTRAIL, &["UpdateEventDataStore"]), DATA_STORE,
        &[Is("terminationProtectionEnabled", "false")],
        "permits that the events which CloudTrail Lake holds are deleted", LOGGING),
    rule("data_store_retention", (CLOUDTRAIL, &["UpdateEventDataStore"]), DATA_STORE, &[Given("retentionPeriod")],
        "sets how long CloudTrail Lake holds events", REMOVAL),
    rule("data_store_limited", (CLOUDTRAIL, &["UpdateEventDataStore"]), DATA_STORE,
        &[Is("multiRegionEnabled", "false"), Is("organizationEnabled", "false")],
        "sets CloudTrail Lake to collect the events of one region or account alone", LOGGING),
    rule("delegated_admin_removed", (CLOUDTRAIL, &["DeregisterOrganizationDelegatedAdmin"]),
        Named(&["delegatedAdminAccountId"]), &[Always],
        "takes the administration of the organization's trails from an account", LOGGING),
    rule("trail_tags_removed", (CLOUDTRAIL, &["RemoveTags"]), Named(&["resourceId"]), &[Always],
        "removes tags, by which policies may protect a trail", LOGGING),
    rule("delegated_administrator_removed", (ORGANIZATIONS, &["DeregisterDelegatedAdministrator"]),
        Named(&["accountId"]), &[Is("servicePrincipal", CLOUDTRAIL)],
        "takes the administration of the organization's trails from an account", LOGGING),
    rule("organization_left", (ORGANIZATIONS, &["LeaveOrganization"]), Named(&[]), &[Always],
        "takes an account out of the organization, and out of its trail", LOGGING),
    rule("account_removed", (ORGANIZATIONS, &["RemoveAccountFromOrganization"]), Named(&["accountId"]), &[Always],
        "takes an account out of the organization, and out of its trail", LOGGING),
    rule("service_access_off", (ORGANIZATIONS, &["DisableAWSServiceAccess"]), Named(&["servicePrincipal"]),
        &[Is("servicePrincipal", CLOUDTRAIL)],
        "ends CloudTrail's access to the organization, on which its trail relies", LOGGING),
    rule("bucket_lifecycle", (S3, &["PutBucketLifecycle", "PutBucketLifecycleConfiguration"]), TrailBucket, &[Always],
        "sets when objects of the bucket are deleted", REMOVAL),
    rule("bucket_lifecycle_removed", (S3, &["DeleteBucketLifecycle"]), TrailBucket, &[Always],
        "removes the rules on when objects of the bucket are deleted or archived", REMOVAL),
    rule("bucket_policy", (S3, &["PutBucketPolicy"]), TrailBucket, &[Always],
        "sets who may write, read and delete objects of the bucket, CloudTrail included", LOGGING),
    rule("bucket_policy_removed", (S3, &["DeleteBucketPolicy"]), TrailBucket, &[Always],
        "takes from CloudTrail the permission to deliver", LOGGING),
    rule("bucket_versioning_off", (S3, &["PutBucketVersioning"]), TrailBucket,
        &[Is("VersioningConfiguration.Status", "Suspended")],
        "ends the keeping of earlier versions of objects", REMOVAL),
    rule("bucket_logging_off", (S3, &["PutBucketLogging"]), TrailBucket,
        &[NotGiven("BucketLoggingStatus.LoggingEnabled")],
        "ends the access log of the bucket", LOGGING),
    rule("bucket_replication", (S3, &["PutBucketReplication"]), TrailBucket, &[Always],
        "sets where objects of the bucket are replicated", LOGGING),
    rule("bucket_replication_removed", (S3, &["DeleteBucketReplication"]), TrailBucket, &[Always],
        "ends the replication of the bucket", LOGGING),
    rule("bucket_encryption", (S3, &["PutBucketEncryption", "DeleteBucketEncryption"]), TrailBucket, &[Always],
        "sets the key that new objects of the bucket are encrypted with", LOGGING),
    rule("bucket_acl", (S3, &["PutBucketAcl"]), TrailBucket, &[Always],
        "sets who may write and read objects of the bucket", LOGGING),
    rule("bucket_public_access", (S3, &["PutBucketPublicAccessBlock"]), TrailBucket,
        &[Is("PublicAccessBlockConfiguration.BlockPublicAcls", "false"),
          Is("PublicAccessBlockConfiguration.IgnorePublicAcls", "false"),
          Is("PublicAccessBlockConfiguration.BlockPublicPolicy", "false"),
          Is("PublicAccessBlockConfiguration.RestrictPublicBuckets", "false")],
        "permits the bucket to be public", LOGGING),
    rule("bucket_public_access_block_removed", (S3, &["DeleteBucketPublicAccessBlock"]), TrailBucket, &[Always],
        "permits the bucket to be public", LOGGING),
    rule("bucket_object_lock", (S3, &["PutBucketObjectLockConfiguration", "PutObjectLockConfiguration"]), TrailBucket,
        &[Always],
        "sets how long new objects of the bucket can't be deleted", REMOVAL),
    rule("bucket_deleted", (S3, &["DeleteBucket"]), TrailBucket, &[Always],
        "deletes the bucket that log files and digests are delivered to", REMOVAL),
    rule("object_deleted", (S3, &["DeleteObject"]), TrailObjects, &[Always],
        "deletes a log file or digest, or puts a delete marker before it", REMOVAL),
    rule("objects_deleted", (S3, &["DeleteObjects"]), TrailBucket, &[Always],
        "deletes objects of the bucket, which the record does not name", REMOVAL),
    rule("object_lock_weakened", (S3, &["PutObjectRetention", "PutObjectLegalHold"]), TrailObjects, &[Always],
        "sets how long a log file or digest can't be deleted", REMOVAL),
    rule("key_disabled", (KMS, &["DisableKey"]), TrailKey, &[Always],
        "ends the delivery, as CloudTrail can't encrypt, and nobody can read what was delivered", LOGGING),
    rule("key_deletion", (KMS, &["ScheduleKeyDeletion"]), TrailKey, &[Always],
        "leads to log files and digests that nobody can read any more", REMOVAL),
    rule("key_policy", (KMS, &["PutKeyPolicy"]), TrailKey, &[Always],
        "sets who may encrypt and decrypt with the key, CloudTrail included", LOGGING),
    rule("key_material_deleted", (KMS, &["DeleteImportedKeyMaterial"]), TrailKey, &[Always],
        "leaves log files and digests that nobody can read", REMOVAL),
    rule("flow_logs_deleted", ("ec2.amazonaws.com", &["DeleteFlowLogs"]),
        Named(&["DeleteFlowLogsRequest.FlowLogId.content", "flowLogIds", "flowLogId"]), &[Always],
        "ends the logging of network traffic", LOGGING),
    rule("config_recorder_stopped",
        ("config.amazonaws.com", &["StopConfigurationRecorder", "DeleteConfigurationRecorder"]),
        Named(&["configurationRecorderName"]), &[Always],
        "ends the recording of configurations by AWS Config", LOGGING),
    rule("config_delivery_deleted", ("config.amazonaws.com", &["DeleteDeliveryChannel"]),
        Named(&["deliveryChannelName"]), &[Always],
        "ends the delivery of what AWS Config records", LOGGING),
    rule("detector_deleted", ("guardduty.amazonaws.com", &["DeleteDetector"]), Named(&["detectorId"]), &[Always],
        "ends the detection of threats by GuardDuty", LOGGING),
    rule("detector_off", ("guardduty.amazonaws.com", &["UpdateDetector"]), Named(&["detectorId"]),
        &[Is("enable", "false")],
        "ends the detection of threats by GuardDuty", LOGGING),
    rule("query_log_deleted",
        ("route53resolver.amazonaws.com", &["DeleteResolverQueryLogConfig", "DisassociateResolverQueryLogConfig"]),
        Named(&["resolverQueryLogConfigId"]), &[Always],
        "ends the logging of DNS queries", LOGGING),
];
