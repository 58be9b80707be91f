//! S3 notifications. They are a property of the bucket, so the bucket itself is edited.

use super::{Event, Invoked};
use crate::fault::{Fault, Result, expect};
use crate::intrinsics::{if_else, reference, when};
use crate::resource::{Resource, Source};
use crate::schema::{Is, Prop, Schema, opt};
use crate::tags;
use crate::value::{Map, Text, Value, map};
use crate::world::World;

const fn any(name: &'static str) -> Prop {
    opt(name, Is::Any)
}

static BUCKET: Schema = Schema {
    kind: "AWS::S3::Bucket",
    props: &[&[
        any("AccessControl"),
        any("AccelerateConfiguration"),
        any("AnalyticsConfigurations"),
        any("BucketEncryption"),
        any("BucketName"),
        any("CorsConfiguration"),
        any("IntelligentTieringConfigurations"),
        any("InventoryConfigurations"),
        any("LifecycleConfiguration"),
        any("LoggingConfiguration"),
        any("MetricsConfigurations"),
        any("NotificationConfiguration"),
        any("ObjectLockConfiguration"),
        any("ObjectLockEnabled"),
        any("OwnershipControls"),
        any("PublicAccessBlockConfiguration"),
        any("ReplicationConfiguration"),
        any("Tags"),
        any("VersioningConfiguration"),
        any("WebsiteConfiguration"),
    ]],
};

/// The bucket of the event, which must be in the template.
pub fn check_link(event: &Event, world: &World<'_>) -> Result<()> {
    bucket_id(event, world).map(|_| ())
}

fn bucket_id(event: &Event, world: &World<'_>) -> Result<Text> {
    let not_here = "S3 events must reference an S3 bucket in the same template.";
    let Some(id) = event.at("Bucket").as_map().and_then(|bucket| bucket.get("Ref")) else {
        return Err(event.fault(not_here));
    };
    let Some(id) = id.as_text() else {
        return Err(event.fault("'Ref' value in S3 events is not a valid string."));
    };
    if world.resources.contains(id.as_str()) { Ok(id.clone()) } else { Err(event.fault(not_here)) }
}

pub fn notification(
    event: &Event,
    invoked: &Invoked,
    world: &mut World<'_>,
) -> Result<Vec<Resource>> {
    let bucket_id = bucket_id(event, world)?;
    let permission = event
        .permission(invoked, "s3.amazonaws.com")?
        .with("SourceAccount", reference("AWS::AccountId"));
    let mut bucket = world.resources.at(bucket_id.as_str()).as_map().cloned().unwrap_or_default();
    if permission.attributes.contains("Condition") {
        depend_by_tag(&mut bucket, &bucket_id, &permission)?;
    } else {
        depend(event, &mut bucket, &permission)?;
    }
    configure(event, invoked, &bucket_id, &mut bucket)?;
    let bucket = Value::from(bucket);
    world.resources.set(&bucket_id, &bucket);
    Ok(vec![permission, edited(&bucket_id, &bucket, &BUCKET)?])
}

/// An edited resource of the template, as one to put out.
pub fn edited(id: &Text, resource: &Value, schema: &'static Schema) -> Result<Resource> {
    let source = Source::read(id, resource, schema, |_| Ok(()))?;
    let mut edited = Resource::new(schema.kind, id)?
        .with_attributes(&source.attributes)
        .depending_on(source.depends_on);
    edited.properties = source.properties;
    Ok(edited)
}

/// S3 checks that it may invoke the function, so the permission must be there before the bucket.
fn depend(event: &Event, bucket: &mut Map, permission: &Resource) -> Result<()> {
    let mut all = match bucket.get("DependsOn") {
        None => Vec::new(),
        Some(Value::List(ids)) if !ids.iter().any(|id| id.is_map() || id.is_list()) => ids.clone(),
        Some(id @ Value::Str(_)) => vec![id.clone()],
        Some(_) => {
            return Err(Fault::resource(
                event.id(),
                "Invalid type for field 'DependsOn'. Expected a string or list of strings.",
            ));
        }
    };
    let id = Value::from(&permission.id);
    if !all.contains(&id) {
        all.push(id);
    }
    bucket.set("DependsOn", all);
    Ok(())
}

/// `DependsOn` cannot name a resource that may not be there; a tag that refers to it can.
fn depend_by_tag(bucket: &mut Map, id: &Text, permission: &Resource) -> Result<()> {
    let properties = bucket.entry("Properties", Map::new());
    if properties.is_null() {
        *properties = Map::new().into();
    }
    let Some(properties) = properties.as_map_mut() else { return Ok(()) };
    let present = properties.at("Tags").clone();
    let mut all = match &present {
        Value::Null => Vec::new(),
        tags => expect(tags, id.as_str(), "Tags").list()?.to_vec(),
    };
    let condition = permission.attributes.at("Condition");
    let depends = if_else(condition, permission.reference(), "no dependency".into());
    let key = format!("sam:ConditionalDependsOn:{}", permission.id);
    all.extend(tags::list(&map! { key => depends }.into()));
    properties.set("Tags", all);
    Ok(())
}

fn configure(event: &Event, invoked: &Invoked, id: &Text, bucket: &mut Map) -> Result<()> {
    let mut base = map! { "Function" => invoked.arn() };
    if !event.at("Filter").is_null() {
        base.set("Filter", event.at("Filter"));
    }
    let kinds = match event.at("Events") {
        Value::List(kinds) => kinds.clone(),
        kind => vec![kind.clone()],
    };
    let properties = bucket.entry("Properties", Map::new());
    expect(properties, id.as_str(), "").map_or("Properties should be a map.")?;
    let Some(properties) = properties.as_map_mut() else { return Ok(()) };
    let mut configuration = match properties.at("NotificationConfiguration") {
        Value::Null => Map::new(),
        present => expect(present, id.as_str(), "NotificationConfiguration").map()?.clone(),
    };
    let mut mappings = match configuration.at("LambdaConfigurations") {
        Value::Null => Vec::new(),
        Value::List(present) => present.clone(),
        _ => {
            return Err(Fault::resource(
                id,
                "Invalid type for LambdaConfigurations. Must be a list.",
            ));
        }
    };
    for kind in kinds {
        let mut mapping = base.clone();
        mapping.set("Event", kind);
        let mapping = if invoked.attributes.contains("Condition") {
            when(invoked.condition(), mapping.into())
        } else {
            mapping.into()
        };
        if !mappings.contains(&mapping) {
            mappings.push(mapping);
        }
    }
    configuration.set("LambdaConfigurations", mappings);
    properties.set("NotificationConfiguration", configuration);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_becomes_a_tag() {
        let mut bucket = Map::new();
        let permission = Resource::new("AWS::Lambda::Permission", "P")
            .unwrap()
            .with_attributes(&map! { "Condition" => "C" });
        depend_by_tag(&mut bucket, &"B".into(), &permission).unwrap();
        let tags = bucket.at("Properties").at("Tags").as_list().unwrap();
        assert_eq!(tags[0].at("Key").as_str(), Some("sam:ConditionalDependsOn:P"));
        assert_eq!(tags[0].at("Value").at("Fn::If").as_list().unwrap().len(), 3);
    }
}
