//! The seeds of the fuzz targets, replayed without the fuzzer.

use std::collections::BTreeSet;

use crate::support::testdata;

#[path = "../../../fuzz/src/seeds.rs"]
#[expect(unreachable_pub, reason = "the module belongs to another crate")]
mod seeds;
#[path = "../../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the module belongs to another crate")]
mod targets;

/// Seeds that are refused at once would show the fuzzer nothing.
#[test]
fn seeds_are_of_the_forms_that_are_read() {
    let seeds = seeds::seeds(&testdata(""));
    let of = |target| seeds.iter().filter(move |seed| seed.target == target).map(|seed| &*seed.content);
    assert!(of("checkpoint").all(|json| ctverify::checkpoint::parse(json).is_ok()));
    assert!(of("key_file").all(|json| ctverify::keys::KeyFile::parse(json).is_ok()));
    assert!(of("key_der").all(|der| ctverify::verify::RsaKey::from_der(der).is_ok()));
    assert!(of("saved_records").any(|lines| ctverify::records::read_records(lines, |_| Ok(())).is_ok()));
}

#[test]
fn every_seed_passes_its_fuzz_target() {
    let mut tried = BTreeSet::new();
    for seed in seeds::seeds(&testdata("")) {
        let (name, run) = targets::ALL.iter().find(|(name, _)| *name == seed.target).unwrap();
        run(&seed.content);
        // A cut input is what the fuzzer makes first.
        run(&seed.content[..seed.content.len() / 2]);
        tried.insert(*name);
    }
    assert_eq!(tried.len(), targets::ALL.len(), "{tried:?}");
}
