//! Records that were saved earlier: those that are accepted can be written and are accepted again,
//! with the same verdict.

#![no_main]

use ctverify::records::{read_records, write_record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let mut written = Vec::new();
    let read = read_records(lines, |record| {
        write_record(record, &mut written)?;
        written.push(b'\n');
        Ok(())
    });
    let Ok(summary) = read else { return };
    let again = read_records(written.as_slice(), |_| Ok(())).unwrap();
    assert_eq!((again.verdict, again.exit_code, again.tally), (summary.verdict, summary.exit_code, summary.tally));
});
