//! Events as a table: the columns, the files, and the folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ctverify_testkit::{ForgedTrail, defects};

use super::{copy_of, emitted, events_of};
use crate::support::{Run, organization_spec, outside_agrees, run};

/// The names and the contents of all files beneath a folder.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let inside = files(&path);
            found.extend(
                inside.into_iter().map(|(name, content)| (Path::new(path.file_name().unwrap()).join(name), content)),
            );
        } else {
            found.insert(path.file_name().unwrap().into(), std::fs::read(&path).unwrap());
        }
    }
    found
}

/// Writes the table of a trail's events to a folder.
fn table_of(trail: &ForgedTrail, folder: &Path) -> Run {
    run(events_of(&copy_of(trail)).arg("--parquet").arg(folder))
}

/// Records that have every column, in all forms that JSON permits them.
const ODD: &[&str] = &[
    r#"{"eventVersion":"1.11","userIdentity":{"type":"AssumedRole","principalId":"AROAX:alice",
"arn":"arn:aws:sts::111122223333:assumed-role\/r\/alice","accountId":"111122223333","invokedBy":"AWS Internal",
"accessKeyId":"ASIAX","userName":"al\u0069ce","onBehalfOf":{"userId":"u","identityStoreArn":"arn:i"},
"sessionContext":{"attributes":{"mfaAuthenticated":"false","creationDate":"2026-03-01T00:00:00Z"},
"sessionIssuer":{"type":"Role","principalId":"AROAX","arn":"arn:r","accountId":"1","userName":"r"},
"ec2RoleDelivery":"2.0","webIdFederationData":{"federatedProvider":"arn:p","attributes":{"aud":"x","sub":null,"n":7}}}},
"eventTime":"2026-03-01T23:59:59Z","eventSource":"s3.amazonaws.com","eventName":"PutObject","awsRegion":"eu-west-1",
"sourceIPAddress":"198.51.100.7","userAgent":"[\"quoted\"] \ud83d\ude00 \u0000","errorCode":"AccessDenied",
"errorMessage":"line\nbreak","requestParameters":{ "n" : 9007199254740993, "f":1.0, "s":"\/" },"responseElements":null,
"additionalEventData":{"x":[1,2.50]},"requestID":"R","eventID":"e-1","readOnly":false,
"resources":[{"ARN":"arn:aws:s3:::b","accountId":"1","type":"AWS::S3::Bucket"},{"type":"t"},7,null,{}],
"eventType":"AwsApiCall","apiVersion":"2006-03-01","recipientAccountId":"111122223333",
"serviceEventDetails":{"a":{}},"sharedEventID":"s","vpcEndpointId":"vpce-1","vpcEndpointAccountId":"9",
"eventCategory":"Data","addendum":{"reason":"DELIVERY_DELAY","updatedFields":"eventID","originalRequestID":"o",
"originalEventID":"p"},"sessionCredentialFromConsole":"true","edgeDeviceDetails":{"type":"snowball"},
"tlsDetails":{"tlsVersion":"TLSv1.3","cipherSuite":"TLS_AES_128_GCM_SHA256","clientProvidedHostHeader":"b.s3"},
"eventContext":{"tagContext":{"k":"v"}},"insightDetails":{"state":"Start"},"managementEvent":false}"#,
    r#"{"eventId":"e-2","accountId":"1",
"timeWindow":{"windowStart":"2026-03-02T00:00:00Z","windowEnd":"2026-03-02T00:05:00Z"}}"#,
    "{}",
    r#"{"eventTime":"no time","userIdentity":"root","resources":{},
"tlsDetails":[],"eventName":["a"],"eventSource":{"b":1}}"#,
    r#"{"eventTime":"1969-12-31T23:00:00-02:00","userIdentity":{},"resources":[],"addendum":{"reason":null},
"eventName":"\ud83d lone","eventVersion":1.10}"#,
    r#"{"eventTime":"2026-03-01T00:00:00Z","eventName":"first","EVENTNAME":"last","eventName":"very last",
"userIdentity":{"sessionContext":{"webIdFederationData":{"attributes":{}}}}}"#,
];

#[test]
fn every_column_is_as_python_reads_the_record() {
    let mut small = defects::small_trail();
    let key = small.chains[0].digests[2].document.log_files[0].s3_object.clone();
    small.redeliver(&key, format!("{{\"Records\":[{}]}}", ODD.join(",")).as_bytes());
    for trail in [small, organization_spec().forge()] {
        let folder = tempfile::tempdir().unwrap();
        let (table, lines) = (folder.path().join("lake"), folder.path().join("events.jsonl"));
        let found = table_of(&trail, &table);
        let plain = run(events_of(&copy_of(&trail)).arg("--output").arg(&lines));
        assert_eq!((found.code, plain.code), (0, 0), "{}", found.stderr);
        let (_, summary) = emitted(&found);
        let names: Vec<PathBuf> = files(&table).into_keys().collect();
        assert_eq!(summary["parquet_files"], names.len(), "{names:?}");
        assert!(found.stderr.contains(&format!("{} Parquet file", names.len())), "{}", found.stderr);
        let Some(said) = outside_agrees("table.py", &[table.as_os_str(), lines.as_os_str()]) else { continue };
        assert!(said.contains(&format!("{} events agree", summary["events"])), "{said}");
    }
}

#[test]
fn the_files_of_a_trail_are_always_the_same() {
    let mut trail = organization_spec().forge();
    let key = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    trail.edit_content(&key, |content| [&content[..], b" "].concat());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    for folder in &folders {
        let found = table_of(&trail, folder.path());
        assert_eq!((found.code, &emitted(&found).1["verdict"]), (1, &serde_json::json!("violated")));
    }
    let [one, other] = folders.map(|folder| files(folder.path()));
    assert!(!one.is_empty() && one == other);
    assert!(one.values().all(|content| content.ends_with(b"PAR1")));
}

#[test]
fn conditions_choose_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = copy_of(&defects::small_trail());
    let found = run(events_of(&mirror).args(["--event-name", "NoSuchCall", "--parquet"]).arg(folder.path()));
    let (_, summary) = emitted(&found);
    assert_eq!((&summary["events"], &summary["parquet_files"]), (&serde_json::json!(0), &serde_json::json!(0)));
    assert!(files(folder.path()).is_empty());
}

/// With the events of another run, some would be there twice.
#[test]
fn a_folder_with_other_files_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let trail = defects::small_trail();
    assert_eq!(table_of(&trail, folder.path()).code, 0);
    let before = files(folder.path());
    let again = table_of(&trail, folder.path());
    assert_eq!(again.code, 2);
    assert!(again.stderr.contains("is not empty") && again.stderr.contains("run=2"), "{}", again.stderr);
    assert_eq!(files(folder.path()), before);
    // A run of its own beneath it is none of these.
    let mirror = copy_of(&trail);
    for (arguments, expected) in [
        (vec!["--format", "csv", "--parquet", "lake"], "leave out --format"),
        (vec!["--output", "x", "--parquet", "lake"], "leave one out"),
        (vec!["--count-by", "day", "--parquet", "lake"], "cannot be used with"),
        (vec!["--parquet", mirror.dir().to_str().unwrap()], "lies in the folder of --from"),
        (vec!["--parquet", "/dev/null/lake"], "can't be written to /dev/null/lake"),
        (vec!["--parquet", "/dev/null"], "is no folder"),
        (vec!["--report", "csv=lake/x.csv", "--parquet", "lake"], "the folder of --parquet"),
    ] {
        let found = run(events_of(&mirror).current_dir(folder.path()).args(&arguments));
        assert!(found.code == 2 || found.code == 4, "{arguments:?}");
        assert!(found.stderr.contains(expected), "{arguments:?}: {}", found.stderr);
    }
    assert_eq!(files(folder.path()), before);
}

/// One run at a time writes to a folder.
#[test]
fn a_folder_that_another_run_writes_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let lock = std::fs::File::create(folder.path().join(".ctverify-lock")).unwrap();
    lock.lock().unwrap();
    let trail = defects::small_trail();
    let refused = table_of(&trail, folder.path());
    assert!(refused.code == 2 && refused.stderr.contains("another run writes to"), "{}", refused.stderr);
    // Left behind by a run that was killed.
    drop(lock);
    assert_eq!(table_of(&trail, folder.path()).code, 0);
}

/// More days than files that a process may have open.
#[test]
fn a_table_of_many_days_needs_few_open_files() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    let begin: jiff::Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let at = |day: i64| begin + jiff::SignedDuration::from_hours(24 * day);
    let records: Vec<String> = (0..200).map(|day| format!("{{\"eventTime\":\"{}\"}}", at(day))).collect();
    trail.redeliver(&key, format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes());
    let (folder, mirror) = (tempfile::tempdir().unwrap(), copy_of(&trail));
    let events = events_of(&mirror);
    let mut command = std::process::Command::new("bash");
    command.args(["-c", "ulimit -n 100; exec \"$@\"", "bash"]).arg(events.get_program()).args(events.get_args());
    command.envs(events.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let found = run(command.arg("--parquet").arg(folder.path()));
    assert_eq!(found.code, 0, "{}", found.stderr);
    assert!(files(folder.path()).len() >= 200);
}
