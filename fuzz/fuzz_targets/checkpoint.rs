//! Checkpoints: one that parses can be written and then parses to the same value, and merging it
//! with itself changes nothing.

#![no_main]

use ctverify::checkpoint::{parse, to_json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &[u8]| {
    let Ok(checkpoint) = parse(json) else { return };
    let written = to_json(&checkpoint).unwrap();
    assert_eq!(parse(&written).unwrap(), checkpoint);
    let merged = checkpoint.clone().merged_with(checkpoint.clone(), &checkpoint);
    assert_eq!(merged, checkpoint);
});
