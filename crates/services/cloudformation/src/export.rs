//! ListExports and ListImports.

use sereno_api_cloudformation as api;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::paging;
use crate::state::{EXPORTS, IMPORTS};

const PAGE: usize = 100;

pub async fn list_exports(
    ctx: Ctx,
    input: api::ListExportsInput,
) -> Result<api::ListExportsOutput> {
    let mut list = EXPORTS.list(ctx.scope(), ()).limit(PAGE + 1);
    if let Some(after) = paging::read(input.next_token.as_deref())? {
        list = list.after(after.as_str());
    }
    let mut exports = list.read(ctx.store()).await?;
    let next_token = paging::cut(&mut exports, PAGE, |(name, _)| name.clone());
    let export = |(name, record): (String, crate::state::ExportRecord)| api::Export {
        exporting_stack_id: Some(record.stack_arn),
        name: Some(name),
        value: Some(record.value),
    };
    let exports = exports.into_iter().map(export).collect();
    Ok(api::ListExportsOutput { exports: Some(exports), next_token })
}

pub async fn list_imports(
    ctx: Ctx,
    input: api::ListImportsInput,
) -> Result<api::ListImportsOutput> {
    let name = input.export_name.as_str();
    let mut list = IMPORTS.list(ctx.scope(), (name,)).limit(PAGE + 1);
    if let Some(after) = paging::read(input.next_token.as_deref())? {
        list = list.after(&(name, after.as_str()));
    }
    let mut imports = list.read(ctx.store()).await?;
    if imports.is_empty() {
        return Err(errors::validation(format!("Export '{name}' is not imported by any stack.")));
    }
    let next_token = paging::cut(&mut imports, PAGE, |((_, stack), _)| stack.clone());
    let imports = imports.into_iter().map(|(_, record)| record.stack_name).collect();
    Ok(api::ListImportsOutput { imports: Some(imports), next_token })
}
