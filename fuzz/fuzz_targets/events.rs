#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ctverify_fuzz::targets::events(bytes));
