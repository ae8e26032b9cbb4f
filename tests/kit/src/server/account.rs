//! Account Management (REST JSON) and STS (AWS Query), as far as a verification asks them.

use http::{Response, StatusCode};
use s3s::Body;
use serde_json::{Value, json};

use super::state::{Received, State};

/// `ListRegions`.
pub fn list_regions(state: &State) -> Response<Body> {
    state.count("ListRegions");
    if state.options.denied_actions.contains("ListRegions") {
        return respond(
            StatusCode::FORBIDDEN,
            &[("x-amzn-errortype", "AccessDeniedException")],
            json!({ "message": "User is not authorized to perform: account:ListRegions" }).to_string(),
        );
    }
    let enabled = state.options.enabled_regions.as_ref().unwrap_or(&state.regions);
    let regions: Vec<Value> =
        enabled.iter().map(|region| json!({ "RegionName": region, "RegionOptStatus": "ENABLED_BY_DEFAULT" })).collect();
    respond(StatusCode::OK, &[("content-type", "application/json")], json!({ "Regions": regions }).to_string())
}

/// `GetCallerIdentity`.
pub fn caller_identity(state: &State) -> Response<Body> {
    state.count("GetCallerIdentity");
    let account = state.options.caller.as_ref().unwrap_or(&state.owner);
    let xml = format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
         <Arn>arn:aws:iam::{account}:user/tester</Arn><UserId>AIDATEST</UserId><Account>{account}</Account>\
         </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    respond(StatusCode::OK, &[("content-type", "text/xml")], xml)
}

/// `Publish`, of SNS.
pub fn publish(state: &State, credential: Option<(String, String)>, body: String) -> Response<Body> {
    state.count("Publish");
    if state.options.denied_actions.contains("Publish") {
        let xml = "<ErrorResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><Error><Type>Sender</Type>\
                   <Code>AuthorizationError</Code><Message>User is not authorized to perform: SNS:Publish</Message></Error>\
                   <RequestId>1</RequestId></ErrorResponse>";
        return respond(StatusCode::FORBIDDEN, &[("content-type", "text/xml")], xml.to_owned());
    }
    let region = credential.map(|(_, region)| region).unwrap_or_default();
    state.receive(Received { path: format!("sns {region}"), headers: Default::default(), body });
    let xml = "<PublishResponse \
        xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><PublishResult><MessageId>1</MessageId>\
               </PublishResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></PublishResponse>";
    respond(StatusCode::OK, &[("content-type", "text/xml")], xml.to_owned())
}

fn respond(status: StatusCode, headers: &[(&'static str, &'static str)], body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in headers {
        response.headers_mut().insert(*name, http::HeaderValue::from_static(value));
    }
    response
}
