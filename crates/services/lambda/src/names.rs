//! The ways to name a function: name, partial ARN, ARN, each with or without a qualifier.

use sereno_base::{AccountId, Region};
use sereno_kernel::{Ctx, Result};
use sereno_store::Read;

use crate::errors;
use crate::state::{ALIASES, FUNCTIONS, FunctionRecord, version_key};

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
    /// Reads `name[:qualifier]` with anything of an ARN before it, as the API's pattern has it:
    /// `(arn:aws:lambda:)?(region:)?(account:)?(function:)?name(:qualifier)?`.
    pub fn parse(text: &str) -> FunctionName {
        let mut parts: Vec<&str> = text.split(':').collect();
        if parts.len() > 3 && parts[0] == "arn" {
            parts.drain(..3);
        }
        let mut lead = |is: fn(&str) -> bool| {
            let leads = parts.len() > 1 && is(parts[0]);
            leads.then(|| parts.remove(0).to_owned())
        };
        let region = lead(|part| Region::parse(part).is_some());
        let account = lead(|part| part.parse::<AccountId>().is_ok());
        lead(|part| part == "function");
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

    /// The context in which the function lives: another account perhaps, never another region.
    pub fn place(&self, ctx: &Ctx) -> Result<Ctx> {
        match self.region.as_deref() {
            Some(region) if region != ctx.region().as_str() => {
                Err(errors::other_region(region, ctx.region().as_str()))
            }
            _ => Ok(self.locate(ctx)),
        }
    }

    /// As `place`, wherever that is: what a policy must allow.
    pub fn locate(&self, ctx: &Ctx) -> Ctx {
        let mut place = ctx.clone();
        if let Some(account) = self.account.as_deref().and_then(|text| text.parse().ok()) {
            place = place.in_account(account);
        }
        if let Some(region) = self.region.as_deref().and_then(Region::parse) {
            place = place.in_region(region);
        }
        place
    }

    /// Refuses a version or alias where only the function itself is meant.
    pub fn unqualified(self) -> Result<FunctionName> {
        match self.qualifier {
            Some(_) => Err(errors::only_functions()),
            None => Ok(self),
        }
    }
}

/// Whether a qualifier can only name an alias.
pub fn is_alias(qualifier: &str) -> bool {
    !is_version(qualifier) && !qualifier.contains('$')
}

pub fn is_version(qualifier: &str) -> bool {
    !qualifier.is_empty() && qualifier.bytes().all(|byte| byte.is_ascii_digit())
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
    let missing = || errors::function_not_found(ctx, &name.name, name.qualifier.as_deref());
    let qualifier = name.qualifier.as_deref().unwrap_or(LATEST);
    let version = if qualifier == LATEST || is_version(qualifier) {
        qualifier.to_owned()
    } else {
        let alias = ALIASES.get(read, ctx.scope(), &(name.name.as_str(), qualifier)).await?;
        let alias = alias.ok_or_else(missing)?;
        match alias.other_version {
            Some(other) if chance < alias.other_weight => other,
            _ => alias.version,
        }
    };
    let key = (name.name.as_str(), version_key(&version));
    let function = FUNCTIONS.get(read, ctx.scope(), &(key.0, key.1.as_str())).await?;
    Ok(Resolved { function: function.ok_or_else(missing)?, arn })
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
        assert_eq!(parse("function:f"), of("f", "", ""));
        assert_eq!(parse("us-east-1:123456789012:f:1"), of("f", "1", "123456789012"));
        // Not an ARN of a function, but of one named `function`: so AWS reads it.
        let short = "arn:aws:lambda:us-east-1:123456789012:function";
        assert_eq!(parse(short), of("function", "", "123456789012"));
    }

    #[test]
    fn qualifiers_must_agree() {
        assert!(FunctionName::qualified("f:1", Some("2")).is_err());
        assert_eq!(FunctionName::qualified("f:1", Some("1")).unwrap().qualifier.unwrap(), "1");
    }
}
