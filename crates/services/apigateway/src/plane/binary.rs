//! Which payloads an API takes for binary.

/// Whether a header's first media type is among an API's binary ones; parameters do not count.
/// `*/*` covers everything, `image/*` a family; `*/png` covers nothing
/// (recorded: `test_aws_proxy_binary_response`).
pub fn matches(binary_media_types: &[String], header: Option<&str>) -> bool {
    fn bare(text: &str) -> &str {
        text.split(';').next().unwrap_or_default().trim()
    }
    if binary_media_types.iter().any(|kind| bare(kind) == "*/*") {
        return true;
    }
    let Some(first) = header.and_then(|header| header.split(',').next()) else { return false };
    let Some((kind, subtype)) = bare(first).split_once('/') else { return false };
    binary_media_types.iter().filter_map(|known| bare(known).split_once('/')).any(|known| {
        known.0 != "*"
            && known.0.eq_ignore_ascii_case(kind)
            && (known.1 == "*" || known.1.eq_ignore_ascii_case(subtype))
    })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn the_first_type_counts() {
        let known = ["image/png".to_owned(), "*/test".to_owned(), "audio/*".to_owned()];
        for (header, expected) in [
            ("image/png", true),
            ("image/png; q=1", true),
            ("IMAGE/PNG,image/*", true),
            ("image/webp,image/png", false),
            ("x/test", false),
            ("audio/ogg", true),
            ("*/*", false),
            ("*/test", false),
        ] {
            assert_eq!(matches(&known, Some(header)), expected, "{header}");
        }
        assert!(matches(&["*/*".to_owned()], None));
        assert!(!matches(&known, None));
    }
}
