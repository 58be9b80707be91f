//! Decisions without a context: ARNs, durations, tags, sizes.

use sereno_api_sts as api;
use sereno_kernel::Result;
use sereno_policy::validate::{self, IdentityKind};

use crate::errors;

pub const ROLE_SESSION_S_DEFAULT: u32 = 3_600;
/// "Role chaining limits your AWS CLI or AWS API role session to a maximum of one hour."
pub const CHAINED_SESSION_S_MAX: u32 = 3_600;
pub const USER_SESSION_S_DEFAULT: u32 = 43_200;
/// "If the duration is longer than one hour, the session for AWS account owners defaults to one hour."
pub const ROOT_SESSION_S_MAX: u32 = 3_600;
pub const SESSION_POLICY_ARNS_MAX: usize = 10;
/// Characters of a session's policies, ARNs and tags together.
pub const SESSION_POLICY_SIZE_MAX: usize = 2_048;
pub const SESSION_TAGS_MAX: usize = 50;

/// An ARN must have its six parts, of which partition, service and resource are not empty.
/// recorded: LocalStack test_sts_invalid_parameters
pub fn role_arn(text: &str) -> Result<()> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", partition, service, _, _, resource]
            if !partition.is_empty() && !service.is_empty() && !resource.is_empty() =>
        {
            Ok(())
        }
        _ => Err(errors::invalid_arn(text)),
    }
}

pub fn is_role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':').skip(2);
    parts.next() == Some("iam") && parts.nth(2).is_some_and(|r| r.starts_with("role/"))
}

/// How long an assumed role's session lasts.
pub fn role_duration(asked: Option<i32>, role_max: u32, chained: bool) -> Result<u32> {
    let seconds = asked.and_then(|s| u32::try_from(s).ok()).unwrap_or(ROLE_SESSION_S_DEFAULT);
    if chained && seconds > CHAINED_SESSION_S_MAX {
        return Err(errors::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if seconds > role_max {
        return Err(errors::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}

/// How long a session of a user or of the root user lasts.
pub fn user_duration(asked: Option<i32>, root: bool) -> u32 {
    let asked = asked.and_then(|s| u32::try_from(s).ok());
    if root {
        asked.unwrap_or(ROOT_SESSION_S_MAX).min(ROOT_SESSION_S_MAX)
    } else {
        asked.unwrap_or(USER_SESSION_S_DEFAULT)
    }
}

/// The session's own policies: documents and ARNs; and how much of the space they fill, in percent.
pub fn session_policies(
    document: Option<&str>,
    arns: Option<&[api::PolicyDescriptorType]>,
    tags: &[(String, String)],
) -> Result<(Vec<String>, usize)> {
    let mut all = Vec::new();
    if let Some(document) = document {
        validate::identity(document, IdentityKind::Inline)
            .map_err(|m| errors::malformed_policy(m.0))?;
        all.push(document.to_owned());
    }
    let arns = arns.unwrap_or_default();
    if arns.len() > SESSION_POLICY_ARNS_MAX {
        return Err(errors::validation(
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to 10",
        ));
    }
    for arn in arns.iter().filter_map(|p| p.arn.as_deref()) {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        match parts.as_slice() {
            ["arn", _, "iam", "", _, resource] if resource.starts_with("policy/") => {
                all.push(arn.to_owned());
            }
            _ => return Err(errors::validation("Invalid ARN:  Could not be parsed!")),
        }
    }
    let policies: usize = all.iter().map(|p| p.chars().count()).sum();
    let tags: usize = tags.iter().map(|(k, v)| k.chars().count() + v.chars().count()).sum();
    let percent = (policies + tags) * 100 / SESSION_POLICY_SIZE_MAX;
    if percent > 100 {
        return Err(errors::packed_policy_too_large(percent));
    }
    Ok((all, percent))
}

/// A tag's key and value.
pub type Tag = (String, String);

/// Session tags with those that a calling session hands on, and the keys that are handed on further.
pub fn session_tags(
    asked: &[api::Tag],
    transitive: &[String],
    inherited: &[Tag],
) -> Result<(Vec<Tag>, Vec<String>)> {
    for (at, tag) in asked.iter().enumerate() {
        if asked[..at].iter().any(|t| t.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::invalid_parameter(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        if inherited.iter().any(|(k, _)| k.eq_ignore_ascii_case(&tag.key)) {
            return Err(errors::invalid_parameter(
                "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
            ));
        }
    }
    for key in transitive {
        if !asked.iter().any(|t| t.key.eq_ignore_ascii_case(key)) {
            return Err(errors::invalid_parameter(
                "The specified transitive tag key must be included in the requested tags.",
            ));
        }
    }
    let mut tags = inherited.to_vec();
    tags.extend(asked.iter().map(|t| (t.key.clone(), t.value.clone())));
    if tags.len() > SESSION_TAGS_MAX {
        return Err(errors::validation(
            "1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50",
        ));
    }
    let handed_on = inherited.iter().map(|(k, _)| k.clone()).chain(transitive.iter().cloned());
    Ok((tags, handed_on.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns() {
        for bad in [
            "nothing-valid-in-here",
            "arn::b:::something/test-role",
            "arn:a::::something/test-role",
            "arn:a:::something/test-role",
            "arn:a:a::aaaaaaaaaa:",
        ] {
            let error = role_arn(bad).unwrap_err();
            assert_eq!(error.message(), format!("{bad} is invalid"));
        }
        assert!(role_arn("arn:a:b:::something/test-role").is_ok());
        assert!(is_role_arn("arn:aws:iam::111111111111:role/x/y"));
        assert!(!is_role_arn("arn:aws:iam::111111111111:user/x"));
        assert!(!is_role_arn("arn:aws:sts::111111111111:federated-user/x"));
    }

    #[test]
    fn durations() {
        assert_eq!(role_duration(None, 3_600, false).ok(), Some(3_600));
        assert_eq!(role_duration(Some(7_200), 43_200, false).ok(), Some(7_200));
        assert!(role_duration(Some(7_200), 3_600, false).is_err());
        assert!(role_duration(Some(7_200), 43_200, true).is_err());
        assert_eq!(user_duration(None, false), 43_200);
        assert_eq!(user_duration(Some(900), true), 900);
        assert_eq!(user_duration(Some(43_200), true), 3_600);
    }

    #[test]
    fn tags_are_handed_on() {
        let tag = |k: &str| api::Tag { key: k.into(), value: "v".into() };
        let inherited = [("Team".to_owned(), "x".to_owned())];
        let (tags, transitive) =
            session_tags(&[tag("a"), tag("b")], &["a".into()], &inherited).unwrap();
        assert_eq!(tags.len(), 3);
        assert_eq!(transitive, ["Team", "a"]);
        for (asked, transitive) in [
            (vec![tag("a"), tag("A")], vec![]),
            (vec![tag("team")], vec![]),
            (vec![tag("a")], vec!["b".to_owned()]),
        ] {
            assert!(session_tags(&asked, &transitive, &inherited).is_err());
        }
    }

    #[test]
    fn policies_have_a_size() {
        let small = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
        assert_eq!(session_policies(None, None, &[]).unwrap(), (vec![], 0));
        let (all, percent) = session_policies(Some(small), None, &[]).unwrap();
        assert_eq!((all.len(), percent), (1, 4));
        let large = format!("{small}{}", " ".repeat(2_048));
        assert!(session_policies(Some(&large), None, &[]).is_err());
        assert!(session_policies(Some("{}"), None, &[]).is_err());
    }
}
