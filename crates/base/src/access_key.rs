//! Access key ids. They hold their account the way AWS's do: behind the prefix come sixteen base32 characters,
//! eighty bits, of which the first forty-eight are one bit of chance, the account in forty, seven bits of chance.

use crate::AccountId;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// `AKIA...` (lasting) or `ASIA...` (temporary), from six random bytes.
pub fn access_key_id(prefix: &str, account: AccountId, chance: [u8; 6]) -> String {
    let [c0, c1, rest @ ..] = chance;
    let high = (u64::from(c0 & 1) << 47) | (account.as_u64() << 7) | u64::from(c1 & 0x7f);
    let mut bytes = [0; 10];
    bytes[..6].copy_from_slice(&high.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&rest);
    let bits = bytes.iter().fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
    let digit = |at: u32| BASE32[usize::try_from((bits >> (75 - 5 * at)) & 31).unwrap_or(0)];
    let mut id = String::from(prefix);
    id.extend((0..16).map(|at| char::from(digit(at))));
    id
}

/// The account that an access key id holds.
pub fn account_of_access_key(id: &str) -> Option<AccountId> {
    let digits = id.strip_prefix("AKIA").or_else(|| id.strip_prefix("ASIA"))?;
    if digits.len() != 16 {
        return None;
    }
    let mut bits = 0_u128;
    for byte in digits.bytes() {
        let digit = BASE32.iter().position(|b| *b == byte)?;
        bits = (bits << 5) | u128::try_from(digit).ok()?;
    }
    let high = u64::try_from(bits >> 32).ok()?;
    AccountId::from_u64((high >> 7) & 0xff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_access_key_id_holds_its_account() {
        for account in ["000000000000", "123456789012", "999999999999"] {
            let account: AccountId = account.parse().unwrap();
            for chance in [[0; 6], [0xff; 6], [1, 2, 3, 4, 5, 6]] {
                let id = access_key_id("AKIA", account, chance);
                assert_eq!((id.len(), account_of_access_key(&id)), (20, Some(account)), "{id}");
            }
        }
        for bad in ["", "AKIA", "AKIA0000000000000000", "test", "000000000000"] {
            assert_eq!(account_of_access_key(bad), None, "{bad}");
        }
    }
}
