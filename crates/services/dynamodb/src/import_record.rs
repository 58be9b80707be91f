//! What is kept of an import, and how the API describes it.

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::Ctx;
use sereno_store::{Table, record};

use crate::export_record::Progress;

record! {
    pub struct ImportRecord {
        1 => id: String,
        2 => table: String,
        3 => table_id: String,
        4 => table_arn: String,
        5 => token: Option<String>,
        6 => started_ms: i64,
        7 => ended_ms: i64,
        8 => progress: Progress,
        9 => failure_code: String,
        10 => failure_message: String,
        // The request as the client sent it, in JSON: it is shown again, and read by the task.
        11 => request: String,
        12 => storage: u64,
        13 => processed: i64,
        14 => imported: i64,
        15 => errors: i64,
        16 => bytes: i64,
    }
}

/// By (table, id).
pub const IMPORTS: Table<(String, String), ImportRecord> =
    Table::new("dynamodb", "imports").partition(0);

pub const LOG_GROUP: &str = "/aws-dynamodb/imports";

impl ImportRecord {
    pub fn arn(&self) -> String {
        format!("{}/import/{}", self.table_arn, self.id)
    }

    pub fn request(&self) -> api::ImportTableInput {
        let json = serde_json::from_str(&self.request).unwrap_or_default();
        sereno_wire::from_json(&json).unwrap_or_default()
    }

    fn status(&self) -> api::ImportStatus {
        match self.progress {
            Progress::Running => api::ImportStatus::InProgress,
            Progress::Completed => api::ImportStatus::Completed,
            Progress::Failed => api::ImportStatus::Failed,
        }
    }

    fn end(&self) -> Option<Timestamp> {
        (self.ended_ms > 0).then(|| Timestamp::from_millis(self.ended_ms))
    }

    fn log_group(ctx: &Ctx) -> String {
        ctx.arn("logs", &format!("log-group:{LOG_GROUP}:*"))
    }

    pub fn summary(&self, ctx: &Ctx) -> api::ImportSummary {
        let request = self.request();
        api::ImportSummary {
            import_arn: Some(self.arn()),
            import_status: Some(self.status()),
            table_arn: Some(self.table_arn.clone()),
            s3_bucket_source: Some(request.s3_bucket_source),
            cloud_watch_log_group_arn: Some(Self::log_group(ctx)),
            input_format: Some(request.input_format),
            start_time: Some(Timestamp::from_millis(self.started_ms)),
            end_time: self.end(),
        }
    }

    pub fn description(&self, ctx: &Ctx) -> api::ImportTableDescription {
        let request = self.request();
        let failed = self.progress == Progress::Failed;
        api::ImportTableDescription {
            import_arn: Some(self.arn()),
            import_status: Some(self.status()),
            table_arn: Some(self.table_arn.clone()),
            table_id: Some(self.table_id.clone()),
            client_token: self.token.clone(),
            s3_bucket_source: Some(request.s3_bucket_source),
            error_count: Some(self.errors),
            cloud_watch_log_group_arn: Some(Self::log_group(ctx)),
            input_format: Some(request.input_format),
            input_format_options: request.input_format_options,
            input_compression_type: Some(
                request.input_compression_type.unwrap_or(api::InputCompressionType::None),
            ),
            table_creation_parameters: Some(request.table_creation_parameters),
            start_time: Some(Timestamp::from_millis(self.started_ms)),
            end_time: self.end(),
            processed_size_bytes: Some(self.bytes),
            processed_item_count: Some(self.processed),
            imported_item_count: Some(self.imported),
            failure_code: failed.then(|| self.failure_code.clone()),
            failure_message: failed.then(|| self.failure_message.clone()),
        }
    }
}
