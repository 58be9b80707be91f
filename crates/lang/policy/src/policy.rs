//! A compiled policy: cheap to evaluate, shared between threads behind an `Arc`.

use crate::condition::Condition;
use crate::context::Context;
use crate::decide::Request;
use crate::document::{Document, Element, RawStatement, V2012};
use crate::json::Position;
use crate::pattern::{ArnPattern, Case, Pattern};
use crate::principal::{Entry, Grant, PrincipalMatch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    Allow,
    Deny,
}

/// Made by the functions of [`crate::validate`] only.
#[derive(Clone, Debug)]
pub struct Policy {
    statements: Box<[Statement]>,
}

#[derive(Clone, Debug)]
pub struct Statement {
    sid: Option<Box<str>>,
    effect: Effect,
    principal: PrincipalMatch,
    actions: Actions,
    /// None in trust policies: the role that carries it.
    resources: Option<Resources>,
    conditions: Box<[Condition]>,
    start: Position,
    end: Position,
}

#[derive(Clone, Debug)]
struct Actions {
    negated: bool,
    patterns: Box<[Pattern]>,
}

#[derive(Clone, Debug)]
struct Resources {
    negated: bool,
    patterns: Box<[ArnPattern]>,
}

/// What one policy says of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Verdict<'p> {
    pub allow: Option<Grant>,
    pub deny: Option<&'p Statement>,
}

impl Policy {
    pub(crate) fn compile(document: &Document) -> Policy {
        let variables = document.version.as_deref() == Some(V2012);
        Policy {
            statements: document
                .statements
                .iter()
                .map(|s| Statement::compile(s, variables))
                .collect(),
        }
    }

    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Puts unique ids in the place of the principals' ARNs, so that a deleted and newly made user or role of
    /// the same name is not meant. `id_of` answers None where the ARN shall stay.
    pub fn bind_principals(&mut self, id_of: &dyn Fn(&str) -> Option<String>) {
        for statement in &mut self.statements {
            statement.principal.bind(id_of);
        }
    }

    /// The user and role ARNs named as principals.
    pub fn principal_arns(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().flat_map(|s| {
            s.principal.entries().iter().filter_map(|e| match e {
                Entry::Arn(arn) => Some(&**arn),
                _ => None,
            })
        })
    }

    /// Every condition key the policy asks for, in conditions and variables, sorted and without repetition.
    pub fn context_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> =
            self.statements.iter().flat_map(Statement::context_keys).map(str::to_owned).collect();
        keys.sort_by_key(|k| k.to_lowercase());
        keys.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        keys
    }

    pub(crate) fn verdict(&self, request: &Request) -> Verdict<'_> {
        let mut verdict = Verdict::default();
        for statement in &self.statements {
            // A statement that can change nothing is not looked at.
            let settled = match statement.effect {
                Effect::Allow => verdict.allow == Some(Grant::Direct),
                Effect::Deny => verdict.deny.is_some(),
            };
            if settled {
                continue;
            }
            if let Some(grant) = statement.applies(request) {
                match statement.effect {
                    Effect::Allow => verdict.allow = verdict.allow.max(Some(grant)),
                    Effect::Deny => verdict.deny = Some(statement),
                }
            }
        }
        verdict
    }

    /// The statements that apply to a request, as the policy simulator lists them.
    pub fn matching<'p>(&'p self, request: &Request) -> impl Iterator<Item = &'p Statement> {
        self.statements.iter().filter(|s| s.applies(request).is_some())
    }
}

impl Statement {
    fn compile(raw: &RawStatement, variables: bool) -> Statement {
        Statement {
            sid: raw.sid.as_deref().filter(|s| !s.is_empty()).map(Into::into),
            effect: if raw.effect.eq_ignore_ascii_case("Deny") {
                Effect::Deny
            } else {
                Effect::Allow
            },
            principal: PrincipalMatch::new(raw.principal.as_ref()),
            actions: actions(raw.action.as_ref()),
            resources: raw.resource.as_ref().map(|r| Resources {
                negated: r.negated,
                patterns: r.values.iter().map(|v| ArnPattern::new(v, variables)).collect(),
            }),
            conditions: raw.condition.iter().map(|c| Condition::new(c, variables)).collect(),
            start: raw.span.start,
            end: raw.span.end,
        }
    }

    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref()
    }

    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Where the statement begins and ends in its text, as the policy simulator tells it.
    pub fn positions(&self) -> (Position, Position) {
        (self.start, self.end)
    }

    /// The condition keys it asks for.
    pub fn context_keys(&self) -> impl Iterator<Item = &str> {
        let of_resources = self.resources.iter().flat_map(|r| r.patterns.iter());
        let of_conditions =
            self.conditions.iter().flat_map(|c| std::iter::once(&*c.key).chain(c.variables()));
        of_resources.flat_map(ArnPattern::variables).chain(of_conditions)
    }

    /// Whether action and resource fit, whatever the conditions say.
    pub fn covers(&self, request: &Request) -> bool {
        self.actions.cover(request.action)
            && self
                .resources
                .as_ref()
                .is_none_or(|r| r.cover(request.resource, self.effect, request.context))
    }

    /// Whether it applies, and how directly it names the caller.
    pub(crate) fn applies(&self, request: &Request) -> Option<Grant> {
        if !self.actions.cover(request.action) {
            return None;
        }
        let grant = self.principal.grant(self.effect, request.principal)?;
        let fits = self.covers(request)
            && self.conditions.iter().all(|c| c.holds(self.effect, request.context));
        fits.then_some(grant)
    }
}

fn actions(raw: Option<&Element>) -> Actions {
    let (negated, values) = raw.map_or((false, [].as_slice()), |e| (e.negated, &e.values));
    Actions { negated, patterns: values.iter().map(|v| Pattern::wildcard(v, false)).collect() }
}

impl Actions {
    fn cover(&self, action: &str) -> bool {
        let none = Context::default();
        let listed =
            self.patterns.iter().any(|p| p.matches(action, Case::Ignore, &none) == Some(true));
        listed != self.negated
    }
}

impl Resources {
    fn cover(&self, arn: &str, effect: Effect, context: &Context) -> bool {
        let mut unclear = false;
        for pattern in &self.patterns {
            match pattern.matches(arn, context) {
                Some(true) => return !self.negated,
                Some(false) => {}
                None => unclear = true,
            }
        }
        // NotResource with a variable that has no value: nothing is left out of a Deny, all of an Allow.
        self.negated && (!unclear || effect == Effect::Deny)
    }
}
