//! Kinesis streaming destinations. This server has no Kinesis, so no stream exists: a destination
//! cannot be enabled, and what is said is what AWS says of a stream that is not there.
//! Recorded: LocalStack, test_kinesis_streaming_destination_crud.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Error, Result};

use crate::errors;
use crate::table::Engine;
use crate::tables;

pub async fn enable(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::EnableKinesisStreamingDestinationInput,
) -> Result<api::EnableKinesisStreamingDestinationOutput> {
    tables::find(&engine, &ctx, &input.table_name).await?;
    let arn = Arn::parse(&input.stream_arn).filter(|arn| arn.service == "kinesis");
    let arn =
        arn.ok_or_else(|| errors::validation(format!("Invalid StreamArn: {}", input.stream_arn)))?;
    let name = arn.resource.strip_prefix("stream/").unwrap_or(&arn.resource);
    Err(errors::resource_not_found(format!(
        "Stream {name} under account {} not found.",
        ctx.account()
    )))
}

pub async fn disable(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DisableKinesisStreamingDestinationInput,
) -> Result<api::DisableKinesisStreamingDestinationOutput> {
    let (target, _) = tables::find(&engine, &ctx, &input.table_name).await?;
    Err(no_destination(&target.name, &input.stream_arn))
}

pub async fn update(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::UpdateKinesisStreamingDestinationInput,
) -> Result<api::UpdateKinesisStreamingDestinationOutput> {
    let (target, _) = tables::find(&engine, &ctx, &input.table_name).await?;
    let wanted = input.update_kinesis_streaming_configuration.as_ref();
    if wanted.is_none_or(|wanted| wanted.approximate_creation_date_time_precision.is_none()) {
        return Err(errors::validation(
            "Streaming destination cannot be updated with given parameters: \
             UpdateKinesisStreamingConfiguration cannot be null or contain only null values",
        ));
    }
    Err(no_destination(&target.name, &input.stream_arn))
}

fn no_destination(table: &str, stream: &str) -> Error {
    errors::validation(format!(
        "Table is not in a valid state to enable Kinesis Streaming Destination: No streaming \
         destination with streamArn: {stream} found for table with tableName: {table}"
    ))
}

pub async fn describe(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeKinesisStreamingDestinationInput,
) -> Result<api::DescribeKinesisStreamingDestinationOutput> {
    let (target, _) = tables::find(&engine, &ctx, &input.table_name).await?;
    Ok(api::DescribeKinesisStreamingDestinationOutput {
        table_name: Some(target.name),
        kinesis_data_stream_destinations: Some(Vec::new()),
    })
}
