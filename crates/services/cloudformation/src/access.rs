//! Operation to action, resource and condition keys.
//!
//! A stack is named by its name in most requests; its ARN in policies ends with a uuid, so a name stands for
//! `stack/{name}/*`.

use sereno_kernel::{Access, Ctx};

/// An action on a stack given by name or id.
pub fn stack(ctx: &Ctx, action: &'static str, name: &str) -> Access {
    Access::new(action, stack_arn(ctx, name))
}

/// An action on a stack that may not be named: then on all of them.
pub fn any_stack(ctx: &Ctx, action: &'static str, name: Option<&str>) -> Access {
    let resource = name.filter(|name| !name.is_empty()).map(|name| stack_arn(ctx, name));
    Access::new(action, resource.unwrap_or_else(|| "*".to_owned()))
}

/// The same, and the right to hand a role to CloudFormation.
pub fn stack_with_role(ctx: &Ctx, action: &'static str, name: &str, role: Option<&str>) -> Access {
    let access = stack(ctx, action, name);
    match role {
        None => access,
        Some(role) => access
            .and("iam:PassRole", role)
            .condition("iam:PassedToService", vec!["cloudformation.amazonaws.com".to_owned()]),
    }
}

/// A change set: its stack is the resource where the request names it.
pub fn change_set(ctx: &Ctx, action: &'static str, set: &str, stack_name: Option<&str>) -> Access {
    match stack_name {
        Some(name) => stack(ctx, action, name),
        None if set.starts_with("arn:") => Access::new(action, set),
        None => Access::new(action, "*"),
    }
}

pub fn everywhere(action: &'static str) -> Access {
    Access::new(action, "*")
}

fn stack_arn(ctx: &Ctx, name: &str) -> String {
    if name.starts_with("arn:") {
        return name.to_owned();
    }
    ctx.arn("cloudformation", &format!("stack/{name}/*"))
}
