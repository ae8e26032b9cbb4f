//! The edges of a unit: the first and the last digest of each of its chains, and the next one, by
//! which neighbouring units are joined.

use std::collections::HashMap;
use std::io;

use serde::{Deserialize, Serialize};

use super::evidence::{Digest, decoded, time};
use super::manifest::Unit;
use super::recorder::Recorder;
use crate::model::{ChainId, DigestKind, DigestName, ObjectRef, Sha256Hash};
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

/// The names of the edges of a chain, while they are looked for.
#[derive(Default)]
struct Names {
    first: Option<DigestNameAt>,
    last: Option<DigestNameAt>,
    next: Option<DigestNameAt>,
}

type DigestNameAt = (jiff::Timestamp, ObjectRef);

/// Finds the edges of each of the unit's chains among the digests that were read.
///
/// # Errors
///
/// What was recorded can't be read back.
pub(super) fn edges(unit: &Unit, recorder: &Recorder) -> io::Result<Vec<UnitEdges>> {
    let mut names: HashMap<ChainId, Names> = HashMap::new();
    for object in recorder.digests() {
        let Some(name) = DigestName::parse(&object.key) else { continue };
        if name.kind != DigestKind::Standard {
            continue;
        }
        let found = names.entry(name.chain).or_default();
        let at = (name.end, object);
        if unit.range.is_after_end(name.end) {
            found.next = found.next.take().map_or(Some(at.clone()), |next| Some(next.min(at)));
        } else if unit.range.reaches(name.end) {
            found.first = found.first.take().map_or(Some(at.clone()), |first| Some(first.min(at.clone())));
            found.last = found.last.take().map_or(Some(at.clone()), |last| Some(last.max(at)));
        }
    }
    let mut edges = Vec::with_capacity(unit.chains.len());
    for chain in &unit.chains {
        let Names { first, last, next } = names.remove(&chain.id).unwrap_or_default();
        let read = |name: Option<DigestNameAt>| name.map(|(_, object)| read_edge(&object, recorder)).transpose();
        edges.push(UnitEdges { chain: chain.id.clone(), first: read(first)?, last: read(last)?, next: read(next)? });
    }
    Ok(edges)
}

fn read_edge(object: &ObjectRef, recorder: &Recorder) -> io::Result<Edge> {
    let unread = Edge { object: object.clone(), sha256: None, signature: None, predecessor: None };
    match recorder.digest(object)? {
        Some(digest) => Ok(edge_of(object, &digest)),
        None => Ok(unread),
    }
}

/// Reads the edge from a digest.
pub(super) fn edge_of(object: &ObjectRef, digest: &Digest) -> Edge {
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
