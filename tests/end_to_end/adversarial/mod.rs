//! Attacks and faults: nothing tampered passes, nothing hostile costs too much, no fault accuses.

pub(crate) mod attacks;
pub(crate) mod bounds;
pub(crate) mod corpora;
pub(crate) mod faults;
pub(crate) mod hostile;
pub(crate) mod plants;
