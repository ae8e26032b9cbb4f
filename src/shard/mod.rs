//! Work units for an engine that runs on many machines, and the merging of their results.
//!
//! A run is divided into three steps. The **plan** ([`make_plan`]) finds the chains, asks what only
//! one run may ask (the trail's status, the public keys, lifecycle rules), and cuts the chains into
//! [`Unit`]s of a few minutes' work. A **shard** ([`run_unit`]) verifies one unit, which is an
//! ordinary [`Audit`](crate::audit::Audit) of some chains in a part of the range, and writes a result
//! file: the records of that audit, and **evidence**, which is every answer that the store gave it.
//! The **merge** ([`Results`], [`ResultStore`]) is an ordinary audit of the whole range, whose store
//! answers from the evidence of all units.
//!
//! A merged run therefore judges what depends on the whole (links between digests of neighbouring
//! units, log files listed twice, unlisted files, gaps, expiry, cut tails) with the code of a run on
//! one machine, and comes to the same records. The digests are in the evidence as they are stored,
//! so the merge verifies every signature itself; of log files it takes the hashes that the shards
//! computed. The place that holds results has to be as trustworthy as the machines.

mod edges;
mod evidence;
mod known;
mod loaded_unit;
mod logging_events;
mod manifest;
mod plan;
mod question;
mod recorder;
mod result_file;
mod result_store;
mod results;
mod tampering;
mod units;
mod work;

pub use edges::{Edge, EdgePredecessor, UnitEdges};
pub use known::{PlannedKeySet, PlannedKeys, PlannedNeighbours};
pub use logging_events::MergedLoggingEvents;
pub use manifest::{Manifest, PlanError, PlanFiles, PlannedChain, PlannedChains, Unit, UnitEstimate};
pub use plan::{Plan, PlanInputs, PlanOptions, make_plan};
pub use question::Question;
pub use recorder::Recorder;
pub use result_file::{EventsOfUnit, UnitCounts, UnitResult, UnitSummary};
pub use result_store::ResultStore;
pub use results::{
    BucketOfResults, FolderOfResults, ResultError, ResultSource, Results, each_record, read_unit_result,
};
pub use tampering::{MergedTampering, TamperingQuestion};
pub use work::{Extraction, UnitError, run_unit};
