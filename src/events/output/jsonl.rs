//! A JSON object for each event, with the record in its original bytes and the proof.

use std::io::{self, Write};

use super::{Proof, write_on_one_line};

pub(super) fn write(record: &str, proof: &Proof<'_>, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"event\":")?;
    write_on_one_line(record, out)?;
    out.write_all(b",\"proof\":")?;
    serde_json::to_writer(&mut *out, proof)?;
    out.write_all(b"}\n")
}
