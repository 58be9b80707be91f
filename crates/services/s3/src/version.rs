//! Versions of a key: the newest in its place, older ones behind it.

use sereno_kernel::{Ctx, Result};
use sereno_store::{Read, Txn};

use crate::content::retire;
use crate::state::{
    BucketRecord, CURRENT, NULL, NULLS, NullRecord, OLDER, ObjectRecord, SCOPE, Versioning,
};
use crate::{errors, rules};

/// What a write did, to be told and to be finished after the commit.
#[derive(Default)]
pub struct Written {
    /// `None` in a bucket that never had versioning.
    pub version: Option<String>,
    pub sequence: u64,
    pub blobs: Vec<String>,
}

/// One version of a key, as a read finds it; a delete marker is an error.
pub async fn find(
    read: &(impl Read + ?Sized),
    bucket: &BucketRecord,
    key: &str,
    version: Option<&str>,
    method: &str,
) -> Result<ObjectRecord> {
    let found = match version {
        None => CURRENT.get(read, SCOPE, &(bucket.id.as_str(), key)).await?,
        Some(version) => {
            let found = lookup(read, bucket, key, version).await?;
            if found.is_none() {
                return Err(errors::no_such_version(key, version));
            }
            found
        }
    };
    match found {
        Some(object) if !object.delete_marker => Ok(object),
        Some(_) if version.is_some() => Err(errors::delete_marker(method)),
        _ => Err(errors::no_such_key(key)),
    }
}

/// What a tag, a lock or an ACL is put on: a delete marker takes none, be it asked for or the newest
/// (recorded: `test_object_tagging_versioned`, `test_put_object_acl_on_delete_marker`).
pub async fn bearer(
    read: &(impl Read + ?Sized),
    bucket: &BucketRecord,
    key: &str,
    version: Option<&str>,
    method: &str,
) -> Result<ObjectRecord> {
    let found = match version {
        Some(version) => lookup(read, bucket, key, version).await?,
        None => CURRENT.get(read, SCOPE, &(bucket.id.as_str(), key)).await?,
    };
    match (found, version) {
        (Some(found), _) if found.delete_marker => Err(errors::delete_marker(method)),
        (Some(found), _) => Ok(found),
        (None, Some(version)) => Err(errors::no_such_version(key, version)),
        (None, None) => Err(errors::no_such_key(key)),
    }
}

/// One version of a key, whatever it is.
pub async fn lookup(
    read: &(impl Read + ?Sized),
    bucket: &BucketRecord,
    key: &str,
    version: &str,
) -> Result<Option<ObjectRecord>> {
    let id = bucket.id.as_str();
    let sequence = rules::sequence_of(version)
        .filter(|_| version.len() == 32 && bucket.versioning != Versioning::Never);
    if sequence.is_none() && version != NULL {
        return Err(errors::bad_argument("Invalid version id specified", "versionId", version));
    }
    let current = CURRENT.get(read, SCOPE, &(id, key)).await?;
    if current.as_ref().is_none_or(|current| current.version == version) {
        return Ok(current);
    }
    let age = match sequence {
        None => NULLS.get(read, SCOPE, &(id, key)).await?.map(|null| null.age),
        Some(sequence) => Some(u64::MAX - sequence),
    };
    let Some(age) = age else { return Ok(None) };
    let found = OLDER.get(read, SCOPE, &(id, key, age)).await?;
    Ok(found.filter(|object| object.version == version))
}

/// Makes `object` the newest version of its key, in the way the bucket's versioning says.
/// The caller has filled in all but version and sequence.
pub async fn write(
    ctx: &Ctx,
    txn: &mut Txn,
    bucket: &BucketRecord,
    key: &str,
    mut object: ObjectRecord,
) -> Result<Written> {
    let id = bucket.id.as_str();
    let current = CURRENT.get(txn, SCOPE, &(id, key)).await?;
    let after = current.as_ref().map_or(0, |current| current.sequence + 1);
    let micros = u64::try_from(ctx.now().millis()).unwrap_or_default() * 1000;
    object.sequence = micros.max(after);
    object.version = match bucket.versioning {
        Versioning::Enabled => {
            rules::version_id(object.sequence, &ctx.random_id(rules::VERSION_LETTERS, 21))
        }
        Versioning::Never | Versioning::Suspended => NULL.to_owned(),
    };
    let mut written = Written {
        version: (bucket.versioning != Versioning::Never).then(|| object.version.clone()),
        sequence: object.sequence,
        blobs: Vec::new(),
    };
    if let Some(current) = current {
        if object.is_null() && current.is_null() {
            written.blobs = retire(txn, &current.content).await?;
        } else {
            age(txn, id, key, &current);
            if object.is_null() {
                written.blobs = remove_older_null(txn, id, key).await?;
            }
        }
    }
    CURRENT.put(txn, SCOPE, &(id, key), &object);
    Ok(written)
}

/// Moves what was the newest version behind the one to come.
fn age(txn: &mut Txn, id: &str, key: &str, object: &ObjectRecord) {
    OLDER.put(txn, SCOPE, &(id, key, object.age()), object);
    if object.is_null() {
        NULLS.put(txn, SCOPE, &(id, key), &NullRecord { age: object.age() });
    }
}

/// There is at most one version without a number.
async fn remove_older_null(txn: &mut Txn, id: &str, key: &str) -> Result<Vec<String>> {
    let Some(null) = NULLS.get(txn, SCOPE, &(id, key)).await? else { return Ok(Vec::new()) };
    let Some(object) = OLDER.get(txn, SCOPE, &(id, key, null.age)).await? else {
        return Ok(Vec::new());
    };
    OLDER.delete(txn, SCOPE, &(id, key, null.age));
    NULLS.delete(txn, SCOPE, &(id, key));
    retire(txn, &object.content).await
}

/// Removes one version for good; where it was the newest, the next one takes its place.
pub async fn remove(
    txn: &mut Txn,
    bucket: &BucketRecord,
    key: &str,
    object: &ObjectRecord,
) -> Result<Vec<String>> {
    let id = bucket.id.as_str();
    let current = CURRENT.get(txn, SCOPE, &(id, key)).await?;
    let newest = current.is_some_and(|current| current.sequence == object.sequence);
    if newest {
        let next = OLDER.list(SCOPE, (id, key)).limit(1).read(txn).await?;
        match next.into_iter().next() {
            Some((_, next)) => {
                OLDER.delete(txn, SCOPE, &(id, key, next.age()));
                if next.is_null() {
                    NULLS.delete(txn, SCOPE, &(id, key));
                }
                CURRENT.put(txn, SCOPE, &(id, key), &next);
            }
            None => CURRENT.delete(txn, SCOPE, &(id, key)),
        }
    } else {
        OLDER.delete(txn, SCOPE, &(id, key, object.age()));
        if object.is_null() {
            NULLS.delete(txn, SCOPE, &(id, key));
        }
    }
    retire(txn, &object.content).await
}
