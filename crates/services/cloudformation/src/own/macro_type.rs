//! `AWS::CloudFormation::Macro`: a name for a function that transforms templates.

use serde_json::Value;
use sereno_kernel::{Ctx, Error, ResourceState};
use sereno_store::transact;

use crate::engine::{Deed, Order};
use crate::errors;
use crate::state::{MACROS, MacroRecord};

pub async fn run(order: &Order) -> Result<ResourceState, Error> {
    let properties = &order.request.properties;
    let known = ["Name", "FunctionName", "Description"];
    let text = |name: &str| properties.get(name).and_then(Value::as_str).unwrap_or_default();
    let name = match order.deed {
        Deed::Delete => &order.request.physical_id,
        _ => text("Name"),
    };
    if order.deed == Deed::Delete {
        return remove(&order.ctx, name, &order.request.stack_id).await;
    }
    if let Some(other) = properties.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(errors::unsupported(&format!(
            "Property {other} of AWS::CloudFormation::Macro"
        )));
    }
    if name.is_empty() || text("FunctionName").is_empty() {
        return Err(errors::validation("Name and FunctionName are required."));
    }
    let record = MacroRecord {
        function: text("FunctionName").to_owned(),
        stack_id: order.request.stack_id.clone(),
    };
    let (ctx, scope) = (&order.ctx, order.ctx.scope());
    let done: Result<(), Error> = transact!(ctx.store(), |txn| {
        let found = MACROS.get(txn, scope, name).await?;
        if found.is_some_and(|it| it.stack_id != record.stack_id) {
            let account = ctx.account();
            return Err(errors::validation(format!("Macro {account}::{name} already exists")));
        }
        MACROS.put(txn, scope, name, &record);
    });
    done?;
    Ok(ResourceState::new(name))
}

async fn remove(ctx: &Ctx, name: &str, stack_id: &str) -> Result<ResourceState, Error> {
    let scope = ctx.scope();
    let done: Result<(), Error> = transact!(ctx.store(), |txn| {
        let found = MACROS.get(txn, scope, name).await?;
        if found.is_some_and(|it| it.stack_id == stack_id) {
            MACROS.delete(txn, scope, name);
        }
    });
    done?;
    Ok(ResourceState::default())
}
