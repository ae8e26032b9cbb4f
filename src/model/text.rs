//! Text files as other programs write them.

use std::borrow::Cow;

/// The bytes of a JSON file in UTF-8, without a byte order mark: PowerShell writes one, or UTF-16.
///
/// # Errors
///
/// Fails if the byte order mark announces UTF-16 and the content is not valid UTF-16.
pub(crate) fn json_text(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let units = |bytes: &[u8], unit: fn([u8; 2]) -> u16| -> Result<Vec<u8>, String> {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|pair| unit(*pair)).collect();
        match String::from_utf16(&units) {
            Ok(text) if rest.is_empty() => Ok(text.into_bytes()),
            _ => Err("its byte order mark says UTF-16, and its content is none".to_owned()),
        }
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(Cow::Borrowed(rest)),
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes).map(Cow::Owned),
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes).map(Cow::Owned),
        _ => Ok(Cow::Borrowed(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_read_and_left_out() {
        let text = "{\"a\": \"é\"}";
        let le: Vec<u8> = [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
        let be: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
        let marked = [&[0xef, 0xbb, 0xbf], text.as_bytes()].concat();
        for bytes in [text.as_bytes(), &le, &be, &marked] {
            assert_eq!(json_text(bytes).unwrap(), text.as_bytes());
        }
        assert!(json_text(&[0xff, 0xfe, 0x00]).is_err());
        assert!(json_text(&[0xff, 0xfe, 0x00, 0xd8]).is_err());
    }
}
