//! What IAM refuses, in its words: one module for each place a policy can be put.

mod identity;
mod resource;
mod trust;

use std::fmt;

pub use identity::{IdentityKind, identity};
pub use resource::resource;
pub use trust::trust;

/// A policy that is refused; the text is AWS's sentence, without a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

fn malformed<T>(text: impl Into<String>) -> Result<T, Malformed> {
    Err(Malformed(text.into()))
}

/// Whether a principal's value can name anybody: accounts, users, roles, sessions, `AIDA...`/`AROA...` ids,
/// services and identity providers. Wildcards are allowed for everyone only.
fn principal_is_valid(kind: &str, value: &str) -> bool {
    match kind {
        "*" => true,
        "AWS" => aws_principal_is_valid(value),
        "Service" => service_is_valid(value),
        "Federated" => {
            !value.is_empty()
                && !value.contains(['*', '?'])
                && value.is_ascii()
                && value.contains(['.', ':'])
        }
        _ => false,
    }
}

fn aws_principal_is_valid(value: &str) -> bool {
    if value == "*" || crate::principal::account(value).is_some() {
        return true;
    }
    if ["AIDA", "AROA"].iter().any(|p| value.starts_with(p)) {
        return value.len() >= 16 && value.bytes().all(|b| b.is_ascii_alphanumeric());
    }
    let parts: Vec<&str> = value.splitn(6, ':').collect();
    let ["arn", "aws" | "aws-cn" | "aws-us-gov", service, "", account, entity] = parts.as_slice()
    else {
        return false;
    };
    let kinds: &[&str] = match *service {
        "iam" => &["user/", "role/"],
        "sts" => &["assumed-role/", "federated-user/"],
        _ => return false,
    };
    account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && !value.contains(['*', '?', '$'])
        && kinds.iter().any(|k| entity.len() > k.len() && entity.starts_with(k))
}

/// AWS knows its services by name; here the name's form has to do.
fn service_is_valid(value: &str) -> bool {
    let suffixes = [".amazonaws.com", ".amazonaws.com.cn", ".aws.internal"];
    value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
        && suffixes.iter().any(|s| value.len() > s.len() && value.ends_with(s))
}
