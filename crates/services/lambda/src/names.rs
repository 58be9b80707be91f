//! The ways to name a function: name, partial ARN, ARN, each with or without a qualifier.

use sereno_kernel::{Ctx, Result};
use sereno_store::Read;

use crate::errors;
use crate::state::{self, ALIASES, FunctionRecord};

pub const LATEST: &str = "$LATEST";

/// A function's name and, if the caller gave one, a qualifier.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionName {
    pub name: String,
    pub qualifier: Option<String>,
    /// Named by an ARN: another account's or region's function.
    pub account: Option<String>,
    pub region: Option<String>,
}

impl FunctionName {
    /// Reads `name`, `name:qualifier`, `account:function:name[:qualifier]` and ARNs.
    pub fn parse(text: &str) -> FunctionName {
        let mut parts: Vec<&str> = text.split(':').collect();
        let (mut account, mut region) = (None, None);
        if parts.len() >= 7 && parts[0] == "arn" {
            region = Some(parts[3].to_owned());
            account = Some(parts[4].to_owned());
            parts.drain(..6);
        } else if parts.len() >= 3 && parts[1] == "function" {
            account = Some(parts[0].to_owned());
            parts.drain(..2);
        }
        FunctionName {
            name: parts[0].to_owned(),
            qualifier: parts.get(1).map(|qualifier| (*qualifier).to_owned()),
            account,
            region,
        }
    }

    /// With the separate Qualifier parameter, which must not contradict the one in the name.
    pub fn qualified(text: &str, qualifier: Option<&str>) -> Result<FunctionName> {
        let mut name = FunctionName::parse(text);
        match (&name.qualifier, qualifier) {
            (Some(inner), Some(outer)) if inner != outer => Err(errors::two_qualifiers()),
            (None, Some(outer)) => {
                name.qualifier = Some(outer.to_owned());
                Ok(name)
            }
            _ => Ok(name),
        }
    }

    /// The context in which the function lives.
    pub fn place(&self, ctx: &Ctx) -> Ctx {
        let mut place = ctx.clone();
        if let Some(account) = self.account.as_deref().and_then(|text| text.parse().ok()) {
            place = place.in_account(account);
        }
        if let Some(region) = self.region.as_deref().and_then(sereno_base::Region::parse) {
            place = place.in_region(region);
        }
        place
    }
}

pub fn function_arn(ctx: &Ctx, name: &str, qualifier: Option<&str>) -> String {
    match qualifier {
        Some(qualifier) => ctx.arn("lambda", &format!("function:{name}:{qualifier}")),
        None => ctx.arn("lambda", &format!("function:{name}")),
    }
}

/// A version found by whatever the caller called it.
pub struct Resolved {
    pub function: FunctionRecord,
    /// As the caller named it, which is what the function sees as its own ARN.
    pub arn: String,
}

/// Finds the version behind a qualifier. `chance` in 0..1 chooses between the versions of a weighted alias.
pub async fn resolve<R: Read + ?Sized>(
    ctx: &Ctx,
    read: &R,
    name: &FunctionName,
    chance: f64,
) -> Result<Resolved> {
    let arn = function_arn(ctx, &name.name, name.qualifier.as_deref());
    let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
    if qualifier == LATEST || qualifier.bytes().all(|byte| byte.is_ascii_digit()) {
        let function = state::version(ctx, read, &name.name, qualifier).await?;
        return Ok(Resolved { function, arn });
    }
    let alias = ALIASES.get(read, ctx.scope(), &(name.name.as_str(), qualifier)).await?;
    let missing = || errors::function_not_found(ctx, &name.name, Some(qualifier));
    let alias = alias.ok_or_else(missing)?;
    let version = match &alias.other_version {
        Some(other) if chance < alias.other_weight => other.as_str(),
        _ => alias.version.as_str(),
    };
    let function = state::version(ctx, read, &name.name, version).await?;
    Ok(Resolved { function, arn })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_name() {
        let parse = |text: &str| {
            let name = FunctionName::parse(text);
            (name.name, name.qualifier.unwrap_or_default(), name.account.unwrap_or_default())
        };
        let of = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parse("f"), of("f", "", ""));
        assert_eq!(parse("f:PROD"), of("f", "PROD", ""));
        assert_eq!(parse("123456789012:function:f"), of("f", "", "123456789012"));
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        assert_eq!(parse(arn), of("f", "", "123456789012"));
        assert_eq!(parse(&format!("{arn}:3")), of("f", "3", "123456789012"));
    }

    #[test]
    fn qualifiers_must_agree() {
        assert!(FunctionName::qualified("f:1", Some("2")).is_err());
        assert_eq!(FunctionName::qualified("f:1", Some("1")).unwrap().qualifier.unwrap(), "1");
    }
}
