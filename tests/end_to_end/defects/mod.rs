//! The defects that have a folder in `testdata/`, and the table of them in docs/official-client.md.

pub(crate) mod tamper_table;
pub(crate) mod testdata;
pub(crate) mod verdicts;
