//! Carrying out an export: objects of data, one after the other, then the manifests.
//!
//! How far it has come is kept with the export after every object. An object's name follows from its
//! number, so one that is written again after a crash takes its own place.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html

use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest as _, Md5};
use sereno_api_s3 as s3;
use sereno_base::{Region, Timestamp};
use sereno_ddbexpr::encode::decode_item;
use sereno_ddbexpr::value::base64;
use sereno_kernel::{Ctx, Error, Outcome, Result, Task, TaskKind};
use sereno_store::{Batch, Record};
use sereno_wire::Body;
use sha2::Sha256;

use crate::errors;
use crate::export::ExportWork;
use crate::export_format::{self as format, Form};
use crate::export_record::{EXPORTS, ExportRecord, FileRecord, Progress};
use crate::past::{Moment, Past};

pub const EXPORT: &str = "dynamodb.export";
/// Of an object, before it is compressed.
const OBJECT_BYTES: usize = 16 << 20;

pub fn task() -> TaskKind {
    TaskKind::new(EXPORT, |ctx: Ctx, task: Task| async move {
        let work = ExportWork::decode(&task.payload)?;
        let key = (work.table.as_str(), work.id.as_str());
        let Some(mut export) = EXPORTS.get(ctx.store(), ctx.scope(), &key).await? else {
            return Ok(Outcome::Done);
        };
        if export.progress != Progress::Running {
            return Ok(Outcome::Done);
        }
        match run(&ctx, &mut export).await {
            Ok(()) => export.progress = Progress::Completed,
            // The store's trouble, or the server's own: later it may work.
            Err(error) if error.is_transient() || error.code() == "InternalFailure" => {
                return Err(error);
            }
            Err(error) => {
                export.progress = Progress::Failed;
                export.failure_code = format!("S3{}", error.code());
                error.message().clone_into(&mut export.failure_message);
            }
        }
        if export.ended_ms == 0 {
            export.ended_ms = ctx.now().millis();
        }
        save(&ctx, &export).await?;
        Ok(Outcome::Done)
    })
}

async fn save(ctx: &Ctx, export: &ExportRecord) -> Result<()> {
    let mut batch = Batch::new();
    let key = (export.table.as_str(), export.id.as_str());
    EXPORTS.put(&mut batch, ctx.scope(), &key, export);
    ctx.store().commit(batch).await?;
    Ok(())
}

async fn run(ctx: &Ctx, export: &mut ExportRecord) -> Result<()> {
    if export.files.is_empty() {
        put(ctx, export, export.key("_started"), Bytes::new()).await?;
    }
    let region = Region::parse(&export.home).unwrap_or(ctx.region());
    // An incremental export ends before its last moment.
    let end_ms = if export.incremental { export.at_ms - 1 } else { export.at_ms };
    let scope = ctx.scope().in_region(region);
    let past = Past { scope, storage: export.storage, moment: Moment::Time(end_ms) };
    let mut over = false;
    while !over {
        let mut object = Object::new(export);
        while !over && object.bytes < OBJECT_BYTES {
            let next = object.fill(ctx, export, &past).await?;
            over = next.is_none();
            export.after = next.map(Bytes::from).or(export.after.take());
        }
        let empty = object.items == 0 && !export.files.is_empty();
        if !empty {
            object.store(ctx, export).await?;
            save(ctx, export).await?;
        }
    }
    manifests(ctx, export).await
}

/// An object of data while it is being written.
struct Object {
    form: Form,
    packed: GzEncoder<Vec<u8>>,
    items: i64,
    bytes: usize,
    item_bytes: i64,
}

impl Object {
    fn new(export: &ExportRecord) -> Object {
        let form = if export.ion { Form::Ion } else { Form::Json };
        let packed = GzEncoder::new(Vec::new(), Compression::default());
        Object { form, packed, items: 0, bytes: 0, item_bytes: 0 }
    }

    fn line(&mut self, line: &str) -> Result<()> {
        self.packed
            .write_all(line.as_bytes())
            .map_err(|error| Error::internal(error.to_string()))?;
        self.items += 1;
        self.bytes += line.len();
        Ok(())
    }

    /// Adds a piece of the table; answers where the next one begins.
    async fn fill(
        &mut self,
        ctx: &Ctx,
        export: &ExportRecord,
        past: &Past,
    ) -> Result<Option<Vec<u8>>> {
        let after = export.after.as_deref();
        if !export.incremental {
            let piece = past.piece(ctx, after).await?;
            for (_, value) in &piece.items {
                let item = decode_item(value).map_err(errors::corrupt)?;
                self.item_bytes += item.size() as i64;
                self.line(&format::item_line(self.form, item))?;
            }
            return Ok(piece.after);
        }
        let (changes, next) = past.changes(ctx, export.from_ms, after).await?;
        for change in changes {
            let image = |bytes: &Option<Bytes>| {
                bytes.as_ref().map(|bytes| decode_item(bytes).map_err(errors::corrupt)).transpose()
            };
            let (old, new) = (image(&change.old)?, image(&change.new)?);
            let sizes = [&old, &new].into_iter().flatten().map(|item| item.size() as i64);
            self.item_bytes += sizes.sum::<i64>();
            let old = old.filter(|_| !export.new_images_only || new.is_none());
            let line = format::change_line(self.form, export, old, new, change.at_ms);
            self.line(&line)?;
        }
        Ok(next)
    }

    async fn store(self, ctx: &Ctx, export: &mut ExportRecord) -> Result<()> {
        let packed = self.packed.finish().map_err(|error| Error::internal(error.to_string()))?;
        let key = export.data_key(&object_name(export));
        let md5 = base64(&Md5::digest(&packed));
        let etag = put(ctx, export, key.clone(), packed.into()).await?;
        export.files.push(FileRecord { key, items: self.items, md5, etag });
        export.items += self.items;
        export.bytes += self.item_bytes;
        Ok(())
    }
}

/// 26 letters and digits that follow from the export and the number of the object.
fn object_name(export: &ExportRecord) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(format!("{}/{}", export.arn(), export.files.len()));
    digest.iter().take(26).map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

/// Writes an object as the one who asked for the export. Answers its entity tag.
async fn put(ctx: &Ctx, export: &ExportRecord, key: String, body: Bytes) -> Result<String> {
    let length = body.len() as i64;
    let encryption = if export.kms {
        s3::ServerSideEncryption::AwsKms
    } else {
        s3::ServerSideEncryption::Aes256
    };
    let output = ctx
        .call::<s3::PutObject>(s3::PutObjectInput {
            bucket: export.bucket.clone(),
            key,
            body: Body::Bytes(body),
            content_length: Some(length),
            server_side_encryption: Some(encryption),
            ssekms_key_id: export.kms_key.clone(),
            expected_bucket_owner: export.bucket_owner.clone(),
            ..Default::default()
        })
        .await?;
    Ok(output.e_tag.unwrap_or_default().trim_matches('"').to_owned())
}

async fn manifests(ctx: &Ctx, export: &mut ExportRecord) -> Result<()> {
    if export.ended_ms == 0 {
        export.ended_ms = ctx.now().millis();
        save(ctx, export).await?;
    }
    let mut files = String::new();
    for file in &export.files {
        let line = serde_json::json!({
            "itemCount": file.items, "md5Checksum": file.md5, "etag": file.etag,
            "dataFileS3Key": file.key,
        });
        files.push_str(&line.to_string());
        files.push('\n');
    }
    put_with_sum(ctx, export, "manifest-files", files).await?;
    put_with_sum(ctx, export, "manifest-summary", summary(export).to_string()).await
}

async fn put_with_sum(ctx: &Ctx, export: &ExportRecord, name: &str, text: String) -> Result<()> {
    let sum = base64(&Md5::digest(text.as_bytes()));
    put(ctx, export, export.key(&format!("{name}.json")), text.into()).await?;
    put(ctx, export, export.key(&format!("{name}.md5")), sum.into()).await?;
    Ok(())
}

fn summary(export: &ExportRecord) -> serde_json::Value {
    let time = |ms: i64| Timestamp::from_millis(ms).iso8601_millis();
    let mut summary = serde_json::json!({
        "version": if export.incremental { "2023-08-01" } else { "2020-06-30" },
        "exportArn": export.arn(),
        "startTime": time(export.started_ms),
        "endTime": time(export.ended_ms),
        "tableArn": export.table_arn,
        "tableId": export.table_id,
    });
    let more = if export.incremental {
        serde_json::json!({"exportFromTime": time(export.from_ms), "exportToTime": time(export.at_ms)})
    } else {
        serde_json::json!({"exportTime": time(export.at_ms)})
    };
    extend(&mut summary, more);
    let sse = if export.kms { "KMS" } else { "AES256" };
    extend(
        &mut summary,
        serde_json::json!({
            "s3Bucket": export.bucket,
            "s3Prefix": export.prefix,
            "s3SseAlgorithm": sse,
            "s3SseKmsKeyId": export.kms_key,
            "manifestFilesS3Key": export.key("manifest-files.json"),
            "billedSizeBytes": export.bytes,
            "itemCount": export.items,
            "outputFormat": export.format().as_str(),
        }),
    );
    if export.incremental {
        extend(&mut summary, serde_json::json!({"outputView": export.view().as_str()}));
    }
    let kind = if export.incremental { "INCREMENTAL_EXPORT" } else { "FULL_EXPORT" };
    extend(&mut summary, serde_json::json!({"exportType": kind}));
    summary
}

fn extend(summary: &mut serde_json::Value, more: serde_json::Value) {
    if let (Some(summary), serde_json::Value::Object(more)) = (summary.as_object_mut(), more) {
        summary.extend(more);
    }
}
