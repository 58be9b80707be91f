//! DynamoDB's number: an exact decimal of up to 38 significant digits, magnitude 1E-130 to 9.99E+125.
//!
//! Invariants: the coefficient has no trailing zero, fewer than 39 digits; zero is coefficient 0,
//! exponent 0, not negative. So equal numbers are equal structs, whatever was written by the client.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html

use crate::Invalid;
use crate::limits::NUMBER_DIGITS_MAX;
use std::cmp::Ordering;
use std::fmt;

/// value = (-1)^negative * coefficient * 10^exponent
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Number {
    // u128 in halves: keeps the alignment, and with it `Value`, at 8 bytes.
    high: u64,
    low: u64,
    exponent: i16,
    negative: bool,
}

const OVERFLOW: &str =
    "Number overflow. Attempting to store a number with magnitude larger than supported range";
const UNDERFLOW: &str =
    "Number underflow. Attempting to store a number with magnitude smaller than supported range";
const TOO_PRECISE: &str = "Attempting to store more than 38 significant digits in a Number";
/// Power of ten of the first digit.
const MAGNITUDE_MAX: i32 = 125;
const MAGNITUDE_MIN: i32 = -130;

impl Number {
    pub const ZERO: Number = Number { high: 0, low: 0, exponent: 0, negative: false };

    /// Reads what AWS accepts: an optional sign, digits with an optional point, an optional exponent.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        const NOT_A_NUMBER: &str = "The parameter cannot be converted to a numeric value";
        if text.is_empty() {
            return Err(Invalid::new(NOT_A_NUMBER));
        }
        match Scan::of(text) {
            Some(scan) => scan.number(),
            None => Err(Invalid(format!("{NOT_A_NUMBER}: {text}"))),
        }
    }

    pub fn from_u64(value: u64) -> Self {
        Self::normal(false, u128::from(value), 0).unwrap_or(Self::ZERO)
    }

    pub fn from_i64(value: i64) -> Self {
        Self::normal(value < 0, u128::from(value.unsigned_abs()), 0).unwrap_or(Self::ZERO)
    }

    /// Parts as stored; `from_parts` refuses parts that no number has.
    pub fn parts(&self) -> (bool, u128, i16) {
        (self.negative, self.coefficient(), self.exponent)
    }

    pub fn from_parts(negative: bool, coefficient: u128, exponent: i16) -> Option<Self> {
        Self::normal(negative, coefficient, i32::from(exponent)).ok()
    }

    pub fn is_negative(&self) -> bool {
        self.negative
    }

    pub fn is_zero(&self) -> bool {
        self.coefficient() == 0
    }

    /// A whole number that fits, e.g. a TTL's epoch second.
    pub fn to_i64(&self) -> Option<i64> {
        let exponent = u32::try_from(self.exponent).ok()?;
        let magnitude = self.coefficient().checked_mul(10u128.checked_pow(exponent)?)?;
        let value = i128::try_from(magnitude).ok()?;
        i64::try_from(if self.negative { -value } else { value }).ok()
    }

    /// The whole part, towards zero; `None` if it does not fit.
    pub fn trunc_i64(&self) -> Option<i64> {
        if self.exponent >= 0 {
            return self.to_i64();
        }
        let divisor = 10u128.checked_pow(u32::from(self.exponent.unsigned_abs()));
        let whole = divisor.map_or(0, |d| self.coefficient() / d);
        let value = i64::try_from(whole).ok()?;
        Some(if self.negative { -value } else { value })
    }

    pub fn add(&self, other: &Number) -> Result<Number, Invalid> {
        let (larger, smaller) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        if larger.is_zero() {
            return Ok(*smaller);
        }
        if smaller.is_zero() {
            return Ok(*larger);
        }
        // Neither coefficient ends in 0, so the sum's last digit stands at the smaller exponent
        // unless the exponents are equal: a sum that does not fit u128 has more than 38 digits.
        let shift = u32::from(larger.exponent.abs_diff(smaller.exponent));
        let scaled = 10u128
            .checked_pow(shift)
            .and_then(|power| larger.coefficient().checked_mul(power))
            .ok_or(Invalid::new(OVERFLOW))?;
        let small = smaller.coefficient();
        let exponent = i32::from(smaller.exponent);
        let (negative, sum) = if larger.negative == smaller.negative {
            (larger.negative, scaled.checked_add(small).ok_or(Invalid::new(OVERFLOW))?)
        } else if scaled >= small {
            (larger.negative, scaled - small)
        } else {
            (smaller.negative, small - scaled)
        };
        // AWS calls a sum of more than 38 digits an overflow (seen by Alternator's suite on AWS).
        Self::normal(negative, sum, exponent)
            .map_err(|error| if error.0 == TOO_PRECISE { Invalid::new(OVERFLOW) } else { error })
    }

    pub fn subtract(&self, other: &Number) -> Result<Number, Invalid> {
        self.add(&other.negated())
    }

    pub fn negated(&self) -> Number {
        Number { negative: !self.negative && !self.is_zero(), ..*self }
    }

    /// Significant digits and the power of ten of the first one.
    pub fn digits_and_magnitude(&self) -> (u32, i32) {
        let digits = digit_count(self.coefficient());
        (digits, i32::from(self.exponent) + digits as i32 - 1)
    }

    pub fn coefficient(&self) -> u128 {
        (u128::from(self.high) << 64) | u128::from(self.low)
    }

    fn normal(negative: bool, mut coefficient: u128, mut exponent: i32) -> Result<Self, Invalid> {
        if coefficient == 0 {
            return Ok(Self::ZERO);
        }
        while coefficient > u128::from(u64::MAX) && coefficient.is_multiple_of(10) {
            coefficient /= 10;
            exponent += 1;
        }
        // What fits 64 bits, as most numbers do, divides ten times faster.
        while let Ok(small) = u64::try_from(coefficient)
            && small.is_multiple_of(10)
        {
            coefficient = u128::from(small / 10);
            exponent += 1;
        }
        let digits = digit_count(coefficient);
        let magnitude = exponent + digits as i32 - 1;
        if magnitude > MAGNITUDE_MAX {
            return Err(Invalid::new(OVERFLOW));
        }
        if magnitude < MAGNITUDE_MIN {
            return Err(Invalid::new(UNDERFLOW));
        }
        if digits > NUMBER_DIGITS_MAX {
            return Err(Invalid::new(TOO_PRECISE));
        }
        Ok(Number {
            high: (coefficient >> 64) as u64,
            low: coefficient as u64,
            exponent: exponent as i16,
            negative,
        })
    }
}

fn digit_count(value: u128) -> u32 {
    value.checked_ilog10().map_or(1, |log| log + 1)
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |n: &Number| match (n.is_zero(), n.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let (mine, theirs) = (sign(self), sign(other));
        if mine != theirs || mine == 0 {
            return mine.cmp(&theirs);
        }
        let (digits, magnitude) = self.digits_and_magnitude();
        let (other_digits, other_magnitude) = other.digits_and_magnitude();
        let by_size = magnitude.cmp(&other_magnitude).then_with(|| {
            // Same magnitude: compare as if both had as many digits; 38 at most, so it fits.
            let width = digits.max(other_digits);
            let a = self.coefficient() * 10u128.pow(width - digits);
            let b = other.coefficient() * 10u128.pow(width - other_digits);
            a.cmp(&b)
        });
        if mine < 0 { by_size.reverse() } else { by_size }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Always plain decimal, never an exponent (seen by Alternator's suite on AWS).
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.negative {
            f.write_char('-')?;
        }
        let digits = self.coefficient().to_string();
        let point = digits.len() as i32 + i32::from(self.exponent);
        if self.exponent >= 0 {
            f.write_str(&digits)?;
            (0..self.exponent).try_for_each(|_| f.write_char('0'))
        } else if point > 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            write!(f, "{whole}.{fraction}")
        } else {
            f.write_str("0.")?;
            (0..-point).try_for_each(|_| f.write_char('0'))?;
            f.write_str(&digits)
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A number's text taken apart; digits still as written.
struct Scan<'a> {
    negative: bool,
    whole: &'a [u8],
    fraction: &'a [u8],
    exponent: i32,
}

impl<'a> Scan<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (negative, rest) = sign(text.as_bytes());
        let (whole, rest) = take_digits(rest);
        let (fraction, rest) = match rest.split_first() {
            Some((b'.', rest)) => take_digits(rest),
            _ => (&rest[..0], rest),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let exponent = match rest.split_first() {
            None => 0,
            Some((b'e' | b'E', rest)) => {
                let (down, rest) = sign(rest);
                let (digits, rest) = take_digits(rest);
                if digits.is_empty() || !rest.is_empty() {
                    return None;
                }
                // An exponent of more than 64 bits is no number; past 6 digits only "far too
                // large" matters (recorded: paritysuite, numberExponent).
                let size = digits.iter().try_fold(0i64, |sum, digit| {
                    sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
                })?;
                let size = size.min(1_000_000) as i32;
                if down { -size } else { size }
            }
            Some(_) => return None,
        };
        Some(Scan { negative, whole, fraction, exponent })
    }

    fn number(self) -> Result<Number, Invalid> {
        let all = || self.whole.iter().chain(self.fraction).map(|digit| digit - b'0');
        let count = self.whole.len() + self.fraction.len();
        let leading = all().take_while(|digit| *digit == 0).count();
        if leading == count {
            // Zero has the magnitude that it is written with (recorded: paritysuite,
            // numberExponent).
            return match self.exponent {
                ..MAGNITUDE_MIN => Err(Invalid::new(UNDERFLOW)),
                MAGNITUDE_MIN..=MAGNITUDE_MAX => Ok(Number::ZERO),
                _ => Err(Invalid::new(OVERFLOW)),
            };
        }
        let trailing = all().rev().take_while(|digit| *digit == 0).count();
        let significant = count - leading - trailing;
        let exponent = self
            .exponent
            .saturating_sub(clamp(self.fraction.len()))
            .saturating_add(clamp(trailing));
        let magnitude = exponent.saturating_add(clamp(significant) - 1);
        if magnitude > MAGNITUDE_MAX {
            return Err(Invalid::new(OVERFLOW));
        }
        if magnitude < MAGNITUDE_MIN {
            return Err(Invalid::new(UNDERFLOW));
        }
        if significant > NUMBER_DIGITS_MAX as usize {
            return Err(Invalid::new(TOO_PRECISE));
        }
        let coefficient = all()
            .skip(leading)
            .take(significant)
            .fold(0u128, |sum, digit| sum * 10 + u128::from(digit));
        Number::normal(self.negative, coefficient, exponent)
    }
}

fn clamp(length: usize) -> i32 {
    i32::try_from(length).unwrap_or(i32::MAX / 4).min(i32::MAX / 4)
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    }
}

fn take_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}
