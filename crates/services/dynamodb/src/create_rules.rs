//! Whether a table may be created as a client describes it, and the record it becomes. Pure.
//! Sentences and their order recorded: dynalite, createTable; nubo-db's conformance suite on AWS.

use std::collections::BTreeSet;

use sereno_api_dynamodb as api;
use sereno_kernel::Result;

use crate::errors;
use crate::state::{
    AttributeRecord, IndexRecord, IndexState, ProjectionKind, TableRecord, Throughput, ViewType,
};

const LOCAL_INDEXES_MAX: usize = 5;
const GLOBAL_INDEXES_MAX: usize = 20;
const THROUGHPUT_MAX: i64 = 1_000_000_000_000;
/// Attributes of each kind in a key of a global index.
const KEY_PARTS_MAX: usize = 4;
const PROJECTED_MAX: usize = 100;

/// Which attributes there are and of what type.
pub type Definitions<'a> = &'a [api::AttributeDefinition];

pub fn record(input: &api::CreateTableInput) -> Result<TableRecord> {
    refuse_unsupported(input)?;
    let provisioned = input.billing_mode.as_ref() != Some(&api::BillingMode::PayPerRequest);
    check_billing(input, provisioned)?;
    let definitions = input.attribute_definitions.as_deref().ok_or_else(|| {
        errors::constraint(None, "attributeDefinitions", "Member must not be null")
    })?;
    check_defined_once(definitions)?;
    let schema = input.key_schema.as_deref().unwrap_or_default();
    let (hash, range) = table_keys(schema, definitions)?;
    check_unused_definitions(input, schema, definitions)?;
    let mut names = BTreeSet::new();
    let mut indexes = Vec::new();
    if let Some(local) = &input.local_secondary_indexes {
        check_local(local, schema, definitions, &mut names)?;
        indexes.extend(local.iter().map(local_record));
    }
    if let Some(global) = &input.global_secondary_indexes {
        if global.is_empty() {
            return Err(errors::parameters("List of GlobalSecondaryIndexes is empty"));
        }
        for index in global {
            check_global(index, definitions, provisioned)?;
            check_name_unused(&index.index_name, &mut names)?;
            indexes.push(global_record(index));
        }
        if global.len() > GLOBAL_INDEXES_MAX {
            return Err(errors::parameters(format_args!(
                "GlobalSecondaryIndex count exceeds the per-table limit of {GLOBAL_INDEXES_MAX}"
            )));
        }
    }
    check_definitions_used(&indexes, schema, definitions)?;
    check_projected_total(&indexes)?;
    for (number, index) in (1u32..).zip(&mut indexes) {
        index.number = number;
    }
    let on_demand = input.on_demand_throughput.as_ref();
    Ok(TableRecord {
        attributes: attribute_records(definitions),
        hash,
        range,
        next_index: indexes.len() as u32 + 1,
        indexes,
        provisioned,
        throughput: throughput(input.provisioned_throughput.as_ref()),
        billing_stated: !provisioned,
        deletion_protection: input.deletion_protection_enabled == Some(true),
        class_stated: input.table_class.is_some(),
        infrequent_access: input.table_class == Some(api::TableClass::StandardInfrequentAccess),
        on_demand_read_max: on_demand.and_then(|most| most.max_read_request_units),
        on_demand_write_max: on_demand.and_then(|most| most.max_write_request_units),
        warm_read: input.warm_throughput.as_ref().and_then(|warm| warm.read_units_per_second),
        warm_write: input.warm_throughput.as_ref().and_then(|warm| warm.write_units_per_second),
        ..Default::default()
    })
}

fn refuse_unsupported(input: &api::CreateTableInput) -> Result<()> {
    if input.global_table_source_arn.is_some()
        || input.global_table_settings_replication_mode.is_some()
    {
        return Err(errors::unsupported("replicas of tables of other accounts"));
    }
    if input.vector_indexes.as_ref().is_some_and(|indexes| !indexes.is_empty()) {
        return Err(errors::unsupported("vector indexes"));
    }
    Ok(())
}

fn check_billing(input: &api::CreateTableInput, provisioned: bool) -> Result<()> {
    match (&input.provisioned_throughput, provisioned) {
        (Some(_), false) => Err(errors::parameters(
            "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when BillingMode is \
             PAY_PER_REQUEST",
        )),
        (None, true) => Err(errors::parameters(
            "ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is \
             PROVISIONED",
        )),
        (Some(throughput), true) => check_throughput(throughput),
        (None, false) => Ok(()),
    }
}

pub fn check_throughput(throughput: &api::ProvisionedThroughput) -> Result<()> {
    let units = [
        (throughput.read_capacity_units, "ReadCapacityUnits"),
        (throughput.write_capacity_units, "WriteCapacityUnits"),
    ];
    match units.into_iter().find(|(units, _)| *units > THROUGHPUT_MAX) {
        Some((units, name)) => {
            Err(errors::validation(format!("Given value {units} for {name} is out of bounds")))
        }
        None => Ok(()),
    }
}

/// Recorded on AWS: scylladb, issue 13870.
fn check_defined_once(definitions: Definitions<'_>) -> Result<()> {
    let mut names = BTreeSet::new();
    let twice = definitions.iter().find(|one| !names.insert(one.attribute_name.as_str()));
    match twice {
        Some(one) => {
            Err(errors::validation(format!("Attribute Name is duplicated: {}", one.attribute_name)))
        }
        None => Ok(()),
    }
}

fn names_of(schema: &[api::KeySchemaElement]) -> Vec<&str> {
    schema.iter().map(|key| key.attribute_name.as_str()).collect()
}

fn check_defined(schema: &[api::KeySchemaElement], definitions: Definitions<'_>) -> Result<()> {
    let keys = names_of(schema);
    let defined: Vec<&str> =
        definitions.iter().map(|attribute| attribute.attribute_name.as_str()).collect();
    if keys.iter().all(|key| defined.contains(key)) {
        return Ok(());
    }
    Err(errors::parameters(format_args!(
        "Some index key attributes are not defined in AttributeDefinitions. Keys: [{}], \
         AttributeDefinitions: [{}]",
        keys.join(", "),
        defined.join(", ")
    )))
}

fn check_order(schema: &[api::KeySchemaElement]) -> Result<()> {
    let names = names_of(schema);
    if names.len() == 2 && names[0] == names[1] {
        return Err(errors::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    if schema.first().is_none_or(|key| key.key_type != api::KeyType::Hash) {
        return Err(errors::validation(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if schema.len() == 2 && schema[1].key_type != api::KeyType::Range {
        return Err(errors::validation(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ));
    }
    Ok(())
}

fn table_keys(
    schema: &[api::KeySchemaElement],
    definitions: Definitions<'_>,
) -> Result<(String, Option<String>)> {
    if schema.is_empty() {
        return Err(errors::constraint(
            Some("[]"),
            "keySchema",
            "Member must have length greater than or equal to 1",
        ));
    }
    if schema.len() > 2 {
        return Err(too_many_keys(schema, "keySchema"));
    }
    if schema.len() > definitions.len() {
        return Err(errors::validation(
            "Invalid KeySchema: Some index key attribute have no definition",
        ));
    }
    check_defined(schema, definitions)?;
    check_order(schema)?;
    let name = |at: usize| schema.get(at).map(|key| key.attribute_name.clone());
    Ok((name(0).unwrap_or_default(), name(1)))
}

fn too_many_keys(schema: &[api::KeySchemaElement], path: &str) -> sereno_kernel::Error {
    let shown: Vec<String> = schema
        .iter()
        .map(|key| {
            format!(
                "KeySchemaElement(attributeName={}, keyType={})",
                key.attribute_name,
                key.key_type.as_str()
            )
        })
        .collect();
    errors::constraint(
        Some(&format!("[{}]", shown.join(", "))),
        path,
        "Member must have length less than or equal to 2",
    )
}

fn check_unused_definitions(
    input: &api::CreateTableInput,
    schema: &[api::KeySchemaElement],
    definitions: Definitions<'_>,
) -> Result<()> {
    let indexed =
        input.local_secondary_indexes.is_some() || input.global_secondary_indexes.is_some();
    if !indexed && schema.len() != definitions.len() {
        return Err(errors::parameters(
            "Number of attributes in KeySchema does not exactly match number of attributes defined in \
             AttributeDefinitions",
        ));
    }
    Ok(())
}

/// An attribute that is no key has no place among the definitions.
fn check_definitions_used(
    indexes: &[IndexRecord],
    schema: &[api::KeySchemaElement],
    definitions: Definitions<'_>,
) -> Result<()> {
    let mut keys: BTreeSet<&str> = names_of(schema).into_iter().collect();
    for index in indexes {
        keys.extend(index.hash.iter().chain(&index.range).map(String::as_str));
    }
    let defined: BTreeSet<&str> =
        definitions.iter().map(|attribute| attribute.attribute_name.as_str()).collect();
    if defined == keys {
        return Ok(());
    }
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    Err(errors::parameters(format_args!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
        list(&defined),
        list(&keys)
    )))
}

fn check_local(
    indexes: &[api::LocalSecondaryIndex],
    schema: &[api::KeySchemaElement],
    definitions: Definitions<'_>,
    names: &mut BTreeSet<String>,
) -> Result<()> {
    if indexes.is_empty() {
        return Err(errors::parameters("List of LocalSecondaryIndexes is empty"));
    }
    if schema.len() != 2 {
        return Err(errors::parameters(
            "Table KeySchema does not have a range key, which is required when specifying a \
             LocalSecondaryIndex",
        ));
    }
    for index in indexes {
        check_defined(&index.key_schema, definitions)?;
        if index.key_schema.len() > 2 {
            return Err(too_many_keys(
                &index.key_schema,
                "localSecondaryIndexes.1.member.keySchema",
            ));
        }
        check_order(&index.key_schema)?;
        let name = &index.index_name;
        if index.key_schema.len() != 2 {
            return Err(errors::parameters(format_args!(
                "Index KeySchema does not have a range key for index: {name}"
            )));
        }
        let (have, want) = (&index.key_schema[0].attribute_name, &schema[0].attribute_name);
        if have != want {
            return Err(errors::parameters(format_args!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for index: \
                 {name}. index hash key: {have}, table hash key: {want}"
            )));
        }
        check_projection(&index.projection)?;
        check_name_unused(name, names)?;
    }
    if indexes.len() > LOCAL_INDEXES_MAX {
        return Err(errors::parameters(format_args!(
            "Number of LocalSecondaryIndexes exceeds per-table limit of {LOCAL_INDEXES_MAX}"
        )));
    }
    Ok(())
}

pub fn check_global(
    index: &api::GlobalSecondaryIndex,
    definitions: Definitions<'_>,
    provisioned: bool,
) -> Result<()> {
    check_defined(&index.key_schema, definitions)?;
    if index.key_schema.len() <= 2 {
        let two_hashes = index.key_schema.iter().all(|key| key.key_type == api::KeyType::Hash);
        if !(index.key_schema.len() == 2 && two_hashes) {
            check_order(&index.key_schema)?;
        }
    }
    check_key_parts(&index.key_schema)?;
    check_projection(&index.projection)?;
    let name = &index.index_name;
    match (&index.provisioned_throughput, provisioned) {
        (Some(_), false) => Err(errors::parameters(format_args!(
            "ProvisionedThroughput should not be specified for index: {name} when BillingMode is \
             PAY_PER_REQUEST"
        ))),
        (None, true) => Err(errors::parameters(format_args!(
            "ProvisionedThroughput must be specified for index: {name}"
        ))),
        (Some(throughput), true) => check_throughput(throughput),
        (None, false) => Ok(()),
    }
}

/// Up to four partition key attributes, then up to four sort key attributes.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.DesignPattern.MultiAttributeKeys.html
fn check_key_parts(schema: &[api::KeySchemaElement]) -> Result<()> {
    let hashes = schema.iter().take_while(|key| key.key_type == api::KeyType::Hash).count();
    let ranges = schema.len() - hashes;
    let mixed = schema[hashes..].iter().any(|key| key.key_type != api::KeyType::Range);
    let names: BTreeSet<&str> = names_of(schema).into_iter().collect();
    if hashes == 0 || hashes > KEY_PARTS_MAX || ranges > KEY_PARTS_MAX || mixed {
        return Err(errors::parameters(format_args!(
            "KeySchema must have 1 to {KEY_PARTS_MAX} HASH elements followed by at most \
             {KEY_PARTS_MAX} RANGE elements"
        )));
    }
    if names.len() != schema.len() {
        return Err(errors::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    Ok(())
}

fn check_projection(projection: &api::Projection) -> Result<()> {
    let Some(kind) = &projection.projection_type else {
        return Err(errors::parameters("Unknown ProjectionType: null"));
    };
    let include = *kind == api::ProjectionType::Include;
    match &projection.non_key_attributes {
        Some(_) if !include => Err(errors::parameters(format_args!(
            "ProjectionType is {}, but NonKeyAttributes is specified",
            kind.as_str()
        ))),
        None if include => Err(errors::parameters(
            "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
        )),
        _ => Ok(()),
    }
}

fn check_projected_total(indexes: &[IndexRecord]) -> Result<()> {
    let total: usize = indexes.iter().map(|index| index.non_key_attributes.len()).sum();
    if total > PROJECTED_MAX {
        return Err(errors::parameters(format_args!(
            "Number of attributes projected into all indexes exceeds the limit of {PROJECTED_MAX}"
        )));
    }
    Ok(())
}

fn check_name_unused(name: &str, names: &mut BTreeSet<String>) -> Result<()> {
    if names.insert(name.to_owned()) {
        return Ok(());
    }
    Err(errors::parameters(format_args!("Duplicate index name: {name}")))
}

pub fn attribute_records(definitions: Definitions<'_>) -> Vec<AttributeRecord> {
    definitions
        .iter()
        .map(|attribute| AttributeRecord {
            name: attribute.attribute_name.clone(),
            kind: attribute.attribute_type.as_str().to_owned(),
        })
        .collect()
}

pub fn throughput(given: Option<&api::ProvisionedThroughput>) -> Throughput {
    given.map_or_else(Throughput::default, |given| Throughput {
        read_units: given.read_capacity_units,
        write_units: given.write_capacity_units,
        ..Default::default()
    })
}

fn keys_of(schema: &[api::KeySchemaElement], kind: &api::KeyType) -> Vec<String> {
    schema
        .iter()
        .filter(|key| key.key_type == *kind)
        .map(|key| key.attribute_name.clone())
        .collect()
}

fn projection(given: &api::Projection) -> (ProjectionKind, Vec<String>) {
    let kind = match given.projection_type {
        Some(api::ProjectionType::KeysOnly) => ProjectionKind::KeysOnly,
        Some(api::ProjectionType::Include) => ProjectionKind::Include,
        _ => ProjectionKind::All,
    };
    (kind, given.non_key_attributes.clone().unwrap_or_default())
}

pub fn local_record(index: &api::LocalSecondaryIndex) -> IndexRecord {
    let (projection, non_key_attributes) = projection(&index.projection);
    IndexRecord {
        name: index.index_name.clone(),
        local: true,
        hash: keys_of(&index.key_schema, &api::KeyType::Hash),
        range: keys_of(&index.key_schema, &api::KeyType::Range),
        projection,
        non_key_attributes,
        state: IndexState::Active,
        ..Default::default()
    }
}

pub fn global_record(index: &api::GlobalSecondaryIndex) -> IndexRecord {
    let (projection, non_key_attributes) = projection(&index.projection);
    let most = index.on_demand_throughput.as_ref();
    IndexRecord {
        name: index.index_name.clone(),
        local: false,
        hash: keys_of(&index.key_schema, &api::KeyType::Hash),
        range: keys_of(&index.key_schema, &api::KeyType::Range),
        projection,
        non_key_attributes,
        state: IndexState::Active,
        throughput: throughput(index.provisioned_throughput.as_ref()),
        on_demand_read_max: most.and_then(|most| most.max_read_request_units),
        on_demand_write_max: most.and_then(|most| most.max_write_request_units),
        ..Default::default()
    }
}

/// The view that a stream specification asks for; `None` if it asks for no stream.
pub fn stream_view(given: Option<&api::StreamSpecification>) -> Result<Option<ViewType>> {
    let Some(given) = given.filter(|given| given.stream_enabled) else { return Ok(None) };
    match &given.stream_view_type {
        Some(api::StreamViewType::NewImage) => Ok(Some(ViewType::NewImage)),
        Some(api::StreamViewType::OldImage) => Ok(Some(ViewType::OldImage)),
        Some(api::StreamViewType::NewAndOldImages) => Ok(Some(ViewType::NewAndOldImages)),
        Some(api::StreamViewType::KeysOnly) => Ok(Some(ViewType::KeysOnly)),
        _ => Err(errors::parameters(
            "StreamSpecification.StreamViewType is required when StreamEnabled is true",
        )),
    }
}
