//! Why a property changes: parameters and resources that its expression names.

use std::collections::BTreeSet;

use serde_json::Value;
use sereno_template::call::Call;
use sereno_template::graph::{self, Branches, Use};
use sereno_template::sub::{Piece, pieces};

use super::Work;

/// Causes of a property's change.
#[derive(Default)]
pub(super) struct Causes {
    /// Parameters with another value that it names directly.
    pub parameters: Vec<String>,
    /// Resources that will be other ones.
    pub replaced: Vec<Use>,
    /// Attributes of resources that are updated in place.
    pub modified: Vec<Use>,
}

impl Work<'_> {
    /// The causes inside one expression of the new template.
    pub(super) fn causes(&self, id: &str, expression: &Value) -> Causes {
        let side = self.all.after;
        let branches = Branches::Taken(&side.environment.conditions);
        let uses = graph::uses(side.template, expression, branches).unwrap_or_default();
        let world = self.world.borrow();
        let modified = self.modified.borrow();
        let mut causes = Causes::default();
        let mut named = BTreeSet::new();
        names(expression, &mut named);
        causes.parameters = self.parameters.intersection(&named).cloned().collect();
        for it in uses {
            if it.resource() == id {
                continue;
            }
            if world.replaced.contains(it.resource()) {
                causes.replaced.push(it);
            } else if modified.contains(it.resource()) && matches!(it, Use::Attribute(..)) {
                causes.modified.push(it);
            }
        }
        causes
    }
}

/// Names in `Ref` and `Fn::Sub`; what stands inside `Fn::FindInMap` counts as a change of the expression
/// itself (recorded: test_fn_find_in_map_with_nested_ref).
fn names(value: &Value, found: &mut BTreeSet<String>) {
    if let Ok(Some(call)) = Call::of(value) {
        match call {
            Call::Ref(name) => drop(found.insert(name.to_owned())),
            Call::Sub { text, .. } => {
                for piece in pieces(text).unwrap_or_default() {
                    if let Piece::Name(name) = piece {
                        found.insert(name.to_owned());
                    }
                }
            }
            Call::FindInMap { .. } => return,
            _ => {}
        }
        call.arguments().into_iter().for_each(|it| names(it, found));
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|it| names(it, found)),
        Value::Object(map) => map.values().for_each(|it| names(it, found)),
        _ => {}
    }
}
