//! Evidence bags, and checks of what was made from them.

pub(crate) mod bags;
pub(crate) mod checked_reports;
