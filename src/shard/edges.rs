//! The edges of a unit: the first and the last digest of each of its chains, and the next one, by
//! which neighbouring units are joined.

use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::evidence::{Digest, decoded, time};
use super::manifest::Unit;
use super::recorder::Recorder;
use crate::model::{ChainId, DigestKind, ObjectRef, Sha256Hash, TimeRange};
use crate::verify::{CheckedDigest, KeyRing, RawDigest, RecordedSignature, examine};

/// The edges of a unit in one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitEdges {
    /// The chain.
    #[serde(flatten)]
    pub chain: ChainId,
    /// Its first hourly digest in the unit's range.
    pub first: Option<Edge>,
    /// Its last one.
    pub last: Option<Edge>,
    /// The first one past the range, which names the last.
    pub next: Option<Edge>,
}

/// A digest as a unit read it. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// The SHA-256 of its uncompressed bytes; null if they could not be read.
    pub sha256: Option<Sha256Hash>,
    /// Its signature as its metadata state it.
    pub signature: Option<String>,
    /// The digest that it names as its predecessor.
    pub predecessor: Option<EdgePredecessor>,
}

/// A predecessor as its successor recorded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgePredecessor {
    /// The object.
    #[serde(flatten)]
    pub object: ObjectRef,
    /// The SHA-256 of its uncompressed bytes.
    pub sha256: Option<Sha256Hash>,
    /// Its signature, in hex.
    pub signature: Option<String>,
}

/// A digest that may be at an edge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EdgeDigest {
    /// The end in its name.
    pub end: Timestamp,
    pub object: ObjectRef,
    /// The place and the length of what was recorded of it.
    pub answer: (u64, u32),
}

/// The edges of a chain, while they are looked for.
#[derive(Debug, Default)]
pub(super) struct EdgeNames {
    first: Option<EdgeDigest>,
    last: Option<EdgeDigest>,
    next: Option<EdgeDigest>,
}

impl EdgeNames {
    /// Takes note of a digest that was read.
    pub(super) fn add(&mut self, kind: DigestKind, read: EdgeDigest, range: &TimeRange) {
        if kind != DigestKind::Standard || !range.reaches(read.end) {
            return;
        }
        if range.is_after_end(read.end) {
            if self.next.as_ref().is_none_or(|next| read < *next) {
                self.next = Some(read);
            }
            return;
        }
        if self.first.as_ref().is_none_or(|first| read < *first) {
            self.first = Some(read.clone());
        }
        if self.last.as_ref().is_none_or(|last| read > *last) {
            self.last = Some(read);
        }
    }
}

/// Reads the edges of each of the unit's chains.
///
/// # Errors
///
/// A recorded answer can't be read back.
pub(super) fn edges(unit: &Unit, recorder: &Recorder) -> io::Result<Vec<UnitEdges>> {
    let mut names = recorder.take_edges();
    let mut edges = Vec::with_capacity(unit.chains.len());
    for chain in &unit.chains {
        let EdgeNames { first, last, next } = names.remove(&chain.id).unwrap_or_default();
        let read = |edge: Option<EdgeDigest>| edge.map(|edge| read_edge(&edge, recorder)).transpose();
        edges.push(UnitEdges { chain: chain.id.clone(), first: read(first)?, last: read(last)?, next: read(next)? });
    }
    Ok(edges)
}

fn read_edge(edge: &EdgeDigest, recorder: &Recorder) -> io::Result<Edge> {
    let unread = Edge { object: edge.object.clone(), sha256: None, signature: None, predecessor: None };
    Ok(recorder.digest(edge)?.map_or(unread, |digest| edge_of(&edge.object, &digest)))
}

/// Reads the edge from a digest.
fn edge_of(object: &ObjectRef, digest: &Digest) -> Edge {
    let mut edge = Edge { object: object.clone(), sha256: None, signature: None, predecessor: None };
    let metadata = digest.metadata();
    edge.signature.clone_from(&metadata.signature);
    let Some(Ok(bytes)) = digest.bytes.as_deref().map(decoded) else { return edge };
    let raw = RawDigest {
        object,
        kind: DigestKind::Standard,
        bytes: &bytes,
        is_uncompressed: false,
        metadata: &metadata,
        last_modified: digest.modified.and_then(time),
    };
    let nobody = KeyRing::unavailable("no keys are needed to read an edge".to_owned());
    match examine(&raw, |_| true, &nobody) {
        CheckedDigest::Parsed(parsed, _) => {
            edge.sha256 = Some(parsed.sha256());
            edge.predecessor = parsed.predecessor().map(|recorded| EdgePredecessor {
                object: recorded.object.clone(),
                sha256: recorded.sha256,
                signature: recorded.signature.as_ref().and_then(|signature| match signature {
                    RecordedSignature::Bytes(bytes) => Some(hex::encode(bytes)),
                    RecordedSignature::Unreadable(_) => None,
                }),
            });
        }
        CheckedDigest::Unparsed(unparsed) => edge.sha256 = unparsed.sha256,
    }
    edge
}
