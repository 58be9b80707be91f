//! Resource policies and CloudFormation's types.

use serde_json::{Value, json};
use sereno_kernel::{Ctx, ResourceRequest, ResourceType};

use crate::{GROUP, House, group, house};

fn policy(resource: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": ["events.amazonaws.com"]},
        "Action": ["logs:PutLogEvents", "logs:CreateLogStream"], "Resource": resource,
    }]})
    .to_string()
}

async fn put_as(ctx: &Ctx) -> Result<Value, String> {
    let event = json!({"timestamp": ctx.now().millis(), "message": "m"});
    let input = group(json!({"logStreamName": "a", "logEvents": [event]}));
    ctx.call_json("logs", "PutLogEvents", &input).await.map_err(|error| error.code().to_owned())
}

#[tokio::test]
async fn a_service_may_write_what_a_policy_lets_it() {
    let house = house().await;
    let service = house.cloud.ctx().as_service("events.amazonaws.com", None);
    assert!(put_as(&service).await.is_err());
    let arn = format!("{}:*", crate::GROUP_ARN);
    let input =
        |name: &str, document: String| json!({"policyName": name, "policyDocument": document});
    house.ok("PutResourcePolicy", input("one", policy(&arn))).await;
    house.ok("PutResourcePolicy", input("two", policy("log_arn"))).await;
    assert!(put_as(&service).await.is_ok());
    let found = house.ok("DescribeResourcePolicies", json!({})).await;
    assert_eq!(found["resourcePolicies"][0]["policyScope"], "ACCOUNT");
    assert_eq!(found["resourcePolicies"][1]["policyDocument"], policy("log_arn"));
    house.ok("DeleteResourcePolicy", json!({"policyName": "one"})).await;
    assert!(put_as(&service).await.is_err());
    let found = house.err("DeleteResourcePolicy", json!({"policyName": "one"})).await;
    assert_eq!(found.1, "Policy with name [one] does not exist.");
    for n in 0..9 {
        house.ok("PutResourcePolicy", input(&format!("p{n}"), policy(GROUP))).await;
    }
    let found = house.err("PutResourcePolicy", input("many", policy(GROUP))).await;
    assert_eq!(found, ("LimitExceededException".into(), "Resource limit exceeded.".into()));
}

fn request(logical_id: &str, properties: Value) -> ResourceRequest {
    ResourceRequest {
        stack_id: "stack-id".into(),
        logical_id: logical_id.into(),
        properties: properties.as_object().unwrap().clone(),
        suggested_name: format!("stack-{logical_id}-ABCDEF123456"),
        tags: vec![
            ("aws:cloudformation:stack-id".into(), "stack-id".into()),
            ("aws:cloudformation:logical-id".into(), logical_id.into()),
        ],
        token: format!("token-{logical_id}"),
        ..Default::default()
    }
}

impl House {
    fn kind(&self, kind: &str) -> &ResourceType {
        self.cloud.cloud().resource_type(kind).unwrap()
    }
}

#[tokio::test]
async fn a_group_of_a_stack() {
    let house = house().await;
    let kind = house.kind("AWS::Logs::LogGroup");
    let mut of_stack =
        request("G", json!({"RetentionInDays": "7", "Tags": [{"Key": "k", "Value": "v"}]}));
    let made = kind.run_create(house.cloud.ctx(), of_stack.clone()).await.unwrap();
    // After a crash the same try adopts what it made.
    assert_eq!(kind.run_create(house.cloud.ctx(), of_stack.clone()).await.unwrap(), made);
    assert_eq!(made.physical_id, "stack-G-ABCDEF123456");
    let arn = "arn:aws:logs:us-east-1:000000000000:log-group:stack-G-ABCDEF123456:*";
    assert_eq!(made.attributes["Arn"], arn);
    let group = || house.ok("DescribeLogGroups", json!({"logGroupNamePrefix": "stack"}));
    assert_eq!(group().await["logGroups"][0]["retentionInDays"], 7);
    of_stack.physical_id.clone_from(&made.physical_id);
    of_stack.previous = std::mem::take(&mut of_stack.properties);
    kind.run_update(house.cloud.ctx(), of_stack.clone()).await.unwrap();
    assert!(group().await["logGroups"][0].get("retentionInDays").is_none());
    let tags = house.ok("ListTagsLogGroup", json!({"logGroupName": made.physical_id})).await;
    assert!(tags["tags"].get("k").is_none());
    for _ in 0..2 {
        kind.run_delete(house.cloud.ctx(), of_stack.clone()).await.unwrap();
    }
    assert_eq!(group().await["logGroups"], json!([]));
    let taken = request("G", json!({"LogGroupName": GROUP}));
    assert!(kind.run_create(house.cloud.ctx(), taken).await.is_err());
}

#[tokio::test]
async fn a_stream_of_a_stack() {
    let house = house().await;
    let kind = house.kind("AWS::Logs::LogStream");
    let mut of_stack = request("S", json!({"LogGroupName": GROUP}));
    for _ in 0..2 {
        let made = kind.run_create(house.cloud.ctx(), of_stack.clone()).await.unwrap();
        of_stack.physical_id = made.physical_id;
    }
    let taken = request("S", json!({"LogGroupName": GROUP, "LogStreamName": "a"}));
    assert!(kind.run_create(house.cloud.ctx(), taken).await.is_err());
    for _ in 0..2 {
        kind.run_delete(house.cloud.ctx(), of_stack.clone()).await.unwrap();
    }
}
