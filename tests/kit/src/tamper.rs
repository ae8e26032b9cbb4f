//! Reading and writing gzip, and the ways in which a forged trail is broken.

use std::io::{self, Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::authority::TestKey;
use crate::document::{DigestDocument, LogFileDocument};
use crate::forge::{Digest, ForgedTrail, Stored};

/// Compresses as CloudTrail does.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    gzip_at(content, Compression::default())
}

/// Compresses at another level.
pub fn gzip_at(content: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(content).expect("memory takes bytes");
    encoder.finish().expect("memory takes bytes")
}

/// Decompresses every member.
pub fn gunzip(compressed: &[u8]) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(compressed).read_to_end(&mut content)?;
    Ok(content)
}

impl ForgedTrail {
    /// The object under this key, in whichever bucket it is.
    pub fn object_mut(&mut self, key: &str) -> &mut Stored {
        let found = self.objects.iter_mut().find(|((_, other), _)| other == key);
        found.map(|(_, stored)| stored).unwrap_or_else(|| panic!("the trail has no object {key}"))
    }

    /// Replaces an object's bytes.
    pub fn replace(&mut self, key: &str, body: impl Into<Bytes>) {
        self.object_mut(key).body = body.into();
    }

    /// Removes an object.
    pub fn remove(&mut self, key: &str) -> Stored {
        let name = self.objects.keys().find(|(_, other)| other == key).cloned();
        let name = name.unwrap_or_else(|| panic!("the trail has no object {key}"));
        self.objects.remove(&name).expect("it was found")
    }

    /// Changes the decompressed content of an object.
    pub fn edit_content(&mut self, key: &str, edit: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let content = edit(gunzip(&self.object_mut(key).body).expect("the forge writes gzip"));
        self.replace(key, gzip(&content));
    }

    /// Changes a digest's JSON and leaves its signature as it was.
    pub fn edit_digest(&mut self, digest: &Digest, edit: impl FnOnce(&mut DigestDocument)) {
        let mut document = digest.document.clone();
        edit(&mut document);
        self.replace(&digest.key, gzip(&document.to_json()));
    }

    /// Changes a digest's JSON and signs it anew, with `key`.
    pub fn forge_digest(&mut self, digest: &Digest, key: &TestKey, edit: impl FnOnce(&mut DigestDocument)) {
        let mut document = digest.document.clone();
        edit(&mut document);
        let signature = document.sign(key);
        let stored = self.object_mut(&digest.key);
        stored.body = gzip(&document.to_json()).into();
        stored.metadata.insert("signature".to_owned(), signature);
    }

    /// Makes the first chain continue from a digest of another trail: its first digest names `last`
    /// as its predecessor.
    pub fn continue_from(&mut self, last: &Digest) {
        self.reissue(|index, document| {
            if index == 0 {
                document.previous_digest_s3_bucket = Some(last.document.digest_s3_bucket.clone());
                document.previous_digest_s3_object = Some(last.key.clone());
                document.previous_digest_hash_value = Some(last.document.sha256());
                document.previous_digest_hash_algorithm = Some("SHA-256".to_owned());
                document.previous_digest_signature = Some(last.signature.clone());
            }
        });
    }

    /// Changes the digests of the first chain as CloudTrail itself would have made them: each is
    /// signed anew, and records the new hash and signature of the one before it.
    pub fn reissue(&mut self, mut edit: impl FnMut(usize, &mut DigestDocument)) {
        let region = self.chains[0].region.clone();
        let mut previous: Option<Digest> = None;
        for index in 0..self.chains[0].digests.len() {
            let mut digest = self.chains[0].digests[index].clone();
            let document = &mut digest.document;
            edit(index, document);
            if let Some(before) = previous.filter(|_| document.previous_digest_s3_object.is_some()) {
                document.previous_digest_hash_value = Some(before.document.sha256());
                document.previous_digest_signature = Some(before.signature.clone());
            }
            let end = document.digest_end_time.parse().expect("the forge writes times");
            digest.signature = document.sign(&self.spec.keys.signing_key(&region, end));
            let stored = self.object_mut(&digest.key);
            stored.body = gzip(&digest.document.to_json()).into();
            stored.metadata.insert("signature".to_owned(), digest.signature.clone());
            self.chains[0].digests[index] = digest.clone();
            previous = Some(digest);
        }
    }

    /// Gives a log file of the first chain another content, as if CloudTrail had delivered that: the
    /// digests record its hash.
    pub fn redeliver(&mut self, key: &str, content: &[u8]) {
        self.redeliver_compressed(key, gzip(content), &hex::encode(Sha256::digest(content)));
    }

    /// Gives a log file another content as [`Self::redeliver`] does, which is compressed already and has this
    /// hash.
    pub fn redeliver_compressed(&mut self, key: &str, body: impl Into<Bytes>, hash: &str) {
        self.replace(key, body);
        self.reissue(|_, document| {
            let files = document.log_files.iter_mut().filter(|file| file.s3_object == key);
            files.for_each(|file| file.hash_value = hash.to_owned());
        });
    }

    /// Adds a log file to a digest of the first chain, as if CloudTrail had delivered it there: its entry is that
    /// of `like` but for the key and the hash.
    pub fn deliver_beside(&mut self, digest: usize, like: &str, key: &str, content: &[u8]) {
        let mut stored = self.object_mut(like).clone();
        stored.body = gzip(content).into();
        self.objects.insert((self.spec.bucket.clone(), key.to_owned()), stored);
        self.reissue(|index, document| {
            let entry = document.log_files.iter().find(|file| index == digest && file.s3_object == like).cloned();
            document.log_files.extend(entry.map(|entry| LogFileDocument {
                s3_object: key.to_owned(),
                hash_value: hex::encode(Sha256::digest(content)),
                ..entry
            }));
        });
    }

    /// Moves the digests of the first chain before this place, and the log files that they list, to
    /// another bucket, as if the trail had changed its bucket there; signs all digests of the chain
    /// anew.
    pub fn house_before(&mut self, place: usize, bucket: &str) {
        let region = self.chains[0].region.clone();
        let own = self.spec.bucket.clone();
        let mut previous: Option<Digest> = None;
        for index in 0..self.chains[0].digests.len() {
            let mut digest = self.chains[0].digests[index].clone();
            let document = &mut digest.document;
            let moves = index < place;
            if moves {
                document.digest_s3_bucket = bucket.to_owned();
                document.log_files.iter_mut().for_each(|file| file.s3_bucket = bucket.to_owned());
            }
            if let Some(before) = previous.filter(|_| document.previous_digest_s3_object.is_some()) {
                document.previous_digest_s3_bucket = Some(before.document.digest_s3_bucket.clone());
                document.previous_digest_hash_value = Some(before.document.sha256());
                document.previous_digest_signature = Some(before.signature.clone());
            }
            let end = document.digest_end_time.parse().expect("the forge writes times");
            digest.signature = document.sign(&self.spec.keys.signing_key(&region, end));
            let mut stored = self.remove_from(&own, &digest.key);
            stored.body = gzip(&digest.document.to_json()).into();
            stored.metadata.insert("signature".to_owned(), digest.signature.clone());
            self.objects.insert((digest.document.digest_s3_bucket.clone(), digest.key.clone()), stored);
            for file in digest.document.log_files.iter().filter(|_| moves) {
                let stored = self.remove_from(&own, &file.s3_object);
                self.objects.insert((bucket.to_owned(), file.s3_object.clone()), stored);
            }
            self.chains[0].digests[index] = digest.clone();
            previous = Some(digest);
        }
    }

    fn remove_from(&mut self, bucket: &str, key: &str) -> Stored {
        let name = (bucket.to_owned(), key.to_owned());
        self.objects.remove(&name).unwrap_or_else(|| panic!("the trail has no object {key}"))
    }

    /// Takes the metadata off every object, as a copy by tools that don't keep it does.
    pub fn strip_metadata(&mut self) {
        self.objects.values_mut().for_each(|stored| stored.metadata.clear());
    }
}
