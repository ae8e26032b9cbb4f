//! CloudTrail and Organizations, as far as a verification asks them (awsJson1_1).

use http::{Response, StatusCode};
use jiff::Timestamp;
use s3s::Body;
use serde_json::{Value, json};

use super::ACCESS_KEY;
use super::state::{State, TrailAnswer};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub fn answer(state: &State, target: &str, credential: Option<(String, String)>, body: &[u8]) -> Response<Body> {
    let action = target.rsplit('.').next().unwrap_or(target);
    state.count(action);
    let Some((_, region)) = credential.filter(|(key, _)| key == ACCESS_KEY) else {
        return error("UnrecognizedClientException", "The security token included in the request is invalid.");
    };
    state.count(&format!("{action}:{region}"));
    if state.options.disabled_regions.contains(&region) {
        return error("UnrecognizedClientException", "The security token included in the request is invalid.");
    }
    let denied = &state.options.denied_actions;
    if denied.contains(action) || denied.contains(&format!("{action}:{region}")) {
        let message =
            format!("User: arn:aws:iam::111122223333:user/tester is not authorized to perform: cloudtrail:{action}");
        return error("AccessDeniedException", &message);
    }
    let input: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    match action {
        "GetTrail" => match find(state, &input["Name"]) {
            Some(trail) => ok(&json!({ "Trail": describe(trail) })),
            None => error("TrailNotFoundException", &format!("Unknown trail: {}", input["Name"])),
        },
        "DescribeTrails" => {
            let wanted = input["trailNameList"].as_array().cloned().unwrap_or_default();
            let found: Vec<Value> = if wanted.is_empty() {
                state.trails.iter().map(describe).collect()
            } else {
                wanted.iter().filter_map(|name| find(state, name)).map(describe).collect()
            };
            ok(&json!({ "trailList": found }))
        }
        "GetTrailStatus" => ok(&json!({
            "IsLogging": !state.options.is_off,
            "LatestDeliveryError": state.options.delivery_error,
            "LatestDigestDeliveryTime": state.latest_delivery(&region).map(|at| at.as_second()),
            "StopLoggingTime": state.options.logging_stopped.map(|at| at.as_second()),
        })),
        "LookupEvents" => lookup_events(state, &region, &input),
        "ListPublicKeys" => list_public_keys(state, &region, &input),
        "DescribeOrganization" => {
            let id = state.trails.iter().find_map(|trail| trail.organization.clone());
            ok(&json!({ "Organization": { "Id": id } }))
        }
        "ListAccounts" => list_accounts(state),
        _ => error("UnknownOperationException", action),
    }
}

fn list_public_keys(state: &State, region: &str, input: &Value) -> Response<Body> {
    let time = |value: &Value| value.as_f64().and_then(|seconds| Timestamp::from_second(seconds as i64).ok());
    let (Some(from), Some(to)) = (time(&input["StartTime"]), time(&input["EndTime"])) else {
        return error("InvalidTimeRangeException", "Both times are needed here");
    };
    let keys = state.keys.published(region, from, to);
    let page = state.options.keys_a_page.unwrap_or(usize::MAX);
    let skip: usize = input["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
    let next = skip.saturating_add(page);
    let listed: Vec<Value> = keys
        .iter()
        .skip(skip)
        .take(page)
        .map(|key| {
            json!({
                "Value": STANDARD.encode(&key.key.public_der),
                "ValidityStartTime": key.valid_from.as_second(),
                "ValidityEndTime": key.valid_to.as_second(),
                "Fingerprint": key.key.fingerprint,
            })
        })
        .collect();
    let mut output = json!({ "PublicKeyList": listed });
    if next < keys.len() {
        output["NextToken"] = json!(next.to_string());
    }
    ok(&output)
}

/// Returns a page of the management events that the server was given, the newest first.
fn lookup_events(state: &State, region: &str, input: &Value) -> Response<Body> {
    let seconds = |value: &Value| value.as_f64().map(|seconds| seconds as i64);
    let at = |event: &Value| event["eventTime"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let (Some(from), Some(to)) = (seconds(&input["StartTime"]), seconds(&input["EndTime"])) else {
        return error("InvalidTimeRangeException", "Both times are needed here");
    };
    let [attribute] = input["LookupAttributes"].as_array().map(Vec::as_slice).unwrap_or_default() else {
        return error("InvalidLookupAttributesException", "One attribute is needed");
    };
    let value = attribute["AttributeValue"].as_str().unwrap_or_default();
    let is_asked = |event: &&Value| match attribute["AttributeKey"].as_str() {
        Some("ReadOnly") => event["readOnly"] == (value == "true"),
        Some("EventName") => event["eventName"] == value,
        _ => false,
    };
    let is_inside = |event: &&Value| at(event).is_some_and(|at| (from..=to).contains(&at.as_second()));
    let mut events: Vec<&Value> =
        state.options.event_history.iter().filter(|event| event["awsRegion"] == region).filter(is_asked).collect();
    events.retain(is_inside);
    events.sort_by_key(|event| std::cmp::Reverse(at(event)));
    let page = usize::try_from(input["MaxResults"].as_u64().unwrap_or(50)).expect("a small number");
    let skip: usize = input["NextToken"].as_str().and_then(|token| token.parse().ok()).unwrap_or_default();
    let next = skip.saturating_add(page);
    let listed: Vec<Value> = events
        .iter()
        .skip(skip)
        .take(page)
        .map(|event| {
            let mut listed = json!({
                "EventId": event["eventID"],
                "EventName": event["eventName"],
                "EventTime": at(event).map(Timestamp::as_second),
            });
            // The record is optional in AWS's answers.
            if event["eventID"] != "without-record" {
                listed["CloudTrailEvent"] = json!(event.to_string());
            }
            listed
        })
        .collect();
    let mut output = json!({ "Events": listed });
    if next < events.len() {
        output["NextToken"] = json!(next.to_string());
    }
    ok(&output)
}

fn list_accounts(state: &State) -> Response<Body> {
    let joined = Timestamp::UNIX_EPOCH;
    let own = [&state.owner].into_iter().chain(&state.accounts);
    let mut accounts = match &state.options.organization_accounts {
        Some(accounts) => accounts.clone(),
        None => own.map(|account| (account.clone(), joined)).collect(),
    };
    accounts.sort();
    accounts.dedup();
    let organization = state.trails.iter().find_map(|trail| trail.organization.as_deref()).unwrap_or("o-exampleorgid");
    let accounts: Vec<Value> = accounts
        .iter()
        .map(|(id, joined)| {
            let arn = format!("arn:aws:organizations::{}:account/{organization}/{id}", state.owner);
            json!({ "Id": id, "Arn": arn, "State": "ACTIVE", "JoinedTimestamp": joined.as_second() })
        })
        .collect();
    ok(&json!({ "Accounts": accounts }))
}

fn find<'a>(state: &'a State, name: &Value) -> Option<&'a TrailAnswer> {
    let name = name.as_str()?;
    state.trails.iter().find(|trail| trail.arn == name)
}

fn describe(trail: &TrailAnswer) -> Value {
    let parts: Vec<&str> = trail.arn.split(':').collect();
    let mut described = json!({
        "Name": parts[5].trim_start_matches("trail/"),
        "TrailARN": trail.arn,
        "HomeRegion": parts[3],
        "S3BucketName": trail.bucket,
        "IsMultiRegionTrail": true,
        "IsOrganizationTrail": trail.organization.is_some(),
        "LogFileValidationEnabled": trail.validated,
        "IncludeGlobalServiceEvents": true,
    });
    if !trail.prefix.is_empty() {
        described["S3KeyPrefix"] = json!(trail.prefix);
    }
    described
}

fn ok(output: &Value) -> Response<Body> {
    respond(StatusCode::OK, output)
}

fn error(kind: &str, message: &str) -> Response<Body> {
    respond(StatusCode::BAD_REQUEST, &json!({ "__type": kind, "message": message }))
}

fn respond(status: StatusCode, output: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(output.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/x-amz-json-1.1"));
    response
}
