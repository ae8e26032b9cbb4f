//! Records that were saved earlier: those that are accepted can be written and are accepted again,
//! with the same verdict.

#![no_main]

use ctverify::report::{Jsonl, Report as _, read_records};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|lines: &[u8]| {
    let mut written = Vec::new();
    let mut writer = Jsonl::new(&mut written);
    let Ok(summary) = read_records(lines, |record| writer.record(record)) else { return };
    writer.finish().unwrap();
    drop(writer);
    let again = read_records(written.as_slice(), |_| Ok(())).unwrap();
    assert_eq!((again.verdict, again.exit_code, again.tally), (summary.verdict, summary.exit_code, summary.tally));
});
