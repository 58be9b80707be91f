//! A source or destination of a connector.

use super::role_reference;
use crate::intrinsics::{get_att, logical_id_of, reference};
use crate::value::{Map, Value};
use crate::world::World;

/// What is known of one side. Unknown values are null.
pub struct Party {
    /// Its logical id, when it is of this template.
    pub id: Option<String>,
    pub kind: String,
    pub arn: Value,
    pub role_name: Value,
    pub queue_url: Value,
    pub resource_id: Value,
    pub name: Value,
    pub qualifier: Value,
}

impl Party {
    /// Reads one side; `other` is the other.
    pub fn read(given: &Value, other: &Value, world: &World<'_>) -> Result<Party, String> {
        let members = given.as_map().cloned().unwrap_or_default();
        let by_id = members.contains("Id");
        let by_properties =
            members.iter().any(|(name, _)| !matches!(name.as_str(), "Id" | "Qualifier"));
        if by_id == by_properties {
            return Err("Must provide 'Id' (with optional 'Qualifier') or a supported combination of other properties.".to_owned());
        }
        if !members.at("Id").truthy() {
            return Party::of_properties(&members);
        }
        let Some(id) = members.at("Id").as_str() else {
            return Err("'Id' is missing or not a string.".to_owned());
        };
        let resource = world.output.at(id);
        if !resource.truthy() {
            return Err(format!("Unable to find resource with logical ID '{id}'."));
        }
        let mut party = Party::of_resource(id, resource, other)?;
        if let Some(qualifier) = members.get("Qualifier") {
            party.qualifier = qualifier.clone();
        }
        Ok(party)
    }

    fn of_properties(members: &Map) -> Result<Party, String> {
        let kind = match members.at("Type").as_str() {
            Some("") | None => return Err("'Type' is missing or not a string.".to_owned()),
            Some("AWS::Serverless::Function") => "AWS::Lambda::Function",
            Some("AWS::Serverless::StateMachine") => "AWS::StepFunctions::StateMachine",
            Some("AWS::Serverless::Api") => "AWS::ApiGateway::RestApi",
            Some("AWS::Serverless::HttpApi") => "AWS::ApiGatewayV2::Api",
            Some("AWS::Serverless::SimpleTable") => "AWS::DynamoDB::Table",
            Some(kind) => kind,
        };
        Ok(Party {
            id: None,
            kind: kind.to_owned(),
            arn: members.at("Arn").clone(),
            role_name: members.at("RoleName").clone(),
            queue_url: members.at("QueueUrl").clone(),
            resource_id: members.at("ResourceId").clone(),
            name: members.at("Name").clone(),
            qualifier: members.at("Qualifier").clone(),
        })
    }

    fn of_resource(id: &str, resource: &Value, other: &Value) -> Result<Party, String> {
        let Some(kind) = resource.at("Type").as_str().filter(|kind| !kind.is_empty()) else {
            return Err("'Type' is missing or not a string.".to_owned());
        };
        let properties = resource.at("Properties");
        let mut party = Party {
            id: Some(id.to_owned()),
            kind: kind.to_owned(),
            arn: Value::Null,
            role_name: Value::Null,
            queue_url: Value::Null,
            resource_id: Value::Null,
            name: Value::Null,
            qualifier: Value::Null,
        };
        party.arn = match kind {
            "AWS::StepFunctions::StateMachine"
            | "AWS::AppSync::GraphQLApi"
            | "AWS::AppSync::DataSource"
            | "AWS::SNS::Topic" => reference(id),
            "AWS::Lambda::Function"
            | "AWS::Events::Rule"
            | "AWS::SQS::Queue"
            | "AWS::DynamoDB::Table"
            | "AWS::S3::Bucket"
            | "AWS::Location::PlaceIndex"
            | "AWS::ApiGatewayV2::Api"
            | "AWS::ApiGateway::RestApi"
            | "AWS::Events::EventBus" => get_att(id, "Arn"),
            _ => Value::Null,
        };
        match kind {
            "AWS::Lambda::Function" => party.role_name = role_reference(properties.at("Role")),
            "AWS::StepFunctions::StateMachine" => {
                party.role_name = role_reference(properties.at("RoleArn"));
                party.name = get_att(id, "Name");
            }
            "AWS::AppSync::GraphQLApi" => party.resource_id = get_att(id, "ApiId"),
            "AWS::AppSync::DataSource" => {
                party.role_name = role_reference(properties.at("ServiceRoleArn"));
            }
            "AWS::Events::Rule" => party.role_name = target_role(properties, other),
            "AWS::SQS::Queue" => party.queue_url = reference(id),
            "AWS::ApiGatewayV2::Api" | "AWS::ApiGateway::RestApi" => {
                party.resource_id = reference(id);
                party.qualifier = "*".into();
            }
            _ => {}
        }
        Ok(party)
    }
}

/// The role with which a rule calls the target that is the other side.
fn target_role(rule: &Value, other: &Value) -> Value {
    for target in rule.at("Targets").as_list().unwrap_or_default() {
        let arn = target.at("Arn");
        let by_id = logical_id_of(arn).is_some() && logical_id_of(arn) == other.at("Id").as_str();
        let by_arn = other.at("Arn").truthy() && arn == other.at("Arn");
        if by_id || by_arn {
            return role_reference(target.at("RoleArn"));
        }
    }
    Value::Null
}
