//! The bounds on hostile input, each with its reason.

/// The maximum uncompressed size of one digest, in bytes. An entry takes about 450; AWS states no
/// limit on entries. This is enough for 70,000 of them, many times the busiest hour known, and
/// keeps a decompression bomb out of memory.
pub const MAX_DIGEST_BYTES: u64 = 32 * 1024 * 1024;

/// The maximum compressed size of one digest object, in bytes: JSON with a hash in every entry
/// shrinks at most to about a third.
pub const MAX_DIGEST_OBJECT_BYTES: u64 = 32 * 1024 * 1024;

/// The uncompressed size, in bytes, to which a digest that is too large to be read is hashed, where
/// a valid one names it.
pub const MAX_OVERSIZED_BYTES: u64 = 1024 * 1024 * 1024;

/// The maximum number of bytes of such digests that a run hashes: some two minutes' worth.
pub const MAX_OVERSIZED_BYTES_OF_RUN: u64 = 32 * 1024 * 1024 * 1024;

/// The maximum number of log files that are named of a digest that is not valid; the rest is only
/// counted. A planted digest can list half a million in 97 KB, and a report that names them all
/// would hide its findings.
pub const MAX_NAMED_CLAIMS: usize = 10_000;

/// The maximum number of such log files that are named for one chain. Without it, a thousand
/// planted digests would fill any disk.
pub const MAX_NAMED_CLAIMS_OF_CHAIN: usize = 100_000;

/// The uncompressed size, in bytes, beyond which digests are examined one at a time. The busiest
/// hours known have some 30 KB.
pub const LARGE_DIGEST_BYTES: u64 = 1024 * 1024;

/// The size of a digest object, in bytes, up to which it can't be large and is not checked: deflate
/// expands to at most 1,032 times its size (zlib's "Maximum Expansion Factor"), which makes 4 MB of
/// this.
pub const SMALL_DIGEST_OBJECT_BYTES: usize = 4 * 1024;

/// The maximum uncompressed size to which a log file is read, in bytes, unless the caller raises
/// it. CloudTrail's have a few MB. Hashing needs no memory, so this only bounds the time that a
/// decompression bomb takes: about a minute.
pub const MAX_LOG_FILE_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// The maximum number of uncompressed bytes that are hashed of the earlier versions of one damaged
/// log file, in search of the intact one: a bucket may hold a thousand versions of each, and an
/// attacker who damages a file may have put a bomb into every one.
pub const MAX_VERSION_BYTES: u64 = 1024 * 1024 * 1024;

/// The smallest RSA modulus taken for a CloudTrail key, in bits. AWS signs with 2048.
pub const MIN_KEY_BITS: usize = 2048;

/// The largest RSA modulus, in bits: the cost of a verification grows with its square.
pub const MAX_KEY_BITS: usize = 4096;

/// The maximum length of a signature, in bytes: that of the largest modulus.
pub const MAX_SIGNATURE_BYTES: usize = MAX_KEY_BITS / 8;

/// The public exponents in use for RSA. Large ones make a verification arbitrarily slow.
pub const KEY_EXPONENTS: [u64; 2] = [3, 65537];

/// The time by which a key is taken as valid on either side of its window, in seconds. A key can
/// begin to be valid shortly after the end time of a digest that it signed: the AWS CLI asks for
/// two hours past the range since 2026.
pub const KEY_WINDOW_TOLERANCE_SECONDS: i64 = 2 * 60 * 60;

/// The maximum length of an object's key, in bytes (Amazon S3 user guide, "Naming Amazon S3
/// objects"). No object has a longer one.
pub const MAX_KEY_BYTES: usize = 1024;

/// The maximum size of a file of public keys, in bytes: enough for some 25,000 keys, and CloudTrail
/// makes one a month in each region.
pub const MAX_KEY_FILE_BYTES: u64 = 16 * 1024 * 1024;
