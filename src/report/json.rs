//! All records as one JSON document.
//!
//! Records come in the order of chains, but the document groups them by kind. Each group is spooled
//! to a temporary file once it outgrows memory, so that a report of millions of records needs none.

use std::io::{self, Seek, SeekFrom, Write};

use tempfile::SpooledTempFile;

use super::Report;
use crate::debug::opaque_debug;
use crate::records::{Record, write_record};

/// The number of bytes of a group that are kept in memory.
const SPOOL_BYTES: usize = 4 * 1024 * 1024;

/// The group of events of tampering, which is there if they were looked for.
const TAMPERING: &str = "tampering";

/// The groups, in their order in the document.
const GROUPS: [&str; 6] = ["digests", "log_files", "gaps", TAMPERING, "warnings", "chains"];

/// A report of all records as one document.
pub struct Json<W> {
    out: W,
    groups: [SpooledTempFile; GROUPS.len()],
    filled: [bool; GROUPS.len()],
    circumstances: Vec<u8>,
    summary: Vec<u8>,
    looked_for_tampering: bool,
}

opaque_debug!(Json<W>);

impl<W: Write> Json<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            groups: std::array::from_fn(|_| SpooledTempFile::new(SPOOL_BYTES)),
            filled: [false; GROUPS.len()],
            circumstances: b"null".to_vec(),
            summary: b"null".to_vec(),
            looked_for_tampering: false,
        }
    }
}

impl<W: Write> Report for Json<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        let group = match record {
            Record::Run(_) => {
                self.out.write_all(b"{\"run\":")?;
                return write_record(record, &mut self.out);
            }
            Record::Bag(_) => {
                self.out.write_all(b",\"bag\":")?;
                return write_record(record, &mut self.out);
            }
            Record::Circumstances(_) => {
                self.circumstances.clear();
                return write_record(record, &mut self.circumstances);
            }
            Record::Summary(summary) => {
                self.looked_for_tampering = summary.looked_for_tampering;
                self.summary.clear();
                return write_record(record, &mut self.summary);
            }
            Record::Digest(_) => 0,
            Record::LogFile(_) => 1,
            Record::Gap(_) => 2,
            Record::Tampering(_) => 3,
            Record::Warning(_) => 4,
            Record::Chain(_) => 5,
        };
        if self.filled[group] {
            self.groups[group].write_all(b",")?;
        }
        self.filled[group] = true;
        write_record(record, &mut self.groups[group])
    }

    fn finish(&mut self) -> io::Result<()> {
        for (name, group) in GROUPS.iter().zip(&mut self.groups) {
            // An empty list would say that there is none.
            if *name == TAMPERING && !self.looked_for_tampering {
                continue;
            }
            write!(self.out, ",\"{name}\":[")?;
            group.seek(SeekFrom::Start(0))?;
            io::copy(group, &mut self.out)?;
            self.out.write_all(b"]")?;
        }
        self.out.write_all(b",\"circumstances\":")?;
        self.out.write_all(&self.circumstances)?;
        self.out.write_all(b",\"summary\":")?;
        self.out.write_all(&self.summary)?;
        self.out.write_all(b"}\n")?;
        self.out.flush()
    }
}
