//! The list of all files of a report, compressed, so that a million of them fit into a page.
//!
//! The names are lines of text, compressed with gzip: `+FOLDER` names a folder, whose index is the
//! number of those before it, and `SFI NAME` is a file, S being the index of its status in
//! [`STATUSES`], F the sum of the [`flags`], and I the index of its folder. The hashes are the raw
//! bytes of those that the flags announce, in the order of the files. Both are written in base64.

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::SpooledTempFile;

use crate::model::{ObjectRef, Sha256Hash, printable};
use crate::records::Record;

/// The statuses of files, by their index in the list.
pub(super) const STATUSES: [&str; 10] =
    ["valid", "invalid", "missing", "intact", "modified", "deleted", "unlisted", "uncovered", "unverified", "other"];

/// The facts about a file that are flags of its line.
mod flags {
    pub(super) const DIGEST: u8 = 1;
    pub(super) const HAS_ACTUAL_HASH: u8 = 2;
    pub(super) const HAS_EXPECTED_HASH: u8 = 4;
}

/// The number of bytes of each part of the list that are kept in memory.
const SPOOL_BYTES: usize = 4 * 1024 * 1024;

/// The list of files of a report.
pub(super) struct FileList {
    names: GzEncoder<SpooledTempFile>,
    hashes: SpooledTempFile,
    folders: HashMap<String, usize>,
    digests: u64,
    log_files: u64,
}

impl FileList {
    pub(super) fn new() -> Self {
        Self {
            names: GzEncoder::new(SpooledTempFile::new(SPOOL_BYTES), Compression::best()),
            hashes: SpooledTempFile::new(SPOOL_BYTES),
            folders: HashMap::new(),
            digests: 0,
            log_files: 0,
        }
    }

    /// Adds the file of a record, if it has one.
    pub(super) fn take(&mut self, record: &Record) -> io::Result<()> {
        match record {
            Record::Digest(digest) => {
                self.add(digest.status.as_str(), flags::DIGEST, &digest.object, digest.sha256, None)
            }
            Record::LogFile(file) => {
                let expected = file.expected_sha256.filter(|hash| file.actual_sha256 != Some(*hash));
                self.add(file.status.as_str(), 0, &file.object, file.actual_sha256, expected)
            }
            _ => Ok(()),
        }
    }

    fn add(
        &mut self,
        status: &str,
        kind: u8,
        object: &ObjectRef,
        actual: Option<Sha256Hash>,
        expected: Option<Sha256Hash>,
    ) -> io::Result<()> {
        let whole = object.to_string();
        let (folder, name) = whole.rsplit_once('/').unwrap_or(("", &whole));
        let index = match self.folders.get(folder) {
            Some(index) => *index,
            None => {
                let index = self.folders.len();
                self.folders.insert(folder.to_owned(), index);
                writeln!(self.names, "+{}", printable(folder))?;
                index
            }
        };
        let status = STATUSES.iter().position(|known| *known == status).unwrap_or(STATUSES.len() - 1);
        let mut flags = kind;
        for (hash, flag) in [(actual, flags::HAS_ACTUAL_HASH), (expected, flags::HAS_EXPECTED_HASH)] {
            if let Some(hash) = hash {
                flags |= flag;
                self.hashes.write_all(&hash.0)?;
            }
        }
        *if kind == flags::DIGEST { &mut self.digests } else { &mut self.log_files } += 1;
        writeln!(self.names, "{status}{flags}{index} {}", printable(name))
    }

    pub(super) fn digests(&self) -> u64 {
        self.digests
    }

    pub(super) fn log_files(&self) -> u64 {
        self.log_files
    }

    /// Writes the names, then `between`, then the hashes.
    pub(super) fn write(&mut self, out: &mut impl Write, between: &str) -> io::Result<()> {
        self.names.try_finish()?;
        in_base64(self.names.get_mut(), out)?;
        out.write_all(between.as_bytes())?;
        in_base64(&mut self.hashes, out)
    }
}

fn in_base64(spool: &mut SpooledTempFile, out: &mut impl Write) -> io::Result<()> {
    spool.seek(SeekFrom::Start(0))?;
    let mut encoder = EncoderWriter::new(out, &STANDARD);
    io::copy(spool, &mut encoder)?;
    encoder.finish()?;
    Ok(())
}
