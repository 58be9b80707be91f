//! What Query and Scan have in common: the index, what is selected of it, and where to go on.

use sereno_api_dynamodb as api;
use sereno_ddbexpr::{Item, Projection};
use sereno_kernel::Result;

use crate::access::Touched;
use crate::capacity::{Mode, Usage, read_halves};
use crate::convert::{self, Attributes};
use crate::errors;
use crate::keys;
use crate::page::Page;
use crate::state::ProjectionKind;
use crate::table::{Index, Table};
use crate::write;

pub fn index<'a>(
    table: &'a Table,
    name: Option<&str>,
    consistent: Option<bool>,
) -> Result<Option<&'a Index>> {
    let Some(name) = name else { return Ok(None) };
    let index = table.index(name).ok_or_else(|| {
        errors::validation(format!("The table does not have the specified index: {name}"))
    })?;
    if !index.record.local && consistent == Some(true) {
        return Err(errors::validation(
            "Consistent reads are not supported on global secondary indexes",
        ));
    }
    if !index.is_readable() {
        return Err(errors::validation(format!(
            "Cannot read from backfilling global secondary index: {name}"
        )));
    }
    Ok(Some(index))
}

/// What is returned, and whether the table must be asked for it.
pub struct Selection {
    pub fetch: bool,
    pub count_only: bool,
}

impl Selection {
    pub fn of(
        table: &Table,
        index: Option<&Index>,
        select: Option<&api::Select>,
        projection: Option<&Projection>,
    ) -> Result<Selection> {
        let partial = index.is_some_and(|index| index.record.projection != ProjectionKind::All);
        let wants_all = select == Some(&api::Select::AllAttributes);
        let global = index.filter(|index| !index.record.local);
        if let Some(index) = global.filter(|_| wants_all && partial) {
            return Err(errors::parameters(format_args!(
                "Select type ALL_ATTRIBUTES is not supported for global secondary index {} because \
                 its projection type is not ALL",
                index.record.name
            )));
        }
        let beyond: Vec<&str> = match (index.filter(|_| partial), projection) {
            (Some(index), Some(projection)) => projection
                .paths()
                .iter()
                .map(|path| path.head.as_str())
                .filter(|name| !holds(table, index, name))
                .collect(),
            _ => Vec::new(),
        };
        if let Some(index) = global.filter(|_| !beyond.is_empty()) {
            return Err(errors::parameters(format_args!(
                "Global secondary index {} does not project [{}]",
                index.record.name,
                beyond.join(", ")
            )));
        }
        Ok(Selection {
            fetch: partial && (wants_all || !beyond.is_empty()),
            count_only: select == Some(&api::Select::Count),
        })
    }
}

fn holds(table: &Table, index: &Index, name: &str) -> bool {
    table.keys.find(name).is_some()
        || index.keys.find(name).is_some()
        || index.record.non_key_attributes.iter().any(|have| have == name)
}

/// Select against the parameters that say what to return.
pub fn check_select(
    select: Option<&api::Select>,
    index: Option<&String>,
    expression: bool,
    attributes_to_get: bool,
) -> Result<()> {
    let parameter = match (expression, attributes_to_get) {
        (true, _) => "ProjectionExpression",
        (_, true) => "AttributesToGet",
        _ => "",
    };
    let refuse = |what: String| Err(errors::validation(what));
    match select {
        Some(api::Select::AllProjectedAttributes) if index.is_none() => refuse(
            "One or more parameter values were invalid: ALL_PROJECTED_ATTRIBUTES can be used only \
             when Querying using an IndexName"
                .into(),
        ),
        Some(api::Select::SpecificAttributes) if parameter.is_empty() => refuse(
            "One or more parameter values were invalid: Must specify the AttributesToGet or \
             ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
                .into(),
        ),
        Some(api::Select::SpecificAttributes) | None => Ok(()),
        Some(other) if !parameter.is_empty() => {
            let what = match other {
                api::Select::Count => "only the Count".to_owned(),
                other => other.as_str().to_owned(),
            };
            refuse(format!("Cannot specify the {parameter} when choosing to get {what}"))
        }
        Some(_) => Ok(()),
    }
}

pub fn touch(touched: &mut Touched, select: Option<&api::Select>, projection: Option<&Projection>) {
    let default = if projection.is_some() { "SPECIFIC_ATTRIBUTES" } else { "ALL_ATTRIBUTES" };
    touched.select = Some(select.map_or(default, api::Select::as_str).to_owned());
    let heads: Vec<String> = projection
        .iter()
        .flat_map(|projection| projection.paths())
        .map(|path| path.head.clone())
        .collect();
    touched.attributes(&heads);
}

/// `ExclusiveStartKey`, checked as values. Some sentences get a prefix, some do not
/// (recorded: dynalite, query and scan).
pub fn start(key: Option<Attributes>) -> Result<Option<Item>> {
    const BARE: [&str; 5] = [
        "contains duplicates",
        "number set",
        "numeric value",
        "significant digits",
        "number with magnitude",
    ];
    let Some(key) = key else { return Ok(None) };
    convert::item_in(key).map(Some).map_err(|refusal| {
        if BARE.iter().any(|part| refusal.0.contains(part)) {
            errors::invalid(refusal)
        } else {
            errors::validation(format!("The provided starting key is invalid: {refusal}"))
        }
    })
}

/// The attributes that a starting key must have, and no others.
pub fn start_names<'a>(table: &'a Table, index: Option<&'a Index>) -> Vec<&'a str> {
    let mut names: Vec<&str> = table.keys.attributes().map(|key| key.name.as_str()).collect();
    for key in index.iter().flat_map(|index| index.keys.attributes()) {
        if !names.contains(&key.name.as_str()) {
            names.push(&key.name);
        }
    }
    names
}

pub fn check_start_in_table(table: &Table, start: &Item) -> Result<()> {
    let key = table.keys.key_of(start);
    write::check_key(table, &key).map_err(|error| {
        errors::validation(format!("The provided starting key is invalid: {}", error.message()))
    })
}

pub fn start_sort(table: &Table, index: Option<&Index>, start: &Item) -> Result<Vec<u8>> {
    let sort = match index {
        Some(index) => keys::in_index(&index.keys, &table.keys, start),
        None => keys::primary(&table.keys, start),
    };
    sort.ok_or_else(|| errors::validation("The provided starting key is invalid"))
}

/// A page counts as one read of all its bytes; looking up whole items counts item by item.
pub fn usage(index: Option<&Index>, page: &Page, consistent: Option<bool>) -> Usage {
    let mode = Mode::of_read(consistent);
    let units =
        if page.scanned == 0 { read_halves(0, mode) } else { read_halves(page.read_bytes, mode) }
            as f64
            / 2.0;
    let Some(index) = index else { return Usage::of_table(units) };
    let per_block = if mode == Mode::Consistent { 1.0 } else { 0.5 };
    let mut usage = Usage::of_table(page.fetched_blocks as f64 * per_block);
    let all = if index.record.local { &mut usage.local } else { &mut usage.global };
    all.insert(index.record.name.clone(), units);
    usage
}
