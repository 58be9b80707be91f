//! Operation → action and resource.
//!
//! The actions are the HTTP verbs, the resource is the request's path:
//! `apigateway:GET` on `arn:aws:apigateway:eu-west-1::/restapis/abc/resources`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-iam-policy-examples.html>

use sereno_kernel::{Access, Ctx};
use sereno_wire::{Location, Operation, to_json};

/// The access that operation `O` needs.
pub fn of<O: Operation>(ctx: &Ctx, input: &O::Input) -> Access {
    let schema = O::SCHEMA;
    let action = match schema.method {
        "GET" => "apigateway:GET",
        "PUT" => "apigateway:PUT",
        "PATCH" => "apigateway:PATCH",
        "DELETE" => "apigateway:DELETE",
        _ => "apigateway:POST",
    };
    let path = schema.uri.split('?').next().unwrap_or_default();
    let mut filled = path.to_owned();
    if path.contains('{') {
        let values = to_json(input);
        for member in schema.input.members {
            if member.location == Location::Uri
                && let Some(value) = values.get(member.name).and_then(|value| value.as_str())
            {
                filled = filled.replace(&format!("{{{}}}", member.wire), &escape(value));
            }
        }
    }
    let (partition, region) = (ctx.partition(), ctx.region());
    Access::new(action, format!("arn:{partition}:apigateway:{}::{filled}", region.as_str()))
}

/// A label may hold slashes and colons (an ARN to tag): they must not make other path parts.
fn escape(value: &str) -> String {
    sereno_base::percent_encode(value, false)
}
