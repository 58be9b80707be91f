//! Identifiers that are types: an account is not a string.

use std::fmt;
use std::str::FromStr;

/// An AWS account id: twelve decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(u64);

/// The text was not twelve decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidAccountId;

impl fmt::Display for InvalidAccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an account id is twelve decimal digits")
    }
}

impl std::error::Error for InvalidAccountId {}

impl AccountId {
    /// The account of a fresh installation, as developers know it from other local clouds.
    pub const DEFAULT: AccountId = AccountId(0);

    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// `None` above twelve digits.
    pub const fn from_u64(number: u64) -> Option<AccountId> {
        if number <= 999_999_999_999 { Some(AccountId(number)) } else { None }
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl FromStr for AccountId {
    type Err = InvalidAccountId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidAccountId);
        }
        text.parse().map(AccountId).map_err(|_| InvalidAccountId)
    }
}

/// Names one request in answers, logs and the audit trail. Shown as a version 4 UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId(u128);

impl RequestId {
    /// Stamps the version and variant of a random UUID on 128 random bits.
    pub const fn from_random(bits: u128) -> RequestId {
        let version = (bits & !(0xf << 76)) | (0x4 << 76);
        RequestId((version & !(0x3 << 62)) | (0x2 << 62))
    }

    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut out = [b'-'; 36];
        let mut at = 0;
        for (index, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                at += 1;
            }
            out[at] = HEX[usize::from(byte >> 4)];
            out[at + 1] = HEX[usize::from(byte & 0xf)];
            at += 2;
        }
        f.write_str(std::str::from_utf8(&out).expect("hex digits are ASCII"))
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_is_twelve_digits() {
        assert_eq!("000000000012".parse::<AccountId>().unwrap().to_string(), "000000000012");
        for bad in ["", "12", "0000000000123", "00000000001x", "+00000000012"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn request_id_is_a_version_4_uuid() {
        let id = RequestId::from_random(u128::MAX).to_string();
        assert_eq!(id, "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(RequestId::from_random(0).to_string(), "00000000-0000-4000-8000-000000000000");
    }
}
