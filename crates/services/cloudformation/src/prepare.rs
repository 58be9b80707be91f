//! From a request to everything that is decided before the first resource is touched.
//!
//! Errors here are the request's own (`ValidationError`), except what happens in or after transforms: AWS finds
//! that out later, so it is kept as [`Prepared::failure`] and becomes the stack's or change set's reason.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sereno_kernel::{Ctx, Result};
use sereno_template::parameters::{self, Given, Parameter};
use sereno_template::summary::{Capabilities, resource_types};
use sereno_template::{
    Environment, Pseudo, Resolver, Template, conditions, extensions, graph, rules, transforms,
};

use crate::dynamic;
use crate::errors;
use crate::transform::{self, Inputs};
use crate::types;
use crate::world::{Exports, Known, StackWorld};

/// What a request asks for.
pub struct Ask<'a> {
    pub stack_name: &'a str,
    pub stack_arn: &'a str,
    pub body: String,
    pub given: Vec<(String, Given)>,
    /// Values of the stack's parameters now, for `UsePreviousValue`.
    pub previous: Option<&'a BTreeMap<String, String>>,
    pub capabilities: &'a [String],
    pub resource_types: Option<&'a [String]>,
    /// CreateStack and UpdateStack must be told that transforms may run; change sets show the result first.
    pub direct: bool,
}

/// A template with its values.
pub struct Prepared {
    pub body: String,
    pub template: Template,
    /// Whether transforms made `template` from `body`.
    pub transformed: bool,
    pub declared: Vec<Parameter>,
    pub chosen: BTreeMap<String, String>,
    pub fetched: BTreeMap<String, String>,
    pub environment: Environment,
    pub failure: Option<String>,
    /// Names of exports that the template uses.
    pub imports: BTreeSet<String>,
}

impl Prepared {
    /// Parameters whose values are masked.
    pub fn masked(&self) -> Vec<String> {
        self.declared.iter().filter(|it| it.no_echo).map(|it| it.name.clone()).collect()
    }
}

pub fn pseudo(ctx: &Ctx, stack_name: &str, stack_arn: &str) -> Pseudo {
    let url_suffix = if ctx.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" };
    Pseudo {
        account_id: ctx.account().to_string(),
        notification_arns: Vec::new(),
        partition: ctx.partition().to_owned(),
        region: ctx.region().as_str().to_owned(),
        stack_id: stack_arn.to_owned(),
        stack_name: stack_name.to_owned(),
        url_suffix: url_suffix.to_owned(),
    }
}

/// Reads, transforms, checks and decides.
pub async fn prepare(ctx: &Ctx, ask: Ask<'_>, exports: &Exports) -> Result<Prepared> {
    let invalid = |error: sereno_template::TemplateError| errors::template(&error);
    let original = Template::parse(&ask.body).map_err(invalid)?;
    original.check_form().map_err(invalid)?;
    // Their form is an error of the request, their run is not.
    transforms::names(&original).map_err(invalid)?;
    let transformed = transform::is_needed(&original);
    if !transformed {
        extensions::allowed(&original).map_err(invalid)?;
        original.check().map_err(invalid)?;
    }
    let declared = parameters::declared(&original).map_err(invalid)?;
    let chosen = parameters::choose(&declared, &ask.given, ask.previous).map_err(invalid)?;
    let stored = parameters::stored_names(&declared, &chosen);
    let fetched = dynamic::stored_parameters(ctx, &stored).await?;
    let mut prepared = Prepared {
        environment: Environment {
            pseudo: pseudo(ctx, ask.stack_name, ask.stack_arn),
            parameters: parameters::bind(&declared, &chosen, &fetched),
            conditions: BTreeMap::new(),
        },
        body: ask.body,
        template: original,
        transformed,
        declared,
        chosen,
        fetched,
        failure: None,
        imports: BTreeSet::new(),
    };
    check_rules(&prepared).map_err(invalid)?;
    let asked = Capabilities::of(&prepared.template).map_err(invalid)?;
    if transformed {
        check_auto_expand(ask.capabilities, ask.direct)?;
        let inputs = Inputs { environment: &prepared.environment, chosen: &prepared.chosen };
        match transform::run(ctx, &prepared.template, &inputs).await {
            Ok(template) => prepared.template = template,
            Err(sentence) => prepared.failure = Some(sentence),
        }
    }
    check_iam(&prepared, &asked, ask.capabilities)?;
    if prepared.failure.is_some() {
        return Ok(prepared);
    }
    match decide(ctx, &mut prepared, ask.resource_types, exports) {
        Err(error) if transformed => prepared.failure = Some(error.message().to_owned()),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    Ok(prepared)
}

/// Rules see parameters and mappings only.
fn check_rules(prepared: &Prepared) -> sereno_template::Result<()> {
    let (known, exports) = (BTreeMap::new(), BTreeMap::new());
    let world = StackWorld::new(&known, &exports, &prepared.environment.pseudo.region);
    rules::check(&Resolver {
        template: &prepared.template,
        environment: &prepared.environment,
        world: &world,
    })
}

fn check_auto_expand(given: &[String], direct: bool) -> Result<()> {
    if direct && !given.iter().any(|it| it == "CAPABILITY_AUTO_EXPAND") {
        return Err(errors::insufficient_capabilities(&["CAPABILITY_AUTO_EXPAND"]));
    }
    Ok(())
}

fn check_iam(prepared: &Prepared, before: &Capabilities, given: &[String]) -> Result<()> {
    let after = Capabilities::of(&prepared.template).map_err(|error| errors::template(&error))?;
    let given = |name: &str| given.iter().any(|it| it == name);
    match after.iam.or(before.iam) {
        Some("CAPABILITY_NAMED_IAM") if !given("CAPABILITY_NAMED_IAM") => {
            Err(errors::insufficient_capabilities(&["CAPABILITY_NAMED_IAM"]))
        }
        Some("CAPABILITY_IAM") if !given("CAPABILITY_IAM") && !given("CAPABILITY_NAMED_IAM") => {
            Err(errors::insufficient_capabilities(&["CAPABILITY_IAM"]))
        }
        _ => Ok(()),
    }
}

/// Checks the final template, decides its conditions and tries all values once.
fn decide(
    ctx: &Ctx,
    prepared: &mut Prepared,
    allowed: Option<&[String]>,
    exports: &Exports,
) -> Result<()> {
    let invalid = |error: sereno_template::TemplateError| errors::template(&error);
    let template = &prepared.template;
    template.check_transformed_form().map_err(invalid)?;
    template.check().map_err(invalid)?;
    check_types(ctx, template, allowed)?;
    let known: BTreeMap<String, Known> = BTreeMap::new();
    let mut world = StackWorld::new(&known, exports, &prepared.environment.pseudo.region);
    world.preview = true;
    prepared.environment.conditions =
        conditions::decide(template, &prepared.environment, &world).map_err(invalid)?;
    let decided = &prepared.environment.conditions;
    graph::check_conditional(template, decided).map_err(invalid)?;
    graph::dependencies(template, decided).map_err(invalid)?;
    let resolver = Resolver { template, environment: &prepared.environment, world: &world };
    for id in resolver.resources().map_err(invalid)? {
        resolver.properties(id).map_err(invalid)?;
        for attribute in ["DeletionPolicy", "UpdateReplacePolicy"] {
            resolver.policy(id, attribute).map_err(invalid)?;
        }
        check_attributes(template, id)?;
    }
    resolver.outputs().map_err(invalid)?;
    prepared.imports = world.imported.into_inner();
    Ok(())
}

fn check_types(ctx: &Ctx, template: &Template, allowed: Option<&[String]>) -> Result<()> {
    let used = resource_types(template);
    let unknown: Vec<&str> =
        used.iter().map(String::as_str).filter(|name| !types::is_known(ctx, name)).collect();
    if !unknown.is_empty() {
        return Err(errors::validation(format!(
            "Template format error: Unrecognized resource types: [{}]",
            unknown.join(", ")
        )));
    }
    let Some(allowed) = allowed else { return Ok(()) };
    let covers = |pattern: &String, name: &String| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => pattern == name,
    };
    match used.iter().find(|name| !allowed.iter().any(|pattern| covers(pattern, name))) {
        // recorded: test_update_with_resource_types
        Some(name) => Err(errors::validation(format!(
            "Resource type {name} is not allowed by parameter ResourceTypes [{}]",
            allowed.join(", ")
        ))),
        None => Ok(()),
    }
}

/// Attributes that change how a resource is made or updated and that are not served.
fn check_attributes(template: &Template, id: &str) -> Result<()> {
    let Some(resource) = template.resource(id) else { return Ok(()) };
    if resource.attribute("UpdatePolicy").is_some() {
        return Err(errors::unsupported(&format!("UpdatePolicy of resource {id}")));
    }
    match resource.attribute("CreationPolicy") {
        None => Ok(()),
        Some(Value::Object(policy))
            if resource.type_name() == types::WAIT_CONDITION
                && policy.keys().all(|key| key == "ResourceSignal") =>
        {
            Ok(())
        }
        Some(_) => Err(errors::unsupported(&format!("CreationPolicy of resource {id}"))),
    }
}
