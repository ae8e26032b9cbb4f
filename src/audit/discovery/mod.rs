//! The chains that exist at a location, and those that should.

pub(crate) mod chains;
pub(crate) mod discovered;
pub(crate) mod expected;
pub(crate) mod folders;
pub(crate) mod not_found;
pub(crate) mod statuses;
