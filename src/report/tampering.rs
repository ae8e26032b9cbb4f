//! The proven events that weaken logging, as JSON Lines: the record of the run, one of each event, and
//! the summary.

use std::io::{self, Write};

use super::Report;
use crate::debug::opaque_debug;
use crate::records::{Record, write_record};

/// A report on the events of tampering alone.
pub struct Tampering<W> {
    out: W,
}

opaque_debug!(Tampering<W>);

impl<W: Write> Tampering<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Report for Tampering<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        match record {
            // An empty list would say that there is none.
            Record::Summary(summary) if !summary.looked_for_tampering => {
                Err(io::Error::other("the records are of a run that did not look for events of tampering"))
            }
            Record::Run(_) | Record::Tampering(_) | Record::Summary(_) => {
                write_record(record, &mut self.out)?;
                self.out.write_all(b"\n")
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
