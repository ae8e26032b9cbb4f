//! The log files that digests claim which are not valid, bounded: whoever plants digests may claim millions.

use crate::audit::digests::digest_spool::DigestSpool;
use crate::audit::digests::entry::ChainEntry;
use crate::audit::error::AuditError;
use crate::model::ObjectRef;
use crate::verify::limits;

/// How many more log files of digests that are not valid are named.
pub(crate) struct ClaimBudget(usize);

impl Default for ClaimBudget {
    fn default() -> Self {
        Self(limits::MAX_NAMED_CLAIMS_OF_CHAIN)
    }
}

impl ClaimBudget {
    /// The claims of the next digest that are named. Digests have to come in the order in which they are told of.
    pub fn take(&mut self, entry: &ChainEntry, spool: &DigestSpool) -> Result<Vec<ObjectRef>, AuditError> {
        let most = self.0.min(limits::MAX_NAMED_CLAIMS);
        if entry.claims() == 0 || most == 0 {
            return Ok(Vec::new());
        }
        let claims = entry.claimed(spool, most)?;
        self.0 -= claims.len();
        Ok(claims)
    }
}
