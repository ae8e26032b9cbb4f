//! Records as JSON, one object a line.

use std::io::{self, Write};

use super::Report;
use crate::debug::opaque_debug;
use crate::records::{Record, write_record};

/// A report of records as lines of JSON.
pub struct Jsonl<W> {
    out: W,
}

opaque_debug!(Jsonl<W>);

impl<W: Write> Jsonl<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Returns the underlying writer.
    pub(super) fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Report for Jsonl<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        write_record(record, &mut self.out)?;
        self.out.write_all(b"\n")
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
