//! Amazon Resource Names: `arn:partition:service:region:account:resource`.

use crate::{AccountId, Region};
use std::fmt;

/// A parsed ARN. Region and account may be empty, as in IAM's and S3's ARNs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Arn {
    pub partition: String,
    pub service: String,
    pub region: String,
    pub account: String,
    /// Everything behind the fifth colon; may itself hold colons and slashes.
    pub resource: String,
}

impl Arn {
    /// `None` unless there are six parts, the first is `arn`, and partition, service and resource are there.
    pub fn parse(text: &str) -> Option<Arn> {
        let mut parts = text.splitn(6, ':');
        let prefix = parts.next()?;
        let (partition, service) = (parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        if prefix != "arn" || partition.is_empty() || service.is_empty() || resource.is_empty() {
            return None;
        }
        Some(Arn {
            partition: partition.to_owned(),
            service: service.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            resource: resource.to_owned(),
        })
    }

    pub fn account_id(&self) -> Option<AccountId> {
        self.account.parse().ok()
    }

    pub fn region(&self) -> Option<Region> {
        Region::parse(&self.region)
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Arn { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// Writes an ARN. Without a region the partition is `aws`.
pub fn arn(
    service: &str,
    region: Option<Region>,
    account: Option<AccountId>,
    resource: &str,
) -> String {
    use fmt::Write;
    let partition = region.map_or("aws", Region::partition);
    let region = region.map_or("", Region::as_str);
    let mut text = String::with_capacity(32 + service.len() + region.len() + resource.len());
    let written = match account {
        Some(account) => write!(text, "arn:{partition}:{service}:{region}:{account}:{resource}"),
        None => write!(text, "arn:{partition}:{service}:{region}::{resource}"),
    };
    written.expect("writing to a String cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_what_it_writes() {
        for text in [
            "arn:aws:dynamodb:eu-west-1:000000000000:table/orders/index/by-date",
            "arn:aws:s3:::bucket/a:b",
            "arn:aws:lambda:us-east-1:123456789012:function:f:PROD",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "arn:aws:s3", "urn:aws:s3:::b", "arn::s3:::b", "arn:aws:s3:::"] {
            assert_eq!(Arn::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn writes() {
        let account = "123456789012".parse().ok();
        assert_eq!(arn("iam", None, account, "role/r"), "arn:aws:iam::123456789012:role/r");
        let paris = Region::parse("eu-west-3");
        assert_eq!(arn("sqs", paris, account, "q"), "arn:aws:sqs:eu-west-3:123456789012:q");
    }
}
