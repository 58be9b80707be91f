//! Custom resources: a function of the user's does the work and reports to an address.
//!
//! Events and sentences as documented: <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>

use std::time::Duration;

use serde_json::{Map, Value, json};
use sereno_api_lambda::{InvocationType, Invoke, InvokeInput};
use sereno_kernel::{Error, ResourceState};
use sereno_template::resolve::text_of;

use super::stack_uuid;
use crate::callback;
use crate::engine::{Deed, Order};
use crate::errors;
use crate::state::CallbackRecord;

const TIMEOUT_S: u64 = 3600;

pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    let (ctx, request) = (&order.ctx, &order.request);
    let token = callback::token(ctx, &request.token);
    let record = CallbackRecord {
        stack_id: stack_uuid(&request.stack_id).to_owned(),
        logical_id: request.logical_id.clone(),
        created_ms: ctx.now().millis(),
        request_id: request.token.clone(),
        ..Default::default()
    };
    callback::open(ctx, &token, &record).await?;
    // After a crash the function may be asked twice, with the same RequestId: AWS promises no less.
    if callback::answers(ctx, &token).await?.is_empty() {
        ask(order, &callback::url(ctx, &token, false)).await?;
    }
    let answer = wait(order, &token).await;
    callback::close(ctx, &token).await?;
    state(order, &answer?)
}

async fn ask(order: &Order, url: &str) -> Result<(), Error> {
    let request = &order.request;
    let service_token = request.properties.get("ServiceToken").and_then(Value::as_str);
    let function = service_token.filter(|it| it.contains(":lambda:") && it.contains(":function:"));
    let Some(function) = function else {
        return Err(match service_token {
            Some(other) => {
                errors::unsupported(&format!("ServiceToken {other}; only functions are served; it"))
            }
            None => errors::validation("Value of property ServiceToken must be a string."),
        });
    };
    let mut event = json!({
        "RequestType": match order.deed {
            Deed::Create => "Create",
            Deed::Update => "Update",
            Deed::Delete => "Delete",
        },
        "ServiceToken": function,
        "ResponseURL": url,
        "StackId": request.stack_id,
        "RequestId": request.token,
        "LogicalResourceId": request.logical_id,
        "ResourceType": order.type_name,
        "ResourceProperties": texts(&request.properties),
    });
    if order.deed != Deed::Create {
        event["PhysicalResourceId"] = request.physical_id.clone().into();
    }
    if order.deed == Deed::Update {
        event["OldResourceProperties"] = texts(&request.previous);
    }
    let input = InvokeInput {
        function_name: function.to_owned(),
        invocation_type: Some(InvocationType::Event),
        payload: Some(event.to_string().into()),
        ..Default::default()
    };
    order.actor.call::<Invoke>(input).await?;
    Ok(())
}

/// Functions get every scalar as text.
fn texts(properties: &Map<String, Value>) -> Value {
    fn text(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(text).collect(),
            Value::Object(map) => texts(map),
            other => text_of(other).map_or(Value::Null, Value::String),
        }
    }
    Value::Object(properties.iter().map(|(key, value)| (key.clone(), text(value))).collect())
}

async fn wait(order: &Order, token: &str) -> Result<Value, Error> {
    let seconds = order.request.properties.get("ServiceTimeout").and_then(text_of);
    let seconds = seconds.and_then(|text| text.trim().parse().ok()).unwrap_or(TIMEOUT_S);
    let until = order.ctx.now().plus(Duration::from_secs(seconds.min(TIMEOUT_S)));
    loop {
        let changed = order.ctx.store().watch(&[callback::watch_key(token)]);
        if let Some((_, answer)) = callback::answers(&order.ctx, token).await?.into_iter().next() {
            return serde_json::from_str(&answer.body).map_err(|_| {
                errors::validation("Invalid response from custom resource: it is not valid JSON.")
            });
        }
        if order.ctx.now() >= until {
            return Err(errors::validation(format!(
                "CloudFormation did not receive a response from your Custom Resource. Please check your logs for \
                 requestId [{}]. If you are using the Python cfn-response module, you may need to update your Lambda \
                 function code so that CloudFormation can attach the updated version.",
                order.request.token
            )));
        }
        tokio::select! {
            () = changed => {}
            () = order.ctx.cloud().clock().sleep_until(until) => {}
        }
    }
}

fn state(order: &Order, answer: &Value) -> Result<ResourceState, Error> {
    let physical_id = answer["PhysicalResourceId"].as_str().unwrap_or_default();
    if answer["Status"].as_str() != Some("SUCCESS") {
        if order.deed == Deed::Create && !physical_id.is_empty() {
            order.tell_early(physical_id);
        }
        let reason = answer["Reason"].as_str().unwrap_or("No reason was given");
        return Err(errors::validation(format!(
            "Received response status [{}] from custom resource. Message returned: {reason} (RequestId: {})",
            answer["Status"].as_str().unwrap_or("FAILED"),
            order.request.token
        )));
    }
    if order.deed == Deed::Delete {
        return Ok(ResourceState::default());
    }
    if physical_id.is_empty() {
        return Err(errors::validation("Invalid PhysicalResourceId"));
    }
    let mut state = ResourceState::new(physical_id);
    if let Value::Object(data) = &answer["Data"] {
        state.attributes = data.clone();
    }
    Ok(state)
}
