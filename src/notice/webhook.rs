//! Notices as webhooks, signed with HMAC-SHA256 as the Standard Webhooks specification
//! (standardwebhooks.com) defines it: with the headers `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Client, StatusCode, Url, redirect};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};

use super::Notice;
use crate::debug::opaque_debug;

/// The maximum number of times that a notice is sent.
const ATTEMPTS: u32 = 5;
/// The pause before the second attempt; each later pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The maximum duration of one attempt.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The minimum length of a secret, in bytes (Standard Webhooks, "Signature scheme": 24 to 64).
const LEAST_SECRET: usize = 24;

/// The secret that notices are signed with.
pub(crate) struct Secret(Webhook);

opaque_debug!(Secret);

impl Secret {
    /// Reads a secret: Base64 after `whsec_`, or any other text, of which the bytes are the secret.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(encoded) => base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded)
                .map_err(|error| format!("what follows whsec_ is no Base64: {error}"))?,
            None => text.as_bytes().to_vec(),
        };
        if bytes.len() < LEAST_SECRET {
            return Err(format!("it has {} bytes, and {LEAST_SECRET} is the least", bytes.len()));
        }
        Webhook::from_bytes(bytes).map(Self).map_err(|error| error.to_string())
    }
}

/// Posts a notice until it is accepted; an error gives the reason why it was not.
pub(super) async fn post(notice: &Notice, url: &Url, secret: Option<&Secret>) -> Result<(), String> {
    let Some(Secret(secret)) = secret else { return Err("there is no secret to sign it with".to_owned()) };
    // Redirects are not followed: a notice is meant for this URL alone.
    let client = Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).build();
    let client = client.map_err(|error| explain(&error))?;
    let mut pause = FIRST_PAUSE;
    let mut attempt = 1;
    loop {
        let now = Timestamp::now().as_second();
        let signature = secret.sign(&notice.id, now, notice.json.as_bytes()).map_err(|error| error.to_string())?;
        let answer = client
            .post(url.clone())
            .header("content-type", "application/json")
            .header("user-agent", concat!("ctverify/", env!("CARGO_PKG_VERSION")))
            .header(HEADER_WEBHOOK_ID, &notice.id)
            .header(HEADER_WEBHOOK_TIMESTAMP, now)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(notice.json.clone())
            .send()
            .await;
        let (reason, passes) = match answer {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                let passes = status.is_server_error()
                    || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
                (format!("it is answered with {status}"), passes)
            }
            Err(error) => (explain(&error), true),
        };
        if !passes {
            return Err(reason);
        }
        if attempt == ATTEMPTS {
            return Err(format!("{reason}, {ATTEMPTS} times"));
        }
        tokio::time::sleep(pause).await;
        (attempt, pause) = (attempt + 1, pause * 2);
    }
}

/// Describes an error with all its causes, but without the URL, which may hold a secret.
fn explain(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() { "it takes too long".to_owned() } else { "it can't be reached".to_owned() };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
