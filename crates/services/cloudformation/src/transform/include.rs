//! `AWS::Include`: the content of an object in S3, put beside what is there.

use serde_json::{Map, Value};
use sereno_kernel::Ctx;
use sereno_template::text;
use sereno_template::transforms::include_location;

use crate::source::{self, Location};

pub async fn run(
    ctx: &Ctx,
    parameters: &Map<String, Value>,
    mut fragment: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let failed = |why: &str| format!("Transform AWS::Include failed with: {why}");
    let location = include_location(parameters)
        .and_then(|text| s3_location(&text))
        .ok_or_else(|| failed("The location parameter is not a valid S3 uri."))?;
    let content = source::read(ctx, &location).await.map_err(|error| {
        // recorded: test_describe_failed_change_set
        if error.message().contains("bucket does not exist") {
            failed(&format!("S3 bucket [{}] does not exist.", location.bucket))
        } else {
            failed(error.message())
        }
    })?;
    match text::parse(&content).map_err(|error| failed(error.message()))? {
        Value::Object(content) => {
            fragment.extend(content);
            Ok(fragment)
        }
        _ => Err(failed("The specified S3 object's content should be valid Yaml/JSON")),
    }
}

fn s3_location(text: &str) -> Option<Location> {
    let (bucket, key) = text.strip_prefix("s3://")?.split_once('/')?;
    let whole = !bucket.is_empty() && !key.is_empty();
    whole.then(|| Location { bucket: bucket.to_owned(), key: key.to_owned(), version: None })
}
