//! Functions of one row.
//! https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::expression::Record;
use super::value::{Value, whole};

macro_rules! functions {
    ($($function:ident $name:literal $least:literal $most:literal)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Function {
            $($function,)+
        }

        impl Function {
            /// The function, and how many arguments it takes at least and at most.
            pub fn named(name: &str) -> Option<(Function, usize, usize)> {
                const ALL: &[(&str, (Function, usize, usize))] =
                    &[$(($name, (Function::$function, $least, $most)),)+];
                let found = ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
                found.map(|(_, function)| *function)
            }
        }
    };
}

functions! {
    Abs "abs" 1 1
    Ceil "ceil" 1 1
    Floor "floor" 1 1
    Log "log" 1 1
    Sqrt "sqrt" 1 1
    Greatest "greatest" 1 64
    Least "least" 1 64
    Bin "bin" 1 2
    DateFloor "datefloor" 2 2
    DateCeil "dateceil" 2 2
    FromMillis "fromMillis" 1 1
    ToMillis "toMillis" 1 1
    Now "now" 0 0
    IsPresent "ispresent" 1 1
    IsEmpty "isempty" 1 1
    IsBlank "isblank" 1 1
    Coalesce "coalesce" 1 64
    Concat "concat" 1 64
    Trim "trim" 1 2
    LeftTrim "ltrim" 1 2
    RightTrim "rtrim" 1 2
    Length "strlen" 1 1
    Upper "toupper" 1 1
    Lower "tolower" 1 1
    Substring "substr" 2 3
    Replace "replace" 3 3
    Contains "strcontains" 2 2
    IsIp "isValidIp" 1 1
    IsIpv4 "isValidIpv4" 1 1
    IsIpv6 "isValidIpv6" 1 1
    IsIpIn "isIpInSubnet" 2 2
    IsIpv4In "isIpv4InSubnet" 2 2
    IsIpv6In "isIpv6InSubnet" 2 2
}

fn number(number: f64) -> Value {
    if number.is_finite() { Value::Number(number) } else { Value::Absent }
}

#[allow(clippy::cast_precision_loss)]
fn count(count: usize) -> Value {
    Value::Number(count as f64)
}

fn text(value: &Value) -> String {
    value.print().unwrap_or_default()
}

impl Function {
    pub fn value(self, arguments: &[Value], record: &Record, now_ms: i64) -> Value {
        let first = arguments.first().unwrap_or(&Value::Absent);
        let second = arguments.get(1).unwrap_or(&Value::Absent);
        match self {
            Function::Abs | Function::Ceil | Function::Floor | Function::Log | Function::Sqrt => {
                first.number().map_or(Value::Absent, |given| number(self.of_number(given)))
            }
            Function::Greatest | Function::Least => self.extreme(arguments),
            Function::Bin if arguments.len() == 1 => floor(&record.field("@timestamp"), first),
            Function::Bin | Function::DateFloor => floor(first, second),
            Function::DateCeil => ceil(first, second),
            Function::FromMillis => first.time().map_or(Value::Absent, Value::Time),
            Function::ToMillis => match first.time() {
                Some(ms) => Value::Time(ms).number().map_or(Value::Absent, Value::Number),
                None => Value::Absent,
            },
            Function::Now => {
                Value::Time(now_ms).number().map_or(Value::Absent, |ms| number((ms / 1e3).floor()))
            }
            Function::IsPresent => Value::Truth(!first.is_absent()),
            Function::IsEmpty => Value::Truth(text(first).is_empty()),
            Function::IsBlank => Value::Truth(text(first).trim().is_empty()),
            Function::Coalesce => {
                arguments.iter().find(|value| !value.is_absent()).cloned().unwrap_or_default()
            }
            Function::Contains => Value::Truth(text(first).contains(&text(second))),
            Function::IsIp => Value::Truth(text(first).parse::<IpAddr>().is_ok()),
            Function::IsIpv4 => Value::Truth(text(first).parse::<Ipv4Addr>().is_ok()),
            Function::IsIpv6 => Value::Truth(text(first).parse::<Ipv6Addr>().is_ok()),
            Function::IsIpIn => Value::Truth(in_subnet(&text(first), &text(second), |_| true)),
            Function::IsIpv4In => {
                Value::Truth(in_subnet(&text(first), &text(second), |ip| ip.is_ipv4()))
            }
            Function::IsIpv6In => {
                Value::Truth(in_subnet(&text(first), &text(second), |ip| ip.is_ipv6()))
            }
            _ if first.is_absent() => Value::Absent,
            _ => self.of_text(&text(first), arguments),
        }
    }

    fn of_number(self, given: f64) -> f64 {
        match self {
            Function::Abs => given.abs(),
            Function::Ceil => given.ceil(),
            Function::Floor => given.floor(),
            Function::Log => given.ln(),
            _ => given.sqrt(),
        }
    }

    fn extreme(self, arguments: &[Value]) -> Value {
        let numbers = arguments.iter().filter_map(Value::number);
        let found = match self {
            Function::Greatest => numbers.reduce(f64::max),
            _ => numbers.reduce(f64::min),
        };
        found.map_or(Value::Absent, number)
    }

    fn of_text(self, given: &str, arguments: &[Value]) -> Value {
        let more = |index: usize| arguments.get(index).map(text);
        let characters = more(1);
        let trimmed = |c: char| match &characters {
            Some(characters) => characters.contains(c),
            None => c.is_whitespace(),
        };
        match self {
            Function::Length => count(given.chars().count()),
            Function::Concat => Value::Text(arguments.iter().map(text).collect()),
            Function::Trim => Value::Text(given.trim_matches(trimmed).to_owned()),
            Function::LeftTrim => Value::Text(given.trim_start_matches(trimmed).to_owned()),
            Function::RightTrim => Value::Text(given.trim_end_matches(trimmed).to_owned()),
            Function::Upper => Value::Text(given.to_uppercase()),
            Function::Lower => Value::Text(given.to_lowercase()),
            Function::Substring => Value::Text(substring(given, arguments)),
            Function::Replace => {
                let (old, new) = (more(1).unwrap_or_default(), more(2).unwrap_or_default());
                Value::Text(given.replace(&old, &new))
            }
            _ => Value::Absent,
        }
    }
}

fn substring(given: &str, arguments: &[Value]) -> String {
    let index = |value: Option<&Value>| {
        let number = value.and_then(Value::number).and_then(whole);
        number.and_then(|number| usize::try_from(number.max(0)).ok())
    };
    let from = index(arguments.get(1)).unwrap_or(0);
    let length = index(arguments.get(2)).unwrap_or(usize::MAX);
    given.chars().skip(from).take(length).collect()
}

fn floor(time: &Value, period: &Value) -> Value {
    match (time.time(), period.number().and_then(whole)) {
        (Some(ms), Some(period)) if period > 0 => Value::Time(ms - ms.rem_euclid(period)),
        _ => Value::Absent,
    }
}

fn ceil(time: &Value, period: &Value) -> Value {
    match (time.time(), period.number().and_then(whole)) {
        (Some(ms), Some(period)) if period > 0 => {
            Value::Time(ms + (period - ms.rem_euclid(period)) % period)
        }
        _ => Value::Absent,
    }
}

fn in_subnet(ip: &str, subnet: &str, kind: fn(&IpAddr) -> bool) -> bool {
    let parsed = subnet.split_once('/').and_then(|(base, bits)| {
        let base: IpAddr = base.parse().ok()?;
        Some((base, bits.parse::<u32>().ok()?))
    });
    let (Ok(ip), Some((base, bits))) = (ip.parse::<IpAddr>(), parsed) else { return false };
    if !kind(&ip) || ip.is_ipv4() != base.is_ipv4() {
        return false;
    }
    let number = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    };
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
    let mask = if ip.is_ipv4() {
        u128::from(u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0)) << 96
    } else {
        mask
    };
    number(ip) & mask == number(base) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(function: Function, arguments: &[&str]) -> Value {
        let arguments: Vec<Value> =
            arguments.iter().map(|text| Value::Text((*text).to_owned())).collect();
        function.value(&arguments, &Record::default(), 0)
    }

    #[test]
    fn texts() {
        let text = |function, arguments: &[&str]| call(function, arguments).print().unwrap();
        assert_eq!(text(Function::Substring, &["xyZfooxyZ", "2"]), "ZfooxyZ");
        assert_eq!(text(Function::Substring, &["xyZ", "1", "1"]), "y");
        assert_eq!(text(Function::Trim, &["xyxfooxyx", "xy"]), "foo");
        assert_eq!(text(Function::Replace, &["foo", "o", "0"]), "f00");
        assert_eq!(text(Function::Concat, &["a", "b", "c"]), "abc");
        assert_eq!(text(Function::Length, &["日本"]), "2");
    }

    #[test]
    fn addresses() {
        let truth = |function, arguments: &[&str]| call(function, arguments).truth();
        assert!(truth(Function::IsIpv4In, &["198.51.100.7", "198.51.100.0/24"]));
        assert!(!truth(Function::IsIpv4In, &["198.51.101.7", "198.51.100.0/24"]));
        assert!(truth(Function::IsIpIn, &["2001:db8::1", "2001:db8::/32"]));
        assert!(!truth(Function::IsIpv6, &["1.2.3.4"]) && truth(Function::IsIp, &["1.2.3.4"]));
    }

    #[test]
    fn times() {
        let at = |ms: i64| Value::Time(ms);
        let (time, period) = (at(1_480_586_425_000), Value::Number(60_000.0));
        assert_eq!(floor(&time, &period), at(1_480_586_400_000));
        assert_eq!(ceil(&time, &period), at(1_480_586_460_000));
        assert_eq!(ceil(&at(60_000), &period), at(60_000));
    }
}
