//! A bare GetObject loop: every object of a bucket, listed once and read to its end, so many at
//! once, through the SDK that ctverify uses.

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use futures::stream::{self, StreamExt};

pub(crate) fn run(bucket: &str, concurrency: usize) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
        let config = aws_sdk_s3::config::Builder::from(&config)
            .force_path_style(true)
            .request_checksum_calculation(aws_sdk_s3::config::RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired)
            .build();
        let client = Client::from_conf(config);
        let mut keys = Vec::new();
        let mut token = None;
        loop {
            let page = client.list_objects_v2().bucket(bucket).set_continuation_token(token).send().await.unwrap();
            keys.extend(page.contents.unwrap_or_default().into_iter().filter_map(|object| object.key));
            token = page.next_continuation_token;
            if token.is_none() {
                break;
            }
        }
        stream::iter(keys)
            .map(|key| {
                let request = client.get_object().bucket(bucket).key(key);
                tokio::spawn(async move { request.send().await.unwrap().body.collect().await.unwrap().to_vec().len() })
            })
            .buffer_unordered(concurrency)
            .for_each(|length| async move { assert!(length.unwrap() > 0) })
            .await;
    });
}
