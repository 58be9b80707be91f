//! GetTemplate, GetTemplateSummary, ValidateTemplate.

use sereno_api_cloudformation as api;
use sereno_kernel::{Ctx, Result};
use sereno_template::parameters::{self, Parameter};
use sereno_template::summary::{Capabilities, resource_types};
use sereno_template::{Template, extensions};

use crate::change_set;
use crate::errors;
use crate::source;
use crate::stack;
use crate::state::{CURRENT, TEMPLATES, TemplateRecord};
use crate::transform;
use crate::types;

pub async fn get(ctx: Ctx, input: api::GetTemplateInput) -> Result<api::GetTemplateOutput> {
    let record = match (input.stack_name.as_deref(), input.change_set_name.as_deref()) {
        // recorded: test_get_template_no_arguments, test_get_template_missing_resources
        (None, None) => {
            return Err(errors::validation(
                "StackName is required if ChangeSetName is not specified.",
            ));
        }
        (None, Some(set)) if !set.starts_with("arn:") => {
            return Err(errors::validation("StackName is a required parameter."));
        }
        (stack_name, Some(set)) => {
            let found = change_set::find(&ctx, set, stack_name).await?;
            let (set, stack) = found.ok_or_else(|| errors::no_change_set(set))?;
            stored(&ctx, &stack.id, &set.id).await?
        }
        (Some(name), None) => {
            let stack = stack::find(&ctx, name).await?;
            let stack = stack.ok_or_else(|| errors::no_stack_with_id(name))?;
            stored(&ctx, &stack.id, CURRENT).await?
        }
    };
    let record =
        record.unwrap_or_else(|| TemplateRecord { body: "{}".to_owned(), ..Default::default() });
    let processed = input.template_stage == Some(api::TemplateStage::Processed);
    let body = match record.processed {
        Some(text) if processed => text,
        _ => record.body,
    };
    let stages = vec![api::TemplateStage::Original, api::TemplateStage::Processed];
    Ok(api::GetTemplateOutput { template_body: Some(body), stages_available: Some(stages) })
}

async fn stored(ctx: &Ctx, stack_id: &str, slot: &str) -> Result<Option<TemplateRecord>> {
    Ok(TEMPLATES.get(ctx.store(), ctx.scope(), &(stack_id, slot)).await?)
}

/// A template as far as it can be judged before transforms have run.
fn checked(body: &str) -> Result<Template> {
    let invalid = |error: sereno_template::TemplateError| errors::template(&error);
    let template = Template::parse(body).map_err(invalid)?;
    template.check_form().map_err(invalid)?;
    if !transform::is_needed(&template) {
        extensions::allowed(&template).map_err(invalid)?;
        template.check().map_err(invalid)?;
    }
    Ok(template)
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub async fn summary(
    ctx: Ctx,
    input: api::GetTemplateSummaryInput,
) -> Result<api::GetTemplateSummaryOutput> {
    if input.stack_set_name.is_some() || input.call_as.is_some() {
        return Err(errors::unsupported("StackSetName"));
    }
    let (body, url) = (input.template_body.as_deref(), input.template_url.as_deref());
    let body = match (source::template(&ctx, body, url).await?, &input.stack_name) {
        (Some(body), None) => body,
        (None, Some(name)) => body_of(&ctx, name).await?,
        (Some(_), Some(_)) => {
            return Err(errors::validation(
                "Only one of TemplateBody, TemplateURL, StackName or StackSetName may be specified.",
            ));
        }
        (None, None) => {
            return Err(errors::validation(
                "Either Template URL or Template Body must be specified.",
            ));
        }
    };
    let template = checked(&body)?;
    let warned = input
        .template_summary_config
        .and_then(|it| it.treat_unrecognized_resource_types_as_warnings);
    let warnings = unknown_types(&ctx, &template, warned.unwrap_or_default())?;
    let invalid = |error: sereno_template::TemplateError| errors::template(&error);
    let capabilities = Capabilities::of(&template).map_err(invalid)?;
    let declared = parameters::declared(&template).map_err(invalid)?;
    let types = resource_types(&template);
    let identifiers = types.iter().map(|name| api::ResourceIdentifierSummary {
        resource_type: Some(name.clone()),
        logical_resource_ids: Some(
            template
                .resources()
                .filter(|it| it.type_name() == name)
                .map(|it| it.id.to_owned())
                .collect(),
        ),
        resource_identifiers: None,
    });
    Ok(api::GetTemplateSummaryOutput {
        parameters: Some(declared.iter().map(declaration).collect()),
        description: template.description().map(str::to_owned),
        capabilities: some(capabilities.names().into_iter().map(Into::into).collect()),
        capabilities_reason: capabilities.reason(),
        resource_identifier_summaries: Some(identifiers.collect()),
        version: template.version().map(str::to_owned),
        metadata: template.metadata(),
        declared_transforms: some(capabilities.transforms),
        resource_types: Some(types),
        warnings,
    })
}

async fn body_of(ctx: &Ctx, name: &str) -> Result<String> {
    let stack = stack::find(ctx, name).await?.ok_or_else(|| errors::no_stack_with_id(name))?;
    // recorded: test_get_template_summary_non_executed_change_set
    if stack.status == "REVIEW_IN_PROGRESS" {
        return Err(errors::validation(
            "GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.",
        ));
    }
    let record = stored(ctx, &stack.id, CURRENT).await?;
    Ok(record.ok_or_else(|| errors::no_stack_with_id(name))?.body)
}

fn unknown_types(ctx: &Ctx, template: &Template, warn: bool) -> Result<Option<api::Warnings>> {
    if transform::is_needed(template) {
        return Ok(None);
    }
    let mut unknown = resource_types(template);
    unknown.retain(|name| !types::is_known(ctx, name));
    match (unknown.is_empty(), warn) {
        (true, _) => Ok(None),
        (false, true) => Ok(Some(api::Warnings { unrecognized_resource_types: Some(unknown) })),
        (false, false) => Err(errors::validation(format!(
            "Template format error: Unrecognized resource types: [{}]",
            unknown.join(", ")
        ))),
    }
}

fn declaration(it: &Parameter) -> api::ParameterDeclaration {
    api::ParameterDeclaration {
        parameter_key: Some(it.name.clone()),
        default_value: it.default.clone(),
        parameter_type: Some(it.type_name.clone()),
        no_echo: Some(it.no_echo),
        description: it.description.clone(),
        parameter_constraints: Some(api::ParameterConstraints {
            allowed_values: some(it.allowed_values.clone()),
        }),
    }
}

pub async fn validate(
    ctx: Ctx,
    input: api::ValidateTemplateInput,
) -> Result<api::ValidateTemplateOutput> {
    let (body, url) = (input.template_body.as_deref(), input.template_url.as_deref());
    let body = source::template(&ctx, body, url).await?.ok_or_else(|| {
        errors::validation("Either Template URL or Template Body must be specified.")
    })?;
    let template = checked(&body)?;
    unknown_types(&ctx, &template, false)?;
    let invalid = |error: sereno_template::TemplateError| errors::template(&error);
    let capabilities = Capabilities::of(&template).map_err(invalid)?;
    let declared = parameters::declared(&template).map_err(invalid)?;
    let parameter = |it: &Parameter| api::TemplateParameter {
        parameter_key: Some(it.name.clone()),
        default_value: it.default.clone(),
        no_echo: Some(it.no_echo),
        description: it.description.clone(),
    };
    Ok(api::ValidateTemplateOutput {
        parameters: Some(declared.iter().map(parameter).collect()),
        description: template.description().map(str::to_owned),
        capabilities: some(capabilities.names().into_iter().map(Into::into).collect()),
        capabilities_reason: capabilities.reason(),
        declared_transforms: some(capabilities.transforms),
    })
}
