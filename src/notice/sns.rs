//! Notices through Amazon SNS.

use aws_sdk_sns::Client;
use aws_sdk_sns::config::Region;
use aws_sdk_sns::types::MessageAttributeValue;

use super::Notice;

use crate::aws::{Connection, explain};

/// Publishes a notice; an error gives the reason why that failed.
pub(super) async fn publish(notice: &Notice, arn: &str, config: &Connection) -> Result<(), String> {
    // A topic belongs to the region that its ARN names.
    let region = arn.split(':').nth(3).unwrap_or_default().to_owned();
    let client =
        Client::from_conf(aws_sdk_sns::config::Builder::from(config.sdk()).region(Region::new(region)).build());
    // Subscriptions can be filtered by this attribute.
    let verdict = MessageAttributeValue::builder().data_type("String").string_value(notice.verdict).build();
    let verdict = verdict.map_err(|error| error.to_string())?;
    let sent = client
        .publish()
        .topic_arn(arn)
        .subject(&notice.subject)
        .message(format!("{}\n\n{}", notice.text, notice.json))
        .message_attributes("verdict", verdict)
        .send()
        .await;
    sent.map(|_| ())
        .map_err(|error| format!("{} (the caller needs sns:Publish)", explain(&error, &config.name_of("SNS"))))
}
