//! What a request needs to be allowed: made by a service's `access.rs`, judged by the kernel.

/// The permissions that one request needs; all of them must be allowed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Access {
    pub(crate) mode: Mode,
    pub(crate) needs: Vec<Need>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A caller that the policies allow.
    #[default]
    Policies,
    /// Anyone with valid credentials (GetCallerIdentity).
    Authenticated,
    /// Everyone (Cognito's SignUp).
    Public,
}

/// One action on one resource, with the condition keys that the service itself knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// `dynamodb:GetItem`
    pub action: &'static str,
    /// The resource's ARN, or `*`.
    pub resource: String,
    /// Service-specific condition keys (`dynamodb:LeadingKeys`) with all their values.
    pub conditions: Vec<(String, Vec<String>)>,
}

impl Access {
    pub fn new(action: &'static str, resource: impl Into<String>) -> Access {
        Access { mode: Mode::Policies, needs: Vec::new() }.and(action, resource)
    }

    /// Needs nothing but valid credentials.
    pub fn authenticated() -> Access {
        Access { mode: Mode::Authenticated, needs: Vec::new() }
    }

    /// Needs nothing at all.
    pub fn public() -> Access {
        Access { mode: Mode::Public, needs: Vec::new() }
    }

    /// One more action that must be allowed too.
    #[must_use]
    pub fn and(mut self, action: &'static str, resource: impl Into<String>) -> Access {
        self.needs.push(Need { action, resource: resource.into(), conditions: Vec::new() });
        self
    }

    /// Adds a condition key to the need added last.
    #[must_use]
    pub fn condition(mut self, key: impl Into<String>, values: Vec<String>) -> Access {
        if let Some(need) = self.needs.last_mut() {
            need.conditions.push((key.into(), values));
        }
        self
    }

    pub fn needs(&self) -> &[Need] {
        &self.needs
    }
}
