//! A SHA-256 value.

use std::fmt;
use std::str::FromStr;

use super::text_form::{serialize_as_text, string_schema};

/// A SHA-256 value. Digest files write it as hex; comparison ignores the case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Hash(pub [u8; 32]);

serialize_as_text!(Sha256Hash);
string_schema!(Sha256Hash, { "pattern": "^[0-9a-f]{64}$" });

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a SHA-256 value of 64 hexadecimal digits")]
pub struct HashParseError(String);

impl FromStr for Sha256Hash {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, HashParseError> {
        let mut bytes = [0; 32];
        if decode_hex(text, &mut bytes) { Ok(Self(bytes)) } else { Err(HashParseError(text.to_owned())) }
    }
}

/// Decodes hexadecimal digits of either case. Returns whether the text is exactly as many digits as
/// fill `bytes`, and nothing else.
pub(crate) fn decode_hex(text: &str, bytes: &mut [u8]) -> bool {
    // The library also accepts a text with `0x` before it, which the comparison of lengths
    // excludes.
    text.len() == 2 * bytes.len() && const_hex::decode_to_slice(text, bytes).is_ok()
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_just_as_many_digits_as_there_is_room_for() {
        let mut bytes = [0; 4];
        for text in ["00ffA9b1", "00FFa9B1"] {
            assert!(decode_hex(text, &mut bytes) && bytes == [0, 255, 0xa9, 0xb1], "{text}");
        }
        for text in [
            "",
            "0",
            "00ffa9b",
            "00ffa9b1c",
            "00ffa9b100",
            "0x00ffa9b1",
            "0x00ffa9",
            "00ffa9g1",
            "00ffa9 1",
            "00ffé9b",
            "+0ffa9b1",
        ] {
            assert!(!decode_hex(text, &mut bytes), "{text}");
        }
        assert!(decode_hex("", &mut []) && !decode_hex("0x", &mut []) && !decode_hex("00", &mut []));
        let digits: String = (0..64).map(|index| char::from(b"0123456789abcdefABCDEF"[index * 7 % 22])).collect();
        for index in 0..64 {
            for wrong in ['g', 'G', '/', ':', '@', '`', ' ', '\0', '\x7f'] {
                let text: String =
                    digits.chars().enumerate().map(|(at, digit)| if at == index { wrong } else { digit }).collect();
                assert!(text.parse::<Sha256Hash>().is_err(), "{text}");
            }
        }
        assert_eq!(digits.parse::<Sha256Hash>().unwrap().to_string(), digits.to_ascii_lowercase());
        assert!(format!("0x{digits}").parse::<Sha256Hash>().is_err());
    }
}
