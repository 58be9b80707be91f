//! What the parts of the transform share while it runs.

use crate::SamContext;
use crate::api::SharedUsagePlan;
use crate::deployment::Deployments;
use crate::resolve::{Mappings, Parameters};
use crate::resource::Resource;
use crate::value::{Map, Value};
use std::collections::HashMap;

/// The state of one transform.
pub struct World<'a> {
    pub context: &'a SamContext<'a>,
    pub parameters: Parameters,
    pub mappings: Mappings,
    /// The template's conditions; generated ones are added.
    pub conditions: Option<Map>,
    /// The resources as written. Events edit the APIs, buckets and user pools they refer to.
    pub resources: Map,
    /// The resources of the finished template so far.
    pub output: Map,
    pub deployments: Deployments,
    pub usage_plan: SharedUsagePlan,
    /// DNS records of custom domains by hosted zone, shared by all APIs.
    pub record_sets: HashMap<String, Resource>,
    /// Names of the functions behind each API, in order: they are part of its deployment's id.
    pub function_names: HashMap<String, String>,
}

impl World<'_> {
    pub fn partition(&self) -> &str {
        self.context.partition
    }

    /// The properties of a resource as written; null when there is none.
    pub fn properties_of(&self, id: &str) -> &Value {
        self.resources.at(id).at("Properties")
    }

    /// Sets a property of a resource as written.
    pub fn set_property(&mut self, id: &str, name: &str, value: Value) {
        if let Some(resource) = self.resources.get_mut(id).and_then(Value::as_map_mut)
            && let Some(properties) = resource.entry("Properties", Map::new()).as_map_mut()
        {
            properties.set(name, value);
        }
    }

    pub fn add_condition(&mut self, name: &str, condition: Value) {
        self.conditions.get_or_insert_with(Map::new).set(name, condition);
    }

    /// The ARN of a policy that AWS manages.
    pub fn managed_policy_arn(&self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.partition())
    }

    /// An ARN with region and account left to CloudFormation.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        arn(self.partition(), service, resource)
    }

    /// An ARN with the region left to CloudFormation and no account.
    pub fn arn_without_account(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:${{AWS::Region}}:{resource}", self.partition())
    }
}

pub fn arn(partition: &str, service: &str, resource: &str) -> String {
    format!("arn:{partition}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{resource}")
}
