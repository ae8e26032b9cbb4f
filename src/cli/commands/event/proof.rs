//! The proof of one event, for people and for programs.

use std::io::{self, Write};

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::events::{Event, FoundEvent, Proof};
use crate::model::{KeysFrom, SignatureFrom, printable};
use crate::records::{DigestRecord, KeysAsked, LogFileRecord};
use crate::store::{Store, StoreError};
use crate::verify::{limits, sha256, uncompressed};

/// An event with all that proves it.
pub(super) struct ProvenEvent {
    event: FoundEvent,
    file: LogFileRecord,
    digest: Option<DigestRecord>,
    /// The signature and the key of the digest, or why they can't be told.
    signature: Result<Signature, String>,
    keys: Option<KeysAsked>,
}

/// A line that [`ProvenEvent::write_json`] wrote.
#[derive(serde::Deserialize)]
struct Stated<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    proof: Value,
}

/// The signature of a digest.
struct Signature {
    /// The signature in hex; `None` if the digest after it has it.
    hex: Option<String>,
    algorithm: Option<String>,
    /// The fingerprint of the public key.
    fingerprint: Option<String>,
}

impl ProvenEvent {
    /// Reads the digest once more, for its signature and the fingerprint of its key.
    pub(super) async fn of(
        event: FoundEvent,
        file: LogFileRecord,
        digest: Option<DigestRecord>,
        keys: Option<KeysAsked>,
        store: &dyn Store,
    ) -> Self {
        let signature = match &digest {
            Some(digest) => read_signature(digest, store).await,
            None => Err("its record is not known".to_owned()),
        };
        Self { event, file, digest, signature, keys }
    }

    pub(super) fn event(&self) -> &FoundEvent {
        &self.event
    }

    /// The record of the log file that has the event.
    pub(super) fn file(&self) -> &LogFileRecord {
        &self.file
    }

    /// The fingerprint of the public key, if the digest could be read again.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        self.signature.as_ref().ok()?.fingerprint.as_deref()
    }

    /// Returns whether a line of [`Self::write_json`] is about the same record in the same place. The origin of
    /// the keys may be another one.
    pub(super) fn is_as(&self, line: &str) -> bool {
        let mut own = Vec::new();
        let (Ok(()), Ok(mut stated)) = (self.write_json(&mut own), serde_json::from_str::<Stated<'_>>(line)) else {
            return false;
        };
        let Ok(mut own) = serde_json::from_slice::<Stated<'_>>(&own) else { return false };
        for proof in [&mut own.proof, &mut stated.proof] {
            if let Some(fields) = proof.as_object_mut() {
                fields.remove("keys");
            }
        }
        own.event.get() == stated.event.get() && own.proof == stated.proof
    }

    /// Writes the proof as a JSON object on a line, with the event in its original bytes.
    pub(super) fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        #[derive(serde::Serialize)]
        struct Line<'a> {
            event: &'a RawValue,
            proof: Value,
        }
        let proof = Proof::of(&self.file).map(|proof| Proof { index: self.event.index, ..proof });
        let mut proof = serde_json::to_value(proof)?;
        let chain = &self.file.chain;
        let mut add = |name: &str, value: Value| proof[name] = value;
        add("organization", json!(chain.organization));
        add("trail", json!(chain.trail));
        add("home_region", json!(chain.home_region));
        if let Some(digest) = &self.digest {
            add("digest_bucket", json!(&*digest.object.bucket));
            add("digest_sha256", json!(digest.sha256));
            add("digest_start", json!(digest.start.to_string()));
            add("digest_end", json!(digest.end.to_string()));
            add("signature_from", json!(digest.signature_from));
        }
        if let Ok(signature) = &self.signature {
            add("signature", json!(signature.hex));
            add("signature_algorithm", json!(signature.algorithm));
            add("key_fingerprint", json!(signature.fingerprint));
        }
        if let Some(keys) = &self.keys {
            add("keys", json!(keys.source));
        }
        // Line breaks in a record are white space between its parts.
        let record = self.event.record.replace(['\n', '\r'], " ");
        let event: &RawValue = serde_json::from_str(&record)?;
        serde_json::to_writer(&mut *out, &Line { event, proof })?;
        out.write_all(b"\n")
    }

    /// Writes the proof for people.
    pub(super) fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        let event = Event::parse(&self.event.record).unwrap_or_default();
        let chain = &self.file.chain;
        let whose = match self.keys.as_ref().map(|keys| keys.source) {
            Some(KeysFrom::ListPublicKeys) => "with a key from ListPublicKeys",
            Some(KeysFrom::Bag) => "with a key that comes from the bag itself",
            _ => "with a key of the key file",
        };
        let id = printable(&self.event.id);
        writeln!(out, "PROVEN  event {id} stands in a log file whose digest is signed\n        {whose}\n")?;
        let mut line = |name: &str, text: &str| writeln!(out, "  {name:<10}{}", printable(text));
        for (name, value) in [
            ("when", event.time_text()),
            ("who", event.actor()),
            ("what", event.text("eventName").or_else(|| event.category())),
            ("of", event.text("eventSource")),
            ("from", event.text("sourceIPAddress")),
            ("error", event.text("errorCode")),
        ] {
            if let Some(value) = value {
                line(name, &value)?;
            }
        }
        line("log file", &self.file.object.to_string())?;
        line("", &format!("record {} of the file, counted from 0", self.event.index))?;
        if let Some(sha256) = &self.file.actual_sha256 {
            line("", &format!("SHA-256 of the uncompressed content {sha256}, as the digest lists it"))?;
        }
        if let Some(digest) = &self.digest {
            line("digest", &digest.object.to_string())?;
            line("", &format!("covers {} to {}", digest.start, digest.end))?;
            if let Some(sha256) = &digest.sha256 {
                line("", &format!("SHA-256 of the uncompressed content {sha256}"))?;
            }
        }
        self.describe_signature(&mut line)?;
        let organization = chain.organization.as_ref().map(|id| format!("organization {id}, ")).unwrap_or_default();
        line(
            "chain",
            &format!(
                "{organization}account {}, region {}, trail {} of {}",
                chain.account, chain.region, chain.trail, chain.home_region
            ),
        )?;
        writeln!(out, "\n{}", printable(&self.event.record))
    }

    fn describe_signature(&self, line: &mut dyn FnMut(&str, &str) -> io::Result<()>) -> io::Result<()> {
        let from = match self.digest.as_ref().and_then(|digest| digest.signature_from) {
            Some(SignatureFrom::Metadata) => "from the digest's metadata",
            Some(SignatureFrom::Successor) => "from the digest after it",
            None => "",
        };
        match &self.signature {
            Ok(signature) => {
                let algorithm = signature.algorithm.as_deref().unwrap_or("RSA");
                line("signature", format!("{algorithm}, verified {from}").trim_end())?;
                if let Some(hex) = &signature.hex {
                    line("", &format!("in the metadata after the verification: {hex}"))?;
                }
                if let Some(fingerprint) = &signature.fingerprint {
                    let origin = match self.keys.as_ref().map(|keys| keys.source) {
                        Some(KeysFrom::ListPublicKeys) => "from ListPublicKeys",
                        Some(KeysFrom::File) => "from the key file",
                        Some(KeysFrom::Bag) => "from the bag itself",
                        _ => "",
                    };
                    line("key", format!("fingerprint {fingerprint} {origin}").trim_end())?;
                }
                Ok(())
            }
            Err(reason) => line("signature", &format!("verified {from}; the digest can't be read again: {reason}")),
        }
    }
}

/// Reads the signature of a digest that was found valid. Its content has to be the one that was verified.
async fn read_signature(digest: &DigestRecord, store: &dyn Store) -> Result<Signature, String> {
    let failed = |error: StoreError| error.to_string();
    let mut object = store.get(&digest.object, None).await.map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(piece) = object.body.next().await.map_err(failed)? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > limits::MAX_DIGEST_OBJECT_BYTES {
            return Err("it is too large".to_owned());
        }
    }
    let content = uncompressed(&bytes, object.is_uncompressed, limits::MAX_DIGEST_BYTES);
    let content = content.map_err(|fault| format!("its content is broken now ({})", fault.as_str()))?;
    if Some(sha256(&content)) != digest.sha256 {
        return Err("its content is not the one that was verified any more".to_owned());
    }
    let document: Value = serde_json::from_slice(&content).map_err(|error| error.to_string())?;
    let text = |name: &str| document[name].as_str().map(str::to_owned);
    let from_metadata = digest.signature_from == Some(SignatureFrom::Metadata);
    Ok(Signature {
        hex: object.metadata.signature.filter(|_| from_metadata),
        algorithm: text("digestSignatureAlgorithm"),
        fingerprint: text("digestPublicKeyFingerprint"),
    })
}
