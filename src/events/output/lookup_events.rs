//! Events as `aws cloudtrail lookup-events` prints them, each on a line. plaso's `aws_cloudtrail_log`
//! plugin reads such lines: it needs `EventTime`, with a space between day and hour, and
//! `CloudTrailEvent`.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use super::timesketch::time_text;
use super::write_line;
use crate::events::event::Event;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Line<'a> {
    event_id: Option<Cow<'a, str>>,
    event_name: Option<Cow<'a, str>>,
    read_only: Option<Cow<'a, str>>,
    access_key_id: Option<Cow<'a, str>>,
    event_time: Option<String>,
    event_source: Option<Cow<'a, str>>,
    username: Option<Cow<'a, str>>,
    resources: Vec<Resource<'a>>,
    cloud_trail_event: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resource<'a> {
    resource_type: Option<Cow<'a, str>>,
    resource_name: Cow<'a, str>,
}

pub(super) fn write(event: &Event<'_>, record: &str, out: &mut dyn Write) -> io::Result<()> {
    let resources = event.objects("resources").into_iter().filter_map(|resource| {
        let resource_name = resource.text("ARN").or_else(|| resource.text("arn"))?;
        Some(Resource { resource_type: resource.text("type"), resource_name })
    });
    let line = Line {
        event_id: event.id(),
        event_name: event.text("eventName"),
        read_only: event.text("readOnly"),
        access_key_id: event.object("userIdentity").text("accessKeyId"),
        event_time: time_text(event, ' '),
        event_source: event.text("eventSource"),
        username: event.user_names().into_iter().next_back(),
        resources: resources.collect(),
        cloud_trail_event: record,
    };
    write_line(&line, out)
}
