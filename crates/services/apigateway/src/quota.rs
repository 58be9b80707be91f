//! Quotas: days, periods, and what is left.
//!
//! Days are counted from 1970-01-01 in UTC. A week's period begins on Sunday, a month's on its first,
//! both moved by the plan's offset.

use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};

use crate::state::{EXTENDED, QuotaRecord, USED, UsagePlanRecord};

const DAY_S: i64 = 86_400;
/// Longest span of one report.
const DAYS_MAX: i64 = 90;

pub fn today(ctx: &Ctx) -> i64 {
    ctx.now().secs().div_euclid(DAY_S)
}

pub fn text(day: i64) -> String {
    Timestamp::from_secs(day * DAY_S).iso8601()[..10].to_owned()
}

/// `2016-12-31`
pub fn day(text: &str) -> Option<i64> {
    let at = Timestamp::parse_iso8601(&format!("{text}T00:00:00Z")).ok()?;
    Some(at.secs().div_euclid(DAY_S))
}

/// The first day of the period that `day` is in, and of the next one.
pub fn period(quota: &QuotaRecord, day: i64) -> (i64, i64) {
    let offset = i64::from(quota.offset);
    match quota.period.as_str() {
        "DAY" => (day, day + 1),
        "WEEK" => {
            // 1970-01-04 was a Sunday.
            let first = day - (day - 3 - offset).rem_euclid(7);
            (first, first + 7)
        }
        _ => {
            let shifted = day - offset;
            let first = month_start(shifted);
            (first + offset, month_start(first + 31) + offset)
        }
    }
}

/// The first day of the month that `day` is in.
fn month_start(day: i64) -> i64 {
    let date = text(day);
    let number: i64 = date[8..10].parse().unwrap_or(1);
    day - (number - 1)
}

pub struct Day {
    pub used: i64,
    pub remaining: i64,
}

async fn used(ctx: &Ctx, plan: &str, key: &str, day: i64) -> Result<i64> {
    let place = (plan, key, text(day));
    let found = USED.get(ctx.store(), ctx.scope(), &(place.0, place.1, place.2.as_str())).await?;
    Ok(found.unwrap_or_default().0)
}

/// What is left of the period at the end of `day`; `None` without a quota.
pub async fn remaining(
    ctx: &Ctx,
    plan: &UsagePlanRecord,
    key: &str,
    day: i64,
) -> Result<Option<i64>> {
    let Some(quota) = &plan.quota else { return Ok(None) };
    let (first, _) = period(quota, day);
    let (from, to) = (text(first), text(day));
    let days = USED
        .list(ctx.scope(), (plan.id.as_str(), key))
        .from(&(plan.id.as_str(), key, from.as_str()))
        .to(&(plan.id.as_str(), key, to.as_str()))
        .read(ctx.store())
        .await?;
    let used: i64 = days.iter().map(|(_, count)| count.0).sum();
    let place = (plan.id.as_str(), key, from.as_str());
    let extended = EXTENDED.get(ctx.store(), ctx.scope(), &place).await?.unwrap_or_default().0;
    Ok(Some(i64::from(quota.limit) + extended - used))
}

/// Every day from one to another.
pub async fn days(
    ctx: &Ctx,
    plan: &UsagePlanRecord,
    key: &str,
    from: i64,
    to: i64,
) -> Result<Vec<Day>> {
    let mut days = Vec::new();
    for day in from..=to.min(from + DAYS_MAX) {
        let used = used(ctx, &plan.id, key, day).await?;
        let remaining = remaining(ctx, plan, key, day).await?.unwrap_or_default();
        days.push(Day { used, remaining });
    }
    Ok(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(period: &str, offset: i32, at: &str) -> (String, String) {
        let quota = QuotaRecord { limit: 1, offset, period: period.to_owned() };
        let (first, next) = super::period(&quota, day(at).unwrap());
        (text(first), text(next))
    }

    #[test]
    fn periods() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(span("DAY", 0, "2016-12-31"), pair("2016-12-31", "2017-01-01"));
        // 2016-12-31 was a Saturday.
        assert_eq!(span("WEEK", 0, "2016-12-31"), pair("2016-12-25", "2017-01-01"));
        assert_eq!(span("WEEK", 1, "2016-12-25"), pair("2016-12-19", "2016-12-26"));
        assert_eq!(span("MONTH", 0, "2016-02-29"), pair("2016-02-01", "2016-03-01"));
        assert_eq!(span("MONTH", 14, "2016-12-10"), pair("2016-11-15", "2016-12-15"));
    }
}
