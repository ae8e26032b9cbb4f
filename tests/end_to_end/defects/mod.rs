//! The defects that have a folder in `testdata/`, and the table of them in README.

pub(crate) mod tamper_table;
pub(crate) mod testdata;
pub(crate) mod verdicts;
