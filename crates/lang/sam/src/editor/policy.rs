//! The resource policy in a REST API's definition.

use super::swagger::{POLICY, Swagger};
use super::{ANY_METHOD, Document, wildcards};
use crate::fault::{Fault, Result};
use crate::intrinsics::{branches, sub_with};
use crate::value::{Map, Text, Value, legacy_map, list, map, str_of};

impl Swagger {
    /// Adds what a `ResourcePolicy` says of one path.
    pub fn add_resource_policy(&mut self, policy: &Map, path: &Text, stage: &Value) -> Result<()> {
        let resources = self.method_arns(path, stage)?;
        self.add_accounts(policy.at("AwsAccountWhitelist"), "Allow", &resources)?;
        self.add_accounts(policy.at("AwsAccountBlacklist"), "Deny", &resources)?;
        self.add_addresses(policy.at("IpRangeWhitelist"), "NotIpAddress", &resources);
        self.add_addresses(policy.at("IpRangeBlacklist"), "IpAddress", &resources);
        for (color, conditional) in [("Black", "StringEquals"), ("White", "StringNotEquals")] {
            let networks = policy.at(&format!("SourceVpc{color}list"));
            let all_text =
                networks.as_list().is_none_or(|networks| networks.iter().all(Value::is_str));
            if !all_text {
                return Err(Fault::document(format!(
                    "SourceVpc{color}list must be a list of strings. Use IntrinsicVpc{color}list \
                     instead for values that use Intrinsic Functions"
                )));
            }
            let vpcs = policy.at(&format!("IntrinsicVpc{color}list"));
            let endpoints = policy.at(&format!("IntrinsicVpce{color}list"));
            self.add_networks(networks, vpcs, endpoints, conditional, &resources);
        }
        self.publish_policy();
        Ok(())
    }

    pub fn add_custom_statements(&mut self, statements: &Value) {
        self.add_statements(statements, true);
        self.publish_policy();
    }

    fn publish_policy(&mut self) {
        let policy = self.policy.clone();
        self.doc_mut().set(POLICY, policy);
    }

    fn policy_mut(&mut self) -> &mut Map {
        if !self.policy.is_map() {
            self.policy = Map::legacy().into();
        }
        self.policy.as_map_mut().expect("it was made a map where it was none")
    }

    /// Appends statements; `once` leaves out those already there. A first custom statement is kept
    /// in the form in which it was given.
    fn add_statements(&mut self, statements: &Value, once: bool) {
        let policy = self.policy_mut();
        policy.set("Version", "2012-10-17");
        if policy.at("Statement").is_null() {
            policy.set("Statement", statements);
            return;
        }
        let mut all = as_list(policy.at("Statement"));
        for statement in as_list(statements) {
            if !once || !all.contains(&statement) {
                all.push(statement);
            }
        }
        policy.set("Statement", all);
    }

    fn add_accounts(&mut self, accounts: &Value, effect: &str, resources: &Value) -> Result<()> {
        if !accounts.truthy() {
            return Ok(());
        }
        if !accounts.is_map() && !accounts.is_list() {
            let printed = str_of(accounts);
            return Err(Fault::document(format!(
                "Type of '{printed}' must be a list or dictionary"
            )));
        }
        let mut statement = statement(effect, resources);
        statement.set("Principal", legacy_map! { "AWS" => as_list(accounts) });
        self.add_statements(&statement.into(), false);
        Ok(())
    }

    fn add_addresses(&mut self, ranges: &Value, conditional: &str, resources: &Value) {
        if ranges.truthy() {
            let condition = map! { "aws:SourceIp" => as_list(ranges) };
            self.add_allow_and_deny(conditional, condition, resources);
        }
    }

    fn add_networks(
        &mut self,
        named: &Value,
        vpcs: &Value,
        endpoints: &Value,
        conditional: &str,
        resources: &Value,
    ) {
        let mut condition = Map::legacy();
        let mut add = |key: &str, items: Vec<Value>| {
            if let Some(list) = condition.entry(key, list![]).as_list_mut() {
                list.extend(items);
            }
        };
        let with_prefix = |prefix: &str| -> Vec<Value> {
            let named = named.as_list().unwrap_or_default();
            named
                .iter()
                .filter(|name| name.as_str().is_some_and(|name| name.starts_with(prefix)))
                .cloned()
                .collect()
        };
        for (key, prefix) in [("aws:SourceVpc", "vpc-"), ("aws:SourceVpce", "vpce-")] {
            let found = with_prefix(prefix);
            if !found.is_empty() {
                add(key, found);
            }
        }
        for (key, listed) in [("aws:SourceVpc", vpcs), ("aws:SourceVpce", endpoints)] {
            if let Some(listed) = listed.as_list() {
                add(key, listed.to_vec());
            }
        }
        if condition.at("aws:SourceVpc").truthy() || condition.at("aws:SourceVpce").truthy() {
            self.add_allow_and_deny(conditional, condition, resources);
        }
    }

    fn add_allow_and_deny(&mut self, conditional: &str, condition: Map, resources: &Value) {
        let mut allow = statement("Allow", resources);
        allow.set("Principal", "*");
        let mut deny = statement("Deny", resources);
        deny.set("Principal", "*");
        deny.set("Condition", map! { conditional => condition });
        self.add_statements(&list![allow, deny], true);
    }

    /// The ARNs of the methods of a path.
    fn method_arns(&self, path: &Text, stage: &Value) -> Result<Value> {
        let mut arns = Vec::new();
        let pattern = path.same_kind(&wildcards(path.as_str(), true));
        let item = self.paths().at(path.as_str());
        for item in branches(item)? {
            let item = super::as_path_item(item, path.as_str())?;
            for (method, _) in item.iter() {
                let lower = method.as_str().to_lowercase();
                let method = if lower == ANY_METHOD || lower == "any" {
                    Text::plain("*")
                } else {
                    method.same_kind(&method.as_str().to_uppercase())
                };
                let arn = format!("execute-api:/${{__Stage__}}/{method}{pattern}");
                let unicode = method.is_unicode() || pattern.is_unicode();
                let arn = if unicode { Text::unicode(&arn) } else { Text::plain(&arn) };
                arns.push(sub_with(arn, map! { "__Stage__" => stage }));
            }
        }
        Ok(arns.into())
    }
}

fn statement(effect: &str, resources: &Value) -> Map {
    legacy_map! {
        "Effect" => effect,
        "Action" => "execute-api:Invoke",
        "Resource" => resources,
    }
}

fn as_list(value: &Value) -> Vec<Value> {
    match value {
        Value::List(items) => items.clone(),
        other => vec![other.clone()],
    }
}
