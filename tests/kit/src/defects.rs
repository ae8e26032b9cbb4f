//! One small trail, and every way of breaking it that has a folder in `testdata/`.

use flate2::Compression;
use serde_json::json;

use crate::authority::TestKey;
use crate::forge::{Digest, ForgedTrail, TrailSpec};
use crate::tamper::{gunzip, gzip, gzip_at};

/// A way of breaking a trail, or of changing it without breaking it.
pub struct Defect {
    /// The name of its folder.
    pub name: &'static str,
    /// A description of the defect, in one sentence.
    pub about: &'static str,
    /// Applies the defect to a trail.
    pub apply: fn(&mut ForgedTrail),
}

/// The index of the digest that most defects are about: of the seven, neither the first nor the
/// newest.
pub const VICTIM: usize = 3;

/// The trail that is broken: one region, seven digests.
pub fn small_trail() -> ForgedTrail {
    TrailSpec { seed: 7, ..TrailSpec::default() }.forge()
}

fn digest(trail: &ForgedTrail, index: usize) -> Digest {
    trail.chains[0].digests[index].clone()
}

fn newest(trail: &ForgedTrail) -> Digest {
    trail.chains[0].digests.last().expect("a chain has digests").clone()
}

/// The first log file of the digest that most defects are about.
fn log_file(trail: &ForgedTrail) -> String {
    digest(trail, VICTIM).document.log_files[0].s3_object.clone()
}

/// A genuine key of another region.
fn foreign_key() -> std::sync::Arc<TestKey> {
    TestKey::number(3)
}

fn own_key(trail: &ForgedTrail, digest: &Digest) -> std::sync::Arc<TestKey> {
    let end = digest.document.digest_end_time.parse().expect("the forge writes times");
    trail.spec.keys.signing_key(&trail.chains[0].region, end)
}

/// All defects.
pub const ALL: &[Defect] = &[
    Defect { name: "clean", about: "Nothing happened.", apply: |_| {} },
    Defect {
        name: "no-metadata",
        about: "A copy made without the objects' metadata: the signatures are in the successors alone.",
        apply: ForgedTrail::strip_metadata,
    },
    Defect {
        name: "log-modified",
        about: "One event of a log file was changed.",
        apply: |trail| {
            let key = log_file(trail);
            trail.edit_content(&key, |content| {
                String::from_utf8(content)
                    .expect("JSON")
                    .replacen("\"eventName\":\"", "\"eventName\":\"X", 1)
                    .into_bytes()
            });
        },
    },
    Defect {
        name: "log-deleted",
        about: "A log file was deleted.",
        apply: |trail| {
            let key = log_file(trail);
            trail.remove(&key);
        },
    },
    Defect {
        name: "log-cut-short",
        about: "The end of a log file was cut off.",
        apply: |trail| {
            let key = log_file(trail);
            let body = trail.object_mut(&key).body.clone();
            trail.replace(&key, body.slice(..body.len() - 20));
        },
    },
    Defect {
        name: "log-not-gzip",
        about: "A log file was replaced by its own content, uncompressed.",
        apply: |trail| {
            let key = log_file(trail);
            let content = gunzip(&trail.object_mut(&key).body).expect("the forge writes gzip");
            trail.replace(&key, content);
        },
    },
    Defect {
        name: "log-empty",
        about: "A log file was emptied.",
        apply: |trail| {
            let key = log_file(trail);
            trail.replace(&key, &b""[..]);
        },
    },
    Defect {
        name: "log-trailing-bytes",
        about: "Bytes were added after the end of a log file's gzip stream.",
        apply: |trail| {
            let key = log_file(trail);
            let body = trail.object_mut(&key).body.clone();
            trail.replace(&key, [&body[..], b"more"].concat());
        },
    },
    Defect {
        name: "log-second-member",
        about: "A second gzip member was added to a log file.",
        apply: |trail| {
            let key = log_file(trail);
            let body = trail.object_mut(&key).body.clone();
            trail.replace(&key, [&body[..], &gzip(b"{\"Records\":[]}")].concat());
        },
    },
    Defect {
        name: "log-recompressed",
        about: "A log file was compressed anew, its content unchanged.",
        apply: |trail| {
            let key = log_file(trail);
            let content = gunzip(&trail.object_mut(&key).body).expect("the forge writes gzip");
            trail.replace(&key, gzip_at(&content, Compression::none()));
        },
    },
    Defect {
        name: "digest-edited",
        about: "A log file was taken out of a digest.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.edit_digest(&digest, |document| {
                document.log_files.remove(0);
            });
        },
    },
    Defect {
        name: "newest-digest-edited",
        about: "A log file was taken out of the newest digest, which no other vouches for.",
        apply: |trail| {
            let digest = newest(trail);
            trail.edit_digest(&digest, |document| {
                document.log_files.remove(0);
            });
        },
    },
    Defect {
        name: "digest-malformed",
        about: "A digest was replaced by other JSON.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.replace(&digest.key, gzip(json!({ "hello": "auditor" }).to_string().as_bytes()));
        },
    },
    Defect {
        name: "digest-not-gzip",
        about: "A digest was replaced by its own content, uncompressed.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.replace(&digest.key, digest.document.to_json());
        },
    },
    Defect {
        name: "digest-trailing-bytes",
        about: "Bytes were added after the end of a digest's gzip stream.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            let body = trail.object_mut(&digest.key).body.clone();
            trail.replace(&digest.key, [&body[..], b"\0\0"].concat());
        },
    },
    Defect {
        name: "digest-deleted",
        about: "A digest was deleted.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.remove(&digest.key);
        },
    },
    Defect {
        name: "two-digests-deleted",
        about: "Two digests in a row were deleted.",
        apply: |trail| {
            for index in [VICTIM, VICTIM + 1] {
                let digest = digest(trail, index);
                trail.remove(&digest.key);
            }
        },
    },
    Defect {
        name: "digest-replayed",
        about: "An older digest, signature and all, was put in the place of a newer one.",
        apply: |trail| {
            let (older, newer) = (digest(trail, VICTIM - 2), digest(trail, VICTIM));
            let copy = trail.object_mut(&older.key).clone();
            *trail.object_mut(&newer.key) = copy;
        },
    },
    Defect {
        name: "digest-foreign-key",
        about: "A digest was changed and signed with another region's key, under that key's own fingerprint.",
        apply: |trail| {
            let (digest, key) = (digest(trail, VICTIM), foreign_key());
            trail.forge_digest(&digest, &key, |document| {
                document.log_files.remove(0);
                document.digest_public_key_fingerprint = foreign_key().fingerprint.clone();
            });
        },
    },
    Defect {
        name: "newest-digest-foreign-key",
        about: "The newest digest was changed and signed with another region's key, under that key's own fingerprint.",
        apply: |trail| {
            let (digest, key) = (newest(trail), foreign_key());
            trail.forge_digest(&digest, &key, |document| {
                document.log_files.remove(0);
                document.digest_public_key_fingerprint = foreign_key().fingerprint.clone();
            });
        },
    },
    Defect {
        name: "newest-digest-borrowed-fingerprint",
        about: "The newest digest was changed and signed with another key, under the fingerprint of the genuine one.",
        apply: |trail| {
            let (digest, key) = (newest(trail), foreign_key());
            trail.forge_digest(&digest, &key, |document| {
                document.log_files.remove(0);
            });
        },
    },
    Defect {
        name: "digest-reissued",
        about: "A digest is validly signed, and is not the one that its successor recorded.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            let key = own_key(trail, &digest);
            trail.forge_digest(&digest, &key, |document| {
                document.log_files.remove(0);
            });
        },
    },
    Defect {
        name: "digest-signature-removed",
        about: "A digest was copied over itself without its metadata.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.object_mut(&digest.key).metadata = [("note".to_owned(), "copied".to_owned())].into();
        },
    },
    Defect {
        name: "digest-signature-changed",
        about: "The signature in a digest's metadata was changed.",
        apply: |trail| {
            let digest = digest(trail, VICTIM);
            trail.object_mut(&digest.key).metadata.insert("signature".to_owned(), "00".repeat(256));
        },
    },
    Defect {
        name: "newest-signature-removed",
        about: "The newest digest lost its metadata.",
        apply: |trail| {
            let digest = newest(trail);
            trail.object_mut(&digest.key).metadata.clear();
        },
    },
    Defect {
        name: "unknown-hash-algorithm",
        about: "The newest digest, validly signed, names a hash algorithm of the future.",
        apply: |trail| {
            let digest = newest(trail);
            let key = own_key(trail, &digest);
            trail.forge_digest(&digest, &key, |document| {
                document.log_files[0].hash_algorithm = "SHA3-256".to_owned();
            });
        },
    },
    Defect {
        name: "upper-case-hash",
        about: "The newest digest, validly signed, writes its hashes in capitals.",
        apply: |trail| {
            let digest = newest(trail);
            let key = own_key(trail, &digest);
            trail.forge_digest(&digest, &key, |document| {
                document.log_files[0].hash_value.make_ascii_uppercase();
            });
        },
    },
    Defect {
        name: "logging-stopped",
        about: "Logging was off for two hours: a starting digest follows.",
        apply: |trail| {
            *trail = TrailSpec { stopped: vec![3, 4], ..trail.spec.clone() }.forge();
        },
    },
];
