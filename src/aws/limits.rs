//! The bounds on what a network that is slow, broken or hostile may cost, each with its reason.

use std::time::Duration;

/// The longest time that a connection may take to open.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time that a request may wait for the first byte of its answer. S3 takes
/// milliseconds; a page of a listing under load, seconds.
pub const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// The longest time that a body may stand still before it counts as broken off.
pub const STALL: Duration = Duration::from_secs(10);

/// The minimum rate at which a body has to come, in bytes a second, once [`BODY_GRACE`] is over: a
/// server that lets each byte come just before [`STALL`] must not hold a run up for ever. It is low
/// enough for a slow line that some 200 bodies share.
pub const LEAST_RATE: u64 = 500;

/// The time that a body may take whatever its length.
pub const BODY_GRACE: Duration = Duration::from_secs(60);

/// The maximum number of times that a request is sent, as the SDK counts them.
pub const MAX_ATTEMPTS: u32 = 8;

/// The maximum length of the first pause before a request is sent again; for the next ones, it is
/// twice that of the one before.
pub const FIRST_BACKOFF: Duration = Duration::from_millis(25);

/// The maximum number of times that a listing whose answer broke off is asked for again.
pub const MAX_BROKEN_LISTINGS: usize = 4;

/// The maximum number of times that a request follows a bucket to another region. One redirect is
/// usual; two buckets that name each other would go on.
pub const MAX_REDIRECTS: usize = 3;

/// The maximum number of versions of one object that are examined: an attacker may make any number.
pub const MAX_VERSIONS: usize = 1000;
