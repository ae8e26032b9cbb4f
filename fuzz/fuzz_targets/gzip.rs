//! Compares `Gunzip` with flate2's gzip reader, however the stream is divided into pieces.

#![no_main]

use std::io::Read as _;

use ctverify::verify::Gunzip;
use flate2::read::MultiGzDecoder;
use libfuzzer_sys::fuzz_target;

/// The maximum decompressed size: a small input may decompress to a great deal.
const CEILING: u64 = 1 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((size, stream)) = input.split_first() else { return };
    let mut own = Vec::new();
    let mut gunzip = Gunzip::new(CEILING);
    for piece in stream.chunks(usize::from(*size).max(1)) {
        gunzip.feed(piece, |out| own.extend_from_slice(out));
    }
    let own = gunzip.finish().map(|_| own);
    let mut theirs = Vec::new();
    let whole = MultiGzDecoder::new(stream).take(CEILING + 1).read_to_end(&mut theirs);
    match own {
        Ok(own) => {
            assert!(whole.is_ok(), "taken, and flate2 says {whole:?}");
            assert!(own == theirs);
        }
        // A refused stream must fail in flate2, too, or be larger than the ceiling: a reader of the
        // file must not be shown more than is judged.
        Err(fault) => assert!(whole.is_err() || theirs.len() as u64 > CEILING, "refused as {fault}"),
    }
});
