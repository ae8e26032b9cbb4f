//! Sources: S3, local copies, and the official client on the same trails.

pub(crate) mod copies;
pub(crate) mod local;
pub(crate) mod official_client;
pub(crate) mod remote;
