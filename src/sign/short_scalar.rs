//! OpenSSH private keys whose ECDSA scalar is shorter than its curve.
//!
//! OpenSSH writes the scalar as an `mpint`, without leading zero bytes that its sign does not need (RFC 4251,
//! section 5), so that it is shorter in one key of 512. ssh-key 0.6 reads only scalars of full length: the
//! zero bytes are put back, and the key is read again.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ssh_key::private::KeypairData;
use ssh_key::{Algorithm, PrivateKey};
use zeroize::Zeroizing;

/// The first bytes of a private key (openssh-portable, `PROTOCOL.key`).
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The length that the private part of a key is padded to, in bytes, if it is not encrypted.
const BLOCK: usize = 8;

/// Reads such a key in PEM that is not encrypted.
pub(super) fn read(pem: &str) -> Option<PrivateKey> {
    // Memory that grows is moved, and the old place is not cleared.
    let mut body = Zeroizing::new(String::with_capacity(pem.len()));
    for line in pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")) {
        body.push_str(line);
    }
    let bytes = Zeroizing::new(STANDARD.decode(&*body).ok()?);
    let rest = &mut bytes.strip_prefix(MAGIC)?;
    let (cipher, _, _) = (string(rest)?, string(rest)?, string(rest)?);
    let (count, public, private) = (number(rest)?, string(rest)?, string(rest)?);
    if (cipher, count) == (b"none", 1) { of_parts(public, private) } else { None }
}

/// Decrypts such a key.
pub(super) fn decrypt(key: &PrivateKey, passphrase: &[u8]) -> Option<PrivateKey> {
    let KeypairData::Encrypted(encrypted) = key.key_data() else { return None };
    if !matches!(key.algorithm(), Algorithm::Ecdsa { .. }) {
        return None;
    }
    // Ciphers that authenticate have a tag behind the private part.
    let tag = key.cipher().has_tag().then(|| key.to_bytes().ok()?.last_chunk().copied()).flatten();
    let (secret, iv) = key.kdf().derive_key_and_iv(key.cipher(), passphrase).ok()?;
    let mut private = Zeroizing::new(encrypted.clone());
    key.cipher().decrypt(&secret, &iv, &mut private, tag).ok()?;
    of_parts(&key.public_key().to_bytes().ok()?, &private)
}

/// Makes a key of its public part and its decrypted private part.
fn of_parts(public: &[u8], private: &[u8]) -> Option<PrivateKey> {
    let private = with_whole_scalar(private)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAGIC.len() + public.len() + private.len() + 64));
    bytes.extend_from_slice(MAGIC);
    for part in [&b"none"[..], b"none", b""] {
        put(part, &mut bytes)?;
    }
    bytes.extend_from_slice(&1_u32.to_be_bytes());
    put(public, &mut bytes)?;
    put(&private, &mut bytes)?;
    PrivateKey::from_bytes(&bytes).ok()
}

/// Returns the private part of a key with the zero bytes that its scalar lacks; `None` if it lacks none.
fn with_whole_scalar(private: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let rest = &mut &*private;
    let check = (number(rest)?, number(rest)?);
    // A wrong passphrase gives two numbers that differ.
    if check.0 != check.1 {
        return None;
    }
    let (kind, curve, public) = (string(rest)?, string(rest)?, string(rest)?);
    let (scalar, comment) = (string(rest)?, string(rest)?);
    let size: usize = match (kind, curve) {
        (b"ecdsa-sha2-nistp256", b"nistp256") => 32,
        (b"ecdsa-sha2-nistp384", b"nistp384") => 48,
        _ => return None,
    };
    let missing = size.checked_sub(scalar.len()).filter(|missing| *missing > 0)?;
    let mut whole = Zeroizing::new(Vec::with_capacity(private.len() + size + BLOCK));
    whole.extend_from_slice(&private[..2 * size_of::<u32>()]);
    for part in [kind, curve, public] {
        put(part, &mut whole)?;
    }
    whole.extend_from_slice(&u32::try_from(size).ok()?.to_be_bytes());
    whole.extend(std::iter::repeat_n(0, missing));
    whole.extend_from_slice(scalar);
    put(comment, &mut whole)?;
    let padding = whole.len().next_multiple_of(BLOCK) - whole.len();
    whole.extend((1_u8..).take(padding));
    Some(whole)
}

/// Takes a number of 32 bits from the front.
fn number(bytes: &mut &[u8]) -> Option<u32> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u32::from_be_bytes(*number))
}

/// Takes a string with its length in front.
fn string<'b>(bytes: &mut &'b [u8]) -> Option<&'b [u8]> {
    let length = usize::try_from(number(bytes)?).ok()?;
    let (string, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(string)
}

/// Appends a string with its length in front.
fn put(string: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.extend_from_slice(&u32::try_from(string.len()).ok()?.to_be_bytes());
    out.extend_from_slice(string);
    Some(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use ssh_key::HashAlg;

    use super::*;
    use crate::sign::{SignError, SshSigner};

    /// A key that ssh-keygen made, whose scalar has 31 bytes. It protects nothing.
    const PLAIN: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSF06PONT8s95SCaDWQh13GsxAu3Wzb
eD8o0nZJBGCbAjgaywJAn5KKTXLPujQZypqphomuIopc55K4W1+YXoTcAAAAqLjCrtm4wq
7ZAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBIXTo841Pyz3lIJo
NZCHXcazEC7dbNt4PyjSdkkEYJsCOBrLAkCfkopNcs+6NBnKmqmGia4iilznkrhbX5hehN
wAAAAfBaOVDT9XFwKyCEeTMW6xOfBMzjnSpGdzfqLGYN8t7gAAAA9kb2VAZXhhbXBsZS5v
cmcBAg==
-----END OPENSSH PRIVATE KEY-----
";
    /// The same key, encrypted with the passphrase `secret`.
    const ENCRYPTED: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABC6XsdBMK
ny8Cm9TsEFVubiAAAAAQAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlz
dHAyNTYAAABBBIXTo841Pyz3lIJoNZCHXcazEC7dbNt4PyjSdkkEYJsCOBrLAkCfkopNcs
+6NBnKmqmGia4iilznkrhbX5hehNwAAACw7qZIw6/k6BJdq4jGNcmClUncvseWy2ulxWb2
fVPIddI/WqkUncHFa2BerME1aqU1fNCqcLhdxuqg/x6+V6EeddRXCBcR55uGLnvZ7deUyx
8QqqStbI5x+H05OdAlu1IpE9TT6CAn11wj+QEHeQwbURmapEjyqLg5+o0jG4j+qjFDbE2Z
9E4pl0+SbCbRu5MqvIGXhCUWdehNHYdp+1DtPUXBEDGFdBJe02DpoDDTjaE=
-----END OPENSSH PRIVATE KEY-----
";
    /// The same with a cipher that authenticates.
    const AUTHENTICATED: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAAFmFlczI1Ni1nY21Ab3BlbnNzaC5jb20AAAAGYmNyeXB0AA
AAGAAAABDMPIruVaCOwilHeSA/fDSoAAAAAQAAAAEAAABoAAAAE2VjZHNhLXNoYTItbmlz
dHAyNTYAAAAIbmlzdHAyNTYAAABBBIXTo841Pyz3lIJoNZCHXcazEC7dbNt4PyjSdkkEYJ
sCOBrLAkCfkopNcs+6NBnKmqmGia4iilznkrhbX5hehNwAAACwlCxTENvawIpLL0cvJamx
4W2tOm44jktPBO5VWheuIIKb5IBGc9oISADuHcpGMA5l1MX0uIuJzuG+L5BMHDq1aBNRO8
epOCO571DW4uilQ90365CO7KVokQjhi7Mw2Cur37hhO4Mmy8z3ghtNfIFfP/gKCaFR1Cww
lBSn+ZF18fQJsSA7FVrNIElVhauTRXm2rSdXrt3VcbiaLA+3SE2A6gU7n/tvDYFG2/gItT
0ZKVwSlT7LEzY4dWCQybrWf95q
-----END OPENSSH PRIVATE KEY-----
";
    /// Its fingerprint, as ssh-keygen tells it.
    const FINGERPRINT: &str = "SHA256:7k29AXs69+zWSeLcTf+36BVzYtjKni7UeDma9wz0ffU";

    fn open(text: &str, passphrase: &str) -> Result<SshSigner, SignError> {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("id_ecdsa");
        std::fs::write(&path, text).unwrap();
        SshSigner::open(&path, || Ok(Zeroizing::new(passphrase.to_owned())))
    }

    #[test]
    fn a_key_with_a_short_scalar_signs() {
        for (text, passphrase) in [(PLAIN, ""), (ENCRYPTED, "secret"), (AUTHENTICATED, "secret")] {
            let signer = open(text, passphrase).unwrap();
            assert_eq!(signer.fingerprint(), FINGERPRINT);
            let signature = signer.sign(b"report").unwrap().parse().unwrap();
            let public = signer.key().public_key();
            public.verify(crate::sign::NAMESPACE, b"report", &signature).unwrap();
            assert!(public.verify(crate::sign::NAMESPACE, b"other", &signature).is_err());
            assert_eq!(public.fingerprint(HashAlg::Sha256).to_string(), FINGERPRINT);
        }
    }

    #[test]
    fn a_wrong_passphrase_and_a_broken_key_are_errors() {
        for text in [ENCRYPTED, AUTHENTICATED] {
            assert!(matches!(open(text, "wrong"), Err(SignError::Passphrase(_))));
        }
        let lines: Vec<&str> = PLAIN.lines().collect();
        for without in 1..lines.len() - 1 {
            let kept = lines.iter().enumerate().filter(|(index, _)| *index != without).map(|(_, line)| *line);
            let text = kept.collect::<Vec<_>>().join("\n");
            assert!(matches!(open(&text, ""), Err(SignError::Key { .. })), "without line {without}");
        }
    }
}
