//! A JSON object for each event, with the record in its original bytes, the proof, and the rules
//! of tampering that it meets, if events were selected by these.

use std::io::{self, Write};

use super::{Proof, write_on_one_line};

pub(super) fn write(record: &str, proof: &Proof<'_>, rules: &[&str], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(b"{\"event\":")?;
    write_on_one_line(record, out)?;
    out.write_all(b",\"proof\":")?;
    serde_json::to_writer(&mut *out, proof)?;
    if !rules.is_empty() {
        out.write_all(b",\"tampering\":")?;
        serde_json::to_writer(&mut *out, rules)?;
    }
    out.write_all(b"}\n")
}
