//! The properties of every kind of event.

use crate::schema::{Is, Prop, Schema, opt, pass, pass_req, req, strict, strict_req};

/// Kinds that a function may have.
pub static OF_FUNCTIONS: &[&Schema] = &[
    &SCHEDULE,
    &CLOUD_WATCH_EVENT,
    &EVENT_BRIDGE_RULE,
    &S3,
    &SNS,
    &API,
    &ALEXA_SKILL,
    &IOT_RULE,
    &COGNITO,
    &HTTP_API,
    &CLOUD_WATCH_LOGS,
    &SCHEDULE_V2,
    &KINESIS,
    &DYNAMO_DB,
    &SQS,
    &MSK,
    &MQ,
    &SELF_MANAGED_KAFKA,
    &DOCUMENT_DB,
];

/// Kinds that a state machine may have.
pub static OF_STATE_MACHINES: &[&Schema] = &[
    &MACHINE_SCHEDULE,
    &MACHINE_CLOUD_WATCH_EVENT,
    &MACHINE_EVENT_BRIDGE_RULE,
    &MACHINE_API,
    &SCHEDULE_V2,
];

static SCHEDULE: Schema = Schema {
    kind: "Schedule",
    props: &[&[
        req("Schedule", Is::Str),
        opt("RuleName", Is::Str),
        opt("Input", Is::Str),
        opt("Enabled", Is::Bool),
        opt("State", Is::Str),
        opt("Name", Is::Str),
        opt("Description", Is::Str),
        opt("DeadLetterConfig", Is::Map),
        opt("RetryPolicy", Is::Map),
    ]],
};

const RULE: &[Prop] = &[
    opt("EventBusName", Is::Str),
    opt("RuleName", Is::Str),
    opt("Pattern", Is::Map),
    opt("DeadLetterConfig", Is::Map),
    opt("RetryPolicy", Is::Map),
    opt("Input", Is::Str),
    opt("InputPath", Is::Str),
    opt("Target", Is::Map),
    opt("Enabled", Is::Bool),
    opt("State", Is::Str),
    opt("InputTransformer", Is::Map),
];

static CLOUD_WATCH_EVENT: Schema = Schema { kind: "CloudWatchEvent", props: &[RULE] };
static EVENT_BRIDGE_RULE: Schema = Schema { kind: "EventBridgeRule", props: &[RULE] };

static S3: Schema = Schema {
    kind: "S3",
    props: &[&[
        req("Bucket", Is::Str),
        strict_req("Events", Is::StrOrStrs),
        opt("Filter", Is::MapOfStr),
    ]],
};

static SNS: Schema = Schema {
    kind: "SNS",
    props: &[&[
        req("Topic", Is::Str),
        opt("Region", Is::Str),
        pass("FilterPolicy"),
        pass("FilterPolicyScope"),
        opt("SqsSubscription", Is::BoolOrMap),
        opt("RedrivePolicy", Is::Map),
    ]],
};

static API: Schema = Schema {
    kind: "Api",
    props: &[&[
        req("Path", Is::Str),
        req("Method", Is::Str),
        req("RestApiId", Is::Str),
        opt("Stage", Is::Str),
        opt("Auth", Is::Map),
        opt("RequestModel", Is::Map),
        opt("RequestParameters", Is::List),
        opt("TimeoutInMillis", Is::Int),
        opt("ResponseTransferMode", Is::Str),
    ]],
};

static ALEXA_SKILL: Schema = Schema { kind: "AlexaSkill", props: &[&[opt("SkillId", Is::Str)]] };

static IOT_RULE: Schema =
    Schema { kind: "IoTRule", props: &[&[req("Sql", Is::Str), opt("AwsIotSqlVersion", Is::Str)]] };

static COGNITO: Schema = Schema {
    kind: "Cognito",
    props: &[&[req("UserPool", Is::Str), strict_req("Trigger", Is::StrOrStrs)]],
};

static HTTP_API: Schema = Schema {
    kind: "HttpApi",
    props: &[&[
        opt("Path", Is::Str),
        opt("Method", Is::Str),
        opt("ApiId", Is::Str),
        opt("Stage", Is::Str),
        opt("Auth", Is::Map),
        opt("TimeoutInMillis", Is::Int),
        opt("RouteSettings", Is::Map),
        opt("PayloadFormatVersion", Is::Str),
    ]],
};

static CLOUD_WATCH_LOGS: Schema = Schema {
    kind: "CloudWatchLogs",
    props: &[&[req("LogGroupName", Is::Str), req("FilterPattern", Is::Str)]],
};

pub static SCHEDULE_V2: Schema = Schema {
    kind: "ScheduleV2",
    props: &[&[
        opt("PermissionsBoundary", Is::Str),
        req("ScheduleExpression", Is::Str),
        opt("FlexibleTimeWindow", Is::Map),
        opt("Name", Is::Str),
        opt("State", Is::Str),
        opt("Description", Is::Str),
        opt("StartDate", Is::Str),
        opt("EndDate", Is::Str),
        opt("ScheduleExpressionTimezone", Is::Str),
        opt("GroupName", Is::Str),
        opt("KmsKeyArn", Is::Str),
        opt("Input", Is::Str),
        opt("RoleArn", Is::Str),
        opt("DeadLetterConfig", Is::Map),
        opt("RetryPolicy", Is::Map),
        strict("OmitName", Is::Bool),
    ]],
};

/// What every event source mapping takes.
const PULL: &[Prop] = &[
    opt("BatchSize", Is::Int),
    pass("StartingPosition"),
    pass("StartingPositionTimestamp"),
    opt("Enabled", Is::Bool),
    opt("MaximumBatchingWindowInSeconds", Is::Int),
    opt("MaximumRetryAttempts", Is::Int),
    opt("BisectBatchOnFunctionError", Is::Bool),
    opt("MaximumRecordAgeInSeconds", Is::Int),
    opt("DestinationConfig", Is::Map),
    opt("ParallelizationFactor", Is::Int),
    opt("Topics", Is::List),
    opt("Queues", Is::List),
    opt("SourceAccessConfigurations", Is::List),
    opt("SecretsManagerKmsKeyId", Is::Str),
    opt("TumblingWindowInSeconds", Is::Int),
    opt("FunctionResponseTypes", Is::List),
    opt("KafkaBootstrapServers", Is::List),
    opt("FilterCriteria", Is::Map),
    pass("KmsKeyArn"),
    opt("ConsumerGroupId", Is::Str),
    opt("ScalingConfig", Is::Map),
    opt("ProvisionedPollerConfig", Is::Map),
    opt("SchemaRegistryConfig", Is::Map),
    opt("MetricsConfig", Is::Map),
    opt("LoggingConfig", Is::Map),
];

/// As [`PULL`], for streams, which must be told where to start.
const STREAM: &[Prop] = &[pass_req("StartingPosition"), pass_req("Stream")];

static KINESIS: Schema = Schema { kind: "Kinesis", props: &[PULL, STREAM] };
static DYNAMO_DB: Schema = Schema { kind: "DynamoDB", props: &[PULL, STREAM] };
static MSK: Schema = Schema { kind: "MSK", props: &[PULL, STREAM] };
static SQS: Schema = Schema { kind: "SQS", props: &[PULL, &[pass_req("Queue")]] };
static MQ: Schema = Schema {
    kind: "MQ",
    props: &[PULL, &[pass_req("Broker"), strict("DynamicPolicyName", Is::Bool)]],
};
static SELF_MANAGED_KAFKA: Schema = Schema { kind: "SelfManagedKafka", props: &[PULL] };
static DOCUMENT_DB: Schema = Schema {
    kind: "DocumentDB",
    props: &[
        PULL,
        &[
            pass_req("Cluster"),
            pass_req("DatabaseName"),
            pass("CollectionName"),
            pass("FullDocument"),
        ],
    ],
};

static MACHINE_SCHEDULE: Schema = Schema {
    kind: "Schedule",
    props: &[&[
        req("Schedule", Is::Str),
        opt("Input", Is::Str),
        opt("Enabled", Is::Bool),
        opt("State", Is::Str),
        opt("Name", Is::Str),
        opt("Description", Is::Str),
        opt("DeadLetterConfig", Is::Map),
        opt("RetryPolicy", Is::Map),
        strict("Target", Is::Map),
        strict("RoleArn", Is::Str),
    ]],
};

const MACHINE_RULE: &[Prop] = &[
    opt("EventBusName", Is::Str),
    opt("RuleName", Is::Str),
    opt("Pattern", Is::Map),
    opt("Input", Is::Str),
    opt("InputPath", Is::Str),
    opt("DeadLetterConfig", Is::Map),
    opt("RetryPolicy", Is::Map),
    opt("State", Is::Str),
    strict("Target", Is::Map),
    opt("InputTransformer", Is::Map),
];

static MACHINE_CLOUD_WATCH_EVENT: Schema =
    Schema { kind: "CloudWatchEvent", props: &[MACHINE_RULE] };
static MACHINE_EVENT_BRIDGE_RULE: Schema =
    Schema { kind: "EventBridgeRule", props: &[MACHINE_RULE] };

static MACHINE_API: Schema = Schema {
    kind: "Api",
    props: &[&[
        req("Path", Is::Str),
        req("Method", Is::Str),
        req("RestApiId", Is::Str),
        opt("Stage", Is::Str),
        opt("Auth", Is::Map),
        strict("UnescapeMappingTemplate", Is::Bool),
    ]],
};
