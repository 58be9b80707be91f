//! `Fn::Cidr`: the first blocks of a size inside a larger block, IPv4 or IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::{Result, TemplateError};

/// `count` blocks with `bits` host bits each (32 minus the prefix length, 128 for IPv6).
pub fn blocks(block: &str, count: u32, bits: Option<u32>) -> Result<Vec<String>> {
    let wrong = |why: &str| TemplateError::function(format_args!("Fn::Cidr: {why}"));
    let (address, prefix) =
        block.split_once('/').ok_or_else(|| wrong("the ipBlock is not a CIDR block"))?;
    let address: IpAddr = address.parse().map_err(|_| wrong("the ipBlock is not a CIDR block"))?;
    let prefix: u32 = prefix.parse().map_err(|_| wrong("the ipBlock is not a CIDR block"))?;
    let width = if address.is_ipv4() { 32 } else { 128 };
    if prefix > width {
        return Err(wrong("the ipBlock is not a CIDR block"));
    }
    if !(1..=256).contains(&count) {
        return Err(wrong("count must be between 1 and 256"));
    }
    let bits = bits.unwrap_or(width - prefix);
    if bits > width - prefix || (bits == 128 && count > 1) {
        return Err(wrong("cidrBits does not fit the ipBlock"));
    }
    let room = width - prefix - bits;
    if room < 32 && u64::from(count) > 1 << room {
        return Err(wrong(&format!("the ipBlock does not hold {count} blocks of that size")));
    }
    let base = match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let host_bits = width - prefix;
    let base = if host_bits == 128 { 0 } else { base >> host_bits << host_bits };
    let block = |index: u32| {
        let start = if bits == 128 { base } else { base + (u128::from(index) << bits) };
        let address = match address {
            // `start` stays inside a 32-bit block, checked above.
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from(start as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(start)),
        };
        format!("{address}/{}", width - bits)
    };
    Ok((0..count).map(block).collect())
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn blocks_of_both_kinds() {
        assert_eq!(blocks("10.0.0.0/16", 2, Some(8)).unwrap(), ["10.0.0.0/24", "10.0.1.0/24"]);
        assert_eq!(
            blocks("192.168.0.0/24", 3, Some(5)).unwrap(),
            ["192.168.0.0/27", "192.168.0.32/27", "192.168.0.64/27"]
        );
        assert_eq!(
            blocks("2001:db8::/56", 2, Some(64)).unwrap(),
            ["2001:db8::/64", "2001:db8:0:1::/64"]
        );
        assert!(blocks("10.0.0.0/24", 3, Some(7)).is_err());
        assert!(blocks("10.0.0.0", 1, Some(7)).is_err());
        assert!(blocks("10.0.0.0/16", 257, Some(8)).is_err());
    }
}
