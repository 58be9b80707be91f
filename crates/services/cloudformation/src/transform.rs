//! Runs a template's transforms: embedded ones first, the deepest before the others, then the declared ones in order.
//!
//! A failure is a sentence, not an error of the request: it becomes the reason of the stack's or change set's failure.

mod include;
mod macros;
mod serverless;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sereno_kernel::Ctx;
use sereno_template::resolve::text_of;
use sereno_template::transforms::{self, INCLUDE, LANGUAGE_EXTENSIONS, SERVERLESS, Transform};
use sereno_template::{Environment, Resolver, Template, extensions};

use crate::world::StackWorld;

/// More than any template needs: what includes itself ends here.
const RUNS_MAX: usize = 100;

/// What transforms may know of the stack.
pub struct Inputs<'a> {
    pub environment: &'a Environment,
    /// Parameter values as given.
    pub chosen: &'a BTreeMap<String, String>,
}

/// Whether the template has anything to transform.
pub fn is_needed(template: &Template) -> bool {
    transforms::names(template).map_or(true, |names| !names.is_empty())
}

/// The template without transforms, or why there is none.
pub async fn run(ctx: &Ctx, template: &Template, inputs: &Inputs<'_>) -> Result<Template, String> {
    let mut value = template.to_value();
    for _ in 0..RUNS_MAX {
        let next = transforms::next_embedded(&value).map_err(|error| error.to_string())?;
        let Some((path, list)) = next else {
            return declared(ctx, value, inputs).await;
        };
        let Some(holder) = transforms::part_mut(&mut value, &path) else { break };
        let Some(mut fragment) = holder.as_object().cloned() else { break };
        fragment.remove("Fn::Transform");
        let mut result = Value::Object(fragment);
        for transform in &list {
            result = embedded(ctx, template, transform, result, inputs).await?;
        }
        if let Some(holder) = transforms::part_mut(&mut value, &path) {
            *holder = result;
        }
    }
    Err("Template format error: transforms are nested too deeply.".to_owned())
}

async fn embedded(
    ctx: &Ctx,
    template: &Template,
    transform: &Transform,
    fragment: Value,
    inputs: &Inputs<'_>,
) -> Result<Value, String> {
    let parameters =
        transforms::bind_parameters(&transform.parameters, &inputs.environment.parameters);
    match transform.name.as_str() {
        INCLUDE => {
            let Value::Object(fragment) = fragment else {
                return Err("Template format error: unsupported structure.".to_owned());
            };
            let parameters = resolved(template, parameters, inputs);
            include::run(ctx, &parameters, fragment).await.map(Value::Object)
        }
        SERVERLESS | LANGUAGE_EXTENSIONS => Err(format!(
            "Transform {} failed with: it cannot be used in Fn::Transform.",
            transform.name
        )),
        name => macros::run(ctx, name, &parameters, fragment, inputs).await,
    }
}

/// A location may be put together from parameters, mappings and pseudo parameters
/// (recorded: test_transformer_property_level). What needs a resource stays as it is written.
fn resolved(
    template: &Template,
    parameters: Map<String, Value>,
    inputs: &Inputs<'_>,
) -> Map<String, Value> {
    let (known, exports) = (BTreeMap::new(), BTreeMap::new());
    let world = StackWorld::new(&known, &exports, &inputs.environment.pseudo.region);
    let resolver = Resolver { template, environment: inputs.environment, world: &world };
    let value = |value: Value| resolver.value(&value).ok().flatten().unwrap_or(value);
    parameters.into_iter().map(|(name, it)| (name, value(it))).collect()
}

async fn declared(ctx: &Ctx, value: Value, inputs: &Inputs<'_>) -> Result<Template, String> {
    let mut template = Template::from_value(value).map_err(|error| error.to_string())?;
    let list = transforms::declared(&template).map_err(|error| error.to_string())?;
    for transform in list {
        let parameters =
            transforms::bind_parameters(&transform.parameters, &inputs.environment.parameters);
        let mut root = template.root().clone();
        root.remove("Transform");
        let next = match transform.name.as_str() {
            INCLUDE => Value::Object(include::run(ctx, &parameters, root).await?),
            LANGUAGE_EXTENSIONS => extend(Value::Object(root), inputs)?,
            SERVERLESS => serverless::run(ctx, &Value::Object(root), inputs).await?,
            name => macros::run(ctx, name, &parameters, Value::Object(root), inputs).await?,
        };
        template = Template::from_value(next).map_err(|error| error.to_string())?;
    }
    Ok(template)
}

fn extend(root: Value, inputs: &Inputs<'_>) -> Result<Value, String> {
    let failed = |error: sereno_template::TemplateError| {
        format!("Transform {LANGUAGE_EXTENSIONS} failed with: {error}")
    };
    let template = Template::from_value(root).map_err(failed)?;
    let known = BTreeMap::new();
    let exports = BTreeMap::new();
    let world = StackWorld::new(&known, &exports, &inputs.environment.pseudo.region);
    let resolver = Resolver { template: &template, environment: inputs.environment, world: &world };
    extensions::process(&template, &resolver).map(Template::into_value).map_err(failed)
}

/// Parameter values as transforms get them: lists as lists.
fn parameter_values(inputs: &Inputs<'_>) -> Map<String, Value> {
    let bound = &inputs.environment.parameters;
    let value = |name: &String, text: &String| match bound.get(name) {
        Some(list @ Value::Array(_)) => list.clone(),
        Some(value) => text_of(value).map_or_else(|| Value::String(text.clone()), Value::String),
        None => Value::String(text.clone()),
    };
    inputs.chosen.iter().map(|(name, text)| (name.clone(), value(name, text))).collect()
}
