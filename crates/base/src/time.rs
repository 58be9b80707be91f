//! A point in time and the text forms AWS gives it. Proleptic Gregorian calendar, UTC, no leap seconds.

use std::fmt;
use std::time::Duration;

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// The text was not a date of the expected form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTimestamp;

impl fmt::Display for InvalidTimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a valid timestamp")
    }
}

impl std::error::Error for InvalidTimestamp {}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAY_MS: i64 = 86_400_000;

/// A date and time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    milli: i64,
}

/// The digits of a number that is not negative, from the place of worth `place` on.
fn put_digits(text: &mut String, number: i64, mut place: i64) {
    while place > 0 {
        text.push(char::from(b'0' + u8::try_from(number / place % 10).unwrap_or(0)));
        place /= 10;
    }
}

impl Timestamp {
    pub const EPOCH: Timestamp = Timestamp(0);

    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    pub const fn from_secs(secs: i64) -> Timestamp {
        Timestamp(secs.saturating_mul(1000))
    }

    /// From seconds with a fraction, to the nearest millisecond; `None` unless finite and within ±1e15 s.
    pub fn from_secs_f64(secs: f64) -> Option<Timestamp> {
        #[allow(clippy::cast_possible_truncation)] // the bound keeps it in range
        (secs.is_finite() && secs.abs() <= 1e15).then(|| Timestamp((secs * 1000.0).round() as i64))
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    #[allow(clippy::cast_precision_loss)] // exact to a millisecond for 285,000 years
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    #[must_use]
    pub fn plus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    #[must_use]
    pub fn minus(self, duration: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Time from `earlier` to this one; zero if it is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn civil(self) -> Civil {
        let days = self.0.div_euclid(DAY_MS);
        let ms = self.0.rem_euclid(DAY_MS);
        let (year, month, day) = civil_from_days(days);
        Civil {
            year,
            month,
            day,
            hour: ms / 3_600_000,
            minute: ms / 60_000 % 60,
            second: ms / 1000 % 60,
            milli: ms % 1000,
        }
    }

    /// `2016-12-01T10:00:00Z`
    pub fn iso8601(self) -> String {
        let c = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }

    /// `2016-12-01T10:00:00.123Z`
    pub fn iso8601_millis(self) -> String {
        let c = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second, c.milli
        )
    }

    /// `Thu, 01 Dec 2016 10:00:00 GMT` (RFC 7231).
    pub fn http_date(self) -> String {
        let c = self.civil();
        let weekday = usize::try_from(self.0.div_euclid(DAY_MS).rem_euclid(7)).unwrap_or(0);
        let month = MONTHS[usize::try_from(c.month - 1).unwrap_or(0)];
        format!(
            "{}, {:02} {month} {:04} {:02}:{:02}:{:02} GMT",
            DAYS[weekday], c.day, c.year, c.hour, c.minute, c.second
        )
    }

    /// `20161201T100000Z`, the form of X-Amz-Date. By hand: every request's signature is checked with it.
    pub fn basic(self) -> String {
        let c = self.civil();
        let mut text = String::with_capacity(16);
        // Claims have four digits for the year; whatever else a clock may say still gets a text.
        put_digits(&mut text, c.year.clamp(0, 9999), 1000);
        put_digits(&mut text, c.month * 100 + c.day, 1000);
        text.push('T');
        put_digits(&mut text, c.hour * 10_000 + c.minute * 100 + c.second, 100_000);
        text.push('Z');
        text
    }

    /// Reads `2016-12-01`, `2016-12-01T10:00:00[.fraction](Z|±hh[:]mm)`; a space may stand for the T.
    pub fn parse_iso8601(text: &str) -> Result<Timestamp, InvalidTimestamp> {
        let bytes = text.as_bytes();
        let field = |from: usize, to: usize| number(bytes.get(from..to));
        let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
        if bytes[4] != b'-' || bytes[7] != b'-' {
            return Err(InvalidTimestamp);
        }
        let mut civil = Civil { year, month, day, hour: 0, minute: 0, second: 0, milli: 0 };
        if bytes.len() == 10 {
            return civil.timestamp();
        }
        (civil.hour, civil.minute) = (field(11, 13)?, field(14, 16)?);
        if !matches!(bytes[10], b'T' | b't' | b' ') || bytes[13] != b':' {
            return Err(InvalidTimestamp);
        }
        let mut at = 16;
        if bytes.get(at) == Some(&b':') {
            civil.second = field(17, 19)?;
            at = 19;
        }
        if bytes.get(at) == Some(&b'.') {
            let digits = bytes[at + 1..].iter().take_while(|b| b.is_ascii_digit()).count();
            let fraction = &bytes[at + 1..at + 1 + digits];
            if digits == 0 {
                return Err(InvalidTimestamp);
            }
            civil.milli = (0..3).fold(0, |sum, index| {
                sum * 10 + fraction.get(index).map_or(0, |digit| i64::from(digit - b'0'))
            });
            at += 1 + digits;
        }
        Ok(Timestamp(civil.timestamp()?.0 - offset_minutes(&bytes[at..])? * 60_000))
    }

    /// Reads `Thu, 01 Dec 2016 10:00:00 GMT`.
    pub fn parse_http_date(text: &str) -> Result<Timestamp, InvalidTimestamp> {
        let rest = text.split_once(", ").ok_or(InvalidTimestamp)?.1;
        let mut parts = rest.split(' ');
        let mut next = || parts.next().ok_or(InvalidTimestamp);
        let (day, month, year, time, zone) = (next()?, next()?, next()?, next()?, next()?);
        let month = MONTHS.iter().position(|name| *name == month).ok_or(InvalidTimestamp)?;
        let (time, milli) = time.split_once('.').unwrap_or((time, "0"));
        let mut clock = time.split(':').map(|part| number(Some(part.as_bytes())));
        let mut tick = || clock.next().ok_or(InvalidTimestamp)?;
        if !matches!(zone, "GMT" | "UTC") {
            return Err(InvalidTimestamp);
        }
        Civil {
            year: number(Some(year.as_bytes()))?,
            month: i64::try_from(month).map_err(|_| InvalidTimestamp)? + 1,
            day: number(Some(day.as_bytes()))?,
            hour: tick()?,
            minute: tick()?,
            second: tick()?,
            milli: number(Some(milli.as_bytes()))?.min(999),
        }
        .timestamp()
    }

    /// Reads `20161201T100000Z`.
    pub fn parse_basic(text: &str) -> Result<Timestamp, InvalidTimestamp> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
            return Err(InvalidTimestamp);
        }
        let field = |from: usize, to: usize| number(bytes.get(from..to));
        Civil {
            year: field(0, 4)?,
            month: field(4, 6)?,
            day: field(6, 8)?,
            hour: field(9, 11)?,
            minute: field(11, 13)?,
            second: field(13, 15)?,
            milli: 0,
        }
        .timestamp()
    }
}

fn number(digits: Option<&[u8]>) -> Result<i64, InvalidTimestamp> {
    let digits = digits.ok_or(InvalidTimestamp)?;
    if digits.is_empty() || digits.len() > 9 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(InvalidTimestamp);
    }
    Ok(digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

/// `Z`, nothing, `±hh:mm` or `±hhmm`.
fn offset_minutes(zone: &[u8]) -> Result<i64, InvalidTimestamp> {
    let sign = match zone.first() {
        None => return Ok(0),
        Some(b'Z' | b'z') if zone.len() == 1 => return Ok(0),
        Some(b'+') => 1,
        Some(b'-') => -1,
        Some(_) => return Err(InvalidTimestamp),
    };
    let minutes_at = if zone.get(3) == Some(&b':') { 4 } else { 3 };
    if zone.len() != minutes_at + 2 {
        return Err(InvalidTimestamp);
    }
    let hours = number(zone.get(1..3))?;
    Ok(sign * (hours * 60 + number(zone.get(minutes_at..))?))
}

impl Civil {
    fn timestamp(self) -> Result<Timestamp, InvalidTimestamp> {
        let in_range = (1..=12).contains(&self.month)
            && (1..=days_in_month(self.year, self.month)).contains(&self.day)
            && (0..24).contains(&self.hour)
            && (0..60).contains(&self.minute)
            && (0..=60).contains(&self.second);
        if !in_range {
            return Err(InvalidTimestamp);
        }
        let days = days_from_civil(self.year, self.month, self.day);
        let seconds = (self.hour * 60 + self.minute) * 60 + self.second;
        Ok(Timestamp(days * DAY_MS + seconds * 1000 + self.milli))
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Howard Hinnant's calendar algorithm: years begin in March, so that the leap day is a year's last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_of_year = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_of_year + 2) / 5 + 1;
    let month = if month_of_year < 10 { month_of_year + 3 } else { month_of_year - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECK: Timestamp = Timestamp::from_millis(1_480_586_400_123);

    #[test]
    fn forms() {
        assert_eq!(DECK.iso8601(), "2016-12-01T10:00:00Z");
        assert_eq!(DECK.iso8601_millis(), "2016-12-01T10:00:00.123Z");
        assert_eq!(DECK.http_date(), "Thu, 01 Dec 2016 10:00:00 GMT");
        assert_eq!(DECK.basic(), "20161201T100000Z");
    }

    #[test]
    fn parses_its_own_forms() {
        assert_eq!(Timestamp::parse_iso8601("2016-12-01T10:00:00.123Z"), Ok(DECK));
        assert_eq!(Timestamp::parse_iso8601("2016-12-01T12:00:00.1234+02:00"), Ok(DECK));
        let whole = Timestamp::from_secs(DECK.secs());
        assert_eq!(Timestamp::parse_http_date("Thu, 01 Dec 2016 10:00:00 GMT"), Ok(whole));
        assert_eq!(Timestamp::parse_basic("20161201T100000Z"), Ok(whole));
        assert_eq!(Timestamp::parse_iso8601("1970-01-01"), Ok(Timestamp::EPOCH));
    }

    #[test]
    fn refuses_what_is_no_date() {
        for bad in [
            "",
            "2016",
            "2016-13-01",
            "2016-02-30T00:00:00Z",
            "2016-12-01T25:00:00Z",
            "2016-12-01T10:00:00+2",
            "2016-12-01T10:00:00Zx",
            "2016-12-01T10:00:00.",
        ] {
            assert!(Timestamp::parse_iso8601(bad).is_err(), "{bad}");
        }
        for bad in ["", "20161201", "20161201T100000z", "2016é201T10000Z"] {
            assert!(Timestamp::parse_basic(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn every_day_of_800_years_round_trips() {
        for day in -200_000..92_000 {
            let (year, month, date) = civil_from_days(day);
            assert_eq!(days_from_civil(year, month, date), day);
        }
    }
}
