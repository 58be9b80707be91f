//! The policy simulator: the same judgement as a real request's, told in detail.

use std::sync::Arc;

use sereno_api_iam as api;
use sereno_base::Arn;
use sereno_kernel::{Ctx, Result};
use sereno_policy::validate::{self, IdentityKind};
use sereno_policy::{
    Context, Decision, Effect, Policies, Policy, PolicyKind, Principal, PrincipalKind, Request,
    ResourceRule, decide,
};

use crate::rules::Page;
use crate::source::{self, Source};
use crate::{errors, rules};

/// What both operations ask.
struct Question {
    sources: Vec<Source>,
    boundary: Option<Vec<Arc<Policy>>>,
    resource_policy: Option<Policy>,
    actions: Vec<String>,
    resources: Vec<String>,
    owner: Option<String>,
    caller_arn: Option<String>,
    entries: Vec<api::ContextEntry>,
    page: Page,
}

pub async fn custom(
    _ctx: Ctx,
    input: api::SimulateCustomPolicyInput,
) -> Result<api::SimulateCustomPolicyOutput> {
    if input.ordered_organization_policy_input_list.is_some() {
        return Err(errors::invalid_input("Organization policies are not supported."));
    }
    unsupported(input.resource_handling_option.as_deref())?;
    let sources = source::documents(&input.policy_input_list, "PolicyInputList")?;
    let question = Question {
        sources,
        boundary: boundary(input.permissions_boundary_policy_input_list.as_deref())?,
        resource_policy: resource_policy(input.resource_policy.as_deref())?,
        actions: input.action_names,
        resources: input.resource_arns.unwrap_or_default(),
        owner: input.resource_owner,
        caller_arn: input.caller_arn,
        entries: input.context_entries.unwrap_or_default(),
        page: Page::new(input.marker.as_deref(), input.max_items)?,
    };
    question.answer()
}

pub async fn principal(
    ctx: Ctx,
    input: api::SimulatePrincipalPolicyInput,
) -> Result<api::SimulatePrincipalPolicyOutput> {
    if input.policy_exclusion_list.as_ref().is_some_and(|l| !l.is_empty()) {
        return Err(errors::invalid_input("PolicyExclusionList is not supported."));
    }
    unsupported(input.resource_handling_option.as_deref())?;
    let held = source::of_entity(&ctx, &input.policy_source_arn).await?;
    let mut sources = held.sources;
    let more = input.policy_input_list.unwrap_or_default();
    sources.extend(source::documents(&more, "PolicyInputList")?);
    let given = boundary(input.permissions_boundary_policy_input_list.as_deref())?;
    let question = Question {
        sources,
        boundary: given.or(held.boundary.map(|b| vec![b])),
        resource_policy: resource_policy(input.resource_policy.as_deref())?,
        actions: input.action_names,
        resources: input.resource_arns.unwrap_or_default(),
        owner: input.resource_owner,
        caller_arn: input.caller_arn.or(Some(input.policy_source_arn)),
        entries: input.context_entries.unwrap_or_default(),
        page: Page::new(input.marker.as_deref(), input.max_items)?,
    };
    question.answer()
}

fn unsupported(handling: Option<&str>) -> Result<()> {
    match handling {
        None => Ok(()),
        Some(_) => Err(errors::invalid_input("ResourceHandlingOption is not supported.")),
    }
}

fn boundary(documents: Option<&[String]>) -> Result<Option<Vec<Arc<Policy>>>> {
    let Some(documents) = documents.filter(|d| !d.is_empty()) else { return Ok(None) };
    let compile = |d: &String| Ok(Arc::new(rules::identity_policy(d, IdentityKind::Inline)?));
    documents.iter().map(compile).collect::<Result<_>>().map(Some)
}

fn resource_policy(document: Option<&str>) -> Result<Option<Policy>> {
    let compiled = document.map(|d| validate::resource(d).map_err(|e| errors::invalid_input(e.0)));
    compiled.transpose()
}

impl Question {
    fn answer(self) -> Result<api::SimulatePolicyResponse> {
        let named = !self.resources.is_empty();
        let resources = if named { self.resources.clone() } else { vec!["*".to_owned()] };
        let mut all = Vec::new();
        for action in &self.actions {
            for resource in &resources {
                let number = format!("{:08}", all.len());
                all.push((number, self.judge(action, resource, named)));
            }
        }
        let cut = self.page.cut(all);
        Ok(api::SimulatePolicyResponse {
            is_truncated: cut.is_truncated(),
            evaluation_results: Some(cut.items),
            marker: cut.marker,
        })
    }

    fn judge(&self, action: &str, resource: &str, named: bool) -> api::EvaluationResult {
        let caller = Caller::new(self.caller_arn.as_deref());
        let principal = caller.principal();
        let mut context = Context::new();
        principal.fill(&mut context);
        for entry in &self.entries {
            if let (Some(name), Some(values)) = (&entry.context_key_name, &entry.context_key_values)
            {
                context.set_many(name.as_str(), values.iter().map(String::as_str));
            }
        }
        let owner = self.owner.as_deref().map(|o| account_in(o).unwrap_or_else(|| o.to_owned()));
        let request = Request {
            principal: &principal,
            action,
            resource,
            resource_account: owner.as_deref(),
            context: &context,
        };
        let identity: Vec<Arc<Policy>> =
            self.sources.iter().map(|s| Arc::clone(&s.policy)).collect();
        let policies = Policies {
            identity: &identity,
            // Several boundary documents are judged like a session's: one of them must allow.
            session: self.boundary.as_deref(),
            boundary: None,
            resource: self.resource_policy.as_ref(),
            rule: ResourceRule::Optional,
        };
        let decision = decide(&request, &policies);
        self.shown(&request, &decision, named)
    }

    fn shown(&self, request: &Request, decision: &Decision, named: bool) -> api::EvaluationResult {
        let (shown, effect) = match decision {
            Decision::Allow => (api::PolicyEvaluationDecisionType::Allowed, Some(Effect::Allow)),
            Decision::ImplicitDeny(_) => (api::PolicyEvaluationDecisionType::ImplicitDeny, None),
            Decision::ExplicitDeny { .. } => {
                (api::PolicyEvaluationDecisionType::ExplicitDeny, Some(Effect::Deny))
            }
        };
        let matched: Vec<api::Statement> =
            effect.map(|e| self.matched(request, e)).unwrap_or_default();
        let missing = self.missing(request);
        let bounded = self.boundary.as_ref().map(|_| api::PermissionsBoundaryDecisionDetail {
            allowed_by_permissions_boundary: Some(!matches!(
                decision,
                Decision::ImplicitDeny(PolicyKind::Session)
                    | Decision::ExplicitDeny { kind: PolicyKind::Session, .. }
            )),
        });
        let specific = named.then(|| api::ResourceSpecificResult {
            eval_resource_name: request.resource.to_owned(),
            eval_resource_decision: shown.clone(),
            matched_statements: Some(matched.clone()),
            missing_context_values: Some(missing.clone()),
            eval_decision_details: None,
            permissions_boundary_decision_detail: bounded.clone(),
        });
        api::EvaluationResult {
            eval_action_name: request.action.to_owned(),
            eval_resource_name: Some(request.resource.to_owned()),
            eval_decision: shown,
            matched_statements: Some(matched),
            missing_context_values: Some(missing),
            // recorded: LocalStack test_simulate_principle_policy
            organizations_decision_detail: Some(api::OrganizationsDecisionDetail {
                allowed_by_organizations: Some(true),
            }),
            permissions_boundary_decision_detail: bounded,
            eval_decision_details: Some(Default::default()),
            resource_specific_results: Some(specific.into_iter().collect()),
        }
    }

    /// The statements that made the decision.
    fn matched(&self, request: &Request, effect: Effect) -> Vec<api::Statement> {
        let mut matched = Vec::new();
        let resource =
            self.resource_policy.iter().map(|p| (p, "ResourcePolicy", "Resource Policy"));
        let identity = self.sources.iter().map(|s| (&*s.policy, s.id.as_str(), "IAM Policy"));
        for (policy, id, kind) in identity.chain(resource) {
            for statement in policy.matching(request).filter(|s| s.effect() == effect) {
                let (start, end) = statement.positions();
                let position = |p: sereno_policy::Position| api::Position {
                    line: i32::try_from(p.line).ok(),
                    column: i32::try_from(p.column).ok(),
                };
                matched.push(api::Statement {
                    source_policy_id: Some(id.to_owned()),
                    // What AWS answers, whatever its model says.
                    source_policy_type: Some(kind.into()),
                    start_position: Some(position(start)),
                    end_position: Some(position(end)),
                });
            }
        }
        matched
    }

    /// Keys that statements for this action and resource ask for and the request does not have.
    fn missing(&self, request: &Request) -> Vec<String> {
        let boundary = self.boundary.iter().flatten().map(|p| &**p);
        let policies =
            self.sources.iter().map(|s| &*s.policy).chain(boundary).chain(&self.resource_policy);
        let mut missing: Vec<String> = policies
            .flat_map(|p| p.statements())
            .filter(|s| s.covers(request))
            .flat_map(|s| s.context_keys())
            .filter(|k| !request.context.contains(k))
            .map(str::to_owned)
            .collect();
        missing.sort();
        missing.dedup();
        missing
    }
}

/// Whom the simulation supposes to ask: texts that a [`Principal`] borrows.
struct Caller {
    arn: String,
    account: String,
    name: String,
    is_role: bool,
}

impl Caller {
    fn new(arn: Option<&str>) -> Caller {
        let parsed = arn.and_then(Arn::parse);
        let is_role = parsed.as_ref().is_some_and(|a| a.resource.starts_with("role/"));
        let name = parsed.as_ref().and_then(|a| a.resource.rsplit('/').next().map(str::to_owned));
        Caller {
            arn: arn.unwrap_or_default().to_owned(),
            account: parsed.map(|a| a.account).unwrap_or_default(),
            name: name.unwrap_or_default(),
            is_role,
        }
    }

    fn principal(&self) -> Principal<'_> {
        let kind = if self.is_role {
            PrincipalKind::RoleSession { role_arn: &self.arn, session: "simulation" }
        } else {
            PrincipalKind::User { name: &self.name }
        };
        Principal { arn: &self.arn, account: &self.account, kind, unique_id: None }
    }
}

fn account_in(arn: &str) -> Option<String> {
    Arn::parse(arn).map(|a| a.account).filter(|a| !a.is_empty())
}

pub async fn keys_custom(
    _ctx: Ctx,
    input: api::GetContextKeysForCustomPolicyInput,
) -> Result<api::GetContextKeysForCustomPolicyOutput> {
    Ok(keys(&source::documents(&input.policy_input_list, "PolicyInputList")?))
}

pub async fn keys_principal(
    ctx: Ctx,
    input: api::GetContextKeysForPrincipalPolicyInput,
) -> Result<api::GetContextKeysForPrincipalPolicyOutput> {
    let mut sources = source::of_entity(&ctx, &input.policy_source_arn).await?.sources;
    let more = input.policy_input_list.unwrap_or_default();
    sources.extend(source::documents(&more, "PolicyInputList")?);
    Ok(keys(&sources))
}

fn keys(sources: &[Source]) -> api::GetContextKeysForPolicyResponse {
    let mut keys: Vec<String> = sources.iter().flat_map(|s| s.policy.context_keys()).collect();
    keys.sort_by_key(|k| k.to_lowercase());
    keys.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    api::GetContextKeysForPolicyResponse { context_key_names: Some(keys) }
}
