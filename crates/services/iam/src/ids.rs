//! Unique ids and dates.
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids`

use sereno_base::Timestamp;
use sereno_kernel::Ctx;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Letters that tell what an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    User,
    Group,
    Role,
    Policy,
    Profile,
    /// A password for one service.
    Credential,
}

impl Prefix {
    fn text(self) -> &'static str {
        match self {
            Prefix::User => "AIDA",
            Prefix::Group => "AGPA",
            Prefix::Role => "AROA",
            Prefix::Policy => "ANPA",
            Prefix::Profile => "AIPA",
            Prefix::Credential => "ACCA",
        }
    }
}

/// `AIDA` and seventeen more characters.
pub fn unique_id(ctx: &Ctx, prefix: Prefix) -> String {
    format!("{}{}", prefix.text(), ctx.random_id(BASE32, 17))
}

/// The moment at which something is made: IAM tells whole seconds.
pub fn now(ctx: &Ctx) -> Timestamp {
    Timestamp::from_secs(ctx.now().secs())
}

/// The id of AWS's own policy: the same wherever it is shown.
pub fn managed_policy_id(name: &str) -> String {
    let mut id = String::from("ANPA");
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for round in 0..17_u8 {
        for byte in name.bytes().chain([round]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        id.push(char::from(BASE32[usize::try_from(hash >> 59).unwrap_or(0)]));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_aws_policies_differ() {
        let (a, b) = (managed_policy_id("A"), managed_policy_id("B"));
        assert!(a.len() == 21 && a != b && a == managed_policy_id("A"));
    }
}
