//! The log files claimed by digests that are not valid. Their number is bounded, because planted
//! digests may claim millions.

use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::error::AuditError;
use crate::model::ObjectRef;
use crate::verify::limits;

/// The number of log files that may still be named for digests that are not valid.
pub(crate) struct ClaimBudget(usize);

impl Default for ClaimBudget {
    fn default() -> Self {
        Self(limits::MAX_NAMED_CLAIMS_OF_CHAIN)
    }
}

impl ClaimBudget {
    /// Returns the claims of the next digest that are named. Digests must be passed in the order in
    /// which their records are emitted.
    pub(crate) fn take(&mut self, entry: &ChainEntry, spool: &DigestSpool) -> Result<Vec<ObjectRef>, AuditError> {
        let most = self.0.min(limits::MAX_NAMED_CLAIMS);
        if entry.claims() == 0 || most == 0 {
            return Ok(Vec::new());
        }
        let claims = entry.claimed(spool, most)?;
        self.0 -= claims.len();
        Ok(claims)
    }
}
