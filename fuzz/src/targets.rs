//! The fuzz targets as functions: each takes an input and panics if a property does not hold.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::sync::LazyLock;

use ctverify::audit::ContentConsumer as _;
use ctverify::bag::{Bag, CustodyLog};
use ctverify::checkpoint::{parse, to_json};
use ctverify::events::{
    Event, EventFilter, EventReader, Form, Format, Lake, Pattern, Proof, TakeRecord, TextField, each_record_of_bytes,
    each_record_of_reader,
};
use ctverify::keys::KeyFile;
use ctverify::model::{
    DigestKind, DigestName, LogFileKey, ObjectRef, Sha256Hash, TimeArgument, TrailArn, parse_time, printable,
};
use ctverify::records::{read_records, write_record};
use ctverify::verify::{
    CheckedDigest, DigestJudgement, DigestMetadata, DigestSummary, Gunzip, HashKey, KeyRing, PendingDigest, RawDigest,
    RsaKey, SignatureCheck, check, examine, fingerprint, sha256, try_recorded_signatures, verify_chain,
};
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use serde::de::IgnoredAny;

/// A target: its name, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("bag", bag),
    ("checkpoint", checkpoint),
    ("digest_json", digest_json),
    ("events", events),
    ("gzip", gzip),
    ("key_der", key_der),
    ("key_file", key_file),
    ("metadata_file", metadata_file),
    ("object_names", object_names),
    ("planted_chain", planted_chain),
    ("saved_records", saved_records),
    ("time_argument", time_argument),
];

/// Compresses a content as little as possible: the fuzzer is to see through it.
fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(content).unwrap();
    gzip.finish().unwrap()
}

/// The content of a log file. Records are found in the same way in memory and piece by piece, stand in
/// the content as they are, and can be filtered and written in every format. A content with a record that
/// meets a filter is never passed over by the search for it.
pub fn events(bytes: &[u8]) {
    let read = |find: &dyn Fn(&mut TakeRecord<'_>) -> io::Result<Form>| {
        let mut records = Vec::new();
        let form = find(&mut |index, record| {
            assert_eq!(index, records.len() as u64);
            records.push(record.to_owned());
            Ok(())
        });
        (records, matches!(form.unwrap(), Form::Records(_)))
    };
    let (records, is_log_file) = read(&|take| each_record_of_bytes(bytes, take));
    let piece = 1 + bytes.len() % 7;
    let pieces = read(&|take| each_record_of_reader(bytes, piece, take));
    assert_eq!(pieces, (records.clone(), is_log_file), "both readings agree");
    let filter = EventFilter::default()
        .with(TextField::UserName, vec![Pattern::new("a*")])
        .with(TextField::ResourceName, vec![Pattern::new("*b?")]);
    let mut search = EventReader::new(filter.clone(), Format::Raw).search().expect("both conditions have a text");
    bytes.chunks(piece).for_each(|piece| search.take(piece));
    let (mut at, mut rows) = (0, Vec::new());
    let sha256 = Sha256Hash([0; 32]);
    let first = Proof { bucket: "b", key: "k", sha256, digest: "d", account: "1", region: "r", index: 0 };
    for (index, record) in (0..).zip(&records) {
        let found = bytes[at..].windows(record.len()).position(|part| part == record.as_bytes());
        at += found.expect("the record stands in the content, after the one before it") + record.len();
        let event = Event::parse(record).unwrap_or_default();
        let proof = Proof { index, ..first };
        assert!(!filter.matches(&event, &proof) || search.has_found(), "{record} is passed over");
        for format in [Format::Jsonl, Format::Raw, Format::Timesketch, Format::LookupEvents] {
            let mut line = Vec::new();
            format.write(&event, record, &proof, &["logging_stopped"], &mut line).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1, "{format:?} has one line");
            assert!(format == Format::Raw || serde_json::from_slice::<IgnoredAny>(&line).is_ok(), "{format:?} is JSON");
        }
        for format in [Format::Csv, Format::Table(None), Format::Table(Some(80)), Format::Table(Some(130))] {
            format.write(&event, record, &proof, &[], &mut io::sink()).unwrap();
        }
        Format::Rows.write(&event, record, &proof, &[], &mut rows).unwrap();
    }
    // Files take their time.
    if bytes.len().is_multiple_of(16) {
        let mut lake = Lake::new("events".to_owned(), std::env::temp_dir(), 1 << 10).unwrap();
        lake.add(0, &first, &*rows).unwrap();
        let written: u64 = lake.finish().unwrap().iter().map(|file| file.events).sum();
        assert_eq!(written, records.len() as u64, "each event is in the table");
    }
}

/// One folder for the whole process: each input writes over it.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("ctverify-fuzz-bag-{}", std::process::id()));
    fs::create_dir_all(folder.join("data/objects")).unwrap();
    fs::write(folder.join("bagit.txt"), "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n").unwrap();
    fs::write(folder.join("data/file"), "content").unwrap();
    folder
});

/// An untrusted bag, whose manifest, custody log and head may hold anything. Every fault is
/// reported or an error, and no bag passes, since none has a manifest of its tag files.
pub fn bag(bytes: &[u8]) {
    // The input is the three files one after the other, separated by 0xff, which is never part of
    // UTF-8.
    let mut parts = bytes.splitn(3, |byte| *byte == 0xff);
    for name in ["manifest-sha256.txt", "custody.jsonl", "custody-head.txt"] {
        fs::write(FOLDER.join(name), parts.next().unwrap_or_default()).unwrap();
    }
    if let Ok(log) = CustodyLog::open(&FOLDER) {
        assert!(log.len() <= bytes.len());
        let _ = log.faults();
    }
    if let Ok(altered) = Bag::open(&FOLDER).and_then(|bag| bag.altered()) {
        // It has no manifest of its tag files.
        assert!(!altered.is_empty());
    }
}

/// Checkpoints: one that parses can be written and then parses to the same value, and merging it
/// with itself changes nothing.
pub fn checkpoint(json: &[u8]) {
    let Ok(checkpoint) = parse(json) else { return };
    let written = to_json(&checkpoint).unwrap();
    assert_eq!(parse(&written).unwrap(), checkpoint);
    let merged = checkpoint.clone().merged_with(checkpoint.clone(), &checkpoint);
    assert_eq!(merged, checkpoint);
}

/// The JSON of a digest: whatever it contains, no digest is valid without a key, and a packed
/// digest unpacks without an error.
pub fn digest_json(json: &[u8]) {
    let bytes = gzipped(json);
    let object = ObjectRef::new("bucket", "key");
    let metadata = DigestMetadata { kept: true, signature: Some("ab".repeat(256)), ..DigestMetadata::default() };
    for kind in [DigestKind::Standard, DigestKind::Backfill] {
        let found = RawDigest {
            object: &object,
            kind,
            bytes: &bytes,
            is_uncompressed: false,
            metadata: &metadata,
            last_modified: None,
        };
        let keys = KeyRing::new([], true);
        let examined = examine(&found, |_| true, &keys);
        if let CheckedDigest::Parsed(_, own) = &examined {
            assert!(own.is_err());
        }
        let (key, mut packed) = (HashKey::default(), Vec::new());
        let pending = PendingDigest::pack(examined, &key, &mut packed).unwrap();
        let judged = verify_chain(vec![((), pending)], |(), summary| summary.unpack(&packed, &key), &keys).unwrap();
        assert!(matches!(judged[0].digest, DigestJudgement::Rejected(_)));
    }
}

/// The maximum decompressed size: a small input may decompress to a great deal.
const CEILING: u64 = 1 << 20;

/// Compares `Gunzip` with flate2's gzip reader, however the stream is divided into pieces.
pub fn gzip(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let mut own = Vec::new();
    let mut gunzip = Gunzip::new(CEILING);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        gunzip.feed(piece, |out| own.extend_from_slice(out));
    }
    let own = gunzip.finish().map(|_| own);
    let mut theirs = Vec::new();
    let whole = MultiGzDecoder::new(stream).take(CEILING + 1).read_to_end(&mut theirs);
    match own {
        Ok(own) => {
            assert!(whole.is_ok(), "taken, and flate2 says {whole:?}");
            assert!(own == theirs);
        }
        // A refused stream must fail in flate2, too, or be larger than the ceiling: a reader of the
        // file must not be shown more than is judged.
        Err(fault) => assert!(whole.is_err() || theirs.len() as u64 > CEILING, "refused as {fault}"),
    }
}

/// A public key in DER form: a key that is accepted does not verify an arbitrary signature.
pub fn key_der(der: &[u8]) {
    assert_eq!(fingerprint(der).len(), 32);
    if let Ok(key) = RsaKey::from_der(der) {
        assert_ne!(check(&key, &sha256(b"text"), &[1; 256]), SignatureCheck::Verifies);
    }
}

/// A file of public keys.
pub fn key_file(bytes: &[u8]) {
    if let Err(reason) = KeyFile::parse(bytes) {
        assert!(!reason.is_empty());
    }
}

/// The metadata file beside a digest.
pub fn metadata_file(json: &[u8]) {
    if let Ok(metadata) = DigestMetadata::from_head_object(json) {
        assert!(metadata.kept);
    }
}

/// Names of objects: the folder derived from a parsed key is a prefix of that key.
pub fn object_names(bytes: &[u8]) {
    let Ok(key) = std::str::from_utf8(bytes) else { return };
    if let Some(name) = DigestName::parse(key) {
        let folder = name.root.digest_regions(name.chain.organization.as_ref(), &name.chain.account);
        assert!(key.starts_with(&folder), "{key:?} lies in {folder:?}");
        assert!(key.contains(name.chain.trail.as_str()) && key.contains(name.chain.home_region.as_str()));
        assert!(LogFileKey::parse(key).is_none());
    }
    if let Some(name) = LogFileKey::parse(key) {
        let folder = name.root.accounts(name.organization.as_ref());
        assert!(key.starts_with(&format!("{folder}{}/CloudTrail", name.account)), "{key:?} lies in {folder:?}");
        assert!(name.time.from <= name.time.to);
    }
    if let Ok(arn) = key.parse::<TrailArn>() {
        assert_eq!(arn.to_string(), key);
    }
    assert!(!printable(key).chars().any(char::is_control));
}

/// A chain of several planted digests with arbitrary pointers: without a key none is valid, every
/// digest is returned, and each pair of a digest and one that names it is tried once.
pub fn planted_chain(bytes: &[u8]) {
    let keys = KeyRing::new([], true);
    let key = HashKey::default();
    let mut packed: Vec<Vec<u8>> = Vec::new();
    let mut pending: Vec<(usize, PendingDigest)> = Vec::new();
    // The input is digests separated by 0xff, a byte that no JSON contains.
    for json in bytes.split(|byte| *byte == 0xff).take(16) {
        let bytes = gzipped(json);
        let object = ObjectRef::new("bucket", format!("key-{}", pending.len()));
        let metadata = DigestMetadata { kept: true, ..DigestMetadata::default() };
        let kind = if pending.len().is_multiple_of(2) { DigestKind::Standard } else { DigestKind::Backfill };
        let found = RawDigest {
            object: &object,
            kind,
            bytes: &bytes,
            is_uncompressed: false,
            metadata: &metadata,
            last_modified: None,
        };
        let examined = examine(&found, |_| json.len() % 3 != 0, &keys);
        let mut out = Vec::new();
        let digest = PendingDigest::pack(examined, &key, &mut out).unwrap();
        pending.push((packed.len(), digest));
        packed.push(out);
    }
    let count = pending.len();
    let unpack = |index: &usize, summary: &DigestSummary| summary.unpack(&packed[*index], &key);
    let mut tried = HashSet::new();
    try_recorded_signatures(&pending, unpack, &keys, &mut tried, |_, came| assert!(came.is_err())).unwrap();
    try_recorded_signatures(&pending, unpack, &keys, &mut tried, |_, _| panic!("a pair was tried twice")).unwrap();
    let judged = verify_chain(pending, unpack, &keys).unwrap();
    assert_eq!(judged.len(), count);
    assert!(judged.iter().all(|judged| matches!(judged.digest, DigestJudgement::Rejected(_))));
}

/// Records that were saved earlier: those that are accepted can be written and are accepted again,
/// with the same verdict.
pub fn saved_records(lines: &[u8]) {
    let mut written = Vec::new();
    let read = read_records(lines, |record| {
        write_record(record, &mut written)?;
        written.push(b'\n');
        Ok(())
    });
    let Ok(summary) = read else { return };
    let again = read_records(written.as_slice(), |_| Ok(())).unwrap();
    assert_eq!((again.verdict, again.exit_code, again.tally), (summary.verdict, summary.exit_code, summary.tally));
}

/// A time on the command line: one that parses can be resolved without a panic, and one that was
/// written as RFC 3339 parses to that moment.
pub fn time_argument(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let now = "2026-03-01T00:00:00Z".parse().unwrap();
    if let Ok(argument) = parse_time(text) {
        if let TimeArgument::At(at) = argument {
            assert_eq!(parse_time(&at.to_string()), Ok(argument));
        }
        let _ = argument.resolve(now);
    }
}
