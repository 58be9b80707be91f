//! Stack policies: which resources an update may touch.
//!
//! Invariant: a stack with a policy denies what no statement allows; Deny wins.

use serde_json::Value;

use crate::errors;

/// Refuses text that is no stack policy (recorded: test_set_invalid_policy_with_url).
pub fn validate(text: &str) -> sereno_kernel::Result<()> {
    let invalid = || errors::validation("Error validating stack policy: Invalid stack policy");
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid())?;
    let statements = policy.get("Statement").and_then(Value::as_array).ok_or_else(invalid)?;
    let sound = |it: &Value| {
        let effect = matches!(it["Effect"].as_str(), Some("Allow" | "Deny"));
        let action = it.get("Action").is_some() != it.get("NotAction").is_some();
        let resource = it.get("Resource").is_some() != it.get("NotResource").is_some();
        let principal = it["Principal"].as_str() == Some("*");
        effect && action && resource && principal && conditions(it).is_some()
    };
    let keys = policy.as_object().is_some_and(|map| {
        map.keys().all(|key| matches!(key.as_str(), "Statement" | "Version" | "Id"))
    });
    if keys && statements.iter().all(sound) { Ok(()) } else { Err(invalid()) }
}

/// Whether a policy lets an update do `action` (`Update:Modify` ...) to a resource; the words if not.
pub fn allow(text: &str, action: &str, logical_id: &str, type_name: &str) -> Result<(), String> {
    let policy: Value = serde_json::from_str(text).unwrap_or_default();
    let resource = format!("LogicalResourceId/{logical_id}");
    let mut allowed = false;
    for (at, statement) in policy["Statement"].as_array().into_iter().flatten().enumerate() {
        let applies = matches_any(statement, "Action", action)
            && matches_any(statement, "Resource", &resource)
            && conditions(statement)
                .unwrap_or_default()
                .iter()
                .all(|patterns| patterns.iter().any(|pattern| wild(pattern, type_name)));
        match statement["Effect"].as_str() {
            Some("Deny") if applies => {
                return Err(format!(
                    "Action denied by stack policy: Statement [#{}] does not allow [{action}] for resource [{logical_id}]",
                    at + 1
                ));
            }
            Some("Allow") if applies => allowed = true,
            _ => {}
        }
    }
    if allowed {
        return Ok(());
    }
    Err(format!(
        "Action not allowed by stack policy: no statement allows [{action}] for resource [{logical_id}]"
    ))
}

fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `Name` holds or `NotName` does not.
fn matches_any(statement: &Value, name: &str, text: &str) -> bool {
    match statement.get(name) {
        Some(patterns) => texts(patterns).iter().any(|pattern| wild(pattern, text)),
        None => !texts(&statement[format!("Not{name}")]).iter().any(|pattern| wild(pattern, text)),
    }
}

/// Patterns of `ResourceType` in each operator; None if there is another key or operator.
fn conditions(statement: &Value) -> Option<Vec<Vec<&str>>> {
    let Some(condition) = statement.get("Condition") else { return Some(Vec::new()) };
    let mut all = Vec::new();
    for (operator, keys) in condition.as_object()? {
        if !matches!(operator.as_str(), "StringEquals" | "StringLike") {
            return None;
        }
        for (key, patterns) in keys.as_object()? {
            if key != "ResourceType" {
                return None;
            }
            all.push(texts(patterns));
        }
    }
    Some(all)
}

fn wild(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(previous) = last.replace(part) {
            match rest.find(previous) {
                Some(at) => rest = &rest[at + previous.len()..],
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decides() {
        let text = r#"{"Statement":[
            {"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"},
            {"Effect":"Deny","Action":["Update:Replace","Update:Delete"],"Principal":"*","Resource":"LogicalResourceId/Prod*"},
            {"Effect":"Deny","Action":"Update:*","Principal":"*","Resource":"*","Condition":{"StringLike":{"ResourceType":["AWS::RDS::*"]}}}]}"#;
        assert!(validate(text).is_ok());
        assert!(allow(text, "Update:Modify", "ProdTable", "AWS::DynamoDB::Table").is_ok());
        assert!(allow(text, "Update:Replace", "ProdTable", "AWS::DynamoDB::Table").is_err());
        assert!(allow(text, "Update:Modify", "Db", "AWS::RDS::DBInstance").is_err());
        let none = r#"{"Statement":[{"Effect":"Allow","Action":"Update:Modify","Principal":"*","NotResource":"LogicalResourceId/A"}]}"#;
        assert!(allow(none, "Update:Modify", "B", "T").is_ok());
        assert!(allow(none, "Update:Modify", "A", "T").is_err());
        for bad in ["{}", "x", r#"{"Statement":[{"Effect":"Maybe"}]}"#] {
            assert!(validate(bad).is_err(), "{bad}");
        }
    }
}
