//! The signing keys: twelve RSA-2048 keys that the tests carry, assigned to regions and periods of
//! time as CloudTrail assigns its own.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use md5::{Digest as _, Md5};

const PEMS: [&str; 12] = [
    include_str!("../keys/00.pem"),
    include_str!("../keys/01.pem"),
    include_str!("../keys/02.pem"),
    include_str!("../keys/03.pem"),
    include_str!("../keys/04.pem"),
    include_str!("../keys/05.pem"),
    include_str!("../keys/06.pem"),
    include_str!("../keys/07.pem"),
    include_str!("../keys/08.pem"),
    include_str!("../keys/09.pem"),
    include_str!("../keys/10.pem"),
    include_str!("../keys/11.pem"),
];

/// The regions that have two keys of their own, in the order of `PEMS`; all others share the last
/// two keys.
const REGIONS: [&str; 5] = ["us-east-1", "eu-west-1", "ap-northeast-1", "us-west-2", "eu-central-1"];

static KEYS: LazyLock<Vec<Arc<TestKey>>> =
    LazyLock::new(|| PEMS.iter().map(|pem| Arc::new(TestKey::from_pem(pem))).collect());

/// An RSA key that signs digests.
pub struct TestKey {
    pair: RsaKeyPair,
    /// The public key, PKCS#1 DER.
    pub public_der: Vec<u8>,
    /// The hex MD5 of `public_der`.
    pub fingerprint: String,
}

impl TestKey {
    /// One of the twelve keys.
    pub fn number(index: usize) -> Arc<Self> {
        KEYS[index % KEYS.len()].clone()
    }

    fn from_pem(pem: &str) -> Self {
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(base64).expect("the tests' own keys are base64");
        let pair = RsaKeyPair::from_pkcs8(&der).expect("the tests' own keys are PKCS#8");
        let public_der = pair.public_key().as_ref().to_vec();
        let fingerprint = hex::encode(Md5::digest(&public_der));
        Self { pair, public_der, fingerprint }
    }

    /// Hex signature, RSASSA-PKCS1-v1_5 with SHA-256.
    pub fn sign(&self, message: &[u8]) -> String {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("RSA signs");
        hex::encode(signature)
    }
}

/// The schedule by which keys sign in each region. A key is valid for a day before and after the
/// period in which it signs, so that validity windows overlap.
#[derive(Debug, Clone)]
pub struct KeyAuthority {
    /// The time for which a key signs before the next one does.
    pub rotation: SignedDuration,
}

/// A key as `ListPublicKeys` hands it out.
pub struct PublishedKey {
    pub key: Arc<TestKey>,
    pub valid_from: Timestamp,
    pub valid_to: Timestamp,
}

impl Default for KeyAuthority {
    fn default() -> Self {
        Self { rotation: SignedDuration::from_hours(30 * 24) }
    }
}

impl KeyAuthority {
    fn turn(&self, time: Timestamp) -> i64 {
        time.as_second().div_euclid(self.rotation.as_secs())
    }

    fn key(region: &str, turn: i64) -> Arc<TestKey> {
        let region = REGIONS.iter().position(|known| *known == region).unwrap_or(REGIONS.len());
        TestKey::number(region * 2 + usize::try_from(turn.rem_euclid(2)).expect("0 or 1"))
    }

    /// The key that signs in `region` at `time`.
    pub fn signing_key(&self, region: &str, time: Timestamp) -> Arc<TestKey> {
        Self::key(region, self.turn(time))
    }

    /// The keys of `region` whose windows touch `[from, to]`.
    pub fn published(&self, region: &str, from: Timestamp, to: Timestamp) -> Vec<PublishedKey> {
        let day = SignedDuration::from_hours(24);
        let at = |second: i64| Timestamp::from_second(second).expect("times of tests");
        (self.turn(from) - 2..=self.turn(to) + 2)
            .map(|turn| PublishedKey {
                key: Self::key(region, turn),
                valid_from: at(turn * self.rotation.as_secs()) - day,
                valid_to: at((turn + 1) * self.rotation.as_secs()) + day,
            })
            .filter(|key| key.valid_from <= to && key.valid_to >= from)
            .collect()
    }

    /// Returns the keys in the form in which `aws cloudtrail list-public-keys` prints them.
    pub fn listing(&self, region: &str, from: Timestamp, to: Timestamp) -> serde_json::Value {
        let keys = self.published(region, from, to);
        serde_json::json!({ "PublicKeyList": keys.iter().map(PublishedKey::json).collect::<Vec<_>>() })
    }
}

impl PublishedKey {
    /// One entry of a `PublicKeyList`, times as the AWS CLI prints them.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "Value": STANDARD.encode(&self.key.public_der),
            "ValidityStartTime": self.valid_from.to_string(),
            "ValidityEndTime": self.valid_to.to_string(),
            "Fingerprint": self.key.fingerprint,
        })
    }
}
