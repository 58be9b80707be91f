//! Events that Lambda pulls: streams, queues, brokers. Each becomes an event source mapping, and
//! gives the function's role the right to read.

use super::{Event, Invoked, kafka};
use crate::fault::{Result, expect};
use crate::intrinsics::{is_intrinsic, join};
use crate::resource::Resource;
use crate::role::{allow, named, statement};
use crate::value::{Map, Value, list, map, repr};
use crate::world::World;

/// Kinds whose events Lambda can filter.
const FILTERED: [&str; 7] =
    ["DocumentDB", "DynamoDB", "Kinesis", "MQ", "MSK", "SelfManagedKafka", "SQS"];

/// Properties that the mapping takes as they are.
const SAME: [&str; 20] = [
    "StartingPosition",
    "StartingPositionTimestamp",
    "BatchSize",
    "Enabled",
    "MaximumBatchingWindowInSeconds",
    "MaximumRetryAttempts",
    "BisectBatchOnFunctionError",
    "MaximumRecordAgeInSeconds",
    "ParallelizationFactor",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "TumblingWindowInSeconds",
    "FunctionResponseTypes",
    "FilterCriteria",
    "KmsKeyArn",
    "ScalingConfig",
    "ProvisionedPollerConfig",
    "MetricsConfig",
    "LoggingConfig",
];

pub fn mapping(
    event: &Event,
    invoked: &Invoked,
    role: &mut Resource,
    world: &World<'_>,
) -> Result<Vec<Resource>> {
    let mut mapping = Resource::new("AWS::Lambda::EventSourceMapping", event.id())?
        .with_attributes(&invoked.inherited())
        .with("FunctionName", invoked.name())
        .with("EventSourceArn", source(event));
    mapping.copy(&event.source.properties, &SAME);
    check_filters(event)?;
    if event.at("KafkaBootstrapServers").truthy() {
        let servers = map! { "KafkaBootstrapServers" => event.at("KafkaBootstrapServers") };
        mapping.set("SelfManagedEventSource", map! { "Endpoints" => servers });
    }
    set_kafka_config(event, &mut mapping)?;
    let on_failure = on_failure(event, &mut mapping)?;
    if event.kind == "DocumentDB" {
        let mut config = map! { "DatabaseName" => event.at("DatabaseName") };
        for name in ["CollectionName", "FullDocument"] {
            if event.at(name).truthy() {
                config.set(name, event.at(name));
            }
        }
        mapping.set("DocumentDBEventSourceConfig", config);
    }
    let managed = managed_policy(event).map(|name| world.managed_policy_arn(name));
    let inline = match event.kind {
        "MSK" => kafka::msk_policy(event, world)?,
        "SelfManagedKafka" => kafka::self_managed_policy(event, world)?,
        "MQ" => Some(broker_policy(event)?),
        "DocumentDB" => Some(cluster_policy(event)?),
        _ => None,
    };
    attach(role, managed, inline.into_iter().chain(on_failure).collect());
    Ok(vec![mapping])
}

/// The ARN of what is read.
fn source(event: &Event) -> Value {
    let property = match event.kind {
        "SQS" => "Queue",
        "MQ" => "Broker",
        "DocumentDB" => "Cluster",
        _ => "Stream",
    };
    event.at(property).clone()
}

fn managed_policy(event: &Event) -> Option<&'static str> {
    match event.kind {
        "Kinesis" => Some("service-role/AWSLambdaKinesisExecutionRole"),
        "DynamoDB" => Some("service-role/AWSLambdaDynamoDBExecutionRole"),
        "SQS" => Some("service-role/AWSLambdaSQSQueueExecutionRole"),
        "MSK" => Some("service-role/AWSLambdaMSKExecutionRole"),
        _ => None,
    }
}

/// Gives a role policies that it does not have yet; one with the same document will do.
pub fn attach(role: &mut Resource, managed: Option<String>, inline: Vec<Value>) {
    if let Some(arn) = managed {
        let mut arns = role.at("ManagedPolicyArns").as_list().unwrap_or_default().to_vec();
        if !arns.iter().any(|present| present.as_str() == Some(&arn)) {
            arns.push(arn.into());
            role.set("ManagedPolicyArns", arns);
        }
    }
    for policy in inline {
        let mut policies = role.at("Policies").as_list().unwrap_or_default().to_vec();
        let document = policy.at("PolicyDocument");
        if !policies.iter().any(|present| present.at("PolicyDocument") == document) {
            policies.push(policy);
            role.set("Policies", policies);
        }
    }
}

fn check_filters(event: &Event) -> Result<()> {
    let criteria = event.at("FilterCriteria");
    if !criteria.truthy() || is_intrinsic(criteria) {
        return Ok(());
    }
    if !FILTERED.contains(&event.kind) {
        return Err(event.fault(format!(
            "FilterCriteria is only available for {} events.",
            FILTERED.join(", ")
        )));
    }
    let only_filters = criteria.as_map().is_some_and(|m| m.len() == 1 && m.contains("Filters"));
    if only_filters { Ok(()) } else { Err(event.fault("FilterCriteria field has a wrong format")) }
}

fn set_kafka_config(event: &Event, mapping: &mut Resource) -> Result<()> {
    let property = match event.kind {
        "MSK" => Some("AmazonManagedKafkaEventSourceConfig"),
        "SelfManagedKafka" => Some("SelfManagedKafkaEventSourceConfig"),
        _ => None,
    };
    let mut config = Map::new();
    if event.at("ConsumerGroupId").truthy() {
        if property.is_none() {
            return Err(event.fault_by_id(format!(
                "Property ConsumerGroupId not defined for resource of type {}.",
                event.kind
            )));
        }
        config.set("ConsumerGroupId", event.at("ConsumerGroupId"));
    }
    if event.at("SchemaRegistryConfig").truthy() {
        config.set("SchemaRegistryConfig", event.at("SchemaRegistryConfig"));
    }
    if let Some(property) = property.filter(|_| !config.is_empty()) {
        mapping.set(property, config);
    }
    Ok(())
}

/// Sets where failed events go; answers the policy that lets them.
fn on_failure(event: &Event, mapping: &mut Resource) -> Result<Option<Value>> {
    let config = event.at("DestinationConfig");
    if !config.truthy() {
        return Ok(None);
    }
    let id = event.id().as_str();
    let path = "DestinationConfig.OnFailure";
    let mut failure = expect(config.at("OnFailure"), id, path).in_event().map()?.clone();
    let kind = failure.at("Type").clone();
    let destination = failure.at("Destination").clone();
    let mut policy = None;
    if kind.truthy() {
        failure.remove("Type");
        policy = match kind.as_str() {
            Some("SQS") => Some(allow(id, "SQSPolicy", "sqs:SendMessage", &destination)),
            Some("SNS") => Some(allow(id, "SNSPolicy", "sns:publish", &destination)),
            Some("S3") => Some(to_bucket(id, &destination)),
            Some("Kafka") => None,
            _ => {
                return Err(event.fault_by_id(
                    "The only valid values for 'Type' are 'SQS', 'SNS', 'S3', and 'Kafka'",
                ));
            }
        };
    }
    let mut config = config.as_map().cloned().unwrap_or_default();
    config.set("OnFailure", failure);
    mapping.set("DestinationConfig", config);
    Ok(policy)
}

/// Lets events be put in a bucket.
pub fn to_bucket(id: &str, bucket: &Value) -> Value {
    let objects = join("/", list![bucket, "*"]);
    let statements = list![
        statement("s3:PutObject".into(), objects),
        statement("s3:ListBucket".into(), bucket),
    ];
    named(&format!("{id}S3Policy"), statements)
}

/// Lets a secret be read.
pub fn read_secret(secret: &Value) -> Map {
    statement(list!["secretsmanager:GetSecretValue"], secret)
}

/// What a network interface of the function in the source's network takes.
pub fn network_access() -> Map {
    let actions = list![
        "ec2:CreateNetworkInterface",
        "ec2:DescribeNetworkInterfaces",
        "ec2:DeleteNetworkInterface",
        "ec2:DescribeVpcs",
        "ec2:DescribeSubnets",
        "ec2:DescribeSecurityGroups",
    ];
    statement(actions, "*")
}

/// The key with which secrets are encrypted, as a resource of a policy.
pub fn secrets_key(event: &Event) -> Result<Option<Value>> {
    let key = event.at("SecretsManagerKmsKeyId");
    if !key.truthy() {
        return Ok(None);
    }
    let path = "SecretsManagerKmsKeyId";
    let key = expect(key, event.name.as_str(), path).in_event().string()?;
    Ok(Some(sub_arn("kms", &format!("key/{key}"))))
}

pub fn sub_arn(service: &str, resource: &str) -> Value {
    crate::intrinsics::sub(crate::world::arn("${AWS::Partition}", service, resource))
}

fn broker_policy(event: &Event) -> Result<Value> {
    let secret = access_secret(event, &["BASIC_AUTH", "VIRTUAL_HOST"])?;
    let mut statements = vec![
        read_secret(&secret).into(),
        statement(list!["mq:DescribeBroker"], event.at("Broker")).into(),
    ];
    if let Some(key) = secrets_key(event)? {
        statements.push(statement("kms:Decrypt".into(), key).into());
    }
    let name = if event.at("DynamicPolicyName").truthy() {
        format!("{}AMQPolicy", event.id())
    } else {
        "SamAutoGeneratedAMQPolicy".to_owned()
    };
    Ok(named(&name, statements.into()))
}

fn cluster_policy(event: &Event) -> Result<Value> {
    let secret = access_secret(event, &["BASIC_AUTH"])?;
    let mut statements: Vec<Value> = vec![
        read_secret(&secret).into(),
        statement(list!["rds:DescribeDBClusterParameters"], sub_arn("rds", "cluster-pg:*")).into(),
        statement(list!["rds:DescribeDBSubnetGroups"], sub_arn("rds", "subgrp:*")).into(),
        statement(list!["rds:DescribeDBClusters"], event.at("Cluster")).into(),
        network_access().into(),
    ];
    if let Some(key) = secrets_key(event)? {
        statements.push(statement(list!["kms:Decrypt"], key).into());
    }
    Ok(named("SamAutoGeneratedDocumentDBPolicy", statements.into()))
}

/// The secret of the one `BASIC_AUTH` among the access configurations.
fn access_secret(event: &Event, supported: &[&str]) -> Result<Value> {
    const WANTED: &str = "BASIC_AUTH";
    let configurations = event.at("SourceAccessConfigurations");
    if !configurations.truthy() {
        return Err(event.fault(format!(
            "No SourceAccessConfigurations for Amazon {} event provided.",
            event.kind
        )));
    }
    let Some(configurations) = configurations.as_list() else {
        return Err(
            event.fault("Provided SourceAccessConfigurations cannot be parsed into a list.")
        );
    };
    let mut found = Value::Null;
    for (index, configuration) in configurations.iter().enumerate() {
        let name = event.name.as_str();
        let path = format!("SourceAccessConfigurations[{index}]");
        expect(configuration, name, &path).in_event().map()?;
        let kind_path = format!("{path}.Type");
        let kind = expect(configuration.at("Type"), name, &kind_path).in_event().string()?;
        if !supported.contains(&kind) {
            let supported: Vec<Value> = supported.iter().map(|kind| (*kind).into()).collect();
            return Err(event.fault(format!(
                "Invalid property Type specified in SourceAccessConfigurations. The supported values are: {}.",
                repr(&supported.into())
            )));
        }
        if kind != WANTED {
            continue;
        }
        if found.truthy() {
            return Err(event.fault(format!(
                "Multiple {WANTED} properties specified in SourceAccessConfigurations."
            )));
        }
        found = configuration.at("URI").clone();
        if !found.truthy() {
            return Err(event.fault(format!(
                "No {WANTED} URI property specified in SourceAccessConfigurations."
            )));
        }
    }
    if found.truthy() {
        return Ok(found);
    }
    Err(event.fault(format!("No {WANTED} property specified in SourceAccessConfigurations.")))
}
