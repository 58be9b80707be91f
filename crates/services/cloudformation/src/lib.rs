//! CloudFormation: templates become stacks of real resources, and change and go away with them.
//!
//! * `prepare` reads a template, runs its transforms, decides parameters and conditions (the language itself is
//!   the crate `sereno-template`);
//! * `changes` compares what a stack has with what a template wants;
//! * `engine` carries out operations as durable tasks, and `own` holds the types that are not another service's;
//! * `stack`, `change_set`, `resource`, `event`, `export`, `template` are the API, by noun.
//!
//! Invariants: resources are touched only by `engine`, in the name of the stack's role or of whoever asked;
//! types come from the kernel's registry, never from a list here; secrets of templates are kept sealed.

mod access;
mod callback;
mod change_set;
mod changes;
mod dynamic;
mod encode;
mod engine;
mod errors;
mod event;
mod events;
mod export;
mod names;
mod own;
mod paging;
mod policy;
mod prepare;
mod purge;
mod resource;
mod source;
mod stack;
mod state;
mod template;
mod transform;
mod types;
mod vault;
mod world;

use sereno_api_cloudformation as api;
use sereno_kernel::{Error, Service};
use sereno_wire::Violation;

/// The service.
pub fn service() -> Service {
    let service = Service::new(&api::SERVICE).violations(violations);
    let service = changes_of_stacks(service);
    let service = views_of_stacks(service);
    let service = change_sets(service);
    templates_and_exports(service)
        .task(engine::operation_task())
        .task(purge::purge_task())
        .data_plane(callback::Callbacks)
}

fn violations(_: &sereno_wire::OperationSchema, violations: &[Violation]) -> Error {
    errors::validation(sereno_wire::validation_message(violations))
}

fn changes_of_stacks(service: Service) -> Service {
    service
        .on::<api::CreateStack>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(ctx, "cloudformation:CreateStack", &it.stack_name, role)
            },
            stack::create,
        )
        .on::<api::UpdateStack>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(ctx, "cloudformation:UpdateStack", &it.stack_name, role)
            },
            stack::update,
        )
        .on::<api::DeleteStack>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(ctx, "cloudformation:DeleteStack", &it.stack_name, role)
            },
            stack::delete,
        )
        .on::<api::CancelUpdateStack>(
            |ctx, it| access::stack(ctx, "cloudformation:CancelUpdateStack", &it.stack_name),
            stack::cancel_update,
        )
        .on::<api::ContinueUpdateRollback>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(
                    ctx,
                    "cloudformation:ContinueUpdateRollback",
                    &it.stack_name,
                    role,
                )
            },
            stack::continue_rollback,
        )
        .on::<api::RollbackStack>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(ctx, "cloudformation:RollbackStack", &it.stack_name, role)
            },
            stack::roll_back,
        )
        .on::<api::SetStackPolicy>(
            |ctx, it| access::stack(ctx, "cloudformation:SetStackPolicy", &it.stack_name),
            stack::set_policy,
        )
        .on::<api::UpdateTerminationProtection>(
            |ctx, it| {
                access::stack(ctx, "cloudformation:UpdateTerminationProtection", &it.stack_name)
            },
            stack::termination_protection,
        )
        .on::<api::SignalResource>(
            |ctx, it| access::stack(ctx, "cloudformation:SignalResource", &it.stack_name),
            stack::signal,
        )
}

fn views_of_stacks(service: Service) -> Service {
    service
        .on::<api::DescribeStacks>(
            |ctx, it| {
                access::any_stack(ctx, "cloudformation:DescribeStacks", it.stack_name.as_deref())
            },
            stack::describe,
        )
        .on::<api::ListStacks>(|_, _| access::everywhere("cloudformation:ListStacks"), stack::list)
        .on::<api::DescribeStackEvents>(
            |ctx, it| access::stack(ctx, "cloudformation:DescribeStackEvents", &it.stack_name),
            event::describe_stack_events,
        )
        .on::<api::DescribeEvents>(
            |ctx, it| {
                access::any_stack(ctx, "cloudformation:DescribeEvents", it.stack_name.as_deref())
            },
            event::describe_events,
        )
        .on::<api::DescribeStackResource>(
            |ctx, it| access::stack(ctx, "cloudformation:DescribeStackResource", &it.stack_name),
            resource::describe_one,
        )
        .on::<api::DescribeStackResources>(
            |ctx, it| {
                access::any_stack(
                    ctx,
                    "cloudformation:DescribeStackResources",
                    it.stack_name.as_deref(),
                )
            },
            resource::describe,
        )
        .on::<api::ListStackResources>(
            |ctx, it| access::stack(ctx, "cloudformation:ListStackResources", &it.stack_name),
            resource::list,
        )
        .on::<api::GetStackPolicy>(
            |ctx, it| access::stack(ctx, "cloudformation:GetStackPolicy", &it.stack_name),
            stack::get_policy,
        )
        .on::<api::DescribeAccountLimits>(
            |_, _| access::everywhere("cloudformation:DescribeAccountLimits"),
            stack::account_limits,
        )
}

fn change_sets(service: Service) -> Service {
    service
        .on::<api::CreateChangeSet>(
            |ctx, it| {
                let role = it.role_arn.as_deref();
                access::stack_with_role(ctx, "cloudformation:CreateChangeSet", &it.stack_name, role)
            },
            change_set::create,
        )
        .on::<api::DescribeChangeSet>(
            |ctx, it| {
                let stack = it.stack_name.as_deref();
                access::change_set(
                    ctx,
                    "cloudformation:DescribeChangeSet",
                    &it.change_set_name,
                    stack,
                )
            },
            change_set::describe,
        )
        .on::<api::DescribeChangeSetHooks>(
            |ctx, it| {
                let stack = it.stack_name.as_deref();
                access::change_set(
                    ctx,
                    "cloudformation:DescribeChangeSetHooks",
                    &it.change_set_name,
                    stack,
                )
            },
            change_set::describe_hooks,
        )
        .on::<api::ExecuteChangeSet>(
            |ctx, it| {
                let stack = it.stack_name.as_deref();
                access::change_set(
                    ctx,
                    "cloudformation:ExecuteChangeSet",
                    &it.change_set_name,
                    stack,
                )
            },
            change_set::execute,
        )
        .on::<api::DeleteChangeSet>(
            |ctx, it| {
                let stack = it.stack_name.as_deref();
                access::change_set(
                    ctx,
                    "cloudformation:DeleteChangeSet",
                    &it.change_set_name,
                    stack,
                )
            },
            change_set::delete,
        )
        .on::<api::ListChangeSets>(
            |ctx, it| access::stack(ctx, "cloudformation:ListChangeSets", &it.stack_name),
            change_set::list,
        )
}

fn templates_and_exports(service: Service) -> Service {
    service
        .on::<api::GetTemplate>(
            |ctx, it| {
                access::any_stack(ctx, "cloudformation:GetTemplate", it.stack_name.as_deref())
            },
            template::get,
        )
        .on::<api::GetTemplateSummary>(
            |ctx, it| {
                access::any_stack(
                    ctx,
                    "cloudformation:GetTemplateSummary",
                    it.stack_name.as_deref(),
                )
            },
            template::summary,
        )
        .on::<api::ValidateTemplate>(
            |_, _| access::everywhere("cloudformation:ValidateTemplate"),
            template::validate,
        )
        .on::<api::ListExports>(
            |_, _| access::everywhere("cloudformation:ListExports"),
            export::list_exports,
        )
        .on::<api::ListImports>(
            |_, _| access::everywhere("cloudformation:ListImports"),
            export::list_imports,
        )
}
