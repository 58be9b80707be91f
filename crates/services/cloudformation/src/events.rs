//! What happened to a stack, in AWS's order and words.

use bytes::Bytes;
use sereno_kernel::Ctx;
use sereno_store::Write;

use crate::state::{EVENTS, EventRecord, ResourceRecord, StackRecord};
use crate::types;

/// An event of the stack itself, in its present status.
pub fn of_stack(ctx: &Ctx, write: &mut (impl Write + ?Sized), stack: &StackRecord) {
    let event = EventRecord {
        event_id: ctx.random_uuid(),
        logical_id: stack.name.clone(),
        physical_id: stack.arn.clone(),
        type_name: types::STACK.to_owned(),
        at_ms: ctx.now().millis(),
        status: stack.status.clone(),
        reason: stack.status_reason.clone(),
        properties: None,
        token: stack.operation.token.clone(),
        operation: stack.operation.id.clone(),
        operation_kind: stack.operation.kind.clone(),
    };
    EVENTS.append(write, ctx.scope(), &(stack.id.as_str(),), &event);
}

/// How an event of a resource looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// With properties, its id made of logical id, status and time.
    Full,
    /// As in the cleanup after an update: no properties, a random id (recorded: test_change_set_ref).
    Cleanup,
}

/// An event of a resource in its present status.
pub fn of_resource(
    ctx: &Ctx,
    write: &mut (impl Write + ?Sized),
    stack: &StackRecord,
    record: &ResourceRecord,
    physical_id: &str,
    form: Form,
) {
    let now = ctx.now();
    let event_id = match form {
        Form::Full => {
            format!("{}-{}-{}", record.logical_id, record.status, now.iso8601_millis())
        }
        Form::Cleanup => format!("{}-{}", record.logical_id, ctx.random_uuid()),
    };
    let event = EventRecord {
        event_id,
        logical_id: record.logical_id.clone(),
        physical_id: physical_id.to_owned(),
        type_name: record.type_name.clone(),
        at_ms: now.millis(),
        status: record.status.clone(),
        reason: record.status_reason.clone(),
        properties: record.shown.clone().filter(|_| form == Form::Full),
        token: stack.operation.token.clone(),
        operation: stack.operation.id.clone(),
        operation_kind: stack.operation.kind.clone(),
    };
    EVENTS.append(write, ctx.scope(), &(stack.id.as_str(),), &event);
}

/// The id of a stack as bytes: what `NAMES` holds.
pub fn id_bytes(stack: &StackRecord) -> Bytes {
    Bytes::copy_from_slice(stack.id.as_bytes())
}
