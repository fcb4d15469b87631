//! Encodings of texts: UTF-8, and UTF-16 as spreadsheets, editors and shells of Windows write it.

/// Returns whether the first bytes of a file are those of a text in UTF-16: a byte order mark, or an ASCII
/// character.
pub(crate) fn is_utf_16(content: &[u8]) -> bool {
    unit(content).is_some()
}

/// Decodes a text in UTF-8 or UTF-16, without the byte order mark of UTF-16.
pub fn decode_text(content: Vec<u8>) -> Option<String> {
    let Some(unit) = unit(&content) else { return String::from_utf8(content).ok() };
    let (pairs, rest) = content.as_chunks::<2>();
    let units = pairs.iter().map(|pair| unit(*pair));
    let text = char::decode_utf16(units).collect::<Result<String, _>>().ok()?;
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    rest.is_empty().then_some(text)
}

/// Returns how two bytes are a unit of UTF-16, or `None` for another encoding.
fn unit(content: &[u8]) -> Option<fn([u8; 2]) -> u16> {
    match content {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        [1..0x80, 0, ..] => Some(u16::from_le_bytes),
        [0, 1..0x80, ..] => Some(u16::from_be_bytes),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn decodes_both_encodings() {
        let text = "phone;name\n+493012345678;M\u{fc}ller\n";
        assert_eq!(decode_text(text.into()).as_deref(), Some(text));
        for mark in ["", "\u{feff}"] {
            let marked = format!("{mark}{text}");
            for bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let content = utf_16(&marked, bytes);
                assert!(is_utf_16(&content));
                assert_eq!(decode_text(content).as_deref(), Some(text));
            }
        }
    }

    #[test]
    fn refuses_what_is_broken() {
        let mut odd = utf_16("\u{feff}ab", u16::to_le_bytes);
        odd.push(b'c');
        assert_eq!(decode_text(odd), None);
        assert_eq!(decode_text(vec![0xff, 0xfe, 0x00, 0xd8]), None);
        assert_eq!(decode_text(vec![b'a', 0xe4]), None);
        assert!(!is_utf_16(b"a"));
        assert!(!is_utf_16(b""));
    }
}
