//! The properties of AWS::DynamoDB::GlobalTable in those of AWS::DynamoDB::Table, whose replica in
//! the stack's region it is. Capacity that scales by itself stays where it begins: the seed capacity,
//! or the least.
//! https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-globaltable.html

use serde_json::{Map, Value, json};
use sereno_base::Region;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::resource_properties::{self as properties, Properties};

/// What both types call the same.
const SAME: [&str; 9] = [
    "AttributeDefinitions",
    "BillingMode",
    "KeySchema",
    "LocalSecondaryIndexes",
    "SSESpecification",
    "StreamSpecification",
    "TableName",
    "TimeToLiveSpecification",
    "WarmThroughput",
];

/// What a replica says of itself in the words of the other type.
const OF_REPLICA: [&str; 7] = [
    "ContributorInsightsSpecification",
    "DeletionProtectionEnabled",
    "KinesisStreamSpecification",
    "PointInTimeRecoverySpecification",
    "ResourcePolicy",
    "TableClass",
    "Tags",
];

/// One region of the table.
pub struct Replica {
    pub region: Region,
    /// What concerns it alone.
    pub settings: Properties,
    pub key: Option<String>,
    whole: Properties,
}

/// Reads all replicas.
pub fn replicas(global: &Properties) -> Result<Vec<Replica>> {
    let list = global.get("Replicas").and_then(Value::as_array).cloned().unwrap_or_default();
    list.iter().map(replica).collect()
}

fn replica(value: &Value) -> Result<Replica> {
    let whole = properties::object(value, "Replicas")?.clone();
    let mut known = OF_REPLICA.to_vec();
    known.extend([
        "GlobalSecondaryIndexes",
        "ReadOnDemandThroughputSettings",
        "ReadProvisionedThroughputSettings",
        "Region",
        "ReplicaStreamSpecification",
        "SSESpecification",
    ]);
    properties::only(&whole, &known)?;
    let name = whole.get("Region").and_then(Value::as_str).unwrap_or_default();
    let region = Region::parse(name)
        .ok_or_else(|| errors::validation(format!("Invalid region of a replica: {name}")))?;
    let settings = whole.iter().filter(|(name, _)| OF_REPLICA.contains(&name.as_str()));
    let settings = settings.map(|(name, value)| (name.clone(), value.clone())).collect();
    let key = at(&whole, &["SSESpecification", "KMSMasterKeyId"]).and_then(Value::as_str);
    Ok(Replica { region, settings, key: key.map(str::to_owned), whole: whole.clone() })
}

/// The table of the stack's own region.
pub fn table(ctx: &Ctx, global: &Properties) -> Result<Properties> {
    let mut known = SAME.to_vec();
    known.extend([
        "GlobalSecondaryIndexes",
        "Replicas",
        "WriteOnDemandThroughputSettings",
        "WriteProvisionedThroughputSettings",
    ]);
    properties::only(global, &known)?;
    let replicas = replicas(global)?;
    let own = replicas.iter().find(|replica| replica.region == ctx.region()).ok_or_else(|| {
        errors::validation(format!(
            "Replicas must contain the region of the stack, {}",
            ctx.region().as_str()
        ))
    })?;
    let reads = |replica: &Replica| {
        (read_units(&replica.whole), replica.whole.get("ReadOnDemandThroughputSettings").cloned())
    };
    if replicas.iter().any(|replica| reads(replica) != reads(own)) {
        return Err(errors::unsupported("throughput of single replicas"));
    }
    let mut table: Properties = global
        .iter()
        .filter(|(name, _)| SAME.contains(&name.as_str()))
        .chain(&own.settings)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let (Some(key), Some(Value::Object(sse))) = (&own.key, table.get_mut("SSESpecification")) {
        sse.insert("KMSMasterKeyId".to_owned(), json!(key));
    }
    let policy = at(&own.whole, &["ReplicaStreamSpecification", "ResourcePolicy"]);
    if let (Some(policy), Some(Value::Object(stream))) =
        (policy, table.get_mut("StreamSpecification"))
    {
        stream.insert("ResourcePolicy".to_owned(), policy.clone());
    }
    capacity(&mut table, global, &own.whole);
    if let Some(Value::Array(indexes)) = global.get("GlobalSecondaryIndexes") {
        let indexes = indexes.iter().map(|one| index(one, &own.whole)).collect::<Result<_>>()?;
        table.insert("GlobalSecondaryIndexes".to_owned(), Value::Array(indexes));
    }
    Ok(table)
}

fn index(value: &Value, own: &Properties) -> Result<Value> {
    let global = properties::object(value, "GlobalSecondaryIndexes")?;
    let of_replica = own
        .get("GlobalSecondaryIndexes")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .find(|one| one.get("IndexName") == global.get("IndexName"))
        .cloned()
        .unwrap_or_default();
    let same = ["IndexName", "KeySchema", "Projection", "WarmThroughput"];
    let mut known = same.to_vec();
    known.extend([
        "ReadOnDemandThroughputSettings",
        "ReadProvisionedThroughputSettings",
        "WriteOnDemandThroughputSettings",
        "WriteProvisionedThroughputSettings",
    ]);
    properties::only(global, &known)?;
    let mut index: Properties = global
        .iter()
        .filter(|(name, _)| same.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(insights) = of_replica.get("ContributorInsightsSpecification") {
        index.insert("ContributorInsightsSpecification".to_owned(), insights.clone());
    }
    let reads = if read_units(&of_replica).is_some() { &of_replica } else { global };
    capacity(&mut index, global, reads);
    Ok(Value::Object(index))
}

/// Throughput of a table or an index: writes are said for all, reads by the replica.
fn capacity(table: &mut Properties, writes: &Properties, reads: &Properties) {
    if let Some(write) = write_units(writes) {
        // Without a word about reads, as few as a table can have.
        let read = read_units(reads).unwrap_or(json!(1));
        table.insert(
            "ProvisionedThroughput".to_owned(),
            json!({"ReadCapacityUnits": read, "WriteCapacityUnits": write}),
        );
    }
    let mut most = Map::new();
    let write = at(writes, &["WriteOnDemandThroughputSettings", "MaxWriteRequestUnits"]);
    let read = at(reads, &["ReadOnDemandThroughputSettings", "MaxReadRequestUnits"]);
    for (name, units) in [("MaxWriteRequestUnits", write), ("MaxReadRequestUnits", read)] {
        if let Some(units) = units {
            most.insert(name.to_owned(), units.clone());
        }
    }
    if !most.is_empty() {
        table.insert("OnDemandThroughput".to_owned(), Value::Object(most));
    }
}

fn write_units(map: &Properties) -> Option<Value> {
    let settings = map.get("WriteProvisionedThroughputSettings")?;
    scaling(settings.get("WriteCapacityAutoScalingSettings")?)
}

fn read_units(map: &Properties) -> Option<Value> {
    let settings = map.get("ReadProvisionedThroughputSettings")?;
    let fixed = settings.get("ReadCapacityUnits").cloned();
    fixed.or_else(|| scaling(settings.get("ReadCapacityAutoScalingSettings")?))
}

/// Where capacity that scales by itself begins.
fn scaling(settings: &Value) -> Option<Value> {
    settings.get("SeedCapacity").or(settings.get("MinCapacity")).cloned()
}

fn at<'a>(map: &'a Properties, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(map.get(*first)?, |value, name| value.get(name))
}
