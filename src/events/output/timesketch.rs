//! Lines that Timesketch imports: each has a message, a time, and the meaning of the time
//! (timesketch.org, "Create timeline from JSON/JSONL/CSV file").

use std::borrow::Cow;
use std::io::{self, Write};

use jiff::tz::TimeZone;
use serde::Serialize;

use super::{Proof, sentence, write_line};
use crate::events::event::Event;

#[derive(Serialize)]
struct Line<'a> {
    message: String,
    /// Timesketch needs a time: an event without one gets the first there is.
    datetime: String,
    timestamp_desc: &'static str,
    data_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_source: Option<Cow<'a, str>>,
    account: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_region: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_identity_arn: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_ip: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<Cow<'a, str>>,
    /// The record in its original bytes, as text: the fields of all services are too many for the
    /// index behind Timesketch.
    cloud_trail_event: &'a str,
    log_file: String,
    log_file_sha256: String,
    digest: &'a str,
}

pub(super) fn write(event: &Event<'_>, record: &str, proof: &Proof<'_>, out: &mut dyn Write) -> io::Result<()> {
    let identity = event.object("userIdentity");
    let time = time_text(event, 'T');
    let line = Line {
        message: sentence(event),
        timestamp_desc: match &time {
            None => "No time in the record",
            Some(_) if event.raw("eventTime").is_none() => "Start of the aggregation window",
            Some(_) => "Event Time",
        },
        datetime: time.unwrap_or_else(|| "1970-01-01T00:00:00+00:00".to_owned()),
        data_type: "aws:cloudtrail:entry",
        event_id: event.id(),
        event_name: event.text("eventName"),
        event_source: event.text("eventSource"),
        account: event.account().unwrap_or(Cow::Borrowed(proof.account)),
        aws_region: event.text("awsRegion"),
        user_identity_arn: identity.text("arn"),
        user_name: identity.text("userName"),
        access_key: identity.text("accessKeyId"),
        source_ip: event.text("sourceIPAddress"),
        user_agent: event.text("userAgent"),
        error_code: event.text("errorCode"),
        cloud_trail_event: record,
        log_file: format!("s3://{}/{}", proof.bucket, proof.key),
        log_file_sha256: proof.sha256.to_string(),
        digest: proof.digest,
    };
    write_line(&line, out)
}

/// Returns the time of an event in the form of ISO 8601 that has an offset, with this separator of day
/// and hour.
pub(super) fn time_text(event: &Event<'_>, separator: char) -> Option<String> {
    let time = event.time()?.start.to_zoned(TimeZone::UTC);
    Some(format!("{}{separator}{}+00:00", time.date(), time.time()))
}
