//! What an update may do to the attributes that are keys. Pure.
//! Recorded: dynalite, updateItem.

use sereno_ddbexpr::{Item, Path};
use sereno_kernel::Result;

use crate::errors;
use crate::table::Table;
use crate::update_item::Edit;
use crate::write::{check_index_keys, index_key_mismatch};

/// What the expression alone shows.
pub fn check(table: &Table, edit: &Edit) -> Result<()> {
    for key in table.keys.attributes() {
        let updates = match edit {
            Edit::Nothing => false,
            Edit::Expression(update) => {
                update.actions.iter().any(|action| action.path.head == key.name)
            }
            Edit::Attributes(updates) => updates.iter().any(|(name, _)| *name == key.name),
        };
        if updates {
            return Err(errors::parameters(format_args!(
                "Cannot update attribute {}. This attribute is part of the key",
                key.name
            )));
        }
    }
    check_index_types(table, edit)?;
    match edit {
        Edit::Expression(update) => check_nested_keys(table, update.paths().into_iter()),
        _ => Ok(()),
    }
}

fn check_index_types(table: &Table, edit: &Edit) -> Result<()> {
    for index in &table.indexes {
        for key in index.keys.attributes() {
            let kind = match edit {
                Edit::Nothing => None,
                Edit::Expression(update) => update
                    .actions
                    .iter()
                    .find(|action| !action.path.is_nested() && action.path.head == key.name)
                    .and_then(sereno_ddbexpr::update::Action::kind),
                Edit::Attributes(updates) => updates
                    .iter()
                    .find(|(name, _)| *name == key.name)
                    .and_then(|(_, update)| Some(update.value.as_ref()?.kind())),
            };
            if let Some(kind) = kind.filter(|kind| *kind != key.kind) {
                return Err(index_key_mismatch(&key.name, key.kind, kind, &index.record.name));
            }
        }
    }
    Ok(())
}

/// Keys are scalars: no path leads into them.
pub fn check_nested_keys<'a>(table: &Table, paths: impl Iterator<Item = &'a Path>) -> Result<()> {
    let heads: Vec<&str> =
        paths.filter(|path| path.is_nested()).map(|path| path.head.as_str()).collect();
    let refuse = |kind: &str, name: &str| {
        Err(errors::validation(format!(
            "Key attributes must be scalars; list random access '[]' and map lookup '.' are not \
             allowed: {kind}: {name}"
        )))
    };
    for key in table.keys.attributes() {
        if heads.contains(&key.name.as_str()) {
            return refuse("Key", &key.name);
        }
    }
    for index in &table.indexes {
        for key in index.keys.attributes() {
            if heads.contains(&key.name.as_str()) {
                return refuse("IndexKey", &key.name);
            }
        }
    }
    Ok(())
}

/// The item after the update; nothing if there was none and the update makes none.
pub fn apply(table: &Table, edit: &Edit, key: &Item, old: Option<&Item>) -> Result<Option<Item>> {
    let new = edit.apply(key, old)?;
    if old.is_none() && !edit.creates() {
        return Ok(None);
    }
    // Values that were there before the index was may stay as they are.
    let before = |name: &str| old.and_then(|old| old.get(name));
    let changed: Item = new
        .iter()
        .filter(|(name, value)| before(name) != Some(value))
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .collect();
    for index in &table.indexes {
        for attribute in index.keys.attributes() {
            let value = changed.get(&attribute.name);
            if value.is_some_and(|value| value.kind() != attribute.kind) {
                return Err(errors::validation(
                    "The update expression attempted to update the secondary index key to \
                     unsupported type",
                ));
            }
        }
    }
    check_index_keys(table, &changed)?;
    Ok(Some(new))
}
