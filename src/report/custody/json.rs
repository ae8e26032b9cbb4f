//! The facts of a custody report as JSON.

use std::io::{self, Write};

use super::super::Report;
use super::facts::{Gathering, Origin};
use crate::debug::opaque_debug;
use crate::records::Record;

/// The custody report for machines.
pub struct CustodyJson<W> {
    out: W,
    gathering: Gathering,
}

opaque_debug!(CustodyJson<W>);

impl<W: Write> CustodyJson<W> {
    /// Creates a report that is written to `out`.
    pub fn new(out: W, origin: Origin) -> Self {
        Self { out, gathering: Gathering::new(origin) }
    }
}

impl<W: Write> Report for CustodyJson<W> {
    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.gathering.take(record)
    }

    fn finish(&mut self) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, &self.gathering.facts()?)?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }
}
