//! Notices about the findings of a run, sent to an SNS topic or to the receiver of a webhook.

mod sns;
mod webhook;

use std::str::FromStr;

use crate::aws::Connection;

pub(crate) use webhook::Secret;

/// The target of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// An SNS topic, by its ARN.
    Sns(String),
    /// A webhook that takes a signed POST at this URL.
    Webhook(reqwest::Url),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write sns:TOPIC-ARN or webhook:URL".to_owned();
        match text.split_once(':').ok_or_else(wrong)? {
            ("sns", arn) => match arn.split(':').collect::<Vec<_>>()[..] {
                ["arn", _, "sns", region, account, topic] if ![region, account, topic].contains(&"") => {
                    Ok(Self::Sns(arn.to_owned()))
                }
                _ => Err(format!("'{arn}' is no topic's ARN such as arn:aws:sns:us-east-1:111122223333:my-topic")),
            },
            ("webhook", url) => {
                let url: reqwest::Url =
                    url.parse().map_err(|error| format!("what follows webhook: is no URL: {error}"))?;
                let is_local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
                match url.scheme() {
                    "https" => Ok(Self::Webhook(url)),
                    "http" if is_local => Ok(Self::Webhook(url)),
                    _ => Err("findings go out over https:// alone, or to this machine".to_owned()),
                }
            }
            _ => Err(wrong()),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sns(arn) => write!(f, "sns:{arn}"),
            // The path of a webhook may be a secret, so only the host is shown.
            Self::Webhook(url) => write!(f, "webhook:{}://{}", url.scheme(), url.host_str().unwrap_or_default()),
        }
    }
}

/// The content of a notice.
#[derive(Debug, Clone)]
pub(crate) struct Notice {
    /// The subject: one line of ASCII, at most 100 characters.
    pub subject: String,
    /// The text for people.
    pub text: String,
    /// The content for machines: a JSON object.
    pub json: String,
    /// The verdict as a word.
    pub verdict: &'static str,
    /// The identifier of the notice, which is the same however often it is sent.
    pub id: String,
}

/// A notice that could not be delivered.
#[derive(Debug, thiserror::Error)]
#[error("the notice to {target} could not be delivered: {reason}")]
pub(crate) struct NoticeError {
    /// The target of the notice.
    pub target: String,
    /// The reason why it could not be delivered.
    pub reason: String,
}

/// Sends a notice to each target. After all were tried, the first failure is returned.
pub(crate) async fn send(
    notice: &Notice,
    targets: &[Target],
    config: &Connection,
    secret: Option<&Secret>,
) -> Result<(), NoticeError> {
    let mut outcome = Ok(());
    for target in targets {
        let sent = match target {
            Target::Sns(arn) => sns::publish(notice, arn, config).await,
            Target::Webhook(url) => webhook::post(notice, url, secret).await,
        };
        if let Err(reason) = sent {
            outcome = outcome.and(Err(NoticeError { target: target.to_string(), reason }));
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_topics_and_urls_that_nobody_can_listen_to() {
        assert!("sns:arn:aws:sns:us-east-1:111122223333:topic".parse::<Target>().is_ok());
        let hook: Target = "webhook:https://hooks.example.com/secret-path".parse().unwrap();
        assert_eq!(hook.to_string(), "webhook:https://hooks.example.com");
        assert!("webhook:http://127.0.0.1:8080/x".parse::<Target>().is_ok());
        for wrong in
            ["", "sns", "sns:topic", "sns:arn:aws:sns::1:x", "webhook:http://example.com/", "webhook:/x", "mail:x"]
        {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }
}
