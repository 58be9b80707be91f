//! How far a text goes without anything that JSON escapes, eight bytes at a look.

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

const fn each(byte: u8) -> u64 {
    ONES * byte as u64
}

/// Whether one of the eight bytes is a quote, a backslash or a control character. (A borrow between bytes can only
/// come from a byte that is itself one of these.)
fn is_special(eight: u64) -> bool {
    let below = |word: u64, bound: u8| word.wrapping_sub(each(bound)) & !word;
    let hits = below(eight, 0x20) | below(eight ^ each(b'"'), 1) | below(eight ^ each(b'\\'), 1);
    hits & TOPS != 0
}

/// Bytes before the first quote, backslash or control character.
pub fn plain_len(bytes: &[u8]) -> usize {
    let eights = bytes.chunks_exact(8);
    let plain = eights
        .take_while(|eight| {
            !is_special(u64::from_le_bytes((*eight).try_into().expect("chunks are of eight")))
        })
        .count()
        * 8;
    let rest = &bytes[plain..];
    plain + rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            let special = matches!(byte, b'"' | b'\\' | 0..0x20);
            for filler in [b'a', b' ', 0x7f, 0x80, 0xff] {
                for at in 0..20 {
                    let mut text = vec![filler; 20];
                    text[at] = byte;
                    assert_eq!(plain_len(&text), if special { at } else { 20 }, "{byte} at {at}");
                }
            }
        }
        assert_eq!(plain_len(b""), 0);
    }
}
