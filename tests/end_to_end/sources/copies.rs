//! Copies as people make them: partial, decompressed, of a part of the bucket, with files of other
//! programs.

use std::fs;
use std::path::Path;

use ctverify_testkit::{ForgedTrail, Layout, Server, ServerOptions, Stored, TrailSpec, defects, gunzip};
use serde_json::json;

use crate::bag::bags::files;
use crate::support::{Mirror, Run, ctverify, ctverify_at, organization_spec, records, verify_folder};

fn faults(run: &Run) -> Vec<(&str, &str)> {
    let files = run.of("log_file").into_iter().filter(|file| file["status"] != "intact");
    files.map(|file| (file["status"].as_str().unwrap(), file["fault"].as_str().unwrap())).collect()
}

/// Issue: "A folder with log files and no digest: `no_digests`, exit 3, not exit 2".
#[test]
fn a_copy_with_log_files_and_no_digests_is_a_gap() {
    let mut trail = defects::small_trail();
    trail.objects.retain(|(_, key), _| !key.contains("CloudTrail-Digest"));
    for layout in [Layout::Keys, Layout::Buckets, Layout::AwsLogs] {
        let run = records(&mut Mirror::new(&trail, layout, true).command());
        assert_eq!((run.code, run.gaps()), (3, vec!["no_digests"]), "{layout:?} {}{}", run.stdout, run.stderr);
        assert_eq!(run.count("log_file", "uncovered"), trail.log_file_count(), "{}", run.stdout);
    }
    trail.objects.clear();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    fs::create_dir_all(mirror.dir().join("AWSLogs/111122223333/Config")).unwrap();
    assert_eq!(records(&mut mirror.command()).code, 2);
}

/// Issue: "A copy without a chain's log files, or cut by days, is accused of deletion".
#[test]
fn a_partial_copy_is_not_accused_of_deletion() {
    let trail = TrailSpec { hours: 80, ..TrailSpec::default() }.forge();
    let without = |absent: &dyn Fn(&str) -> bool| {
        let mut copy = trail.clone();
        copy.objects.retain(|(_, key), _| !(key.contains("/CloudTrail/") && absent(key)));
        records(&mut Mirror::new(&copy, Layout::Keys, true).command())
    };
    let none = without(&|_| true);
    assert_eq!((none.code, none.count("log_file", "unverified")), (3, trail.log_file_count()), "{}", none.stdout);
    let detail = none.of("log_file")[0]["detail"].as_str().unwrap();
    assert!(detail.contains("not in this copy; --depth chain verifies the digests alone"), "{detail}");
    let cut = without(&|key| key.contains("/2026/02/") || key.contains("/2026/03/03/") || key.contains("/2026/03/04/"));
    assert!(faults(&cut).iter().all(|fault| *fault == ("unverified", "not_found")), "{}", cut.stdout);
    assert_eq!((cut.code, cut.count("log_file", "deleted")), (3, 0));
    // A day in the middle of the copy, or one file of a day that is there, was there to be copied.
    let middle = without(&|key| key.contains("/2026/03/02/"));
    assert!(middle.code == 1 && middle.count("log_file", "deleted") > 10, "{}", middle.stdout);
    let one = trail.chains[0].digests[40].document.log_files[0].s3_object.clone();
    assert_eq!(faults(&without(&|key| key == one)), [("deleted", "not_found")]);
}

/// Issue: "`X.json` for `X.json.gz` in a copy".
#[test]
fn a_decompressed_log_file_stands_for_the_compressed_one() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let digests = &trail.chains[0].digests;
    let files = [&digests[2].document.log_files[0].s3_object, &digests[4].document.log_files[0].s3_object];
    for key in files {
        let path = mirror.dir().join(key);
        fs::write(path.with_extension(""), gunzip(&fs::read(&path).unwrap()).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
    }
    let run = records(&mut mirror.command());
    assert_eq!((run.code, run.count("log_file", "intact")), (0, trail.log_file_count()), "{}", run.stdout);
    let record = run.of("log_file").into_iter().find(|file| file["key"] == **files[0]).unwrap().clone();
    assert!(record["detail"].as_str().unwrap().contains("uncompressed file"), "{record}");
    let presence = records(mirror.command().args(["--depth", "presence"]));
    assert_eq!((presence.code, presence.of("log_file").len()), (0, 0), "{}", presence.stdout);
    fs::write(mirror.dir().join(files[1]).with_extension(""), "{}").unwrap();
    assert_eq!(faults(&records(&mut mirror.command())), [("modified", "hash_mismatch")]);
}

/// Issue: "`X.json` for `X.json.gz` in a copy"; found by an attack: digests were not read so.
#[test]
fn a_copy_that_was_decompressed_whole_is_verified() {
    let trail = defects::small_trail();
    let digests = &trail.chains[0].digests;
    for layout in [Layout::Keys, Layout::AwsLogs] {
        let mirror = Mirror::new(&trail, layout, true);
        let mut compressed = files(&mirror.dir());
        compressed.retain(|path| path.extension().is_some_and(|extension| extension == "gz"));
        for (index, path) in compressed.iter().enumerate() {
            let plain = path.with_extension("");
            fs::write(&plain, gunzip(&fs::read(path).unwrap()).unwrap()).unwrap();
            fs::remove_file(path).unwrap();
            // A tool that renames the files that it decompresses may rename their metadata files or
            // not.
            let beside = |path: &Path| format!("{}.metadata.json", path.display());
            if index % 2 == 0 && Path::new(&beside(path)).exists() {
                fs::rename(beside(path), beside(&plain)).unwrap();
            }
        }
        let run = records(&mut mirror.command());
        assert_eq!((run.code, run.count("log_file", "intact")), (0, trail.log_file_count()), "{}", run.stdout);
        assert_eq!((run.of("warning").len(), run.count("digest", "valid")), (0, digests.len()));
        let digest = run.of("digest")[0];
        assert!(digest["detail"].as_str().unwrap().contains("uncompressed file"), "{digest}");
        assert!(digest["key"].as_str().unwrap().ends_with(".json.gz"), "{digest}");
        // A bag of the copy holds the files as they are in it.
        let folder = tempfile::tempdir().unwrap();
        let bag = folder.path().join("bag");
        let mut collect = ctverify();
        collect.arg("collect").arg("--from").arg(mirror.dir()).arg("--keys").arg(mirror.keys());
        let collected = records(collect.arg("--output").arg(&bag));
        assert_eq!((collected.code, collected.findings()), (0, run.findings()), "{}", collected.stderr);
        assert_eq!(fs::read_to_string(&files(&bag.join("data/not-collected"))[0]).unwrap(), "");
        let verified = records(ctverify().arg("--from").arg(&bag));
        assert_eq!((verified.code, verified.findings()), (0, run.findings()), "{}", verified.stderr);
        // A digest that is there compressed as well is read in that form, and a changed digest is
        // found.
        let path = |key: &str| {
            let name = key.rsplit_once('/').unwrap().1;
            compressed.iter().find(|path| path.ends_with(name)).unwrap().clone()
        };
        let stored = &trail.objects[&(trail.spec.bucket.clone(), digests[1].key.clone())];
        fs::write(path(&digests[1].key), &stored.body).unwrap();
        let plain = path(&digests[3].key).with_extension("");
        let text = fs::read_to_string(&plain).unwrap().replacen("us-east-1", "us-east-2", 1);
        fs::write(&plain, text).unwrap();
        let run = records(&mut mirror.command());
        let read = run.of("digest").into_iter().find(|digest| digest["key"] == *digests[1].key).unwrap();
        assert!(read["detail"].is_null() && read["status"] == "valid", "{read}");
        assert_eq!((run.code, run.count("digest", "invalid")), (1, 1), "{}", run.stdout);
    }
}

/// Found in review: the digests of a trail that changed its bucket were `moved` once their copy was
/// decompressed.
#[test]
fn a_decompressed_copy_of_a_trail_that_changed_its_bucket_is_verified() {
    let mut trail = defects::small_trail();
    trail.house_before(3, "old-bucket");
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let whole = records(&mut mirror.command());
    assert_eq!(whole.code, 0, "{}", whole.stdout);
    for path in files(&mirror.dir()).iter().filter(|path| path.extension().is_some_and(|extension| extension == "gz")) {
        fs::write(path.with_extension(""), gunzip(&fs::read(path).unwrap()).unwrap()).unwrap();
        fs::remove_file(path).unwrap();
    }
    let plain = records(&mut mirror.command());
    assert_eq!((plain.code, faults(&plain)), (0, vec![]), "{}", plain.stdout);
    assert_eq!(plain.count("digest", "valid"), whole.count("digest", "valid"));
}

/// Issue: "A metadata file without a signature: `object_touched`".
#[test]
fn a_metadata_file_without_a_signature_is_a_warning() {
    let trail = defects::small_trail();
    let last = trail.chains[0].digests.len() - 1;
    for (index, content) in [(2, "{\"Metadata\": {}}"), (2, "{\"ContentLength\": 3}"), (last, "{\"Metadata\": {}}")] {
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        let digest = mirror.dir().join(&trail.chains[0].digests[index].key);
        fs::write(format!("{}.metadata.json", digest.display()), content).unwrap();
        let run = records(&mut mirror.command());
        let codes: Vec<_> = run.of("warning").iter().map(|warning| warning["code"].clone()).collect();
        assert_eq!((run.code, codes), (if index == last { 3 } else { 0 }, vec![json!("object_touched")]), "{content}");
    }
}

/// Issue: "What a `moved` digest lists is claimed".
#[test]
fn what_a_moved_digest_lists_is_claimed_and_it_says_where_it_belongs() {
    let mut trail = defects::small_trail();
    let digests = trail.chains[0].digests.clone();
    let stored = trail.remove(&digests[2].key);
    let elsewhere = digests[2].key.replace("/2026/03/01/", "/2026/03/02/");
    trail.objects.insert(("example-trail-logs".to_owned(), elsewhere.clone()), stored);
    for run in [verify_folder(&trail), crate::support::verify_s3(&trail)] {
        let moved = run.of("digest").into_iter().find(|digest| digest["fault"] == "moved").unwrap().clone();
        assert_eq!((run.code, &moved["key"]), (1, &json!(elsewhere)), "{}", run.stdout);
        let detail = moved["detail"].as_str().unwrap();
        assert!(detail.contains("genuine, but not in its place: copy it to s3://example-trail-logs/"), "{detail}");
        let claimed = run.of("log_file").into_iter().filter(|file| file["fault"] == "listed_by_invalid_digest");
        assert_eq!(claimed.count(), digests[2].document.log_files.len(), "{}", run.stdout);
    }
}

/// Issue: "a copy of `AWSLogs/O-ID/` (every digest `moved`, VIOLATED)".
#[test]
fn a_copy_of_an_organizations_folder_verifies() {
    let trail = organization_spec().forge();
    let whole = Mirror::new(&trail, Layout::AwsLogs, true);
    let run = records(ctverify().arg("--from").arg(whole.dir().join("o-exampleorgid")).arg("--keys").arg(whole.keys()));
    assert_eq!((run.code, run.of("chain").len()), (0, 4), "{}{}", run.stdout, run.stderr);
    assert_eq!(run.findings(), records(&mut whole.command()).findings());
    let mut broken = trail.clone();
    let file = broken.chains[0].digests[2].document.log_files[0].s3_object.clone();
    broken.remove(&file);
    let broken = Mirror::new(&broken, Layout::AwsLogs, true);
    let run =
        records(ctverify().arg("--from").arg(broken.dir().join("o-exampleorgid")).arg("--keys").arg(broken.keys()));
    assert_eq!((run.code, faults(&run)), (1, vec![("deleted", "not_found")]));
}

/// Issue: "in a copy, prefixes `x/AWSLogs/y`, `AWSLogs`, `123456789012/CloudTrail`".
#[test]
fn prefixes_that_look_like_cloudtrails_own_folders_are_found() {
    for prefix in ["x/AWSLogs/y", "AWSLogs", "123456789012/CloudTrail"] {
        let trail = TrailSpec { prefix: prefix.to_owned(), ..TrailSpec::default() }.forge();
        for layout in [Layout::Keys, Layout::Buckets] {
            let run = records(&mut Mirror::new(&trail, layout, true).command());
            assert_eq!((run.code, run.of("digest").len()), (0, trail.digest_count()), "{prefix} {}", run.stderr);
        }
    }
}

/// Issue: "one genuine digest copied below `evil/AWSLogs/` ends the run".
#[test]
fn a_second_copy_where_no_layout_puts_it_is_left_alone() {
    for layout in [Layout::Keys, Layout::Buckets] {
        let trail = defects::small_trail();
        let mirror = Mirror::new(&trail, layout, true);
        let key = &trail.chains[0].digests[2].key;
        let genuine = trail.objects.get(&("example-trail-logs".to_owned(), key.clone())).unwrap();
        let planted = mirror.dir().join("evil").join(key);
        fs::create_dir_all(planted.parent().unwrap()).unwrap();
        fs::write(&planted, &genuine.body).unwrap();
        let run = records(&mut mirror.command());
        assert_eq!((run.code, run.of("digest").len()), (0, trail.digest_count()), "{}{}", run.stdout, run.stderr);
        assert_eq!(run.of("warning")[0]["code"], "second_copy");
    }
}

fn utf16(path: &Path) {
    let text = fs::read_to_string(path).unwrap();
    let bytes = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes));
    fs::write(path, bytes.collect::<Vec<u8>>()).unwrap();
}

/// Issue: "key and metadata files with a byte order mark or in UTF-16", "one useless key in a key
/// file ends the run".
#[test]
fn key_and_metadata_files_are_read_as_other_programs_write_them() {
    let trail = defects::small_trail();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    utf16(&mirror.keys());
    let beside = format!("{}.metadata.json", mirror.dir().join(&trail.chains[0].digests.last().unwrap().key).display());
    utf16(Path::new(&beside));
    let run = records(&mut mirror.command());
    assert_eq!((run.code, run.of("warning").len()), (0, 0), "{}{}", run.stdout, run.stderr);
    let mut keys = trail.keys_by_region();
    let useless = json!({ "Value": "AAAA", "Fingerprint": "f", "ValidityStartTime": 1, "ValidityEndTime": 2 });
    keys["us-east-1"]["PublicKeyList"].as_array_mut().unwrap().push(useless);
    mirror.write_keys(&keys);
    let run = records(&mut mirror.command());
    assert_eq!((run.code, run.of("warning").len()), (0, 1), "{}{}", run.stdout, run.stderr);
}

/// Issue: "one junk digest named 1970 gives a gap with room for 492,312 digests".
#[test]
fn a_junk_digest_named_1970_makes_no_gap_of_half_a_million() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[0].key.replace("/2026/03/01/", "/1970/01/01/").replace("20260301T", "19700101T");
    let junk = Stored {
        body: b"junk".to_vec().into(),
        metadata: Default::default(),
        last_modified: jiff::Timestamp::UNIX_EPOCH,
    };
    trail.objects.insert(("example-trail-logs".to_owned(), key), junk);
    let run = verify_folder(&trail);
    let room: u64 = run.of("gap").iter().map(|gap| gap["missing_digests"].as_u64().unwrap()).sum();
    assert_eq!((run.code, run.count("digest", "invalid")), (1, 1), "{}", run.stdout);
    assert!(room < 2 && run.of("chain")[0]["from"].as_str().unwrap().starts_with("2026-02-28T"), "{}", run.stdout);
}

/// Issue: "listing allowed on `AWSLogs/ACCOUNT/` only ends it, though the ARN names the account".
#[test]
fn where_only_the_accounts_folder_may_be_listed_the_arn_names_it() {
    let trail = defects::small_trail();
    let options = || ServerOptions { denied_exact_prefixes: vec!["AWSLogs/".to_owned()], ..ServerOptions::default() };
    let end = &trail.chains[0].digests.last().unwrap().document.digest_end_time;
    let verify = |more: &[&str]| {
        let server = Server::start(&trail, options());
        let place = ["--bucket", "example-trail-logs", "--end", end];
        records(ctverify_at(&server).args(place).args(more))
    };
    let named = verify(&["--trail-arn", &trail.spec.arn()]);
    assert_eq!((named.code, named.of("digest").len()), (0, trail.digest_count()), "{}{}", named.stdout, named.stderr);
    assert_eq!(verify(&["--account-id", "111122223333"]).code, 0);
    assert_eq!(verify(&[]).code, 4);
}

/// Issue: "S3 servers that answer without `KeyCount`".
#[test]
fn a_server_that_announces_no_count_is_listed() {
    let trail = TrailSpec { hours: 30, ..TrailSpec::default() }.forge();
    let options = ServerOptions { without_key_count: true, objects_a_page: Some(7), ..ServerOptions::default() };
    let run = verify(&trail, options);
    assert_eq!((run.code, run.of("digest").len()), (0, trail.digest_count()), "{}{}", run.stdout, run.stderr);
}

fn verify(trail: &ForgedTrail, options: ServerOptions) -> Run {
    let server = Server::start(trail, options);
    records(ctverify_at(&server).args(crate::support::range_of(trail)))
}

/// Issue: "`ctverify file` on a name of next year says 'may not have been delivered yet'".
#[test]
fn a_file_of_next_year_is_not_said_to_be_on_its_way() {
    let mut trail = defects::small_trail();
    let key = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    let future = key.replace("/2026/03/01/", "/2099/03/01/").replace("_20260301T", "_20990301T");
    let stored = trail.object_mut(&key).clone();
    trail.objects.insert(("example-trail-logs".to_owned(), future.clone()), stored);
    let server = Server::start(&trail, ServerOptions::default());
    let run = records(ctverify_at(&server).args(["file", &format!("s3://example-trail-logs/{future}")]));
    let detail = run.of("log_file")[0]["detail"].as_str().unwrap();
    assert!(run.code == 3 && detail.contains("a time that has not come"), "{detail}");
}

#[test]
fn a_file_whose_name_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt as _;
    let trail = TrailSpec { hours: 6, busy_percent: 100, ..TrailSpec::default() }.forge();
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let day = mirror.dir().join("AWSLogs/111122223333/CloudTrail/us-east-1/2026/03/01");
    std::fs::write(day.join(std::ffi::OsStr::from_bytes(b"planted\xff.json.gz")), b"x").unwrap();
    let found = records(&mut mirror.command());
    assert_eq!((found.code, found.count("log_file", "unlisted")), (3, 1), "{}", found.stdout);
    std::fs::remove_file(day.join(std::ffi::OsStr::from_bytes(b"planted\xff.json.gz"))).unwrap();
    let folder = day.parent().unwrap().join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("planted.json.gz"), b"x").unwrap();
    let found = records(&mut mirror.command());
    assert_ne!(found.code, 0, "{}", found.stdout);
    assert!(format!("{}{}", found.stdout, found.stderr).contains("not UTF-8"), "{}{}", found.stdout, found.stderr);
}

#[test]
fn log_files_past_the_newest_digest_of_a_copy_are_named_in_its_gap() {
    let mut trail = TrailSpec { hours: 12, busy_percent: 100, ..TrailSpec::default() }.forge();
    let digests = trail.chains[0].digests.clone();
    digests[4..].iter().for_each(|digest| drop(trail.remove(&digest.key)));
    let mirror = Mirror::new(&trail, Layout::Keys, true);
    let found = records(mirror.command().args(["--end", &digests.last().unwrap().document.digest_end_time]));
    assert!(found.code == 3 && found.count("log_file", "uncovered") > 0, "{}", found.stdout);
    let late = &digests.last().unwrap().document.log_files[0].s3_object;
    assert!(found.of("log_file").iter().any(|record| record["key"] == **late), "{}", found.stdout);
}

#[test]
fn log_files_of_an_organizations_folder_without_digests_are_a_gap() {
    let mut trail = TrailSpec { hours: 6, busy_percent: 100, ..TrailSpec::default() }.forge();
    let file = trail.chains[0].digests[2].document.log_files[0].s3_object.clone();
    let stored = trail.object_mut(&file).clone();
    let planted = file.replace("AWSLogs/", "AWSLogs/o-abcdefghij/");
    trail.objects.insert((trail.spec.bucket.clone(), planted), stored);
    let server = Server::start(&trail, ServerOptions::default());
    let from_s3 = records(ctverify_at(&server).args(["--bucket", &trail.spec.bucket]));
    for found in [verify_folder(&trail), from_s3] {
        assert!(found.code == 3 && found.gaps().contains(&"no_digests"), "{}", found.stdout);
    }
}

/// Found by an attack: at depth `presence`, a link to nowhere or a pipe counted as a log file that
/// exists.
#[cfg(unix)]
#[test]
fn what_is_no_file_does_not_exist_at_depth_presence() {
    let trail = ctverify_testkit::defects::small_trail();
    let digests = trail.chains[0].digests.iter().flat_map(|digest| &digest.document.log_files);
    let key = digests.map(|file| file.s3_object.clone()).next().unwrap();
    for pipe in [false, true] {
        let mirror = Mirror::new(&trail, Layout::Keys, true);
        let path = mirror.dir().join(&key);
        std::fs::remove_file(&path).unwrap();
        if pipe {
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        } else {
            std::os::unix::fs::symlink("/nonexistent", &path).unwrap();
        }
        let run = records(mirror.command().args(["--depth", "presence"]));
        assert_ne!(run.code, 0, "{}", run.stdout);
        assert_eq!(run.of("log_file").iter().filter(|file| file["key"] == *key).count(), 1, "{}", run.stdout);
    }
}
