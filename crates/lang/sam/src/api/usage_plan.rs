//! Usage plans and API keys of REST APIs.

use super::Api;
use crate::fault::{Fault, Result};
use crate::intrinsics::{or_conditions, reference};
use crate::resource::Resource;
use crate::value::{Map, Text, Value, list, map};
use crate::world::World;

const CONDITION: &str = "SharedUsagePlanCondition";
const PROPERTIES: [&str; 6] =
    ["CreateUsagePlan", "Description", "Quota", "Tags", "Throttle", "UsagePlanName"];

/// The one plan of all APIs that ask for `SHARED`.
pub struct SharedUsagePlan {
    stage_keys: Vec<Value>,
    api_stages: Vec<Value>,
    depends_on: Vec<Value>,
    conditions: Vec<Value>,
    /// An API without a condition makes the plan unconditional.
    unconditional: bool,
    deletion_policy: Value,
    update_replace_policy: Value,
}

impl Default for SharedUsagePlan {
    fn default() -> SharedUsagePlan {
        SharedUsagePlan {
            stage_keys: Vec::new(),
            api_stages: Vec::new(),
            depends_on: Vec::new(),
            conditions: Vec::new(),
            unconditional: false,
            deletion_policy: Value::Null,
            update_replace_policy: Value::Null,
        }
    }
}

impl SharedUsagePlan {
    /// The attributes of what is shared, now that an API with `attributes` shares it.
    fn attributes(&mut self, attributes: &Map, conditions: &mut Option<Map>) -> Result<Map> {
        let stronger = |new: &Value, old: &Value, replacing: &[(&str, Option<&str>)]| {
            !old.truthy()
                || replacing.iter().any(|(word, over)| {
                    new.as_str() == Some(word) && over.is_none_or(|o| old.as_str() == Some(o))
                })
        };
        let deletion = attributes.at("DeletionPolicy");
        if deletion.truthy() && stronger(deletion, &self.deletion_policy, &[("Retain", None)]) {
            self.deletion_policy = deletion.clone();
        }
        let replace = attributes.at("UpdateReplacePolicy");
        let order = [("Retain", None), ("Snapshot", Some("Delete"))];
        if replace.truthy() && stronger(replace, &self.update_replace_policy, &order) {
            self.update_replace_policy = replace.clone();
        }
        self.add_condition(attributes.at("Condition"), conditions)?;
        let mut combined = Map::new();
        if self.deletion_policy.truthy() {
            combined.set("DeletionPolicy", &self.deletion_policy);
        }
        if self.update_replace_policy.truthy() {
            combined.set("UpdateReplacePolicy", &self.update_replace_policy);
        }
        if !self.conditions.is_empty() && !self.unconditional {
            combined.set("Condition", CONDITION);
        }
        Ok(combined)
    }

    fn add_condition(&mut self, condition: &Value, conditions: &mut Option<Map>) -> Result<()> {
        if self.unconditional {
            return Ok(());
        }
        if condition.is_null() {
            self.unconditional = true;
            if let Some(conditions) = conditions {
                conditions.remove(CONDITION);
            }
        } else if condition.truthy() && !self.conditions.contains(condition) {
            let Some(conditions) = conditions else {
                return Err(Fault::Template(
                    "Can't have condition without having 'Conditions' section in the template"
                        .to_owned(),
                ));
            };
            self.conditions.push(condition.clone());
            let combined = match self.conditions.as_slice() {
                [only] => only.clone(),
                several => or_conditions(several),
            };
            conditions.set(CONDITION, combined);
        }
        Ok(())
    }
}

fn push_new(list: &mut Vec<Value>, item: Value) {
    if !list.contains(&item) {
        list.push(item);
    }
}

/// The plan, key and the link between them that an API's `Auth.UsagePlan` asks for.
pub fn usage_plan(api: &Api, stage: &Text, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let Some((properties, shared)) = wanted(api)? else { return Ok(Vec::new()) };
    let id = &api.source.id;
    let prefix = if shared { Text::plain("Serverless") } else { id.clone() };
    let [plan_id, key_id, link_id] =
        ["UsagePlan", "ApiKey", "UsagePlanKey"].map(|suffix| prefix.plus(suffix));
    let api_stage = map! { "ApiId" => reference(id), "Stage" => reference(stage) }.into();
    let stage_key = map! { "RestApiId" => reference(id), "StageName" => reference(stage) }.into();
    let (depends_on, api_stages, stage_keys) = if shared {
        let plan = &mut world.usage_plan;
        push_new(&mut plan.depends_on, id.into());
        push_new(&mut plan.api_stages, api_stage);
        push_new(&mut plan.stage_keys, stage_key);
        (plan.depends_on.clone(), plan.api_stages.clone(), plan.stage_keys.clone())
    } else {
        (vec![id.into()], vec![api_stage], vec![stage_key])
    };
    let attributes = if shared {
        world.usage_plan.attributes(&api.inherited, &mut world.conditions)?
    } else {
        api.inherited.clone()
    };
    let mut plan = Resource::new("AWS::ApiGateway::UsagePlan", &plan_id)?
        .depending_on(depends_on)
        .with_attributes(&attributes)
        .with("ApiStages", api_stages);
    for name in ["UsagePlanName", "Description", "Quota", "Tags", "Throttle"] {
        if properties.at(name).truthy() {
            plan.set(name, properties.at(name));
        }
    }
    let key = Resource::new("AWS::ApiGateway::ApiKey", &key_id)?
        .depending_on(list![&plan_id])
        .with_attributes(&attributes)
        .with("Enabled", true)
        .with("StageKeys", stage_keys);
    let link = Resource::new("AWS::ApiGateway::UsagePlanKey", &link_id)?
        .depending_on(list![&key_id])
        .with_attributes(&attributes)
        .with("KeyId", reference(&key_id))
        .with("KeyType", "API_KEY")
        .with("UsagePlanId", reference(&plan_id));
    Ok(vec![plan, key, link])
}

/// What `Auth.UsagePlan` says, and whether the plan is the shared one; none when there is to be no
/// plan.
fn wanted(api: &Api) -> Result<Option<(&Map, bool)>> {
    let plan = api.auth.at("UsagePlan");
    if plan.is_null() {
        return Ok(None);
    }
    let Some(properties) = plan.as_map() else {
        return Err(api.fault("'UsagePlan' must be a dictionary"));
    };
    if properties.iter().any(|(name, _)| !PROPERTIES.contains(&name.as_str())) {
        return Err(api.fault("Invalid property for 'UsagePlan'"));
    }
    let create = properties.at("CreateUsagePlan");
    if create.is_null() {
        return Err(api.fault("'CreateUsagePlan' is a required field for UsagePlan."));
    }
    match create.as_str() {
        Some("NONE") => Ok(None),
        Some("PER_API") => Ok(Some((properties, false))),
        Some("SHARED") => Ok(Some((properties, true))),
        _ => Err(api.fault("'CreateUsagePlan' accepts one of ['SHARED', 'PER_API', 'NONE'].")),
    }
}
