//! Listings of objects: keys in order, rolled up at a delimiter, page by page.

use sereno_api_s3 as api;
use sereno_base::{base64_decode, base64_encode, percent_encode};
use sereno_kernel::{Ctx, Result};

use crate::bucket::{load, owner_of};
use crate::checksum;
use crate::errors;
use crate::head::storage_class;
use crate::object::quoted;
use crate::state::{BucketRecord, CURRENT, OLDER, ObjectRecord, SCOPE, Versioning};

pub const PAGE_MAX: i32 = 1000;
/// Rows read at once.
const CHUNK: usize = 1000;

/// What is asked for.
pub struct Query<'a> {
    pub prefix: &'a str,
    pub delimiter: &'a str,
    /// Only what comes behind it; a group that it lies in has been listed.
    pub after: &'a str,
    pub max: usize,
}

impl Query<'_> {
    /// The group that a key is rolled up into.
    pub fn group(&self, key: &str) -> Option<String> {
        let rest = key.strip_prefix(self.prefix).filter(|_| !self.delimiter.is_empty())?;
        let end = rest.find(self.delimiter)? + self.delimiter.len();
        Some(format!("{}{}", self.prefix, &rest[..end]))
    }

    /// The page's size as a client may ask for it.
    pub fn max_of(asked: Option<i32>, name: &str) -> Result<i32> {
        match asked.unwrap_or(PAGE_MAX) {
            negative @ ..0 => Err(errors::bad_argument(
                &format!("Argument {name} must be an integer between 0 and 2147483647"),
                name,
                &negative.to_string(),
            )),
            asked => Ok(asked.min(PAGE_MAX)),
        }
    }
}

/// A key or a group, in the order of listing.
enum Item {
    Object(String, Box<ObjectRecord>),
    Group(String),
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Item::Object(key, _) => key,
            Item::Group(group) => group,
        }
    }
}

/// Behind every key that begins with `group`.
fn behind(group: &str) -> String {
    format!("{group}{}", char::MAX)
}

/// The next items, one more than asked for if there is more.
async fn walk(ctx: &Ctx, bucket: &BucketRecord, query: &Query<'_>) -> Result<Vec<Item>> {
    let mut items: Vec<Item> = Vec::new();
    let mut after = query.after.to_owned();
    let id = bucket.id.as_str();
    loop {
        let rows = CURRENT
            .list(SCOPE, (id,))
            .starting_with(query.prefix)
            .after(&(id, after.as_str()))
            .limit(CHUNK)
            .read(ctx.store())
            .await?;
        let complete = rows.len() < CHUNK;
        let mut skipped: Option<String> = None;
        for ((_, key), object) in rows {
            if skipped.as_ref().is_some_and(|group| key.starts_with(group.as_str())) {
                continue;
            }
            key.clone_into(&mut after);
            if object.delete_marker {
                continue;
            }
            match query.group(&key) {
                Some(group) => {
                    after = behind(&group);
                    if !query.after.starts_with(&group) {
                        items.push(Item::Group(group.clone()));
                    }
                    skipped = Some(group);
                }
                None => items.push(Item::Object(key, Box::new(object))),
            }
            if items.len() > query.max {
                return Ok(items);
            }
        }
        if complete {
            return Ok(items);
        }
    }
}

/// Cuts a listing to its page; whether there is more, and the last name of the page.
fn page(items: &mut Vec<Item>, max: usize) -> (bool, Option<String>) {
    let more = items.len() > max && max > 0;
    items.truncate(max);
    (more, items.last().map(|item| item.name().to_owned()))
}

/// Names as the client wants them: `EncodingType=url`.
pub struct Encoding(bool);

impl Encoding {
    pub fn new(asked: Option<&api::EncodingType>) -> Encoding {
        Encoding(asked.is_some())
    }

    pub fn name(&self, text: String) -> String {
        if self.0 { percent_encode(&text, true) } else { text }
    }
}

fn entry(key: String, object: ObjectRecord, owner: Option<&api::Owner>) -> api::Object {
    api::Object {
        key: Some(key),
        last_modified: Some(object.modified),
        e_tag: Some(quoted(&object.etag)),
        checksum_algorithm: checksum::algorithms(&object.checksums),
        checksum_type: checksum::kind(&object.checksums, object.composite),
        size: i64::try_from(object.size).ok(),
        storage_class: Some(storage_class(&object.head).into()),
        owner: owner.cloned(),
        restore_status: None,
    }
}

type Contents = (Option<Vec<api::Object>>, Option<Vec<api::CommonPrefix>>);

fn contents(items: Vec<Item>, encoding: &Encoding, owner: Option<&api::Owner>) -> Contents {
    let (mut objects, mut groups) = (Vec::new(), Vec::new());
    for item in items {
        match item {
            Item::Object(key, object) => {
                objects.push(entry(encoding.name(key), *object, owner));
            }
            Item::Group(group) => {
                groups.push(api::CommonPrefix { prefix: Some(encoding.name(group)) });
            }
        }
    }
    (Some(objects).filter(|o| !o.is_empty()), Some(groups).filter(|g| !g.is_empty()))
}

pub async fn objects(ctx: Ctx, input: api::ListObjectsInput) -> Result<api::ListObjectsOutput> {
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let max = Query::max_of(input.max_keys, "max-keys")?;
    let prefix = input.prefix.unwrap_or_default();
    let marker = input.marker.unwrap_or_default();
    let delimiter = input.delimiter.unwrap_or_default();
    let query = Query {
        prefix: &prefix,
        delimiter: &delimiter,
        after: &marker,
        max: usize::try_from(max).unwrap_or_default(),
    };
    let mut items = walk(&ctx, &bucket, &query).await?;
    let (more, last) = page(&mut items, query.max);
    let encoding = Encoding::new(input.encoding_type.as_ref());
    let owner = owner_of(&bucket);
    let next = last.filter(|_| more && !delimiter.is_empty());
    let (contents, common_prefixes) = contents(items, &encoding, Some(&owner));
    Ok(api::ListObjectsOutput {
        is_truncated: Some(more),
        marker: Some(encoding.name(marker)),
        next_marker: next.map(|next| encoding.name(next)),
        contents,
        name: Some(input.bucket),
        prefix: Some(encoding.name(prefix)),
        delimiter: Some(encoding.name(delimiter)).filter(|d| !d.is_empty()),
        max_keys: Some(max),
        common_prefixes,
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub async fn objects_v2(
    ctx: Ctx,
    input: api::ListObjectsV2Input,
) -> Result<api::ListObjectsV2Output> {
    let owner = input.expected_bucket_owner.as_deref();
    let bucket = load(ctx.store(), &input.bucket, owner).await?;
    let max = Query::max_of(input.max_keys, "max-keys")?;
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.unwrap_or_default();
    let after = match &input.continuation_token {
        Some(token) => read_token(token)?,
        None => input.start_after.clone().unwrap_or_default(),
    };
    let query = Query {
        prefix: &prefix,
        delimiter: &delimiter,
        after: &after,
        max: usize::try_from(max).unwrap_or_default(),
    };
    let mut items = walk(&ctx, &bucket, &query).await?;
    let (more, last) = page(&mut items, query.max);
    let encoding = Encoding::new(input.encoding_type.as_ref());
    let owner = owner_of(&bucket);
    let key_count = i32::try_from(items.len()).ok();
    let shown_owner = Some(&owner).filter(|_| input.fetch_owner == Some(true));
    let (contents, common_prefixes) = contents(items, &encoding, shown_owner);
    Ok(api::ListObjectsV2Output {
        is_truncated: Some(more),
        contents,
        name: Some(input.bucket),
        prefix: Some(encoding.name(prefix)),
        delimiter: Some(encoding.name(delimiter)).filter(|d| !d.is_empty()),
        max_keys: Some(max),
        common_prefixes,
        encoding_type: input.encoding_type,
        key_count,
        continuation_token: input.continuation_token,
        next_continuation_token: last.filter(|_| more).map(|last| base64_encode(last.as_bytes())),
        start_after: input.start_after.map(|after| encoding.name(after)),
        request_charged: None,
    })
}

fn read_token(token: &str) -> Result<String> {
    let read = base64_decode(token).and_then(|bytes| String::from_utf8(bytes).ok());
    read.filter(|after| !after.is_empty()).ok_or_else(|| {
        errors::bad_argument_name(
            "The continuation token provided is incorrect",
            "continuation-token",
        )
    })
}

/// One line of a listing of versions.
enum Line {
    Version { key: String, object: Box<ObjectRecord>, latest: bool },
    Group(String),
}

pub async fn versions(
    ctx: Ctx,
    input: api::ListObjectVersionsInput,
) -> Result<api::ListObjectVersionsOutput> {
    let bucket = load(ctx.store(), &input.bucket, input.expected_bucket_owner.as_deref()).await?;
    let max = Query::max_of(input.max_keys, "max-keys")?;
    let key_marker = input.key_marker.unwrap_or_default();
    if let (Some(version), true) = (&input.version_id_marker, key_marker.is_empty()) {
        return Err(errors::bad_argument(
            "A version-id marker cannot be specified without a key marker.",
            "version-id-marker",
            version,
        ));
    }
    let prefix = input.prefix.unwrap_or_default();
    let delimiter = input.delimiter.unwrap_or_default();
    let query = Query {
        prefix: &prefix,
        delimiter: &delimiter,
        after: &key_marker,
        max: usize::try_from(max).unwrap_or_default(),
    };
    let version_marker = input.version_id_marker.as_deref().filter(|v| !v.is_empty());
    let mut lines = walk_versions(&ctx, &bucket, &query, version_marker).await?;
    let more = lines.len() > query.max && max > 0;
    lines.truncate(query.max);
    let encoding = Encoding::new(input.encoding_type.as_ref());
    let mut output = api::ListObjectVersionsOutput {
        is_truncated: Some(more),
        key_marker: Some(encoding.name(key_marker.clone())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        name: Some(input.bucket),
        prefix: Some(encoding.name(prefix.clone())),
        delimiter: Some(encoding.name(delimiter.clone())).filter(|d| !d.is_empty()),
        max_keys: Some(max),
        encoding_type: input.encoding_type,
        ..api::ListObjectVersionsOutput::default()
    };
    if more {
        match lines.last() {
            Some(Line::Group(group)) => output.next_key_marker = Some(encoding.name(group.clone())),
            Some(Line::Version { key, object, .. }) => {
                output.next_key_marker = Some(encoding.name(key.clone()));
                output.next_version_id_marker = Some(object.version.clone());
            }
            None => {}
        }
    }
    fill(&mut output, lines, &encoding, &owner_of(&bucket));
    Ok(output)
}

fn fill(
    output: &mut api::ListObjectVersionsOutput,
    lines: Vec<Line>,
    encoding: &Encoding,
    owner: &api::Owner,
) {
    let (mut versions, mut markers, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Group(group) => {
                groups.push(api::CommonPrefix { prefix: Some(encoding.name(group)) });
            }
            Line::Version { key, object, latest } if object.delete_marker => {
                markers.push(api::DeleteMarkerEntry {
                    owner: Some(owner.clone()),
                    key: Some(encoding.name(key)),
                    version_id: Some(object.version),
                    is_latest: Some(latest),
                    last_modified: Some(object.modified),
                });
            }
            Line::Version { key, object, latest } => versions.push(api::ObjectVersion {
                e_tag: Some(quoted(&object.etag)),
                checksum_algorithm: checksum::algorithms(&object.checksums),
                checksum_type: checksum::kind(&object.checksums, object.composite),
                size: i64::try_from(object.size).ok(),
                storage_class: Some(storage_class(&object.head).into()),
                key: Some(encoding.name(key)),
                version_id: Some(object.version),
                is_latest: Some(latest),
                last_modified: Some(object.modified),
                owner: Some(owner.clone()),
                restore_status: None,
            }),
        }
    }
    output.versions = Some(versions).filter(|list| !list.is_empty());
    output.delete_markers = Some(markers).filter(|list| !list.is_empty());
    output.common_prefixes = Some(groups).filter(|list| !list.is_empty());
}

/// The next lines, one more than asked for if there is more.
async fn walk_versions(
    ctx: &Ctx,
    bucket: &BucketRecord,
    query: &Query<'_>,
    version_marker: Option<&str>,
) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    if let Some(marker) = version_marker {
        // The rest of the key that the last page ended in.
        let all = of_key(ctx, bucket, query.after).await?;
        let behind = all.iter().position(|(object, _)| object.version == marker);
        let rest = all.into_iter().skip(behind.map_or(0, |at| at + 1));
        lines.extend(rest.map(|(object, latest)| Line::Version {
            key: query.after.to_owned(),
            object: Box::new(object),
            latest,
        }));
    }
    let mut after = query.after.to_owned();
    let id = bucket.id.as_str();
    while lines.len() <= query.max {
        let rows = CURRENT
            .list(SCOPE, (id,))
            .starting_with(query.prefix)
            .after(&(id, after.as_str()))
            .limit(CHUNK)
            .read(ctx.store())
            .await?;
        let complete = rows.len() < CHUNK;
        let mut skipped: Option<String> = None;
        for ((_, key), object) in rows {
            if skipped.as_ref().is_some_and(|group| key.starts_with(group.as_str())) {
                continue;
            }
            if lines.len() > query.max {
                return Ok(lines);
            }
            key.clone_into(&mut after);
            if let Some(group) = query.group(&key) {
                after = behind(&group);
                if !query.after.starts_with(&group) {
                    lines.push(Line::Group(group.clone()));
                }
                skipped = Some(group);
                continue;
            }
            let older = if bucket.versioning == Versioning::Never {
                Vec::new()
            } else {
                older(ctx, bucket, &key).await?
            };
            lines.push(Line::Version { key: key.clone(), object: Box::new(object), latest: true });
            lines.extend(older.into_iter().map(|object| Line::Version {
                key: key.clone(),
                object: Box::new(object),
                latest: false,
            }));
        }
        if complete {
            break;
        }
    }
    Ok(lines)
}

async fn older(ctx: &Ctx, bucket: &BucketRecord, key: &str) -> Result<Vec<ObjectRecord>> {
    let rows = OLDER.list(SCOPE, (bucket.id.as_str(), key)).read(ctx.store()).await?;
    Ok(rows.into_iter().map(|(_, object)| object).collect())
}

/// All versions of a key, newest first; whether it is the latest.
async fn of_key(ctx: &Ctx, bucket: &BucketRecord, key: &str) -> Result<Vec<(ObjectRecord, bool)>> {
    let current = CURRENT.get(ctx.store(), SCOPE, &(bucket.id.as_str(), key)).await?;
    let older = older(ctx, bucket, key).await?;
    let current = current.into_iter().map(|object| (object, true));
    Ok(current.chain(older.into_iter().map(|object| (object, false))).collect())
}
