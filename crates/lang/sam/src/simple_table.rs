//! `AWS::Serverless::SimpleTable`: a DynamoDB table with one key.

use crate::fault::{Result, expect};
use crate::resource::{Resource, Source};
use crate::schema::{Is, Schema, opt, pass};
use crate::tags;
use crate::value::{list, map, str_of};

pub static SCHEMA: Schema = Schema {
    kind: "AWS::Serverless::SimpleTable",
    props: &[&[
        pass("PointInTimeRecoverySpecification"),
        opt("PrimaryKey", Is::MapOfStr),
        opt("ProvisionedThroughput", Is::MapOfIntOrMap),
        opt("TableName", Is::StrOrMap),
        opt("Tags", Is::Map),
        opt("SSESpecification", Is::Map),
    ]],
};

pub fn transform(source: &Source) -> Result<Vec<Resource>> {
    let id = source.id.as_str();
    let mut key = map! { "AttributeName" => "id", "AttributeType" => "S" };
    let given = source.at("PrimaryKey");
    if given.truthy() {
        let name = expect(given.at("Name"), id, "PrimaryKey.Name").present()?;
        let kind = expect(given.at("Type"), id, "PrimaryKey.Type").present()?;
        let kind = match kind.as_str() {
            Some("String") => "S",
            Some("Number") => "N",
            Some("Binary") => "B",
            _ => return Err(source.fault(format!("Invalid 'Type' \"{}\".", str_of(kind)))),
        };
        key = map! { "AttributeName" => name, "AttributeType" => kind };
    }
    let schema = map! { "AttributeName" => key.at("AttributeName"), "KeyType" => "HASH" };
    let mut table = Resource::new("AWS::DynamoDB::Table", &source.id)?
        .with_attributes(&source.attributes)
        .depending_on(&source.depends_on)
        .with("AttributeDefinitions", list![key])
        .with("KeySchema", list![schema]);
    if source.at("ProvisionedThroughput").truthy() {
        table.set("ProvisionedThroughput", source.at("ProvisionedThroughput"));
    } else {
        table.set("BillingMode", "PAY_PER_REQUEST");
    }
    for name in ["PointInTimeRecoverySpecification", "SSESpecification", "TableName"] {
        if source.at(name).truthy() {
            table.set(name, source.at(name));
        }
    }
    if source.at("Tags").truthy() {
        table.set("Tags", tags::list(source.at("Tags")));
    }
    Ok(vec![table])
}
