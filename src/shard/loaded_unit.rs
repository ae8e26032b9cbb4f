//! The evidence of a unit, loaded for the merge: hashes of contents in memory, the rest in a temporary
//! file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::sync::Mutex;

use ahash::RandomState;

use super::evidence::{Evidence, Listing};
use crate::store::StoreError;
use crate::sync::lock;
use crate::verify::Content;

/// A part of a unit's evidence on disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) length: u32,
}

/// A page of a listing.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) after: Option<String>,
    pub(super) to: Option<String>,
    pub(super) is_error: bool,
    pub(super) span: Span,
}

/// The content of a log file, and the number of uncompressed bytes up to which it was read.
pub(super) type KnownContent = (u64, Result<Content, Box<StoreError>>);

/// The evidence of a unit: hashes of contents in memory, the rest in a temporary file, by hashes of
/// their subjects.
pub(super) struct LoadedUnit {
    file: Mutex<File>,
    pub(super) keys: HashMap<u64, Vec<Segment>, RandomState>,
    pub(super) folders: HashMap<u64, Vec<Segment>, RandomState>,
    pub(super) digests: HashMap<u64, Span, RandomState>,
    pub(super) versions: HashMap<u64, Span, RandomState>,
    pub(super) contents: HashMap<u64, KnownContent, RandomState>,
    pub(super) logging_events: HashMap<u64, Span, RandomState>,
    pub(super) tampering: HashMap<u64, Vec<Span>, RandomState>,
}

impl LoadedUnit {
    pub(super) fn read(&self, span: Span) -> Result<Evidence, StoreError> {
        let read = || -> io::Result<Evidence> {
            let mut line = vec![0; span.length as usize];
            let mut file = lock(&self.file);
            file.seek(SeekFrom::Start(span.start))?;
            file.read_exact(&mut line)?;
            drop(file);
            Ok(serde_json::from_slice(&line)?)
        };
        read().map_err(|error| StoreError::Unwritable(format!("evidence can't be read back: {error}")))
    }
}

/// A loader of a unit's evidence.
pub(super) struct Loader {
    file: BufWriter<File>,
    length: u64,
    hasher: RandomState,
    unit: LoadedUnit,
}

impl Loader {
    pub(super) fn new(hasher: RandomState) -> io::Result<Self> {
        let file = tempfile::tempfile()?;
        let unit = LoadedUnit {
            file: Mutex::new(file.try_clone()?),
            keys: HashMap::default(),
            folders: HashMap::default(),
            digests: HashMap::default(),
            versions: HashMap::default(),
            contents: HashMap::default(),
            logging_events: HashMap::default(),
            tampering: HashMap::default(),
        };
        Ok(Self { file: BufWriter::new(file), length: 0, hasher, unit })
    }

    pub(super) fn take(&mut self, line: &[u8]) -> io::Result<()> {
        let evidence: Evidence = serde_json::from_slice(line)?;
        let mut spans = || -> io::Result<Span> {
            let length = u32::try_from(line.len()).map_err(io::Error::other)?;
            self.file.write_all(line)?;
            let span = Span { start: self.length, length };
            self.length += u64::from(length);
            Ok(span)
        };
        match evidence {
            Evidence::Listing(Listing { bucket, prefix, folders, after, to, error, .. }) => {
                let segment = Segment { after, to, is_error: error.is_some(), span: spans()? };
                let by_prefix = if folders { &mut self.unit.folders } else { &mut self.unit.keys };
                by_prefix.entry(self.hasher.hash_one((&bucket, &prefix))).or_default().push(segment);
            }
            Evidence::Digest(digest) => {
                let subject = subject(&self.hasher, &digest.bucket, &digest.key, digest.version.as_deref());
                self.unit.digests.insert(subject, spans()?);
            }
            Evidence::Versions(versions) => {
                let subject = subject(&self.hasher, &versions.bucket, &versions.key, None);
                self.unit.versions.insert(subject, spans()?);
            }
            Evidence::Content(file) => {
                let subject = subject(&self.hasher, &file.bucket, &file.key, file.version.as_deref());
                self.unit.contents.insert(subject, (file.ceiling, file.content.map_err(Box::new)));
            }
            Evidence::LoggingEvents(file) => {
                let subject = subject(&self.hasher, &file.bucket, &file.key, None);
                self.unit.logging_events.insert(subject, spans()?);
            }
            Evidence::Tampering(file) => {
                let subject = subject(&self.hasher, &file.bucket, &file.key, None);
                self.unit.tampering.entry(subject).or_default().push(spans()?);
            }
            // The plan has those of the trail's buckets.
            Evidence::LifecycleRules(_) => {}
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<LoadedUnit> {
        self.file.flush()?;
        Ok(self.unit)
    }
}

pub(super) fn subject(hasher: &RandomState, bucket: &str, key: &str, version: Option<&str>) -> u64 {
    hasher.hash_one((bucket, key, version))
}
