//! What `GetTemplateSummary` and `ValidateTemplate` say about a template, and the capabilities it asks for.

use serde_json::Value;

use crate::error::Result;
use crate::template::Template;
use crate::transforms;

/// IAM types, and the property that names the thing.
const IAM: [(&str, Option<&str>); 8] = [
    ("AWS::IAM::AccessKey", None),
    ("AWS::IAM::Group", Some("GroupName")),
    ("AWS::IAM::InstanceProfile", Some("InstanceProfileName")),
    ("AWS::IAM::ManagedPolicy", Some("ManagedPolicyName")),
    ("AWS::IAM::Policy", None),
    ("AWS::IAM::Role", Some("RoleName")),
    ("AWS::IAM::User", Some("UserName")),
    ("AWS::IAM::UserToGroupAddition", None),
];

/// What the author must agree to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// `CAPABILITY_IAM` or `CAPABILITY_NAMED_IAM`, or none.
    pub iam: Option<&'static str>,
    /// Types that are the reason, each once.
    pub iam_types: Vec<String>,
    /// `CAPABILITY_AUTO_EXPAND`.
    pub auto_expand: bool,
    pub transforms: Vec<String>,
}

impl Capabilities {
    pub fn of(template: &Template) -> Result<Self> {
        let mut found = Self { transforms: transforms::names(template)?, ..Self::default() };
        found.auto_expand = !found.transforms.is_empty();
        for resource in template.resources() {
            let type_name = resource.type_name();
            let Some((_, name)) = IAM.iter().find(|(iam, _)| *iam == type_name) else { continue };
            let properties = resource.properties().and_then(Value::as_object);
            let named =
                name.is_some_and(|name| properties.is_some_and(|all| all.contains_key(name)));
            if named {
                found.iam = Some("CAPABILITY_NAMED_IAM");
            }
            found.iam.get_or_insert("CAPABILITY_IAM");
            if !found.iam_types.iter().any(|known| known == type_name) {
                found.iam_types.push(type_name.to_owned());
            }
        }
        Ok(found)
    }

    /// As the API lists them.
    pub fn names(&self) -> Vec<&'static str> {
        self.iam.into_iter().chain(self.auto_expand.then_some("CAPABILITY_AUTO_EXPAND")).collect()
    }

    /// The API's explanation.
    pub fn reason(&self) -> Option<String> {
        if !self.iam_types.is_empty() {
            return Some(format!(
                "The following resource(s) require capabilities: [{}]",
                self.iam_types.join(", ")
            ));
        }
        self.auto_expand.then(|| {
            format!(
                "The following transform(s) require capabilities: [{}]",
                self.transforms.join(", ")
            )
        })
    }
}

/// Types of the resources, each once, in the template's order.
pub fn resource_types(template: &Template) -> Vec<String> {
    let mut types: Vec<String> = Vec::new();
    for resource in template.resources() {
        if !types.iter().any(|known| known == resource.type_name()) {
            types.push(resource.type_name().to_owned());
        }
    }
    types
}
