//! A time on the command line: one that parses can be resolved without a panic, and one that was
//! written as RFC 3339 parses to that moment.

#![no_main]

use ctverify::model::{TimeArgument, parse_time};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let now = "2026-03-01T00:00:00Z".parse().unwrap();
    if let Ok(argument) = parse_time(text) {
        if let TimeArgument::At(at) = argument {
            assert_eq!(parse_time(&at.to_string()), Ok(argument));
        }
        let _ = argument.resolve(now);
    }
});
