//! The content of forged log files: random events in the sizes and the shape of real ones.

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

struct Action {
    source: &'static str,
    name: &'static str,
    read_only: bool,
}

const ACTIONS: [Action; 10] = [
    Action { source: "sts.amazonaws.com", name: "AssumeRole", read_only: true },
    Action { source: "ec2.amazonaws.com", name: "DescribeInstances", read_only: true },
    Action { source: "ec2.amazonaws.com", name: "RunInstances", read_only: false },
    Action { source: "s3.amazonaws.com", name: "GetBucketAcl", read_only: true },
    Action { source: "s3.amazonaws.com", name: "PutBucketPolicy", read_only: false },
    Action { source: "iam.amazonaws.com", name: "ListRoles", read_only: true },
    Action { source: "iam.amazonaws.com", name: "CreateAccessKey", read_only: false },
    Action { source: "kms.amazonaws.com", name: "Decrypt", read_only: true },
    Action { source: "logs.amazonaws.com", name: "CreateLogStream", read_only: false },
    Action { source: "monitoring.amazonaws.com", name: "DescribeAlarms", read_only: true },
];

const USERS: [&str; 6] = ["alice", "bob", "carol", "deploy", "backup", "auditor"];
const AGENTS: [&str; 3] = [
    "aws-cli/2.27.5 md/awscrt#0.26.1 ua/2.1 os/linux#6.8.0 lang/python#3.13.2",
    "Boto3/1.38.11 md/Botocore#1.38.11 os/linux md/arch#x86_64 lang/python#3.12.9",
    "autoscaling.amazonaws.com",
];

/// A log file with `count` events up to `newest`.
pub fn log_file(rng: &mut Rng, account: &str, region: &str, newest: Timestamp, count: usize) -> Vec<u8> {
    let mut content = b"{\"Records\":[".to_vec();
    for index in 0..count {
        if index > 0 {
            content.push(b',');
        }
        serde_json::to_writer(&mut content, &event(rng, account, region, newest, count - index))
            .expect("memory takes bytes");
    }
    content.extend_from_slice(b"]}");
    content
}

fn event(rng: &mut Rng, account: &str, region: &str, newest: Timestamp, age: usize) -> Value {
    let action = &ACTIONS[rng.usize(..ACTIONS.len())];
    let user = USERS[rng.usize(..USERS.len())];
    let time =
        Timestamp::from_second(newest.as_second() - i64::try_from(age).unwrap_or_default()).expect("times of tests");
    let principal = format!("AROA{}", text(rng, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17));
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": format!("{principal}:{user}"),
            "arn": format!("arn:aws:sts::{account}:assumed-role/{user}-role/{user}"),
            "accountId": account,
            "accessKeyId": format!("ASIA{}", text(rng, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "principalId": principal,
                    "arn": format!("arn:aws:iam::{account}:role/{user}-role"),
                    "accountId": account,
                    "userName": format!("{user}-role"),
                },
                "attributes": { "creationDate": time.to_string(), "mfaAuthenticated": "false" },
            },
        },
        "eventTime": time.to_string(),
        "eventSource": action.source,
        "eventName": action.name,
        "awsRegion": region,
        "sourceIPAddress": format!("198.51.100.{}", rng.u8(1..255)),
        "userAgent": AGENTS[rng.usize(..AGENTS.len())],
        "requestParameters": { "maxResults": rng.u32(5..1000), "resource": format!("r-{:016x}", rng.u64(..)) },
        "responseElements": null,
        "requestID": uuid(rng),
        "eventID": uuid(rng),
        "readOnly": action.read_only,
        "eventType": "AwsApiCall",
        "managementEvent": true,
        "recipientAccountId": account,
        "eventCategory": "Management",
        "tlsDetails": {
            "tlsVersion": "TLSv1.3",
            "cipherSuite": "TLS_AES_128_GCM_SHA256",
            "clientProvidedHostHeader": action.source.replace(".amazonaws", &format!(".{region}.amazonaws")),
        },
    })
}

/// The sixteen characters that make a log file's name unique.
pub fn unique(rng: &mut Rng) -> String {
    text(rng, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 16)
}

fn uuid(rng: &mut Rng) -> String {
    let (a, b) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 52,
        b & 0xffff_ffff_ffff
    )
}

fn text(rng: &mut Rng, alphabet: &[u8], length: usize) -> String {
    (0..length).map(|_| char::from(alphabet[rng.usize(..alphabet.len())])).collect()
}
