//! The properties of AWS::DynamoDB::Table as the API's inputs. CloudFormation lets numbers and
//! booleans come as text.
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html

use serde_json::{Map, Value};
use sereno_api_dynamodb as api;
use sereno_kernel::{Error, Result};

use crate::errors;

pub type Properties = Map<String, Value>;

/// Everything this type understands; anything else is refused.
const KNOWN: [&str; 20] = [
    "AttributeDefinitions",
    "BillingMode",
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "GlobalSecondaryIndexes",
    "ImportSourceSpecification",
    "KeySchema",
    "KinesisStreamSpecification",
    "LocalSecondaryIndexes",
    "OnDemandThroughput",
    "PointInTimeRecoverySpecification",
    "ProvisionedThroughput",
    "ResourcePolicy",
    "SSESpecification",
    "StreamSpecification",
    "TableClass",
    "TableName",
    "Tags",
    "TimeToLiveSpecification",
    "WarmThroughput",
];

pub fn check(properties: &Properties) -> Result<()> {
    only(properties, &KNOWN)
}

/// Refuses what is not in the list.
pub fn only(map: &Properties, known: &[&str]) -> Result<()> {
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(errors::validation(format!("Encountered unsupported property {name}"))),
        None => Ok(()),
    }
}

fn wrong(path: &str, wanted: &str) -> Error {
    errors::validation(format!("Value of property {path} must be {wanted}"))
}

pub fn text(value: &Value, path: &str) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        _ => Err(wrong(path, "of type String")),
    }
}

pub fn integer(value: &Value, path: &str) -> Result<i64> {
    let number = match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong(path, "of type Integer"))
}

pub fn boolean(value: &Value, path: &str) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        _ => Err(wrong(path, "of type Boolean")),
    }
}

pub fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Properties> {
    value.as_object().ok_or_else(|| wrong(path, "an object"))
}

fn list<'a>(value: &'a Value, path: &str) -> Result<&'a Vec<Value>> {
    value.as_array().ok_or_else(|| wrong(path, "of type List"))
}

fn required<'a>(map: &'a Properties, name: &str) -> Result<&'a Value> {
    map.get(name).ok_or_else(|| errors::validation(format!("Property {name} cannot be empty.")))
}

fn optional<T>(
    map: &Properties,
    name: &str,
    read: impl FnOnce(&Value, &str) -> Result<T>,
) -> Result<Option<T>> {
    map.get(name).filter(|value| !value.is_null()).map(|value| read(value, name)).transpose()
}

fn all<T>(value: &Value, path: &str, read: impl Fn(&Properties) -> Result<T>) -> Result<Vec<T>> {
    list(value, path)?.iter().map(|one| read(object(one, path)?)).collect()
}

pub fn attribute_definitions(value: &Value, path: &str) -> Result<Vec<api::AttributeDefinition>> {
    all(value, path, |one| {
        Ok(api::AttributeDefinition {
            attribute_name: text(required(one, "AttributeName")?, "AttributeName")?,
            attribute_type: text(required(one, "AttributeType")?, "AttributeType")?.as_str().into(),
        })
    })
}

fn key_schema(value: &Value, path: &str) -> Result<Vec<api::KeySchemaElement>> {
    all(value, path, |one| {
        Ok(api::KeySchemaElement {
            attribute_name: text(required(one, "AttributeName")?, "AttributeName")?,
            key_type: text(required(one, "KeyType")?, "KeyType")?.as_str().into(),
        })
    })
}

fn projection(value: &Value, path: &str) -> Result<api::Projection> {
    let map = object(value, path)?;
    only(map, &["ProjectionType", "NonKeyAttributes"])?;
    Ok(api::Projection {
        projection_type: optional(map, "ProjectionType", text)?.map(|kind| kind.as_str().into()),
        non_key_attributes: optional(map, "NonKeyAttributes", |value, path| {
            list(value, path)?.iter().map(|name| text(name, path)).collect()
        })?,
    })
}

pub fn throughput(value: &Value, path: &str) -> Result<api::ProvisionedThroughput> {
    let map = object(value, path)?;
    only(map, &["ReadCapacityUnits", "WriteCapacityUnits"])?;
    Ok(api::ProvisionedThroughput {
        read_capacity_units: integer(required(map, "ReadCapacityUnits")?, "ReadCapacityUnits")?,
        write_capacity_units: integer(required(map, "WriteCapacityUnits")?, "WriteCapacityUnits")?,
    })
}

pub fn on_demand(value: &Value, path: &str) -> Result<api::OnDemandThroughput> {
    let map = object(value, path)?;
    only(map, &["MaxReadRequestUnits", "MaxWriteRequestUnits"])?;
    Ok(api::OnDemandThroughput {
        max_read_request_units: optional(map, "MaxReadRequestUnits", integer)?,
        max_write_request_units: optional(map, "MaxWriteRequestUnits", integer)?,
    })
}

pub fn warm(value: &Value, path: &str) -> Result<api::WarmThroughput> {
    let map = object(value, path)?;
    only(map, &["ReadUnitsPerSecond", "WriteUnitsPerSecond"])?;
    Ok(api::WarmThroughput {
        read_units_per_second: optional(map, "ReadUnitsPerSecond", integer)?,
        write_units_per_second: optional(map, "WriteUnitsPerSecond", integer)?,
    })
}

pub fn global_indexes(value: &Value, path: &str) -> Result<Vec<api::GlobalSecondaryIndex>> {
    all(value, path, |one| {
        only(
            one,
            &[
                "ContributorInsightsSpecification",
                "IndexName",
                "KeySchema",
                "OnDemandThroughput",
                "Projection",
                "ProvisionedThroughput",
                "WarmThroughput",
            ],
        )?;
        Ok(api::GlobalSecondaryIndex {
            index_name: text(required(one, "IndexName")?, "IndexName")?,
            key_schema: key_schema(required(one, "KeySchema")?, "KeySchema")?,
            projection: projection(required(one, "Projection")?, "Projection")?,
            provisioned_throughput: optional(one, "ProvisionedThroughput", throughput)?,
            on_demand_throughput: optional(one, "OnDemandThroughput", on_demand)?,
            warm_throughput: optional(one, "WarmThroughput", warm)?,
        })
    })
}

fn local_indexes(value: &Value, path: &str) -> Result<Vec<api::LocalSecondaryIndex>> {
    all(value, path, |one| {
        only(one, &["IndexName", "KeySchema", "Projection"])?;
        Ok(api::LocalSecondaryIndex {
            index_name: text(required(one, "IndexName")?, "IndexName")?,
            key_schema: key_schema(required(one, "KeySchema")?, "KeySchema")?,
            projection: projection(required(one, "Projection")?, "Projection")?,
        })
    })
}

/// A template names the view; that there is a view means that there is a stream.
pub fn stream(properties: &Properties) -> Result<Option<api::StreamSpecification>> {
    optional(properties, "StreamSpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["ResourcePolicy", "StreamViewType"])?;
        let view = text(required(map, "StreamViewType")?, "StreamViewType")?;
        Ok(api::StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some(view.as_str().into()),
        })
    })
}

pub fn sse(properties: &Properties) -> Result<Option<api::SSESpecification>> {
    optional(properties, "SSESpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["SSEEnabled", "SSEType", "KMSMasterKeyId"])?;
        Ok(api::SSESpecification {
            enabled: Some(boolean(required(map, "SSEEnabled")?, "SSEEnabled")?),
            sse_type: optional(map, "SSEType", text)?.map(|kind| kind.as_str().into()),
            kms_master_key_id: optional(map, "KMSMasterKeyId", text)?,
        })
    })
}

pub fn tags(properties: &Properties) -> Result<Vec<api::Tag>> {
    let given = optional(properties, "Tags", |value, path| {
        all(value, path, |one| {
            Ok(api::Tag {
                key: text(required(one, "Key")?, "Key")?,
                value: text(required(one, "Value")?, "Value")?,
            })
        })
    })?;
    Ok(given.unwrap_or_default())
}

/// The policy of the table's stream.
pub fn stream_policy(properties: &Properties) -> Result<Option<String>> {
    let stream =
        optional(properties, "StreamSpecification", |value, path| object(value, path).cloned())?;
    stream.as_ref().map_or(Ok(None), policy)
}

pub fn policy(properties: &Properties) -> Result<Option<String>> {
    optional(properties, "ResourcePolicy", |value, path| {
        let document = required(object(value, path)?, "PolicyDocument")?;
        Ok(match document {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    })
}

/// Attribute and whether it is on.
pub fn ttl(properties: &Properties) -> Result<Option<(String, bool)>> {
    optional(properties, "TimeToLiveSpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["Enabled", "AttributeName"])?;
        let enabled = boolean(required(map, "Enabled")?, "Enabled")?;
        let attribute = optional(map, "AttributeName", text)?.unwrap_or_default();
        Ok((attribute, enabled))
    })
}

/// Whether it is on, and for how many days back.
pub fn recovery(properties: &Properties) -> Result<Option<api::PointInTimeRecoverySpecification>> {
    optional(properties, "PointInTimeRecoverySpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["PointInTimeRecoveryEnabled", "RecoveryPeriodInDays"])?;
        let days = optional(map, "RecoveryPeriodInDays", integer)?;
        Ok(api::PointInTimeRecoverySpecification {
            point_in_time_recovery_enabled: optional(map, "PointInTimeRecoveryEnabled", boolean)?
                .unwrap_or(false),
            recovery_period_in_days: days.and_then(|days| i32::try_from(days).ok()),
        })
    })
}

pub fn billing(properties: &Properties) -> Result<Option<api::BillingMode>> {
    Ok(optional(properties, "BillingMode", text)?.map(|mode| mode.as_str().into()))
}

pub fn protected(properties: &Properties) -> Result<Option<bool>> {
    optional(properties, "DeletionProtectionEnabled", boolean)
}

pub fn class(properties: &Properties) -> Result<Option<api::TableClass>> {
    Ok(optional(properties, "TableClass", text)?.map(|class| class.as_str().into()))
}

pub fn create_input(properties: &Properties, name: String) -> Result<api::CreateTableInput> {
    Ok(api::CreateTableInput {
        table_name: name,
        attribute_definitions: optional(properties, "AttributeDefinitions", attribute_definitions)?,
        key_schema: Some(key_schema(required(properties, "KeySchema")?, "KeySchema")?),
        local_secondary_indexes: optional(properties, "LocalSecondaryIndexes", local_indexes)?
            .filter(|indexes| !indexes.is_empty()),
        global_secondary_indexes: optional(properties, "GlobalSecondaryIndexes", global_indexes)?
            .filter(|indexes| !indexes.is_empty()),
        billing_mode: billing(properties)?,
        provisioned_throughput: optional(properties, "ProvisionedThroughput", throughput)?,
        stream_specification: stream(properties)?,
        sse_specification: sse(properties)?,
        tags: Some(tags(properties)?),
        table_class: class(properties)?,
        deletion_protection_enabled: protected(properties)?,
        warm_throughput: optional(properties, "WarmThroughput", warm)?,
        resource_policy: policy(properties)?,
        on_demand_throughput: optional(properties, "OnDemandThroughput", on_demand)?,
        ..Default::default()
    })
}

/// Whether contributor insights are on, and what they count.
pub fn insights(properties: &Properties) -> Result<Option<(bool, Option<String>)>> {
    optional(properties, "ContributorInsightsSpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["Enabled", "Mode"])?;
        Ok((boolean(required(map, "Enabled")?, "Enabled")?, optional(map, "Mode", text)?))
    })
}

/// The same for each global index, by name.
pub fn index_insights(properties: &Properties) -> Result<Vec<(String, Properties)>> {
    let indexes = optional(properties, "GlobalSecondaryIndexes", |value, path| {
        all(value, path, |one| Ok((text(required(one, "IndexName")?, "IndexName")?, one.clone())))
    })?;
    Ok(indexes.unwrap_or_default())
}

/// The stream's ARN and the precision of times in its records.
pub fn kinesis(properties: &Properties) -> Result<Option<(String, Option<String>)>> {
    optional(properties, "KinesisStreamSpecification", |value, path| {
        let map = object(value, path)?;
        only(map, &["ApproximateCreationDateTimePrecision", "StreamArn"])?;
        let precision = optional(map, "ApproximateCreationDateTimePrecision", text)?;
        Ok((text(required(map, "StreamArn")?, "StreamArn")?, precision))
    })
}

/// The import that fills the new table.
pub fn import_input(
    properties: &Properties,
    table: &api::CreateTableInput,
    token: &str,
) -> Result<Option<api::ImportTableInput>> {
    let Some(source) = optional(properties, "ImportSourceSpecification", |value, path| {
        object(value, path).cloned()
    })?
    else {
        return Ok(None);
    };
    let known = ["InputCompressionType", "InputFormat", "InputFormatOptions", "S3BucketSource"];
    only(&source, &known)?;
    let bucket = object(required(&source, "S3BucketSource")?, "S3BucketSource")?;
    only(bucket, &["S3Bucket", "S3BucketOwner", "S3KeyPrefix"])?;
    let options = optional(&source, "InputFormatOptions", csv_options)?;
    let packing = optional(&source, "InputCompressionType", text)?;
    Ok(Some(api::ImportTableInput {
        client_token: Some(token.to_owned()),
        s3_bucket_source: api::S3BucketSource {
            s3_bucket: text(required(bucket, "S3Bucket")?, "S3Bucket")?,
            s3_bucket_owner: optional(bucket, "S3BucketOwner", text)?,
            s3_key_prefix: optional(bucket, "S3KeyPrefix", text)?,
        },
        input_format: text(required(&source, "InputFormat")?, "InputFormat")?.as_str().into(),
        input_format_options: options,
        input_compression_type: packing.map(|packing| packing.as_str().into()),
        table_creation_parameters: api::TableCreationParameters {
            table_name: table.table_name.clone(),
            attribute_definitions: table.attribute_definitions.clone().unwrap_or_default(),
            key_schema: table.key_schema.clone().unwrap_or_default(),
            billing_mode: table.billing_mode.clone(),
            provisioned_throughput: table.provisioned_throughput.clone(),
            on_demand_throughput: table.on_demand_throughput.clone(),
            sse_specification: table.sse_specification.clone(),
            global_secondary_indexes: table.global_secondary_indexes.clone(),
            vector_indexes: None,
        },
    }))
}

fn csv_options(value: &Value, path: &str) -> Result<api::InputFormatOptions> {
    let map = object(value, path)?;
    only(map, &["Csv"])?;
    let csv = optional(map, "Csv", |value, path| {
        let csv = object(value, path)?;
        only(csv, &["Delimiter", "HeaderList"])?;
        Ok(api::CsvOptions {
            delimiter: optional(csv, "Delimiter", text)?,
            header_list: optional(csv, "HeaderList", |value, path| {
                list(value, path)?.iter().map(|name| text(name, path)).collect()
            })?,
        })
    })?;
    Ok(api::InputFormatOptions { csv })
}

pub fn optional_throughput(properties: &Properties) -> Result<Option<api::ProvisionedThroughput>> {
    optional(properties, "ProvisionedThroughput", throughput)
}

pub fn optional_on_demand(properties: &Properties) -> Result<Option<api::OnDemandThroughput>> {
    optional(properties, "OnDemandThroughput", on_demand)
}

pub fn optional_warm(properties: &Properties) -> Result<Option<api::WarmThroughput>> {
    optional(properties, "WarmThroughput", warm)
}
