//! ImportTable, DescribeImport, ListImports. The new table is CREATING until a task has filled it.
//! https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataImport.HowItWorks.html

use sereno_api_dynamodb as api;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Record, record, transact};

use crate::backup;
use crate::create_rules;
use crate::errors;
use crate::import_record::{IMPORTS, ImportRecord};
use crate::import_task::IMPORT;
use crate::state::TABLES;
use crate::table::check_name;
use crate::tables;
use crate::transfer;

record! {
    pub struct ImportWork {
        1 => table: String,
        2 => id: String,
    }
}

/// A token means the same import for eight hours.
const TOKEN_LIFE_MS: i64 = 8 * 3600 * 1000;

pub async fn import(ctx: Ctx, input: api::ImportTableInput) -> Result<api::ImportTableOutput> {
    let wanted = input.table_creation_parameters.clone();
    let name = wanted.table_name.clone();
    check_name(&name, "tableCreationParameters.tableName", 3)?;
    check_options(&input)?;
    let sse = wanted.sse_specification.clone();
    let mut table = create_rules::record(&creation(wanted))?;
    table.sse = tables::sse(&ctx, sse.as_ref());
    table.filling = true;
    tables::stamp(&ctx, &mut table, &name);
    let import = ImportRecord {
        id: backup::new_id(&ctx),
        table: name.clone(),
        table_id: table.id.clone(),
        table_arn: ctx.arn("dynamodb", &format!("table/{name}")),
        token: input.client_token.clone(),
        started_ms: ctx.now().millis(),
        request: sereno_wire::to_json(&input).to_string(),
        storage: table.storage,
        ..Default::default()
    };
    let scope = ctx.scope();
    let import = transact!(ctx.store(), Error, |txn| {
        let others = IMPORTS.list(scope, (name.as_str(),)).read(txn).await?;
        if let Some(same) = same_token(others, &import)? {
            return Ok(same);
        }
        if TABLES.get(txn, scope, name.as_str()).await?.is_some() {
            return Err(errors::table_exists(&name));
        }
        TABLES.put(txn, scope, name.as_str(), &table);
        IMPORTS.put(txn, scope, &(name.as_str(), import.id.as_str()), &import);
        let work = ImportWork { table: name.clone(), id: import.id.clone() };
        tables::schedule(&ctx, txn, IMPORT, work.to_bytes());
        import.clone()
    })?;
    Ok(api::ImportTableOutput { import_table_description: import.description(&ctx) })
}

fn creation(wanted: api::TableCreationParameters) -> api::CreateTableInput {
    api::CreateTableInput {
        table_name: wanted.table_name,
        attribute_definitions: Some(wanted.attribute_definitions),
        key_schema: Some(wanted.key_schema),
        billing_mode: wanted.billing_mode,
        provisioned_throughput: wanted.provisioned_throughput,
        on_demand_throughput: wanted.on_demand_throughput,
        sse_specification: wanted.sse_specification,
        global_secondary_indexes: wanted.global_secondary_indexes,
        vector_indexes: wanted.vector_indexes,
        ..Default::default()
    }
}

/// The import that a client asked for before with the same token.
fn same_token(
    others: Vec<((String, String), ImportRecord)>,
    new: &ImportRecord,
) -> Result<Option<ImportRecord>> {
    let horizon = new.started_ms - TOKEN_LIFE_MS;
    let same = |old: &ImportRecord| {
        old.token.is_some() && old.token == new.token && old.started_ms > horizon
    };
    match others.into_iter().find(|(_, old)| same(old)) {
        None => Ok(None),
        Some((_, old)) if old.request == new.request => Ok(Some(old)),
        Some(_) => Err(Error::conflict(
            "ImportConflictException",
            "There is already an import with the same client token and other parameters",
        )),
    }
}

fn check_options(input: &api::ImportTableInput) -> Result<()> {
    let csv = input.input_format_options.as_ref().and_then(|options| options.csv.as_ref());
    if csv.is_some() && input.input_format != api::InputFormat::Csv {
        return Err(errors::validation(
            "CSV options can only be specified when the input format is CSV",
        ));
    }
    Ok(())
}

pub async fn describe(
    ctx: Ctx,
    input: api::DescribeImportInput,
) -> Result<api::DescribeImportOutput> {
    let arn = &input.import_arn;
    let lost = || Error::not_found("ImportNotFoundException", format!("Import not found: {arn}"));
    let key = transfer::parse_arn(&ctx, arn, "import").ok_or_else(lost)?;
    let import = IMPORTS.get(ctx.store(), ctx.scope(), &key).await?.ok_or_else(lost)?;
    Ok(api::DescribeImportOutput { import_table_description: import.description(&ctx) })
}

pub async fn list(ctx: Ctx, input: api::ListImportsInput) -> Result<api::ListImportsOutput> {
    let (table, token) = (input.table_arn.as_deref(), input.next_token.as_deref());
    let (page, next_token) = transfer::page(&ctx, IMPORTS, table, token, input.page_size).await?;
    Ok(api::ListImportsOutput {
        import_summary_list: Some(page.iter().map(|import| import.summary(&ctx)).collect()),
        next_token,
    })
}
