//! Decisions without a context: limits, names, documents, tags, pages.
//!
//! Limits: `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html`

use sereno_api_iam as api;
use sereno_base::{AccountId, base64_decode, base64_encode, percent_encode};
use sereno_kernel::{Error, Result};
use sereno_policy::Policy;
use sereno_policy::validate::{self, IdentityKind};

use crate::errors;
use crate::state::{Kind, TagRecord};

pub const ACCESS_KEYS_PER_USER_MAX: usize = 2;
pub const GROUPS_PER_USER_MAX: usize = 10;
pub const POLICIES_PER_ENTITY_MAX: usize = 10;
pub const VERSIONS_PER_POLICY_MAX: usize = 5;
pub const TAGS_MAX: usize = 50;
pub const MANAGED_POLICY_SIZE_MAX: usize = 6_144;
pub const TRUST_POLICY_SIZE_MAX: usize = 2_048;
pub const CLIENT_IDS_PER_PROVIDER_MAX: usize = 100;
pub const THUMBPRINTS_PER_PROVIDER_MAX: usize = 5;
pub const SESSION_S_DEFAULT: u32 = 3_600;

/// All inline policies of one entity together, in characters that are not white space.
pub fn inline_size_max(kind: Kind) -> usize {
    match kind {
        Kind::User => 2_048,
        Kind::Group => 5_120,
        Kind::Role => 10_240,
    }
}

/// "IAM doesn't count white space when calculating the size of a policy against these limitations."
pub fn policy_size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// A policy of a user, a group, a role or a session.
pub fn identity_policy(document: &str, kind: IdentityKind) -> Result<Policy> {
    validate::identity(document, kind).map_err(|m| errors::malformed(m.0))
}

pub fn trust_policy(document: &str) -> Result<Policy> {
    let policy = validate::trust(document).map_err(|m| errors::malformed(m.0))?;
    if policy_size(document) > TRUST_POLICY_SIZE_MAX {
        return Err(errors::quota("ACLSizePerRole", TRUST_POLICY_SIZE_MAX));
    }
    Ok(policy)
}

/// Documents travel percent-encoded: "URL-encoded compliant with RFC 3986".
pub fn encoded(document: &str) -> String {
    percent_encode(document, false)
}

/// A managed policy's ARN in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyArn {
    /// None: AWS's own.
    pub account: Option<AccountId>,
    /// Begins and ends with a slash.
    pub path: String,
    pub name: String,
}

impl PolicyArn {
    pub fn parse(text: &str) -> Result<PolicyArn> {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", _, "iam", "", account, entity] = parts.as_slice() else {
            return Err(errors::unparsable_arn());
        };
        let account = match *account {
            "aws" => None,
            id => Some(id.parse().map_err(|_| errors::unparsable_arn())?),
        };
        let full = entity.strip_prefix("policy").filter(|rest| rest.starts_with('/'));
        let Some((path, name)) = full.and_then(|f| f.rsplit_once('/')) else {
            return Err(errors::unparsable_arn());
        };
        Ok(PolicyArn { account, path: format!("{path}/"), name: name.to_owned() })
    }
}

/// `v12` → 12
pub fn version_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix('v')?;
    if digits.starts_with('0') { None } else { digits.split('.').next()?.parse().ok() }
}

/// Sets tags over the present ones. Keys are compared without case, the new spelling wins.
pub fn set_tags(tags: &mut Vec<TagRecord>, new: &[api::Tag]) -> Result<()> {
    for (at, tag) in new.iter().enumerate() {
        if tag.key.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws:")) {
            return Err(errors::invalid_input(
                "Tag keys starting with 'aws:' are reserved for system use",
            ));
        }
        if new[..at].iter().any(|t| t.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::invalid_input(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    for tag in new {
        let record = TagRecord { key: tag.key.clone(), value: tag.value.clone() };
        match tags.iter_mut().find(|t| t.key.eq_ignore_ascii_case(&tag.key)) {
            Some(old) => *old = record,
            None => tags.push(record),
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(errors::limit("The number of tags has reached the maximum limit."));
    }
    Ok(())
}

pub fn remove_tags(tags: &mut Vec<TagRecord>, keys: &[String]) {
    tags.retain(|t| !keys.iter().any(|k| k.eq_ignore_ascii_case(&t.key)));
}

pub fn shown_tags(tags: &[TagRecord]) -> Vec<api::Tag> {
    tags.iter().map(|t| api::Tag { key: t.key.clone(), value: t.value.clone() }).collect()
}

/// Where a listing goes on, and how long a page is.
#[derive(Clone, Debug)]
pub struct Page {
    /// Key of the last item of the page before.
    pub after: Option<String>,
    pub max: usize,
}

const PAGE_DEFAULT: usize = 100;

impl Page {
    pub fn new(marker: Option<&str>, max_items: Option<i32>) -> Result<Page> {
        let after = match marker {
            None => None,
            Some(marker) => Some(read_marker(marker).ok_or_else(bad_marker)?),
        };
        let max = max_items.and_then(|m| usize::try_from(m).ok()).unwrap_or(PAGE_DEFAULT);
        Ok(Page { after, max: max.max(1) })
    }

    /// Cuts a page out of all items, which are sorted by their keys.
    pub fn cut<T>(&self, items: impl IntoIterator<Item = (String, T)>) -> Cut<T> {
        let mut cut = Cut { items: Vec::new(), marker: None };
        let mut last = None;
        let rest = items.into_iter().filter(|(k, _)| self.after.as_ref().is_none_or(|a| k > a));
        for (key, item) in rest {
            if cut.items.len() == self.max {
                cut.marker = last.map(|k: String| base64_encode(k.as_bytes()));
                break;
            }
            cut.items.push(item);
            last = Some(key);
        }
        cut
    }
}

/// One page, and the marker of the next one if there is one.
#[derive(Debug, PartialEq)]
pub struct Cut<T> {
    pub items: Vec<T>,
    pub marker: Option<String>,
}

impl<T> Cut<T> {
    pub fn is_truncated(&self) -> Option<bool> {
        Some(self.marker.is_some())
    }
}

fn read_marker(marker: &str) -> Option<String> {
    String::from_utf8(base64_decode(marker)?).ok()
}

fn bad_marker() -> Error {
    errors::validation("Invalid Marker.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let items = || ["a", "b", "c"].map(|k| (k.to_owned(), k));
        let first = Page::new(None, Some(2)).unwrap().cut(items());
        assert_eq!(first.items, ["a", "b"]);
        let second = Page::new(first.marker.as_deref(), Some(2)).unwrap().cut(items());
        assert_eq!((second.items, second.marker), (vec!["c"], None));
        let exact = Page::new(None, Some(3)).unwrap().cut(items());
        assert_eq!(exact.marker, None);
        assert!(Page::new(Some("%"), None).is_err());
    }

    #[test]
    fn policy_arns() {
        let arn = PolicyArn::parse("arn:aws:iam::aws:policy/service-role/X").unwrap();
        assert_eq!((arn.account, &*arn.path, &*arn.name), (None, "/service-role/", "X"));
        let arn = PolicyArn::parse("arn:aws:iam::123456789012:policy/X").unwrap();
        assert_eq!((arn.account.is_some(), &*arn.path, &*arn.name), (true, "/", "X"));
        for bad in
            ["policy-name-without-arn", "arn:aws:iam::12:policy/X", "arn:aws:iam::aws:role/X"]
        {
            assert!(PolicyArn::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn versions_and_sizes() {
        assert_eq!(version_number("v12"), Some(12));
        for bad in ["12", "v0", "v", "vx"] {
            assert_eq!(version_number(bad), None, "{bad}");
        }
        assert_eq!(policy_size("{ \"a\":\n1 }"), 7);
    }

    #[test]
    fn tags_are_told_apart_without_case() {
        let tag = |k: &str, v: &str| api::Tag { key: k.into(), value: v.into() };
        let mut tags = Vec::new();
        set_tags(&mut tags, &[tag("Team", "a"), tag("Env", "b")]).unwrap();
        set_tags(&mut tags, &[tag("team", "c")]).unwrap();
        assert_eq!((&*tags[0].key, &*tags[0].value, tags.len()), ("team", "c", 2));
        assert!(set_tags(&mut tags, &[tag("x", ""), tag("X", "")]).is_err());
        assert!(set_tags(&mut tags, &[tag("aws:x", "")]).is_err());
        remove_tags(&mut tags, &["TEAM".into()]);
        assert_eq!(tags.len(), 1);
    }
}
