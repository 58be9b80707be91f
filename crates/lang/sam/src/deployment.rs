//! `DeploymentPreference`: CodeDeploy shifts traffic between versions of functions.

use crate::fault::{Fault, Result};
use crate::intrinsics::{
    combined_condition, get_att, if_parts, is_if, is_intrinsic, is_no_value, reference, sub_with,
};
use crate::resource::Resource;
use crate::role::trust;
use crate::tags;
use crate::value::{Map, Value, list, map};
use crate::world::World;

const APPLICATION: &str = "ServerlessDeploymentApplication";
const ROLE: &str = "CodeDeployServiceRole";
const CONDITION: &str = "ServerlessCodeDeployCondition";
/// Configurations that CodeDeploy has for Lambda, by their short names.
const CONFIGURATIONS: [&str; 9] = [
    "Canary10Percent5Minutes",
    "Canary10Percent10Minutes",
    "Canary10Percent15Minutes",
    "Canary10Percent30Minutes",
    "Linear10PercentEvery1Minute",
    "Linear10PercentEvery2Minutes",
    "Linear10PercentEvery3Minutes",
    "Linear10PercentEvery10Minutes",
    "AllAtOnce",
];

/// How the versions of one function are to be deployed.
#[derive(Clone)]
pub struct Preference {
    function: String,
    enabled: bool,
    settings: Map,
    /// Null when the group is not conditional.
    condition: Value,
    /// Null when tags are not propagated.
    tags: Value,
}

/// The preferences of all functions of a template.
#[derive(Default)]
pub struct Deployments {
    preferences: Vec<Preference>,
}

impl Deployments {
    /// Notes a function's preference; answers whether it is in use.
    pub fn add(
        &mut self,
        function: &str,
        settings: &Map,
        condition: &Value,
        tags: &Value,
        propagate_tags: bool,
    ) -> Result<bool> {
        let enabled = match settings.get("Enabled") {
            None => true,
            Some(Value::Str(text)) => !matches!(text.as_str(), "" | "false" | "False"),
            Some(value) => value.truthy(),
        };
        if enabled && !settings.contains("Type") {
            let message = "'DeploymentPreference' is missing required Property 'Type'";
            return Err(Fault::resource(function, message));
        }
        let hooks = settings.get("Hooks");
        if enabled && hooks.is_some_and(|hooks| !hooks.is_map()) {
            let message = "'Hooks' property of 'DeploymentPreference' must be a dictionary";
            return Err(Fault::resource(function, message));
        }
        let only = |wanted: bool, value: &Value| if wanted { value.clone() } else { Value::Null };
        self.preferences.push(Preference {
            function: function.to_owned(),
            enabled,
            settings: settings.clone(),
            condition: only(enabled && settings.at("PassthroughCondition").truthy(), condition),
            tags: only(enabled && propagate_tags && tags.truthy(), tags),
        });
        Ok(enabled)
    }

    fn enabled(&self) -> impl Iterator<Item = &Preference> {
        self.preferences.iter().filter(|preference| preference.enabled)
    }

    /// How CloudFormation is to update the alias of a function.
    pub fn update_policy(&self, function: &str) -> Map {
        let preference = self.preferences.iter().find(|p| p.function == function);
        let hooks = preference.map_or(&Value::Null, |preference| preference.settings.at("Hooks"));
        let mut update = map! {
            "ApplicationName" => reference(APPLICATION),
            "DeploymentGroupName" => reference(group_id(function)),
        };
        for (name, hook) in
            [("BeforeAllowTrafficHook", "PreTraffic"), ("AfterAllowTrafficHook", "PostTraffic")]
        {
            let hook = hooks.at(hook);
            let is_nothing = hook.as_map().is_some_and(|m| m.len() == 1 && m.contains("Ref"))
                && hook.at("Ref").is_null();
            if !hook.is_null() && !is_nothing {
                update.set(name, hook);
            }
        }
        map! { "CodeDeployLambdaAliasUpdate" => update }
    }

    /// Whether what all groups share is under a condition: every group is.
    fn is_conditional(&self) -> bool {
        !self.preferences.is_empty() && self.enabled().all(|p| p.condition.truthy())
    }

    fn conditions(&self) -> Vec<Value> {
        let mut conditions = Vec::new();
        for preference in &self.preferences {
            if !preference.condition.is_null() && !conditions.contains(&preference.condition) {
                conditions.push(preference.condition.clone());
            }
        }
        conditions
    }

    /// Puts condition and tags on what all groups share.
    fn share(&self, mut resource: Resource) -> Resource {
        let mut tags = Map::new();
        for preference in self.enabled() {
            if let Some(own) = preference.tags.as_map() {
                tags.update(own);
            }
        }
        if !tags.is_empty() {
            resource.set("Tags", tags::list(&tags.into()));
        }
        if self.is_conditional() {
            let conditions = self.conditions();
            let name = match conditions.as_slice() {
                [only] => only.clone(),
                _ => CONDITION.into(),
            };
            resource.attributes.set("Condition", name);
        }
        resource
    }
}

fn group_id(function: &str) -> String {
    format!("{function}DeploymentGroup")
}

/// The application, the service role and the groups that the preferences need. Faults of single
/// groups are collected.
pub fn resources(world: &mut World<'_>, faults: &mut Vec<Fault>) -> Result<Vec<Resource>> {
    let deployments = std::mem::take(&mut world.deployments);
    if deployments.enabled().next().is_none() {
        return Ok(Vec::new());
    }
    let application = Resource::new("AWS::CodeDeploy::Application", APPLICATION)?
        .with("ComputePlatform", "Lambda");
    let mut made = vec![deployments.share(application)];
    if deployments.is_conditional()
        && let Some(conditions) = combined_condition(deployments.conditions(), CONDITION)
    {
        for (name, condition) in conditions.iter() {
            world.add_condition(name.as_str(), condition.clone());
        }
    }
    if deployments.enabled().any(|preference| !preference.settings.at("Role").truthy()) {
        let policy = match world.partition() {
            "aws-iso" | "aws-iso-b" => "service-role/AWSCodeDeployRoleForLambdaLimited",
            _ => "service-role/AWSCodeDeployRoleForLambda",
        };
        let role = Resource::new("AWS::IAM::Role", ROLE)?
            .with("AssumeRolePolicyDocument", trust("codedeploy.amazonaws.com"))
            .with("ManagedPolicyArns", list![world.managed_policy_arn(policy)]);
        made.push(deployments.share(role));
    }
    for preference in deployments.enabled() {
        match group(preference) {
            Ok(group) => made.push(group),
            Err(fault @ Fault::Resource { .. }) => faults.push(fault),
            Err(fault) => return Err(fault),
        }
    }
    Ok(made)
}

fn group(preference: &Preference) -> Result<Resource> {
    let settings = &preference.settings;
    let alarms = alarms(settings.at("Alarms"))
        .map_err(|message| Fault::resource(&preference.function, message))?;
    let events =
        list!["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST",];
    let style = map! {
        "DeploymentType" => "BLUE_GREEN", "DeploymentOption" => "WITH_TRAFFIC_CONTROL",
    };
    let mut group =
        Resource::new("AWS::CodeDeploy::DeploymentGroup", group_id(&preference.function))?
            .with("AlarmConfiguration", alarms)
            .with("ApplicationName", reference(APPLICATION))
            .with("AutoRollbackConfiguration", map! { "Enabled" => true, "Events" => events })
            .with("DeploymentConfigName", full_names(settings.at("Type"), false))
            .with("DeploymentStyle", style)
            .with("ServiceRoleArn", settings.at("Role").or(|| get_att(ROLE, "Arn")));
    if settings.at("TriggerConfigurations").truthy() {
        group.set("TriggerConfigurations", settings.at("TriggerConfigurations"));
    }
    if preference.tags.truthy() {
        group.set("Tags", tags::list(&preference.tags));
    }
    if preference.condition.truthy() {
        group.attributes.set("Condition", &preference.condition);
    }
    Ok(group)
}

fn alarms(alarms: &Value) -> std::result::Result<Value, &'static str> {
    if !alarms.truthy() || is_no_value(alarms) {
        return Ok(Value::Null);
    }
    if is_if(alarms) {
        let (condition, yes, no) = if_parts(alarms)?;
        return Ok(map! { "Fn::If" => list![condition, watched(yes)?, watched(no)?] }.into());
    }
    watched(alarms)
}

fn watched(alarms: &Value) -> std::result::Result<Value, &'static str> {
    let alarms = alarms.as_list().ok_or("Alarms must be a list")?;
    if alarms.first().is_none_or(is_no_value) {
        return Ok(Map::new().into());
    }
    let named = alarms.iter().map(|alarm| map! { "Name" => alarm }.into()).collect();
    Ok(map! { "Enabled" => true, "Alarms" => Value::List(named) }.into())
}

/// Short names of configurations as full ones, also inside intrinsic functions.
fn full_names(value: &Value, in_sub: bool) -> Value {
    match value {
        Value::List(items) => {
            Value::List(items.iter().map(|item| full_names(item, false)).collect())
        }
        Value::Map(members) if is_intrinsic(value) => members
            .iter()
            .map(|(key, member)| (key.clone(), full_names(member, *key == "Fn::Sub")))
            .collect::<Map>()
            .into(),
        Value::Str(text) if CONFIGURATIONS.contains(&text.as_str()) => {
            let full =
                sub_with("CodeDeployDefault.Lambda${ConfigName}", map! { "ConfigName" => text });
            if in_sub { full.at("Fn::Sub").clone() } else { full }
        }
        other => other.clone(),
    }
}
