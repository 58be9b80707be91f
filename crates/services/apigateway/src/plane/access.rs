//! Who may call a method: resource policy, IAM, authorizers.
//!
//! Invariant: what cannot be read or decided is a refusal.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-authorization-flow.html>

use std::sync::Arc;

use sereno_kernel::{Access, Caller, Ctx, Error, Kind, ResourceGuard, Result};

use super::Plane;
use super::authorizer::{self, Verdict};
use super::call::Call;
use super::compiled::Plan;
use super::failure::Failure;

const INVOKE: &str = "execute-api:Invoke";

pub async fn check(plane: &Plane, call: &mut Call, plan: &Plan) -> Result<(), Failure> {
    match plan.method.authorization_type.as_str() {
        "NONE" | "" => match resource_policy(call).await? {
            None => Ok(()),
            Some(Ok(())) => Ok(()),
            Some(Err(denied)) => Err(Failure::access_denied(denied)),
        },
        "AWS_IAM" => iam(call).await,
        "CUSTOM" => custom(plane, call, plan).await,
        // There are no user pools yet: nobody has a token that one of them signed.
        _ => Err(Failure::unauthorized()),
    }
}

/// What the API's own policy says to someone who did not sign; `None`: it has none.
async fn resource_policy(call: &Call) -> Result<Option<Result<(), String>>, Failure> {
    if call.compiled.policy.is_none() {
        return Ok(None);
    }
    let anonymous = call.ctx.as_caller(Caller::Anonymous);
    match invoke(&anonymous, call).await {
        Ok(()) => Ok(Some(Ok(()))),
        Err(error) if error.kind() == Kind::Denied => Ok(Some(Err(masked(call, error.message())))),
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

async fn invoke(ctx: &Ctx, call: &Call) -> Result<()> {
    ctx.authorise("apigateway", &Access::new(INVOKE, call.method_arn())).await
}

async fn iam(call: &mut Call) -> Result<(), Failure> {
    if let Some((code, message)) = &call.ctx.origin().refusal {
        return Err(Failure::invalid_signature(code, message));
    }
    if *call.ctx.caller() == Caller::Anonymous {
        return Err(Failure::missing_token());
    }
    match invoke(&call.ctx, call).await {
        Ok(()) => {
            call.identity.signed = true;
            Ok(())
        }
        Err(error) if error.kind() == Kind::Denied => {
            Err(Failure::access_denied(masked(call, error.message())))
        }
        Err(error) => Err(Failure::internal(error.to_string())),
    }
}

/// Clients do not learn the account that owns the API.
fn masked(call: &Call, message: &str) -> String {
    let account = call.ctx.account().to_string();
    let owner = format!(":{account}:{}/", call.api_id());
    message.replace(&owner, &format!(":********{}:{}/", &account[8..], call.api_id()))
}

async fn custom(plane: &Plane, call: &mut Call, plan: &Plan) -> Result<(), Failure> {
    let policy = resource_policy(call).await?;
    if let Some(Err(denied)) = &policy
        && denied.contains("explicit deny")
    {
        return Err(Failure::access_denied(denied.clone()));
    }
    let compiled = Arc::clone(&call.compiled);
    let id = plan.method.authorizer_id.as_deref().unwrap_or_default();
    let found = compiled.authorizers.get(id);
    let found =
        found.ok_or_else(|| Failure::authorizer_configuration("there is no such authorizer"))?;
    if found.record.kind == "COGNITO_USER_POOLS" {
        return Err(Failure::unauthorized());
    }
    let refused = "User is not authorized to access this resource";
    match authorizer::decide(&plane.decisions, call, found).await? {
        Verdict::Allow => Ok(()),
        Verdict::ImplicitDeny if policy == Some(Ok(())) => Ok(()),
        Verdict::ImplicitDeny => Err(Failure::access_denied(refused)),
        Verdict::ExplicitDeny => {
            Err(Failure::access_denied(format!("{refused} with an explicit deny")))
        }
    }
}

/// The resource policy of a deployed API, for the kernel's decisions.
pub async fn guard(plane: Arc<Plane>, ctx: Ctx, arn: String) -> Result<ResourceGuard> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", _, "execute-api", _, _, resource] = parts.as_slice() else {
        return Ok(ResourceGuard::default());
    };
    let mut resource = resource.split('/');
    let (api_id, stage) =
        (resource.next().unwrap_or_default(), resource.next().unwrap_or_default());
    let entry = plane.cache.stage(&ctx, api_id, stage).await?;
    let entry = entry.ok_or_else(|| Error::internal(format!("no stage behind {arn}")))?;
    Ok(ResourceGuard { policy: entry.live.policy.clone(), ..ResourceGuard::default() })
}
