//! What each operation needs. An entity's ARN holds its path, which only the store knows: so the target is
//! looked up first, and judged by the kernel before the handler runs. What does not exist is judged as if it
//! lay in the path `/`.

use sereno_api_iam as api;
use sereno_base::arn;
use sereno_kernel::{Access, Caller, Ctx, Kind as ErrorKind, Result, Service};
use sereno_wire::Operation;

use crate::rules::PolicyArn;
use crate::state::{self, Entity, GroupRecord, RoleRecord, TagRecord, UserRecord};
use crate::{errors, oidc, policy};

/// The resource of an operation.
#[derive(Clone, Debug)]
pub enum Resource {
    Arn(String),
    User(String),
    Group(String),
    Role(String),
    Profile(String),
    /// By ARN.
    Policy(String),
    /// By ARN.
    Provider(String),
}

/// A resource with the condition keys that the request itself brings.
#[derive(Clone, Debug)]
pub struct Target {
    resource: Resource,
    conditions: Vec<(String, Vec<String>)>,
    passed_role: Option<String>,
}

impl Target {
    fn new(resource: Resource) -> Target {
        Target { resource, conditions: Vec::new(), passed_role: None }
    }

    pub fn arn(arn: impl Into<String>) -> Target {
        Target::new(Resource::Arn(arn.into()))
    }

    /// `*`: the operation knows no resources.
    pub fn any() -> Target {
        Target::arn("*")
    }

    /// Something of this account, by what follows the account in its ARN.
    pub fn own(ctx: &Ctx, resource: &str) -> Target {
        Target::arn(arn("iam", None, Some(ctx.account()), resource))
    }

    /// An entity that is about to be made.
    pub fn made(ctx: &Ctx, kind: &str, path: Option<&str>, name: &str) -> Target {
        Target::own(ctx, &format!("{kind}{}{name}", path.unwrap_or("/")))
    }

    /// A listing.
    pub fn listed(ctx: &Ctx, kind: &str, prefix: Option<&str>) -> Target {
        Target::own(ctx, &format!("{kind}{}", prefix.unwrap_or("/")))
    }

    pub fn user(name: &str) -> Target {
        Target::new(Resource::User(name.to_owned()))
    }

    /// The named user, or the caller.
    pub fn user_or_caller(ctx: &Ctx, name: Option<&str>) -> Target {
        match (name, ctx.caller()) {
            (Some(name), _) => Target::user(name),
            (None, Caller::User(user)) => Target::user(&user.name),
            (None, other) => Target::arn(other.arn()),
        }
    }

    pub fn group(name: &str) -> Target {
        Target::new(Resource::Group(name.to_owned()))
    }

    pub fn role(name: &str) -> Target {
        Target::new(Resource::Role(name.to_owned()))
    }

    pub fn profile(name: &str) -> Target {
        Target::new(Resource::Profile(name.to_owned()))
    }

    pub fn policy_arn(arn: &str) -> Target {
        Target::new(Resource::Policy(arn.to_owned()))
    }

    pub fn provider(arn: &str) -> Target {
        Target::new(Resource::Provider(arn.to_owned()))
    }

    pub fn with(mut self, key: &str, value: Option<&str>) -> Target {
        if let Some(value) = value {
            self.conditions.push((key.to_owned(), vec![value.to_owned()]));
        }
        self
    }

    pub fn boundary(self, arn: Option<&str>) -> Target {
        self.with("iam:PermissionsBoundary", arn)
    }

    pub fn policy(self, arn: &str) -> Target {
        self.with("iam:PolicyARN", Some(arn))
    }

    /// Tags that the request sets.
    pub fn tagged(mut self, tags: Option<&[api::Tag]>) -> Target {
        let Some(tags) = tags.filter(|t| !t.is_empty()) else { return self };
        for tag in tags {
            self = self.with(&format!("aws:RequestTag/{}", tag.key), Some(&tag.value));
        }
        let keys: Vec<String> = tags.iter().map(|t| t.key.clone()).collect();
        self.untagged(&keys)
    }

    /// Tags that the request removes.
    pub fn untagged(mut self, keys: &[String]) -> Target {
        self.conditions.push(("aws:TagKeys".to_owned(), keys.to_vec()));
        self
    }

    /// The caller hands this role on.
    pub fn passing(mut self, role: &str) -> Target {
        self.passed_role = Some(role.to_owned());
        self
    }

    async fn access(self, ctx: &Ctx, action: &'static str) -> Result<Access> {
        let (resource, tags) = self.resource.resolve(ctx).await?;
        let mut access = Access::new(action, resource);
        for tag in tags {
            for prefix in ["aws:ResourceTag", "iam:ResourceTag"] {
                access = access.condition(format!("{prefix}/{}", tag.key), vec![tag.value.clone()]);
            }
        }
        for (key, values) in self.conditions {
            access = access.condition(key, values);
        }
        if let Some(role) = self.passed_role {
            let (role, _) = Resource::Role(role).resolve(ctx).await?;
            let service = vec!["ec2.amazonaws.com".to_owned()];
            access = access.and("iam:PassRole", role).condition("iam:PassedToService", service);
        }
        Ok(access)
    }
}

impl Resource {
    async fn resolve(self, ctx: &Ctx) -> Result<(String, Vec<TagRecord>)> {
        match self {
            Resource::Arn(arn) => Ok((arn, Vec::new())),
            Resource::User(name) => entity::<UserRecord>(ctx, &name).await,
            Resource::Group(name) => entity::<GroupRecord>(ctx, &name).await,
            Resource::Role(name) => entity::<RoleRecord>(ctx, &name).await,
            Resource::Profile(name) => {
                let found = state::PROFILES
                    .get(ctx.store(), ctx.account_scope(), &state::key(&name))
                    .await?;
                let (path, name, tags) = match found {
                    Some(p) => (p.path, p.name, p.tags),
                    None => ("/".to_owned(), name, Vec::new()),
                };
                let resource = format!("instance-profile{path}{name}");
                Ok((arn("iam", None, Some(ctx.account()), &resource), tags))
            }
            Resource::Policy(arn) => {
                // What is not an ARN has no tags; the handler refuses it.
                let found = match PolicyArn::parse(&arn) {
                    Ok(_) => policy::look_up(ctx, ctx.store(), &arn).await?,
                    Err(_) => None,
                };
                let tags = match found {
                    Some(policy::Found::Own(policy)) => policy.tags,
                    Some(policy::Found::Aws(_)) | None => Vec::new(),
                };
                Ok((arn, tags))
            }
            Resource::Provider(arn) => match oidc::find(ctx, ctx.store(), &arn).await {
                Ok(provider) => Ok((arn, provider.tags)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok((arn, Vec::new())),
                Err(error) => Err(error),
            },
        }
    }
}

async fn entity<E: Entity>(ctx: &Ctx, name: &str) -> Result<(String, Vec<TagRecord>)> {
    let found: Option<E> =
        E::TABLE.get(ctx.store(), ctx.account_scope(), &state::key(name)).await?;
    Ok(match found {
        Some(entity) => (entity.arn(ctx.account()), entity.tags().to_vec()),
        None => (state::entity_arn(ctx.account(), E::KIND, "/", name), Vec::new()),
    })
}

/// Registers operations that are judged on what they name.
pub trait Guarded: Sized {
    /// `target` says what is named; the action is `iam:` and the operation's name.
    #[must_use]
    fn guarded<O, T, H, F>(self, target: T, handler: H) -> Self
    where
        O: Operation,
        T: Fn(&Ctx, &O::Input) -> Target + Copy + Send + Sync + 'static,
        H: Fn(Ctx, O::Input) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<O::Output>> + Send + 'static;
}

impl Guarded for Service {
    fn guarded<O, T, H, F>(self, target: T, handler: H) -> Self
    where
        O: Operation,
        T: Fn(&Ctx, &O::Input) -> Target + Copy + Send + Sync + 'static,
        H: Fn(Ctx, O::Input) -> F + Copy + Send + Sync + 'static,
        F: Future<Output = Result<O::Output>> + Send + 'static,
    {
        // Once for each operation of the process: actions live as long as it does.
        let action: &'static str = Box::leak(format!("iam:{}", O::SCHEMA.name).into_boxed_str());
        // The kernel refuses callers without credentials, the wrapper all that the policies do not allow.
        self.on::<O>(
            |_, _| Access::authenticated(),
            move |ctx: Ctx, input: O::Input| async move {
                if is_own_session(ctx.caller()) {
                    return Err(errors::session_token_refused());
                }
                let access = target(&ctx, &input).access(&ctx, action).await?;
                ctx.authorise("iam", &access).await?;
                handler(ctx, input).await
            },
        )
    }
}

/// Sessions of GetFederationToken and (without MFA) of GetSessionToken may not call IAM at all.
/// `https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html`
fn is_own_session(caller: &Caller) -> bool {
    match caller {
        Caller::Federated(_) => true,
        Caller::User(user) => user.access_key_id.starts_with("ASIA"),
        _ => false,
    }
}

/// The name of the user that an operation means when it names none.
pub fn named_user(ctx: &Ctx, name: Option<String>) -> Result<String> {
    match (name, ctx.caller()) {
        (Some(name), _) => Ok(name),
        (None, Caller::User(user)) => Ok(user.name.clone()),
        (None, _) => Err(errors::user_name_needed()),
    }
}
