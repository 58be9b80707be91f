//! Roles that an API acts with.
//!
//! Invariant: nobody gives an API a role that they may not pass themselves, and no API acts with a role of
//! another account.

use sereno_kernel::{Access, Ctx, Error, Kind, Result};

use crate::patch::Patch;

/// Whether `arn` stands for the caller's own credentials, which are nobody's to pass.
pub fn is_callers(arn: &str) -> bool {
    arn.ends_with(":user/*")
}

/// Whether the role is of the account in which `ctx` works.
pub fn is_own(ctx: &Ctx, arn: &str) -> bool {
    arn.split(':').nth(4) == Some(ctx.account().to_string().as_str())
}

/// `iam:PassRole`, for every role that an API is given.
pub async fn pass(ctx: &Ctx, arn: Option<&str>) -> Result<()> {
    let Some(arn) = arn.filter(|arn| !arn.is_empty() && !is_callers(arn)) else { return Ok(()) };
    // What a stage variable will name later is judged as any role, and its account when it is used.
    let variable = arn.contains("${");
    if !variable && !is_own(ctx, arn) {
        let message = "Cross-account pass role is not allowed.";
        return Err(Error::new(Kind::Denied, "AccessDeniedException", message).status(403));
    }
    let access = Access::new("iam:PassRole", if variable { "*" } else { arn })
        .condition("iam:PassedToService", vec!["apigateway.amazonaws.com".to_owned()]);
    ctx.authorise("iam", &access).await
}

/// The same for what an update sets at `path`.
pub async fn pass_patched(ctx: &Ctx, patches: &[Patch], path: &str) -> Result<()> {
    for patch in patches.iter().filter(|patch| patch.path == path && !patch.removes()) {
        pass(ctx, Some(patch.text())).await?;
    }
    Ok(())
}
