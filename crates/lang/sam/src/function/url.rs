//! `FunctionUrlConfig`: an URL of the function's own.

use super::version::Published;
use crate::fault::{Result, expect};
use crate::intrinsics::is_intrinsic;
use crate::resource::{Resource, Source};
use crate::value::{Map, Value};

/// The URL, and for one without authorisation the permissions that open it.
pub fn resources(
    source: &Source,
    function: &Resource,
    published: Option<&Published>,
) -> Result<Vec<Resource>> {
    let config = source.at("FunctionUrlConfig");
    check_auth(source, config)?;
    check_cors(source, config)?;
    let target = published.map_or(function, |published| &published.alias).reference();
    let attributes = source.inherited();
    let make = |kind: &'static str, suffix: &str| -> Result<Resource> {
        Ok(Resource::new(kind, function.id.plus(suffix))?.with_attributes(&attributes))
    };
    let mut url = make("AWS::Lambda::Url", "Url")?
        .with("AuthType", config.at("AuthType"))
        .with("TargetFunctionArn", &target)
        .with("InvokeMode", config.at("InvokeMode"));
    if config.at("Cors").truthy() {
        url.set("Cors", config.at("Cors"));
    }
    if config.at("AuthType").as_str() != Some("NONE") || is_intrinsic(config) {
        return Ok(vec![url]);
    }
    let by_url = make("AWS::Lambda::Permission", "UrlPublicPermissions")?
        .with("Action", "lambda:InvokeFunctionUrl")
        .with("FunctionName", &target)
        .with("Principal", "*")
        .with("FunctionUrlAuthType", "NONE");
    let by_invoke = make("AWS::Lambda::Permission", "URLInvokeAllowPublicAccess")?
        .with("Action", "lambda:InvokeFunction")
        .with("FunctionName", target)
        .with("Principal", "*")
        .with("InvokedViaFunctionUrl", true);
    Ok(vec![url, by_url, by_invoke])
}

fn check_auth(source: &Source, config: &Value) -> Result<()> {
    let auth = config.at("AuthType");
    let known = matches!(auth.as_str(), Some("AWS_IAM" | "NONE"));
    if known || is_intrinsic(config) || is_intrinsic(auth) {
        return Ok(());
    }
    Err(source.fault(
        "AuthType is required to configure function property `FunctionUrlConfig`. Please provide \
         either AWS_IAM or NONE.",
    ))
}

fn check_cors(source: &Source, config: &Value) -> Result<()> {
    let cors = config.at("Cors");
    if is_intrinsic(config) || !cors.truthy() || is_intrinsic(cors) {
        return Ok(());
    }
    let cors: &Map = expect(cors, source.id.as_str(), "FunctionUrlConfig.Cors").map()?;
    for (name, value) in cors.iter() {
        let (kind, fits) = match name.as_str() {
            "AllowOrigins" | "AllowMethods" | "AllowHeaders" | "ExposeHeaders" => {
                ("list", value.is_list())
            }
            "AllowCredentials" => ("bool", value.is_bool()),
            "MaxAge" => ("int", matches!(value.type_name(), "int" | "bool")),
            _ => {
                return Err(
                    source.fault(format!("{name} is not a valid property for configuring Cors."))
                );
            }
        };
        if !fits && !is_intrinsic(value) {
            return Err(source.fault(format!("{name} must be of type {kind}.")));
        }
    }
    Ok(())
}
