//! The typed values of conditions: numbers, dates, addresses.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Integers are compared exactly, everything else as a double.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    Integer(i64),
    Decimal(f64),
}

impl Number {
    pub fn parse(text: &str) -> Option<Number> {
        let text = text.trim();
        if let Ok(i) = text.parse() {
            return Some(Number::Integer(i));
        }
        // Rust's parser also knows "inf" and "nan"; IAM knows digits only.
        if !text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b)) {
            return None;
        }
        let decimal: f64 = text.parse().ok()?;
        decimal.is_finite().then_some(Number::Decimal(decimal))
    }

    pub fn compare(self, other: Number) -> Option<Ordering> {
        match (self, other) {
            (Number::Integer(a), Number::Integer(b)) => Some(a.cmp(&b)),
            (a, b) => a.decimal().partial_cmp(&b.decimal()),
        }
    }

    fn decimal(self) -> f64 {
        match self {
            Number::Integer(i) => i as f64,
            Number::Decimal(d) => d,
        }
    }
}

/// Nanoseconds since 1970 of an ISO 8601 date (any of its shorter forms) or of epoch seconds.
pub(crate) fn date(text: &str) -> Option<i128> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    if !lower.contains('t') && !lower.trim_start_matches('-').contains('-') {
        // A bare number: four digits or fewer may be a year, but IAM reads it as seconds.
        if let Ok(seconds) = lower.parse::<i64>() {
            return Some(i128::from(seconds) * NANOS);
        }
        let (whole, fraction) = lower.split_once('.')?;
        let value = digits(fraction, 1, 9)?;
        let nanos = value * 10_i64.pow(9 - fraction.len() as u32);
        return Some(i128::from(digits(whole, 1, 12)?) * NANOS + i128::from(nanos));
    }
    iso(&lower)
}

const NANOS: i128 = 1_000_000_000;

fn iso(lower: &str) -> Option<i128> {
    let (day, time) = lower.split_once('t').unwrap_or((lower, ""));
    let (sign, day) = match day.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, day),
    };
    let mut parts = day.split('-');
    let year = sign * digits(parts.next()?, 1, 9)?;
    let month = parts.next().map_or(Some(1), |m| digits(m, 1, 2))?;
    let of_month = parts.next().map_or(Some(1), |d| digits(d, 1, 2))?;
    if parts.next().is_some()
        || !(-292_275_054..=292_278_993).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=days_in(year, month)).contains(&of_month)
    {
        return None;
    }
    let day_nanos = i128::from(days(year, month, of_month)) * 86_400 * NANOS;
    Some(day_nanos + time_of_day(time)?)
}

fn time_of_day(time: &str) -> Option<i128> {
    if time.is_empty() {
        return Some(0);
    }
    let (clock, offset) = if let Some(clock) = time.strip_suffix('z') {
        (clock, 0)
    } else if let Some(at) = time.rfind(['+', '-']) {
        let sign = if time.as_bytes()[at] == b'-' { -1 } else { 1 };
        (&time[..at], sign * zone(&time[at + 1..])?)
    } else {
        (time, 0)
    };
    let mut parts = clock.split(':');
    let hours = digits(parts.next()?, 1, 2)?;
    let minutes = parts.next().map_or(Some(0), |m| digits(m, 1, 2))?;
    let (seconds, nanos) = match parts.next() {
        None => (0, 0),
        Some(s) => seconds(s)?,
    };
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let whole = hours * 3600 + minutes * 60 + seconds - offset;
    Some(i128::from(whole) * NANOS + i128::from(nanos))
}

fn seconds(text: &str) -> Option<(i64, i64)> {
    match text.split_once('.') {
        None => Some((digits(text, 1, 2)?, 0)),
        Some((whole, fraction)) => {
            let value = digits(fraction, 1, 9)?;
            let scale = 10_i64.pow(9 - fraction.len() as u32);
            Some((digits(whole, 1, 2)?, value * scale))
        }
    }
}

/// `01`, `0100` or `01:00` in seconds.
fn zone(text: &str) -> Option<i64> {
    let (hours, minutes) = match (text.split_once(':'), text.len()) {
        (Some(pair), _) => pair,
        (None, 4) => text.split_at(2),
        (None, _) => (text, "00"),
    };
    let (hours, minutes) = (digits(hours, 2, 2)?, digits(minutes, 2, 2)?);
    (hours <= 23 && minutes <= 59).then_some(hours * 3600 + minutes * 60)
}

fn digits(text: &str, least: usize, most: usize) -> Option<i64> {
    if (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar, for years of either sign.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// An address range: `203.0.113.0/24`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: u128,
    mask: u128,
    v6: bool,
}

impl Network {
    pub fn parse(text: &str) -> Option<Network> {
        let text = text.trim();
        let (address, length) = match text.split_once('/') {
            None => (text, None),
            Some((a, l)) => (a, Some(u32::try_from(digits(l, 1, 3)?).ok()?)),
        };
        let (address, v6) = number(address.parse().ok()?);
        let bits = if v6 { 128 } else { 32 };
        let length = length.unwrap_or(bits);
        if length > bits {
            return None;
        }
        // The low `bits` of the number are the address.
        let all = u128::MAX >> (128 - bits);
        let host = all.checked_shr(length).unwrap_or(0);
        let mask = all & !host;
        Some(Network { address: address & mask, mask, v6 })
    }

    pub fn contains(self, address: IpAddr) -> bool {
        let (address, v6) = number(address);
        v6 == self.v6 && address & self.mask == self.address
    }
}

/// An IPv4 address that came in through an IPv6 socket is an IPv4 address.
fn number(address: IpAddr) -> (u128, bool) {
    let v4 = |a: Ipv4Addr| (u128::from(u32::from(a)), false);
    let v6 = |a: Ipv6Addr| (u128::from(a), true);
    match address {
        IpAddr::V4(a) => v4(a),
        IpAddr::V6(a) => a.to_ipv4_mapped().map_or(v6(a), v4),
    }
}

pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let second = |text| date(text).map(|n| n / NANOS);
        assert_eq!(second("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(second("2016-12-01T10:00:00Z"), Some(1_480_586_400));
        assert_eq!(second("2016-12-01T10:00:00+01:00"), Some(1_480_582_800));
        assert_eq!(second("2016-12-01t10:00-0100"), Some(1_480_590_000));
        assert_eq!(second("2016-12-01"), Some(1_480_550_400));
        assert_eq!(second("1480586400"), Some(1_480_586_400));
        assert_eq!(second("2000-02-29"), Some(951_782_400));
        assert_eq!(date("1970-01-01T00:00:00.5Z"), Some(NANOS / 2));
        assert_eq!(second("-292275054"), Some(-292_275_054));
        for bad in ["", "x", "234-13", "2016-13-01", "2016-02-30", "2016-12-01T25:00", "T"] {
            assert_eq!(date(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks() {
        let inside =
            |net: &str, a: &str| Network::parse(net).zip(address(a)).map(|(n, a)| n.contains(a));
        assert_eq!(inside("203.0.113.0/24", "203.0.113.7"), Some(true));
        assert_eq!(inside("203.0.113.0/24", "203.0.114.7"), Some(false));
        assert_eq!(inside("203.0.113.7/24", "203.0.113.99"), Some(true));
        assert_eq!(inside("10.0.0.1", "10.0.0.1"), Some(true));
        assert_eq!(inside("10.0.0.1", "10.0.0.2"), Some(false));
        assert_eq!(inside("0.0.0.0/0", "8.8.8.8"), Some(true));
        assert_eq!(inside("0.0.0.0/0", "2001:db8::1"), Some(false));
        assert_eq!(inside("::/0", "2001:db8::1"), Some(true));
        assert_eq!(inside("::/0", "8.8.8.8"), Some(false));
        assert_eq!(inside("2001:db8::/32", "2001:db8:ffff::1"), Some(true));
        assert_eq!(inside("2001:db8::/32", "2001:db9::1"), Some(false));
        assert_eq!(inside("127.0.0.0/8", "::ffff:127.0.0.1"), Some(true));
        for bad in ["", "1.2.3", "1.2.3.4/33", "::/129", "1.2.3.4/-1", "1.2.3.4/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers() {
        let cmp = |a, b| Number::parse(a).zip(Number::parse(b)).and_then(|(a, b)| a.compare(b));
        assert_eq!(cmp("10", "9"), Some(Ordering::Greater));
        assert_eq!(cmp("1.0", "1"), Some(Ordering::Equal));
        assert_eq!(cmp("9007199254740993", "9007199254740992"), Some(Ordering::Greater));
        for bad in ["", "x", "nan", "inf", "1x", "0x10"] {
            assert!(Number::parse(bad).is_none(), "{bad}");
        }
    }
}
