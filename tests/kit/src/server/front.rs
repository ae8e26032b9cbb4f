//! Dispatches requests to their services, injects faults, and redirects S3 requests that were
//! signed for another region than the bucket's.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use s3s::Body;
use s3s::service::S3Service;

use super::state::{Fault, Received, State};
use super::{account, cloudtrail};

/// The error that closes a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is reset")]
pub struct Reset;

/// Answers a request, with the fault that [`State::fault`] draws for it, if any.
pub async fn answer(state: Arc<State>, s3: S3Service, request: Request<Incoming>) -> Result<Response<Body>, Reset> {
    let is_s3 = matches!(*request.method(), Method::GET | Method::PUT);
    // Only S3's bodies are cut short; other services answer in full or not at all.
    let fault = state.fault().filter(|fault| is_s3 || !matches!(fault, Fault::CutShort | Fault::CutUnannounced));
    let refusal = |status: StatusCode, code: &str| {
        if !is_s3 {
            let mut response = Response::new(Body::from(format!("{{\"__type\":\"{code}\",\"message\":\"Later.\"}}")));
            *response.status_mut() = status;
            return Ok(response);
        }
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>Later.</Message></Error>"
        );
        let mut response = Response::new(Body::from(xml));
        *response.status_mut() = status;
        Ok(response)
    };
    match fault {
        Some(Fault::Reset) => return Err(Reset),
        Some(Fault::InternalError) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        Some(Fault::SlowDown) => return refusal(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
        Some(Fault::TooManyRequests) => return refusal(StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
        Some(Fault::CutShort | Fault::CutUnannounced | Fault::ClosedAfter) | None => {}
    }
    if let Some((after, status, code)) = state.options.refuses_after
        && is_s3
        && state.next_request() > after
    {
        return refusal(StatusCode::from_u16(status).expect("tests name statuses"), code);
    }
    let Ok(mut answer) = sound(state, s3, request).await;
    if fault == Some(Fault::ClosedAfter) {
        answer.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    let cut = matches!(fault, Some(Fault::CutShort | Fault::CutUnannounced)) && answer.status().is_success();
    if !cut {
        return Ok(answer);
    }
    let (mut parts, body) = answer.into_parts();
    let bytes = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let length = http::HeaderValue::from(bytes.len());
    match fault {
        Some(Fault::CutShort) => parts.headers.insert(http::header::CONTENT_LENGTH, length),
        _ => parts.headers.remove(http::header::CONTENT_LENGTH),
    };
    let half = bytes.slice(..bytes.len() / 2);
    // A body of unknown length is sent in chunks; its final chunk makes the cut body look complete.
    let half = http_body_util::StreamBody::new(futures::stream::iter([Ok::<_, Infallible>(Frame::data(half))]));
    Ok(Response::from_parts(parts, Body::http_body(half)))
}

async fn sound(state: Arc<State>, s3: S3Service, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if !state.options.latency.is_zero() {
        tokio::time::sleep(state.options.latency).await;
    }
    let target = request.headers().get("x-amz-target").and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(target) = target {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        return Ok(cloudtrail::answer(&state, &target, credential(&parts.headers), &body));
    }
    if request.uri().path() == "/listRegions" {
        return Ok(account::list_regions(&state));
    }
    if request.method() == Method::POST {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let text = String::from_utf8_lossy(&body).into_owned();
        return Ok(match parts.uri.path() {
            "/" if text.contains("Action=Publish") => account::publish(&state, credential(&parts.headers), text),
            "/" => account::caller_identity(&state),
            path => webhook(&state, path, &parts.headers, text),
        });
    }
    if let Some(redirect) = elsewhere(&state, &request) {
        return Ok(redirect);
    }
    let response = s3.call(request.map(Body::from)).await;
    Ok(response.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("{error:?}")));
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

/// Records a request to a webhook and answers it.
fn webhook(state: &State, path: &str, headers: &HeaderMap, body: String) -> Response<Body> {
    let headers =
        headers.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    let tries = state.receive(Received { path: path.to_owned(), headers: headers.collect(), body });
    let mut response = Response::new(Body::from(String::new()));
    let (failing, status) = state.options.webhook_fails.unwrap_or((0, 200));
    let status = if tries <= failing { status } else { 204 };
    *response.status_mut() = StatusCode::from_u16(status).expect("tests name statuses");
    response
}

/// Returns the access key and the region of the credential scope.
pub fn credential(headers: &HeaderMap) -> Option<(String, String)> {
    let authorization = headers.get("authorization")?.to_str().ok()?;
    let scope = authorization.split_once("Credential=")?.1.split([',', ' ']).next()?;
    let mut parts = scope.split('/');
    let key = parts.next()?.to_owned();
    Some((key, parts.nth(1)?.to_owned()))
}

/// Returns the redirect with which S3 answers a request that was signed for another region than the
/// bucket's. It names the bucket's region.
fn elsewhere(state: &State, request: &Request<Incoming>) -> Option<Response<Body>> {
    let bucket = request.uri().path().trim_start_matches('/').split('/').next()?.to_owned();
    let (_, signed_for) = credential(request.headers())?;
    let buckets = state.buckets.read().expect("no test panics holding it");
    let mut region = buckets.get(&bucket)?.region.clone();
    if state.options.wandering_buckets {
        region = if signed_for == "eu-west-1" { "eu-central-1" } else { "eu-west-1" }.to_owned();
    }
    let asks_for_location =
        request.method() == Method::GET && request.uri().query().is_some_and(|q| q.starts_with("location"));
    if region == signed_for || asks_for_location {
        return None;
    }
    state.count("Redirect");
    let (status, code) = if state.options.bad_request_redirects {
        (StatusCode::BAD_REQUEST, "AuthorizationHeaderMalformed")
    } else {
        (StatusCode::MOVED_PERMANENTLY, "PermanentRedirect")
    };
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>The bucket you are attempting \
         to access must be addressed using the specified endpoint.</Message><Bucket>{bucket}</Bucket></Error>"
    );
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .header("x-amz-bucket-region", region)
        .body(Body::from(xml));
    response.ok()
}
