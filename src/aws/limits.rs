//! The bounds on what a network that is slow, broken or hostile may cost, each with its reason.

use std::time::Duration;

/// How long a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request may wait for the first byte of its answer. S3 takes milliseconds; a page of a listing under load, seconds.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a body may stand still before it counts as broken off.
pub const STALL: Duration = Duration::from_secs(10);

/// The least rate at which a body has to come, in bytes a second, once [`BODY_GRACE`] is over: a server that lets each byte come just
/// before [`STALL`] must not hold a run up for ever. It leaves a slow line room: some 200 bodies share it.
pub const LEAST_RATE: u64 = 500;

/// How long a body may take whatever its length.
pub const BODY_GRACE: Duration = Duration::from_secs(60);

/// How often a request is sent at most, as the SDK counts it.
pub const MAX_ATTEMPTS: u32 = 8;

/// The first pause before a request is sent again is up to this, the next ones up to twice the one before.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(25);

/// How often a body that broke off is read from its begin at most.
pub const MAX_READS: u32 = 4;

/// How often a listing is asked for again whose answer broke off.
pub const MAX_BROKEN_LISTINGS: usize = 4;

/// How often a request follows a bucket to another region. One redirect is usual; two buckets that name each other would go on.
pub const MAX_REDIRECTS: usize = 3;

/// How many versions of one object are looked at: an attacker may make any number.
pub const MAX_VERSIONS: usize = 1000;
