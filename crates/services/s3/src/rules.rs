//! Pure decisions: names, tags, ranges, conditions, identifiers.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;
use sereno_base::{AccountId, Timestamp, hex, percent_decode};
use sereno_kernel::Result;
use sha2::{Digest, Sha256};

use crate::errors;

pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;
pub const PART_NUMBER_MAX: i32 = 10_000;
pub const PUT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
pub const OBJECT_TAGS_MAX: usize = 10;
pub const KEY_BYTES_MAX: usize = 1024;

/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub fn bucket_name(name: &str) -> Result<()> {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let valid = (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| letters(*b) || matches!(b, b'-' | b'.'))
        && letters(bytes[0])
        && letters(bytes[bytes.len() - 1])
        && !name.contains("..")
        && !name.contains(".-")
        && !name.contains("-.")
        && name.parse::<std::net::Ipv4Addr>().is_err()
        && !["xn--", "sthree-", "amzn-s3-demo-"].iter().any(|p| name.starts_with(p))
        && !["-s3alias", "--ol-s3", ".mrap", "--x-s3"].iter().any(|s| name.ends_with(s));
    if valid { Ok(()) } else { Err(errors::bucket_name(name)) }
}

/// The canonical user id of an account: 64 hexadecimal digits that say nothing else.
pub fn canonical_id(account: AccountId) -> String {
    hex(&Sha256::digest(format!("sereno canonical user {account}")))
}

/// The ARN of the account's own key, under which `aws:kms` without a key encrypts.
pub fn managed_key(account: AccountId, region: &str, partition: &str) -> String {
    let digest = hex(&Sha256::digest(format!("sereno aws/s3 {account} {region}")));
    let (a, b, c, d, e) =
        (&digest[..8], &digest[8..12], &digest[12..15], &digest[15..18], &digest[18..30]);
    format!("arn:{partition}:kms:{region}:{account}:key/{a}-{b}-4{c}-8{d}-{e}")
}

/// Letters that AWS's version ids are made of.
pub const VERSION_LETTERS: &[u8] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";

/// A version id that tells its sequence: 11 letters for its bits, 21 of chance.
pub fn version_id(sequence: u64, chance: &str) -> String {
    let mut id = String::with_capacity(32);
    for shift in (0..11).rev() {
        let six = (sequence >> (shift * 6)) & 63;
        id.push(char::from(VERSION_LETTERS[six as usize]));
    }
    id.push_str(chance);
    id
}

/// The sequence in a version id; `None` where it cannot be one of ours.
pub fn sequence_of(version: &str) -> Option<u64> {
    let letters = version.as_bytes().get(..11)?;
    letters.iter().try_fold(0u64, |sequence, letter| {
        let six = VERSION_LETTERS.iter().position(|known| known == letter)?;
        Some(sequence << 6 | six as u64)
    })
}

/// Tags of a bucket or object.
pub fn tags(given: &[(String, String)], max: usize) -> Result<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    if given.len() > max {
        let message = match max {
            OBJECT_TAGS_MAX => "Object tags cannot be greater than 10",
            _ => "Bucket tag count cannot be greater than 50",
        };
        return Err(sereno_kernel::Error::invalid("BadRequest", message));
    }
    let allowed = |text: &str| {
        text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c))
    };
    for (key, value) in given {
        if key.is_empty() || key.chars().count() > 128 || !allowed(key) {
            return Err(errors::tag("The TagKey you have provided is invalid", key, None));
        }
        if value.chars().count() > 256 || !allowed(value) {
            return Err(errors::tag("The TagValue you have provided is invalid", key, Some(value)));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            let message = match max {
                OBJECT_TAGS_MAX => "Your TagKey cannot be prefixed with aws:",
                _ => "System tags cannot be added/updated by requester",
            };
            return Err(errors::tag(message, key, None));
        }
        if tags.insert(key.clone(), value.clone()).is_some() {
            return Err(errors::tag("Cannot provide multiple Tags with the same key", key, None));
        }
    }
    Ok(tags)
}

/// S3's times have no more than seconds.
pub fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis().div_euclid(1000) * 1000)
}

/// `a=b&c=d` of the header `x-amz-tagging`.
pub fn tag_header(text: &str) -> Result<BTreeMap<String, String>> {
    let bad = || {
        errors::bad_argument(
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query \
             parameters without tag name duplicates.",
            "x-amz-tagging",
            text,
        )
    };
    let mut given: Vec<(String, String)> = Vec::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Not an encoded value (recorded: test_object_tagging_exc).
        if value.contains('=') {
            return Err(bad());
        }
        let decode = |part: &str| percent_decode(&part.replace('+', " ")).ok_or_else(bad);
        let (key, value) = (decode(key)?, decode(value)?);
        if given.iter().any(|(other, _)| *other == key) {
            return Err(bad());
        }
        given.push((key, value));
    }
    tags(&given, OBJECT_TAGS_MAX)
}

/// The bytes that a `Range` header asks for; `None` where it means the whole object.
pub fn range(header: &str, size: u64) -> Result<Option<Range<u64>>> {
    let Some(spec) = header.trim().strip_prefix("bytes=") else { return Ok(None) };
    let Some((first, last)) = spec.split_once('-') else { return Ok(None) };
    if spec.contains(',') {
        return Ok(None);
    }
    let (first, last) = (first.trim(), last.trim());
    let number = |text: &str| text.parse::<u64>().ok();
    let found = match (first.is_empty(), last.is_empty()) {
        (true, true) => return Ok(None),
        (true, false) => match number(last) {
            None => return Ok(None),
            Some(0) => None,
            Some(suffix) => Some(size.saturating_sub(suffix)..size),
        },
        (false, open) => {
            let Some(first) = number(first) else { return Ok(None) };
            let last = if open { Some(u64::MAX - 1) } else { number(last) };
            match last {
                Some(last) if last >= first => Some(first..(last + 1).min(size)),
                _ => return Ok(None),
            }
        }
    };
    match found.filter(|range| range.start < range.end) {
        Some(range) => Ok(Some(range)),
        None => Err(errors::range(header, size)),
    }
}

/// Conditional headers of a read.
#[derive(Debug, Default)]
pub struct Conditions<'a> {
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
    /// A time that has not come yet is no condition (recorded: test_s3_get_object_preconditions).
    pub now: Timestamp,
}

/// Whether any of the tags in a header's list is this one.
pub fn names_etag(header: &str, etag: &str) -> bool {
    header.split(',').any(|one| {
        let one = one.trim();
        one == "*" || one.trim_start_matches("W/").trim_matches('"') == etag
    })
}

/// RFC 9110's order. HTTP dates have whole seconds, so an object's time is cut to them.
pub fn read_conditions(conditions: &Conditions<'_>, etag: &str, modified: Timestamp) -> Result<()> {
    let seconds = |at: Timestamp| at.millis().div_euclid(1000);
    match (conditions.if_match, conditions.if_unmodified_since) {
        (Some(tags), _) if !names_etag(tags, etag) => {
            return Err(errors::precondition("If-Match"));
        }
        (None, Some(since)) if seconds(modified) > seconds(since) => {
            return Err(errors::precondition("If-Unmodified-Since"));
        }
        _ => {}
    }
    match (conditions.if_none_match, conditions.if_modified_since) {
        (Some(tags), _) if names_etag(tags, etag) => Err(errors::not_modified()),
        (None, Some(since)) if since <= conditions.now && seconds(modified) <= seconds(since) => {
            Err(errors::not_modified())
        }
        _ => Ok(()),
    }
}

/// `bucket/key?versionId=x`, with or without a slash before it.
pub struct Source {
    pub bucket: String,
    pub key: String,
    pub version: Option<String>,
}

pub fn copy_source(header: &str) -> Result<Source> {
    let bad = errors::copy_source;
    let (path, version) = match header.split_once("?versionId=") {
        Some((path, version)) => (path, Some(version.to_owned())),
        None => (header, None),
    };
    // A plus is a space, as in forms (recorded: test_copy_object_special_character_plus_for_space).
    let path = percent_decode(&path.replace('+', " ")).ok_or_else(bad)?;
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (bucket, key) = path.split_once('/').ok_or_else(bad)?;
    if bucket.is_empty() || key.is_empty() {
        return Err(bad());
    }
    Ok(Source { bucket: bucket.to_owned(), key: key.to_owned(), version })
}

/// Whether a bucket policy opens something to everyone: an `Allow` for all principals that no
/// condition ties to fixed accounts, addresses or sources.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html>
pub fn is_public(policy: &str) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(policy) else { return true };
    let statements = match &document["Statement"] {
        Value::Array(all) => all.iter().collect(),
        one => vec![one],
    };
    statements.into_iter().any(|statement| {
        statement["Effect"] == "Allow" && for_everyone(&statement["Principal"]) && !tied(statement)
    })
}

fn for_everyone(principal: &Value) -> bool {
    let star = |value: &Value| match value {
        Value::String(text) => text == "*",
        Value::Array(all) => all.iter().any(|one| one == "*"),
        _ => false,
    };
    star(principal) || star(&principal["AWS"]) || star(&principal["CanonicalUser"])
}

fn tied(statement: &Value) -> bool {
    const FIXED: &[&str] = &[
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceip",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
    ];
    let fixed = |value: &Value| match value {
        Value::String(text) => !text.contains('*') && text != "0.0.0.0/0",
        Value::Array(all) => {
            all.iter().all(|one| one.as_str().is_some_and(|t| !t.contains('*') && t != "0.0.0.0/0"))
        }
        _ => false,
    };
    let conditions = statement["Condition"].as_object();
    conditions.into_iter().flatten().any(|(operator, keys)| {
        let positive = !operator.contains("Not") && !operator.ends_with("IfExists");
        let keys = keys.as_object();
        positive
            && keys.into_iter().flatten().any(|(key, value)| {
                FIXED.contains(&key.to_ascii_lowercase().as_str()) && fixed(value)
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bucket_names() {
        for good in ["abc", "my-bucket.example", "123", "a1-b2"] {
            assert!(bucket_name(good).is_ok(), "{good}");
        }
        for bad in ["ab", "Abc", "a_b", "-abc", "abc-", "a..b", "192.168.0.1", "xn--abc", "a.-b"] {
            assert!(bucket_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ranges() {
        let cases: &[(&str, Option<Option<Range<u64>>>)] = &[
            ("bytes=0-4", Some(Some(0..5))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=8-100", Some(Some(8..10))),
            ("bytes=10-", None),
            ("bytes=-0", None),
            ("bytes=5-2", Some(None)),
            ("bytes=0-1,3-4", Some(None)),
            ("items=0-1", Some(None)),
            ("bytes=a-b", Some(None)),
        ];
        for (header, wanted) in cases {
            assert_eq!(range(header, 10).ok(), *wanted, "{header}");
        }
        assert!(range("bytes=0-", 0).is_err());
    }

    #[test]
    fn version_ids_tell_their_sequence() {
        for sequence in [0, 1, 63, 64, 1_480_586_400_000_000, u64::MAX] {
            let id = version_id(sequence, "abcdefghij.lmnopqrst_");
            assert_eq!((id.len(), sequence_of(&id)), (32, Some(sequence)));
        }
        assert_eq!(sequence_of("null"), None);
    }

    #[test]
    fn public_policies() {
        let policy = |principal: &str, condition: &str| {
            format!(
                r#"{{"Statement":[{{"Effect":"Allow","Principal":{principal},
                "Action":"s3:GetObject","Resource":"*"{condition}}}]}}"#
            )
        };
        assert!(is_public(&policy(r#""*""#, "")));
        assert!(is_public(&policy(r#"{"AWS":["*"]}"#, "")));
        assert!(!is_public(&policy(r#"{"AWS":"arn:aws:iam::123456789012:root"}"#, "")));
        assert!(!is_public(&policy(r#"{"Service":"x.amazonaws.com"}"#, "")));
        let tied = r#","Condition":{"StringEquals":{"aws:SourceAccount":"123456789012"}}"#;
        assert!(!is_public(&policy(r#""*""#, tied)));
        let open = r#","Condition":{"StringLike":{"aws:SourceAccount":"*"}}"#;
        assert!(is_public(&policy(r#""*""#, open)));
    }

    #[test]
    fn conditions_follow_the_rfc() {
        let modified = Timestamp::from_millis(1_480_586_400_500);
        let second = Timestamp::from_millis(1_480_586_400_000);
        let check = |conditions: Conditions<'_>| {
            read_conditions(&conditions, "abc", modified).map_err(|e| e.fixed_status())
        };
        assert_eq!(check(Conditions::default()), Ok(()));
        assert_eq!(check(Conditions { if_match: Some("\"abc\""), ..Default::default() }), Ok(()));
        assert_eq!(
            check(Conditions { if_match: Some("\"x\""), ..Default::default() }),
            Err(Some(412))
        );
        assert_eq!(
            check(Conditions { if_none_match: Some("\"x\", \"abc\""), ..Default::default() }),
            Err(Some(304))
        );
        assert_eq!(
            check(Conditions {
                if_modified_since: Some(second),
                now: second,
                ..Default::default()
            }),
            Err(Some(304))
        );
        assert_eq!(
            check(Conditions { if_unmodified_since: Some(second), ..Default::default() }),
            Ok(())
        );
    }
}
