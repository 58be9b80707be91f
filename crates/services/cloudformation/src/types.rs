//! Which resource types there are: those of the services, and those that CloudFormation makes itself.

use sereno_kernel::Ctx;

pub const STACK: &str = "AWS::CloudFormation::Stack";
pub const CUSTOM: &str = "AWS::CloudFormation::CustomResource";
pub const WAIT_CONDITION: &str = "AWS::CloudFormation::WaitCondition";
pub const WAIT_HANDLE: &str = "AWS::CloudFormation::WaitConditionHandle";
pub const MACRO: &str = "AWS::CloudFormation::Macro";
/// CDK writes it into every template; there is nothing to make.
pub const CDK_METADATA: &str = "AWS::CDK::Metadata";

const OWN: [&str; 6] = [STACK, CUSTOM, WAIT_CONDITION, WAIT_HANDLE, MACRO, CDK_METADATA];

/// Whether a type is made by a function of the user's.
pub fn is_custom(name: &str) -> bool {
    name == CUSTOM || name.strip_prefix("Custom::").is_some_and(|rest| !rest.is_empty())
}

/// Whether CloudFormation makes it itself.
pub fn is_own(name: &str) -> bool {
    OWN.contains(&name) || is_custom(name)
}

pub fn is_known(ctx: &Ctx, name: &str) -> bool {
    is_own(name) || ctx.cloud().resource_type(name).is_some()
}

/// Properties of CloudFormation's own types whose change makes a new resource.
pub fn own_create_only(name: &str) -> &'static [&'static str] {
    match name {
        MACRO => &["Name"],
        // A wait condition cannot be updated at all.
        WAIT_CONDITION => &["Count", "Handle", "Timeout"],
        _ if is_custom(name) => &["ServiceToken"],
        _ => &[],
    }
}

/// Properties whose change makes a new resource of any known type; None: every change does.
pub fn create_only(ctx: &Ctx, name: &str) -> &'static [&'static str] {
    if is_own(name) {
        return own_create_only(name);
    }
    ctx.cloud().resource_type(name).map_or(&[], |it| it.create_only_properties())
}
