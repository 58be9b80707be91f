//! Who asks, and which `Principal` elements mean them.
//!
//! `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html`

use crate::context::Context;
use crate::document::RawPrincipal;
use crate::policy::Effect;

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Principal<'a> {
    /// As `GetCallerIdentity` answers: `arn:aws:iam::1:user/x`, `arn:aws:sts::1:assumed-role/r/s`,
    /// `arn:aws:iam::1:root`. For a service its name, for anonymous callers `anonymous`.
    pub arn: &'a str,
    /// Twelve digits; empty for services and anonymous callers.
    pub account: &'a str,
    pub kind: PrincipalKind<'a>,
    /// `AIDA...` of a user, `AROA...` of a session's role. A policy that names an id means this one entity only.
    pub unique_id: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrincipalKind<'a> {
    Root,
    User {
        name: &'a str,
    },
    RoleSession {
        role_arn: &'a str,
        session: &'a str,
    },
    /// From `GetFederationToken`; without an issuer, the root user asked for it.
    FederatedUser {
        issuer_arn: Option<&'a str>,
        name: &'a str,
    },
    /// `lambda.amazonaws.com`, for itself (not with a role).
    Service {
        name: &'a str,
    },
    /// A caller that only a token of this provider vouches for (`AssumeRoleWithWebIdentity`, `...WithSAML`).
    Federated {
        provider: &'a str,
    },
    Anonymous,
}

impl<'a> Principal<'a> {
    pub fn anonymous() -> Principal<'static> {
        Principal { arn: "anonymous", account: "", kind: PrincipalKind::Anonymous, unique_id: None }
    }

    pub fn service(name: &'a str) -> Principal<'a> {
        Principal { arn: name, account: "", kind: PrincipalKind::Service { name }, unique_id: None }
    }

    /// Sets the condition keys that follow from who asks: `aws:PrincipalArn`, `aws:PrincipalAccount`,
    /// `aws:PrincipalType`, `aws:userid`, `aws:username`, `aws:PrincipalIsAWSService`, `aws:PrincipalServiceName`.
    /// `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html`
    pub fn fill(&self, context: &mut Context<'a>) {
        let service = matches!(self.kind, PrincipalKind::Service { .. });
        context.set("aws:PrincipalIsAWSService", if service { "true" } else { "false" });
        let (kind, arn) = match self.kind {
            PrincipalKind::Root => ("Account", self.arn),
            PrincipalKind::User { name } => {
                context.set("aws:username", name);
                ("User", self.arn)
            }
            // The role, not the session.
            PrincipalKind::RoleSession { role_arn, .. } => ("AssumedRole", role_arn),
            PrincipalKind::FederatedUser { .. } => ("FederatedUser", self.arn),
            PrincipalKind::Service { name } => {
                context.set("aws:PrincipalServiceName", name);
                return;
            }
            PrincipalKind::Federated { .. } => return,
            PrincipalKind::Anonymous => {
                context.set("aws:PrincipalType", "Anonymous");
                context.set("aws:userid", "anonymous");
                return;
            }
        };
        context.set("aws:PrincipalType", kind);
        context.set("aws:PrincipalArn", arn);
        context.set("aws:PrincipalAccount", self.account);
        match (self.kind, self.unique_id) {
            (PrincipalKind::Root, _) => context.set("aws:userid", self.account),
            (PrincipalKind::User { .. }, Some(id)) => context.set("aws:userid", id),
            (PrincipalKind::RoleSession { session, .. }, Some(id)) => {
                context.set("aws:userid", format!("{id}:{session}"));
            }
            (PrincipalKind::FederatedUser { name, .. }, _) => {
                context.set("aws:userid", format!("{}:{name}", self.account));
            }
            _ => {}
        }
    }

    /// Every name that a policy may know the caller by, except the wildcard.
    fn names(&self) -> Vec<Name<'a>> {
        let mut names = match self.kind {
            PrincipalKind::Anonymous => return Vec::new(),
            PrincipalKind::Service { name } => return vec![Name::Service(name)],
            PrincipalKind::Federated { provider } => return vec![Name::Federated(provider)],
            PrincipalKind::Root => Vec::new(),
            PrincipalKind::User { .. } | PrincipalKind::FederatedUser { .. } => {
                vec![Name::Arn(self.arn)]
            }
            PrincipalKind::RoleSession { role_arn, .. } => {
                vec![Name::Arn(self.arn), Name::Arn(role_arn)]
            }
        };
        names.push(Name::Account(self.account));
        names
    }
}

enum Name<'a> {
    Arn(&'a str),
    Account(&'a str),
    Service(&'a str),
    Federated(&'a str),
}

/// How directly a resource policy's statement names the caller. It matters within one account: an account
/// only hands the decision to its own policies; a role is held to its boundary and session policies; a user or
/// a session that is named needs nothing more.
/// `https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html`
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grant {
    Account,
    Role,
    Direct,
}

#[derive(Clone, Debug)]
pub(crate) enum PrincipalMatch {
    /// An identity policy: it applies to whom it is attached.
    Holder,
    Listed(Box<[Entry]>),
    /// `NotPrincipal`
    Except(Box<[Entry]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Any,
    Account(Box<str>),
    Arn(Box<str>),
    UniqueId(Box<str>),
    Service(Box<str>),
    Federated(Box<str>),
}

impl PrincipalMatch {
    pub fn new(raw: Option<&RawPrincipal>) -> PrincipalMatch {
        let Some(raw) = raw else {
            return PrincipalMatch::Holder;
        };
        let entries = raw.entries.iter().map(|(k, v)| Entry::new(k, v)).collect();
        if raw.negated { PrincipalMatch::Except(entries) } else { PrincipalMatch::Listed(entries) }
    }

    pub fn entries(&self) -> &[Entry] {
        match self {
            PrincipalMatch::Holder => &[],
            PrincipalMatch::Listed(e) | PrincipalMatch::Except(e) => e,
        }
    }

    /// Puts unique ids in the place of ARNs.
    pub fn bind(&mut self, id_of: &dyn Fn(&str) -> Option<String>) {
        let (PrincipalMatch::Listed(entries) | PrincipalMatch::Except(entries)) = self else {
            return;
        };
        for entry in entries.iter_mut() {
            if let Entry::Arn(arn) = entry
                && let Some(id) = id_of(arn)
            {
                *entry = Entry::UniqueId(id.into());
            }
        }
    }

    pub fn grant(&self, effect: Effect, principal: &Principal) -> Option<Grant> {
        match self {
            PrincipalMatch::Holder => Some(Grant::Direct),
            PrincipalMatch::Listed(entries) => {
                entries.iter().filter_map(|e| e.grant(principal)).max()
            }
            PrincipalMatch::Except(entries) => {
                let named = |n: &Name| entries.iter().any(|e| e.is(n, principal));
                let names = principal.names();
                // A caller is excepted from a Deny only if every name it has is listed (AWS asks for the
                // session, the role and the account), but from an Allow if any is.
                let excepted = match effect {
                    Effect::Deny => !names.is_empty() && names.iter().all(named),
                    Effect::Allow => names.iter().any(named),
                };
                let wildcard = entries.contains(&Entry::Any);
                (!excepted && !wildcard).then(|| everyone(principal))
            }
        }
    }
}

/// What a statement for everyone means for this caller. AWS's pages disagree on whether `*` lets a role pass
/// its boundary; the stricter reading is taken.
fn everyone(principal: &Principal) -> Grant {
    match principal.kind {
        PrincipalKind::RoleSession { .. } | PrincipalKind::FederatedUser { .. } => Grant::Role,
        _ => Grant::Direct,
    }
}

impl Entry {
    pub fn new(kind: &str, value: &str) -> Entry {
        match kind {
            "*" => Entry::Any,
            "AWS" if value == "*" => Entry::Any,
            "AWS" => match account(value) {
                Some(account) => Entry::Account(account.into()),
                None if value.starts_with("arn:") => Entry::Arn(value.into()),
                None => Entry::UniqueId(value.into()),
            },
            "Service" => Entry::Service(value.into()),
            // The grammar lets only the four kinds through, and no validator a canonical user.
            _ => Entry::Federated(value.into()),
        }
    }

    fn grant(&self, p: &Principal) -> Option<Grant> {
        use PrincipalKind as Kind;
        match (self, p.kind) {
            // Only a provider that is named can vouch for a token.
            (Entry::Federated(f), Kind::Federated { provider }) => {
                (**f == *provider).then_some(Grant::Direct)
            }
            (_, Kind::Federated { .. }) => None,
            (Entry::Any, _) => Some(everyone(p)),
            (Entry::Service(s), Kind::Service { name }) => {
                s.eq_ignore_ascii_case(name).then_some(Grant::Direct)
            }
            (_, Kind::Service { .. } | Kind::Anonymous) => None,
            (Entry::Account(a), Kind::Root) => (**a == *p.account).then_some(Grant::Direct),
            (Entry::Account(a), _) => (**a == *p.account).then_some(Grant::Account),
            (Entry::Arn(a), _) if **a == *p.arn => Some(Grant::Direct),
            (Entry::Arn(a), Kind::RoleSession { role_arn, .. }) => {
                (**a == *role_arn).then_some(Grant::Role)
            }
            (Entry::Arn(a), Kind::FederatedUser { issuer_arn, .. }) => {
                (issuer_arn == Some(&**a)).then_some(Grant::Role)
            }
            (Entry::UniqueId(id), kind) if p.unique_id == Some(&**id) => match kind {
                Kind::User { .. } => Some(Grant::Direct),
                Kind::RoleSession { .. } | Kind::FederatedUser { .. } => Some(Grant::Role),
                _ => None,
            },
            _ => None,
        }
    }

    fn is(&self, name: &Name, p: &Principal) -> bool {
        match (self, name) {
            (Entry::Any, _) => true,
            (Entry::Account(a), Name::Account(b)) => **a == **b,
            (Entry::Arn(a), Name::Arn(b)) => **a == **b,
            (Entry::UniqueId(id), Name::Arn(b)) => {
                // An id stands for the user, or for the role but not its session.
                let role =
                    matches!(p.kind, PrincipalKind::RoleSession { role_arn, .. } if role_arn == *b);
                let user = matches!(p.kind, PrincipalKind::User { .. });
                p.unique_id == Some(&**id) && (role || user)
            }
            (Entry::Service(a), Name::Service(b)) => a.eq_ignore_ascii_case(b),
            (Entry::Federated(a), Name::Federated(b)) => **a == **b,
            _ => false,
        }
    }
}

/// The account that `123456789012` or `arn:aws:iam::123456789012:root` names.
pub(crate) fn account(value: &str) -> Option<&str> {
    let id = match value.strip_prefix("arn:") {
        None => value,
        Some(rest) => rest.split_once(':')?.1.strip_prefix("iam::")?.strip_suffix(":root")?,
    };
    (id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}
