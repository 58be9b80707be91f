//! `AWS::CloudFormation::Stack`: a stack that is a resource of another.
//!
//! The child is found again by its name, which is the same for every try of one creation.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sereno_kernel::{Access, Ctx, Error, ResourceState};
use sereno_template::parameters::Given;
use sereno_template::resolve::text_of;

use super::stack_uuid;
use crate::engine::{Deed, Order};
use crate::errors;
use crate::source;
use crate::stack;
use crate::state::{STACKS, StackRecord, TagRecord};

/// What a parent asks of its child.
pub struct Child {
    pub name: String,
    pub parent: StackRecord,
    pub body: String,
    pub given: Vec<(String, Given)>,
    pub tags: Vec<TagRecord>,
    pub timeout_minutes: Option<i32>,
    pub token: String,
}

pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    match order.deed {
        Deed::Create => create(order).await,
        Deed::Update => update(order).await,
        Deed::Delete => delete(order).await,
    }
}

async fn create(order: &Order) -> Result<ResourceState, Error> {
    let ctx = &order.actor;
    let name = &order.request.suggested_name;
    authorise(ctx, "cloudformation:CreateStack", name).await?;
    let found = stack::by_name(ctx, name).await?;
    let child = match found.filter(|it| it.parent_arn.as_deref() == Some(&order.request.stack_id)) {
        Some(child) => child,
        None => stack::create_nested(ctx, child_of(order).await?).await?,
    };
    order.tell_early(&child.arn);
    let child = ended(&order.ctx, &child.id).await?;
    if child.status == "CREATE_COMPLETE" {
        return Ok(state(&child));
    }
    Err(not_successfully(&child, "created"))
}

async fn update(order: &Order) -> Result<ResourceState, Error> {
    let ctx = &order.actor;
    let id = stack_uuid(&order.request.physical_id);
    let before = ended(&order.ctx, id).await?;
    authorise(ctx, "cloudformation:UpdateStack", &before.name).await?;
    let mut child = child_of(order).await?;
    child.name.clone_from(&before.name);
    match stack::update_nested(ctx, &before, child).await {
        Ok(()) => {}
        Err(error) if error.message() == errors::nothing_to_update().message() => {
            return Ok(state(&before));
        }
        Err(error) => return Err(error),
    }
    let child = ended(&order.ctx, id).await?;
    if child.status == "UPDATE_COMPLETE" {
        return Ok(state(&child));
    }
    Err(not_successfully(&child, "updated"))
}

async fn delete(order: &Order) -> Result<ResourceState, Error> {
    let id = stack_uuid(&order.request.physical_id);
    let Some(child) = STACKS.get(order.ctx.store(), order.ctx.scope(), id).await? else {
        return Ok(ResourceState::default());
    };
    if !child.is_deleted() {
        authorise(&order.actor, "cloudformation:DeleteStack", &child.name).await?;
        stack::delete_nested(&order.actor, &child).await?;
    }
    let child = ended(&order.ctx, id).await?;
    if child.is_deleted() {
        return Ok(ResourceState::default());
    }
    Err(not_successfully(&child, "deleted"))
}

async fn authorise(ctx: &Ctx, action: &'static str, name: &str) -> Result<(), Error> {
    let arn = ctx.arn("cloudformation", &format!("stack/{name}/*"));
    ctx.authorise("cloudformation", &Access::new(action, arn)).await
}

/// Waits until nothing is under way.
async fn ended(ctx: &Ctx, id: &str) -> Result<StackRecord, Error> {
    loop {
        let changed = ctx.store().watch(&[STACKS.key(ctx.scope(), id)]);
        let stack = STACKS.get(ctx.store(), ctx.scope(), id).await?;
        let stack = stack.ok_or_else(|| errors::no_stack_with_id(id))?;
        if !stack.is_busy() {
            return Ok(stack);
        }
        changed.await;
    }
}

fn state(child: &StackRecord) -> ResourceState {
    let outputs = child.outputs.iter();
    let attributes: Map<String, Value> =
        outputs.map(|it| (format!("Outputs.{}", it.key), it.value.clone().into())).collect();
    ResourceState { physical_id: child.arn.clone(), attributes }
}

fn not_successfully(child: &StackRecord, what: &str) -> Error {
    let reason = child.status_reason.as_deref().unwrap_or_default();
    errors::validation(format!(
        "Embedded stack {} was not successfully {what}: {reason}",
        child.arn
    ))
}

async fn child_of(order: &Order) -> Result<Child, Error> {
    let (ctx, request) = (&order.actor, &order.request);
    let properties = &request.properties;
    let known = ["NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"];
    if let Some(other) = properties.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(errors::validation(format!("Encountered unsupported property {other}")));
    }
    if properties.get("NotificationARNs").and_then(Value::as_array).is_some_and(|it| !it.is_empty())
    {
        return Err(errors::unsupported("NotificationARNs"));
    }
    let url = properties.get("TemplateURL").and_then(Value::as_str);
    let url = url.ok_or_else(|| errors::validation("Property TemplateURL cannot be empty."))?;
    let location = source::location(ctx, url)?;
    let body = source::read(ctx, &location).await?;
    let empty = Map::new();
    let parameters = properties.get("Parameters").and_then(Value::as_object).unwrap_or(&empty);
    let given = parameters.iter().map(|(name, value)| {
        let text = match value {
            // A list becomes the text that a CommaDelimitedList is given as.
            Value::Array(items) => items.iter().filter_map(text_of).collect::<Vec<_>>().join(","),
            other => text_of(other).unwrap_or_default(),
        };
        (name.clone(), Given::Value(text))
    });
    let parent_id = stack_uuid(&request.stack_id);
    let parent = STACKS.get(ctx.store(), ctx.scope(), parent_id).await?;
    Ok(Child {
        name: request.suggested_name.clone(),
        parent: parent.ok_or_else(|| errors::no_stack_with_id(&request.stack_id))?,
        body,
        given: given.collect(),
        tags: tags(order),
        timeout_minutes: properties
            .get("TimeoutInMinutes")
            .and_then(text_of)
            .and_then(|text| text.parse().ok()),
        token: request.token.clone(),
    })
}

/// The parent's tags and the resource's own, which win.
fn tags(order: &Order) -> Vec<TagRecord> {
    let inherited = order.request.tags.iter().filter(|(key, _)| !key.starts_with("aws:"));
    let mut tags: BTreeMap<String, String> = inherited.cloned().collect();
    let own = order.request.properties.get("Tags").and_then(Value::as_array);
    for tag in own.into_iter().flatten() {
        if let (Some(key), Some(value)) = (tag["Key"].as_str(), text_of(&tag["Value"])) {
            tags.insert(key.to_owned(), value);
        }
    }
    tags.into_iter().map(|(key, value)| TagRecord { key, value }).collect()
}
