//! Object Lock: versions that may not be removed before their time.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html>
//! Recorded: localstack tests/aws/services/s3, `TestS3ObjectLock*`.

use std::time::Duration;

use sereno_api_s3 as api;
use sereno_base::Timestamp;
use sereno_kernel::{Access, Ctx, Error, Result};
use sereno_store::transact;

use crate::access::object_arn;
use crate::bucket::{change, load};
use crate::state::{BucketRecord, HeadRecord, LockRecord, ObjectRecord, Versioning};
use crate::{errors, rules, tagging, version};

const GOVERNANCE: &str = "GOVERNANCE";
const COMPLIANCE: &str = "COMPLIANCE";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the headers of a write ask for.
#[derive(Default)]
pub struct Asked {
    pub mode: Option<String>,
    pub until: Option<Timestamp>,
    pub hold: Option<String>,
}

impl Asked {
    /// Locks the object as asked for, else as the bucket does by default.
    pub fn apply(self, bucket: &BucketRecord, now: Timestamp, head: &mut HeadRecord) -> Result<()> {
        const MODE: &str = "x-amz-object-lock-mode";
        const UNTIL: &str = "x-amz-object-lock-retain-until-date";
        let together = format!("{UNTIL} and {MODE} must both be supplied");
        match (&self.mode, self.until) {
            (Some(_), None) => return Err(errors::bad_argument_name(&together, UNTIL)),
            (None, Some(_)) => return Err(errors::bad_argument_name(&together, MODE)),
            (Some(mode), _) if mode != GOVERNANCE && mode != COMPLIANCE => {
                return Err(errors::bad_argument("Unknown wormMode directive.", MODE, mode));
            }
            (Some(_), Some(until)) if until <= now => return Err(past(UNTIL, until)),
            _ => {}
        }
        let Some(lock) = &bucket.lock else {
            return match self.mode.is_some() || self.hold.is_some() {
                true => Err(no_lock()),
                false => Ok(()),
            };
        };
        head.legal_hold = self.hold.unwrap_or_default();
        match self.mode {
            Some(mode) => (head.lock_mode, head.retain_until) = (mode, self.until),
            None if lock.mode.is_empty() => {}
            None => {
                head.lock_mode.clone_from(&lock.mode);
                head.retain_until = Some(now.plus(DAY * (lock.days + 365 * lock.years)));
            }
        }
        Ok(())
    }
}

fn past(name: &str, until: Timestamp) -> Error {
    let message = "The retain until date must be in the future!";
    errors::bad_argument(message, name, &until.http_date())
}

fn no_lock() -> Error {
    errors::request("Bucket is missing Object Lock Configuration")
}

fn protected() -> Error {
    errors::denied("Access Denied because object protected by object lock.")
}

fn never_set() -> Error {
    Error::not_found(
        "NoSuchObjectLockConfiguration",
        "The specified object does not have a ObjectLock configuration",
    )
    .status(404)
}

/// Only those who may pass over governance need the right to.
pub fn bypass(access: Access, asked: Option<bool>, arn: String) -> Access {
    match asked {
        Some(true) => access.and("s3:BypassGovernanceRetention", arn),
        _ => access,
    }
}

/// The header has a meaning in buckets with locks only, whatever it says.
pub fn check_bypass(bucket: &BucketRecord, asked: Option<bool>) -> Result<()> {
    match asked.is_some() && bucket.lock.is_none() {
        true => Err(errors::bad_argument_name(
            "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.",
            "x-amz-bypass-governance-retention",
        )),
        false => Ok(()),
    }
}

fn is_retained(head: &HeadRecord, now: Timestamp) -> bool {
    head.retain_until.is_some_and(|until| until > now)
}

/// Whether this version may be removed.
pub fn check_removal(head: &HeadRecord, now: Timestamp, bypass: bool) -> Result<()> {
    let retained = is_retained(head, now) && (head.lock_mode == COMPLIANCE || !bypass);
    match retained || head.legal_hold == "ON" {
        true => Err(protected()),
        false => Ok(()),
    }
}

/// A lock may become stricter; less strict only what governs, by who may pass over it.
fn check_change(head: &HeadRecord, new: &Retention, now: Timestamp, bypass: bool) -> Result<()> {
    let longer = new.until >= head.retain_until;
    let allowed = match head.lock_mode.as_str() {
        _ if !is_retained(head, now) => true,
        COMPLIANCE => longer && new.mode == COMPLIANCE,
        _ => longer || bypass,
    };
    if allowed { Ok(()) } else { Err(protected()) }
}

struct Retention {
    mode: String,
    until: Option<Timestamp>,
}

impl Retention {
    /// An empty document ends the retention.
    fn read(document: Option<api::ObjectLockRetention>, now: Timestamp) -> Result<Retention> {
        let document = document.ok_or_else(errors::malformed_xml)?;
        if document.event_hold.is_some() || document.event_hold_duration.is_some() {
            return Err(errors::not_served("event holds"));
        }
        match (document.mode, document.retain_until_date) {
            (None, None) => Ok(Retention { mode: String::new(), until: None }),
            (Some(_), Some(until)) if until <= now => Err(past("RetainUntilDate", until)),
            (Some(mode), until @ Some(_)) => Ok(Retention { mode: mode.to_string(), until }),
            _ => Err(errors::malformed_xml()),
        }
    }
}

pub async fn get_retention(
    ctx: Ctx,
    input: api::GetObjectRetentionInput,
) -> Result<api::GetObjectRetentionOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    bucket.lock.as_ref().ok_or_else(no_lock)?;
    let version = input.version_id.as_deref();
    let object = version::bearer(ctx.store(), &bucket, &input.key, version, "GET").await?;
    if object.head.retain_until.is_none() {
        return Err(never_set());
    }
    Ok(api::GetObjectRetentionOutput {
        retention: Some(api::ObjectLockRetention {
            mode: Some(object.head.lock_mode.as_str().into()),
            retain_until_date: object.head.retain_until,
            ..api::ObjectLockRetention::default()
        }),
    })
}

pub async fn put_retention(
    ctx: Ctx,
    input: api::PutObjectRetentionInput,
) -> Result<api::PutObjectRetentionOutput> {
    let new = Retention::read(input.retention, ctx.now())?;
    let (bucket, owner) = (input.bucket.as_str(), input.expected_bucket_owner.as_deref());
    let bypass = input.bypass_governance_retention == Some(true);
    let version = input.version_id.as_deref();
    transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, bucket, owner).await?;
        bucket.lock.as_ref().ok_or_else(no_lock)?;
        let mut object = version::bearer(txn, &bucket, &input.key, version, "PUT").await?;
        check_change(&object.head, &new, ctx.now(), bypass)?;
        object.head.lock_mode.clone_from(&new.mode);
        object.head.retain_until = new.until;
        tagging::save(txn, &bucket, &input.key, &object).await?;
    })?;
    Ok(api::PutObjectRetentionOutput::default())
}

pub async fn get_legal_hold(
    ctx: Ctx,
    input: api::GetObjectLegalHoldInput,
) -> Result<api::GetObjectLegalHoldOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    bucket.lock.as_ref().ok_or_else(no_lock)?;
    let version = input.version_id.as_deref();
    let object = version::bearer(ctx.store(), &bucket, &input.key, version, "GET").await?;
    if object.head.legal_hold.is_empty() {
        return Err(never_set());
    }
    let status = Some(object.head.legal_hold.as_str().into());
    Ok(api::GetObjectLegalHoldOutput { legal_hold: Some(api::ObjectLockLegalHold { status }) })
}

pub async fn put_legal_hold(
    ctx: Ctx,
    input: api::PutObjectLegalHoldInput,
) -> Result<api::PutObjectLegalHoldOutput> {
    let status = input.legal_hold.and_then(|hold| hold.status);
    let status = status.ok_or_else(errors::malformed_xml)?.to_string();
    let (bucket, owner) = (input.bucket.as_str(), input.expected_bucket_owner.as_deref());
    let version = input.version_id.as_deref();
    transact!(ctx.store(), Error, |txn| {
        let bucket = load(txn, bucket, owner).await?;
        bucket.lock.as_ref().ok_or_else(no_lock)?;
        let mut object = version::bearer(txn, &bucket, &input.key, version, "PUT").await?;
        object.head.legal_hold.clone_from(&status);
        tagging::save(txn, &bucket, &input.key, &object).await?;
    })?;
    Ok(api::PutObjectLegalHoldOutput::default())
}

pub async fn get_configuration(
    ctx: Ctx,
    input: api::GetObjectLockConfigurationInput,
) -> Result<api::GetObjectLockConfigurationOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let lock = bucket.lock.ok_or_else(|| {
        errors::absent(
            "ObjectLockConfigurationNotFoundError",
            "Object Lock configuration does not exist for this bucket",
            &input.bucket,
        )
    })?;
    let span = |count: u32| i32::try_from(count).ok().filter(|count| *count > 0);
    let default = (!lock.mode.is_empty()).then(|| api::DefaultRetention {
        mode: Some(lock.mode.as_str().into()),
        days: span(lock.days),
        years: span(lock.years),
        default_event_hold: None,
    });
    Ok(api::GetObjectLockConfigurationOutput {
        object_lock_configuration: Some(api::ObjectLockConfiguration {
            object_lock_enabled: Some(api::ObjectLockEnabled::Enabled),
            rule: default.map(|d| api::ObjectLockRule { default_retention: Some(d) }),
        }),
    })
}

pub async fn put_configuration(
    ctx: Ctx,
    input: api::PutObjectLockConfigurationInput,
) -> Result<api::PutObjectLockConfigurationOutput> {
    if input.token.is_some() {
        return Err(errors::header("x-amz-bucket-object-lock-token", "It is not needed any more."));
    }
    let lock = configuration(input.object_lock_configuration)?;
    change(&ctx, &input.bucket, input.expected_bucket_owner.as_deref(), |bucket| {
        if bucket.versioning != Versioning::Enabled {
            return Err(invalid_state(
                "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
            ));
        }
        bucket.lock = Some(lock.clone());
        Ok(())
    })
    .await?;
    Ok(api::PutObjectLockConfigurationOutput::default())
}

pub fn invalid_state(message: &'static str) -> Error {
    Error::conflict("InvalidBucketState", message).status(409)
}

/// A rule names a mode, and either days or years.
fn configuration(document: Option<api::ObjectLockConfiguration>) -> Result<LockRecord> {
    let document = document.ok_or_else(errors::malformed_xml)?;
    if document.object_lock_enabled != Some(api::ObjectLockEnabled::Enabled) {
        return Err(errors::malformed_xml());
    }
    let Some(rule) = document.rule else { return Ok(LockRecord::default()) };
    let default = rule.default_retention.ok_or_else(errors::malformed_xml)?;
    if default.default_event_hold.is_some() {
        return Err(errors::not_served("event holds"));
    }
    let mode = default.mode.ok_or_else(errors::malformed_xml)?.to_string();
    let span = |count: Option<i32>, max: u32, name: &str| match count.map(u32::try_from) {
        None => Ok(0),
        Some(Ok(count)) if (1..=max).contains(&count) => Ok(count),
        Some(_) => Err(Error::invalid(
            "InvalidArgument",
            format!("Default retention period must be a positive integer value: {name}."),
        )),
    };
    match (default.days, default.years) {
        (Some(_), Some(_)) | (None, None) => Err(errors::malformed_xml()),
        (days, years) => Ok(LockRecord {
            mode,
            days: span(days, 36_500, "Days")?,
            years: span(years, 100, "Years")?,
        }),
    }
}

/// What a read tells of the lock, to those who may know.
pub struct Told {
    pub mode: Option<String>,
    pub until: Option<Timestamp>,
    pub hold: Option<api::ObjectLockLegalHoldStatus>,
}

impl Told {
    pub async fn of(ctx: &Ctx, bucket: &str, key: &str, object: &ObjectRecord) -> Told {
        let head = &object.head;
        let arn = || object_arn(ctx, bucket, key);
        let retained = head.retain_until.is_some()
            && ctx.authorise("s3", &Access::new("s3:GetObjectRetention", arn())).await.is_ok();
        let held = !head.legal_hold.is_empty()
            && ctx.authorise("s3", &Access::new("s3:GetObjectLegalHold", arn())).await.is_ok();
        Told {
            mode: retained.then(|| head.lock_mode.clone()),
            until: head.retain_until.filter(|_| retained).map(rules::whole_seconds),
            hold: held.then(|| head.legal_hold.as_str().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn locked(mode: &str, until: i64) -> HeadRecord {
        HeadRecord {
            lock_mode: mode.to_owned(),
            retain_until: Some(at(until)),
            ..HeadRecord::default()
        }
    }

    fn may_change(from: &HeadRecord, mode: &str, until: Option<i64>, bypass: bool) -> bool {
        let new = Retention { mode: mode.to_owned(), until: until.map(at) };
        check_change(from, &new, at(10), bypass).is_ok()
    }

    #[test]
    fn removal_waits_for_the_lock() {
        let (governed, complied) = (locked("GOVERNANCE", 20), locked("COMPLIANCE", 20));
        assert!(check_removal(&governed, at(10), false).is_err());
        assert!(check_removal(&governed, at(10), true).is_ok());
        assert!(check_removal(&complied, at(10), true).is_err());
        assert!(check_removal(&complied, at(20), false).is_ok());
        let held = HeadRecord { legal_hold: "ON".to_owned(), ..HeadRecord::default() };
        assert!(check_removal(&held, at(10), true).is_err());
    }

    #[test]
    fn locks_become_stricter_only() {
        let (governed, complied) = (locked("GOVERNANCE", 20), locked("COMPLIANCE", 20));
        assert!(may_change(&governed, "GOVERNANCE", Some(30), false));
        assert!(!may_change(&governed, "GOVERNANCE", Some(15), false));
        assert!(may_change(&governed, "GOVERNANCE", Some(15), true));
        assert!(!may_change(&governed, "", None, false));
        assert!(may_change(&governed, "", None, true));
        assert!(may_change(&complied, "COMPLIANCE", Some(30), false));
        assert!(!may_change(&complied, "GOVERNANCE", Some(30), true));
        assert!(may_change(&locked("COMPLIANCE", 5), "", None, false));
    }

    #[test]
    fn a_rule_names_days_or_years() {
        let rule = |days, years| {
            let mode = Some(api::ObjectLockRetentionMode::Governance);
            let default_retention =
                Some(api::DefaultRetention { mode, days, years, ..Default::default() });
            configuration(Some(api::ObjectLockConfiguration {
                object_lock_enabled: Some(api::ObjectLockEnabled::Enabled),
                rule: Some(api::ObjectLockRule { default_retention }),
            }))
        };
        assert_eq!(rule(Some(1), None).map(|lock| lock.days).ok(), Some(1));
        for (days, years) in [(None, None), (Some(1), Some(1)), (Some(0), None), (None, Some(101))]
        {
            assert!(rule(days, years).is_err(), "{days:?} {years:?}");
        }
    }
}
