//! Triggers of a Cognito user pool. They are a property of the pool, so the pool is edited.

use super::bucket::edited;
use super::{Event, Invoked};
use crate::fault::{Result, expect};
use crate::intrinsics::get_att;
use crate::resource::Resource;
use crate::schema::{Is, Prop, Schema, opt};
use crate::value::{Map, Text, Value, str_of};
use crate::world::World;

const fn any(name: &'static str) -> Prop {
    opt(name, Is::Any)
}

static USER_POOL: Schema = Schema {
    kind: "AWS::Cognito::UserPool",
    props: &[&[
        any("AccountRecoverySetting"),
        any("AdminCreateUserConfig"),
        any("AliasAttributes"),
        any("AutoVerifiedAttributes"),
        any("DeletionProtection"),
        any("DeviceConfiguration"),
        any("EmailAuthenticationMessage"),
        any("EmailAuthenticationSubject"),
        any("EmailConfiguration"),
        any("EmailVerificationMessage"),
        any("EmailVerificationSubject"),
        any("EnabledMfas"),
        any("LambdaConfig"),
        any("MfaConfiguration"),
        any("Policies"),
        any("Schema"),
        any("SmsAuthenticationMessage"),
        any("SmsConfiguration"),
        any("SmsVerificationMessage"),
        any("UserAttributeUpdateSettings"),
        any("UsernameAttributes"),
        any("UsernameConfiguration"),
        any("UserPoolAddOns"),
        any("UserPoolName"),
        any("UserPoolTags"),
        any("UserPoolTier"),
        any("VerificationMessageTemplate"),
        any("WebAuthnRelyingPartyID"),
        any("WebAuthnUserVerification"),
    ]],
};

/// The pool of the event, which must be in the template.
pub fn check_link(event: &Event, world: &World<'_>) -> Result<()> {
    pool_id(event, world).map(|_| ())
}

fn pool_id(event: &Event, world: &World<'_>) -> Result<Text> {
    let not_here = "Cognito events must reference a Cognito UserPool in the same template.";
    let Some(id) = event.at("UserPool").as_map().and_then(|pool| pool.get("Ref")) else {
        return Err(event.fault(not_here));
    };
    let Some(id) = id.as_text() else {
        return Err(event.fault_by_id("Ref in Userpool is not a string."));
    };
    if world.resources.contains(id.as_str()) { Ok(id.clone()) } else { Err(event.fault(not_here)) }
}

pub fn trigger(event: &Event, invoked: &Invoked, world: &mut World<'_>) -> Result<Vec<Resource>> {
    let id = pool_id(event, world)?;
    // One permission serves all triggers of the function.
    let prefix = invoked.id.plus("Cognito");
    let permission = event
        .permission_named(invoked, "cognito-idp.amazonaws.com", &prefix, "")?
        .with("SourceArn", get_att(&id, "Arn"));
    let mut pool = world.resources.at(id.as_str()).as_map().cloned().unwrap_or_default();
    let mut properties = pool.at("Properties").as_map().cloned().unwrap_or_default();
    let mut triggers = match properties.at("LambdaConfig") {
        Value::Null => Map::new(),
        present => expect(present, id.as_str(), "LambdaConfig").map()?.clone(),
    };
    let wanted = match event.at("Trigger") {
        Value::List(wanted) => wanted.clone(),
        one => vec![one.clone()],
    };
    for name in wanted.iter().filter_map(Value::as_text) {
        if triggers.contains(name.as_str()) {
            let printed = str_of(event.at("Trigger"));
            return Err(
                event.fault(format!("Cognito trigger \"{printed}\" defined multiple times."))
            );
        }
        triggers.set(name, invoked.arn());
    }
    properties.set("LambdaConfig", triggers);
    pool.set("Properties", properties);
    let pool = Value::from(pool);
    world.resources.set(&id, &pool);
    Ok(vec![permission, edited(&id, &pool, &USER_POOL)?])
}
