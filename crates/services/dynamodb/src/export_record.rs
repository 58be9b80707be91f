//! What is kept of an export, and how the API describes it.

use bytes::Bytes;
use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_store::{Table, record, record_enum};

record_enum! {
    #[derive(Copy, Eq)]
    pub enum Progress { 1 => Running, 2 => Completed, 3 => Failed }
}

record! {
    /// One object of data.
    pub struct FileRecord {
        1 => key: String,
        2 => items: i64,
        3 => md5: String,
        4 => etag: String,
    }

    pub struct ExportRecord {
        1 => id: String,
        2 => table: String,
        3 => table_id: String,
        4 => table_arn: String,
        5 => storage: u64,
        6 => home: String,
        // Attributes of the key, which incremental exports name.
        7 => keys: Vec<String>,
        8 => started_ms: i64,
        9 => ended_ms: i64,
        10 => progress: Progress,
        11 => failure_code: String,
        12 => failure_message: String,
        13 => token: Option<String>,
        14 => bucket: String,
        15 => bucket_owner: Option<String>,
        16 => prefix: Option<String>,
        17 => kms: bool,
        18 => kms_key: Option<String>,
        19 => ion: bool,
        // The moment; the end of the time of an incremental export.
        20 => at_ms: i64,
        21 => incremental: bool,
        22 => from_ms: i64,
        23 => new_images_only: bool,
        24 => items: i64,
        25 => bytes: i64,
        26 => files: Vec<FileRecord>,
        27 => after: Option<Bytes>,
    }
}

/// By (table, id).
pub const EXPORTS: Table<(String, String), ExportRecord> =
    Table::new("dynamodb", "exports").partition(0);

impl ExportRecord {
    pub fn arn(&self) -> String {
        format!("{}/export/{}", self.table_arn, self.id)
    }

    /// `prefix/AWSDynamoDB`
    fn folder(&self) -> String {
        match self.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            Some(prefix) => format!("{}/AWSDynamoDB", prefix.trim_end_matches('/')),
            None => "AWSDynamoDB".to_owned(),
        }
    }

    /// An object beside the manifests.
    pub fn key(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.folder(), self.id)
    }

    /// An object of data; incremental exports of one prefix share a folder.
    pub fn data_key(&self, name: &str) -> String {
        let form = if self.ion { "ion" } else { "json" };
        if self.incremental {
            format!("{}/data/{name}.{form}.gz", self.folder())
        } else {
            self.key(&format!("data/{name}.{form}.gz"))
        }
    }

    pub fn view(&self) -> api::ExportViewType {
        if self.new_images_only {
            api::ExportViewType::NewImage
        } else {
            api::ExportViewType::NewAndOldImages
        }
    }

    pub fn format(&self) -> api::ExportFormat {
        if self.ion { api::ExportFormat::Ion } else { api::ExportFormat::DynamodbJson }
    }

    fn kind(&self) -> api::ExportType {
        if self.incremental {
            api::ExportType::IncrementalExport
        } else {
            api::ExportType::FullExport
        }
    }

    fn status(&self) -> api::ExportStatus {
        match self.progress {
            Progress::Running => api::ExportStatus::InProgress,
            Progress::Completed => api::ExportStatus::Completed,
            Progress::Failed => api::ExportStatus::Failed,
        }
    }

    pub fn summary(&self) -> api::ExportSummary {
        api::ExportSummary {
            export_arn: Some(self.arn()),
            export_status: Some(self.status()),
            export_type: Some(self.kind()),
        }
    }

    pub fn description(&self) -> api::ExportDescription {
        let done = self.progress == Progress::Completed;
        let failed = self.progress == Progress::Failed;
        let time = Timestamp::from_millis;
        api::ExportDescription {
            export_arn: Some(self.arn()),
            export_status: Some(self.status()),
            start_time: Some(time(self.started_ms)),
            end_time: (self.ended_ms > 0).then(|| time(self.ended_ms)),
            export_manifest: done.then(|| self.key("manifest-summary.json")),
            table_arn: Some(self.table_arn.clone()),
            table_id: Some(self.table_id.clone()),
            export_time: (!self.incremental).then(|| time(self.at_ms)),
            client_token: self.token.clone(),
            s3_bucket: Some(self.bucket.clone()),
            s3_bucket_owner: self.bucket_owner.clone(),
            s3_prefix: self.prefix.clone(),
            s3_sse_algorithm: Some(if self.kms {
                api::S3SseAlgorithm::Kms
            } else {
                api::S3SseAlgorithm::Aes256
            }),
            s3_sse_kms_key_id: self.kms_key.clone(),
            failure_code: failed.then(|| self.failure_code.clone()),
            failure_message: failed.then(|| self.failure_message.clone()),
            export_format: Some(self.format()),
            billed_size_bytes: done.then_some(self.bytes),
            item_count: done.then_some(self.items),
            export_type: Some(self.kind()),
            incremental_export_specification: self.incremental.then(|| {
                api::IncrementalExportSpecification {
                    export_from_time: Some(time(self.from_ms)),
                    export_to_time: Some(time(self.at_ms)),
                    export_view_type: Some(self.view()),
                }
            }),
            filter_specification: None,
        }
    }
}
