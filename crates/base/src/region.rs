//! The regions there are. A region is one of a known list, so that it is a small copyable value
//! and a name from outside can never grow memory.

use std::fmt;

/// One AWS region.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Region(&'static str);

/// Source: botocore's endpoint partitions.
const NAMES: &[&str] = &[
    "af-south-1",
    "ap-east-1",
    "ap-east-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-south-2",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "ca-central-1",
    "ca-west-1",
    "cn-north-1",
    "cn-northwest-1",
    "eu-central-1",
    "eu-central-2",
    "eu-north-1",
    "eu-south-1",
    "eu-south-2",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "il-central-1",
    "me-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-gov-east-1",
    "us-gov-west-1",
    "us-west-1",
    "us-west-2",
];

impl Region {
    pub const US_EAST_1: Region = Region("us-east-1");

    /// `None` for a name that is no region.
    pub fn parse(name: &str) -> Option<Region> {
        NAMES.binary_search(&name).ok().map(|at| Region(NAMES[at]))
    }

    pub fn all() -> impl Iterator<Item = Region> {
        NAMES.iter().copied().map(Region)
    }

    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The first part of the region's ARNs: `aws`, `aws-cn` or `aws-us-gov`.
    pub fn partition(self) -> &'static str {
        match self.0.as_bytes() {
            [b'c', b'n', b'-', ..] => "aws-cn",
            [b'u', b's', b'-', b'g', b'o', b'v', b'-', ..] => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The domain under which the region's real endpoints live.
    pub fn dns_suffix(self) -> &'static str {
        if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_parses_to_itself() {
        assert!(NAMES.is_sorted());
        for region in Region::all() {
            assert_eq!(Region::parse(region.as_str()), Some(region));
        }
        assert_eq!(Region::parse("moon-1"), None);
    }

    #[test]
    fn partitions() {
        let partition = |name| Region::parse(name).unwrap().partition();
        assert_eq!(partition("eu-west-3"), "aws");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
    }
}
