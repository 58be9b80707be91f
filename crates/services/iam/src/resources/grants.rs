//! What users, groups and roles hold: inline and managed policies, a boundary. The same for all three.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sereno_kernel::{Ctx, ResourceRequest, Result};

use super::{Properties, call, call_unless_gone, document, required, text, texts};

/// `Role` → (`RoleName`, its name).
pub struct Holder<'h> {
    pub kind: &'static str,
    pub name: &'h str,
}

impl Holder<'_> {
    fn input(&self, more: Value) -> Value {
        let mut input = json!({ format!("{}Name", self.kind): self.name });
        if let (Value::Object(input), Value::Object(more)) = (&mut input, more) {
            input.extend(more);
        }
        input
    }

    /// Puts everything on a new entity.
    pub async fn put_all(&self, ctx: &Ctx, properties: &Properties) -> Result<()> {
        for (name, document) in inline(properties)? {
            self.put(ctx, &name, &document).await?;
        }
        for arn in texts(properties, "ManagedPolicyArns") {
            self.attach(ctx, &arn).await?;
        }
        Ok(())
    }

    /// Goes from the previous properties to the new ones.
    pub async fn change(&self, ctx: &Ctx, request: &ResourceRequest) -> Result<()> {
        let (before, after) = (inline(&request.previous)?, inline(&request.properties)?);
        for (name, document) in &after {
            if before.get(name) != Some(document) {
                self.put(ctx, name, document).await?;
            }
        }
        for name in before.keys().filter(|n| !after.contains_key(*n)) {
            self.delete(ctx, name).await?;
        }
        let before = texts(&request.previous, "ManagedPolicyArns");
        let after = texts(&request.properties, "ManagedPolicyArns");
        // First away, then on: an entity has room for ten.
        for arn in before.iter().filter(|a| !after.contains(a)) {
            self.detach(ctx, arn).await?;
        }
        for arn in after.iter().filter(|a| !before.contains(a)) {
            self.attach(ctx, arn).await?;
        }
        Ok(())
    }

    /// Takes everything away that the template gave.
    pub async fn remove_all(&self, ctx: &Ctx, properties: &Properties) -> Result<()> {
        for name in inline(properties)?.keys() {
            self.delete(ctx, name).await?;
        }
        for arn in texts(properties, "ManagedPolicyArns") {
            self.detach(ctx, &arn).await?;
        }
        Ok(())
    }

    pub async fn change_boundary(&self, ctx: &Ctx, request: &ResourceRequest) -> Result<()> {
        let before = text(&request.previous, "PermissionsBoundary");
        let after = text(&request.properties, "PermissionsBoundary");
        if before == after {
            return Ok(());
        }
        match after {
            Some(arn) => {
                let operation = format!("Put{}PermissionsBoundary", self.kind);
                call(ctx, &operation, self.input(json!({"PermissionsBoundary": arn}))).await?;
            }
            None => {
                let operation = format!("Delete{}PermissionsBoundary", self.kind);
                call_unless_gone(ctx, &operation, self.input(json!({}))).await?;
            }
        }
        Ok(())
    }

    pub async fn put(&self, ctx: &Ctx, name: &str, document: &str) -> Result<()> {
        let input = self.input(json!({"PolicyName": name, "PolicyDocument": document}));
        call(ctx, &format!("Put{}Policy", self.kind), input).await.map(drop)
    }

    pub async fn delete(&self, ctx: &Ctx, name: &str) -> Result<()> {
        let input = self.input(json!({"PolicyName": name}));
        call_unless_gone(ctx, &format!("Delete{}Policy", self.kind), input).await
    }

    pub async fn attach(&self, ctx: &Ctx, arn: &str) -> Result<()> {
        let input = self.input(json!({"PolicyArn": arn}));
        call(ctx, &format!("Attach{}Policy", self.kind), input).await.map(drop)
    }

    pub async fn detach(&self, ctx: &Ctx, arn: &str) -> Result<()> {
        let input = self.input(json!({"PolicyArn": arn}));
        call_unless_gone(ctx, &format!("Detach{}Policy", self.kind), input).await
    }
}

/// `Policies`: name → document.
fn inline(properties: &Properties) -> Result<BTreeMap<String, String>> {
    let Some(Value::Array(all)) = properties.get("Policies") else { return Ok(BTreeMap::new()) };
    let objects = all.iter().filter_map(Value::as_object);
    objects.map(|p| Ok((required(p, "PolicyName")?, document(p, "PolicyDocument")?))).collect()
}

/// The holders that `Roles`, `Users` and `Groups` name.
pub fn named(properties: &Properties) -> Vec<(&'static str, String)> {
    [("Role", "Roles"), ("User", "Users"), ("Group", "Groups")]
        .into_iter()
        .flat_map(|(kind, list)| texts(properties, list).into_iter().map(move |name| (kind, name)))
        .collect()
}
