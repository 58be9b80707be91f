//! OpenID Connect providers: whose tokens a trust policy may name.

use sereno_api_iam as api;
use sereno_base::arn;
use sereno_kernel::{Ctx, Error, Result};
use sereno_store::{Read, Txn, transact};

use crate::rules::{self, CLIENT_IDS_PER_PROVIDER_MAX, THUMBPRINTS_PER_PROVIDER_MAX};
use crate::state::{self, OidcRecord};
use crate::{errors, ids};

pub async fn find<R: Read + ?Sized>(ctx: &Ctx, read: &R, text: &str) -> Result<OidcRecord> {
    let prefix = arn("iam", None, Some(ctx.account()), "oidc-provider/");
    let found = match text.strip_prefix(&prefix) {
        Some(url) => state::PROVIDERS.get(read, ctx.account_scope(), url).await?,
        None => None,
    };
    found.ok_or_else(|| errors::no_such_provider(text))
}

pub fn save(ctx: &Ctx, txn: &mut Txn, provider: &OidcRecord) {
    let scope = ctx.account_scope();
    state::PROVIDERS.put(txn, scope, &provider.url, provider);
    state::touch(txn, scope);
}

fn provider_arn(ctx: &Ctx, url: &str) -> String {
    arn("iam", None, Some(ctx.account()), &format!("oidc-provider/{url}"))
}

pub async fn create(
    ctx: Ctx,
    input: api::CreateOpenIDConnectProviderInput,
) -> Result<api::CreateOpenIDConnectProviderOutput> {
    let Some(url) = input.url.strip_prefix("https://").map(|u| u.trim_end_matches('/')) else {
        return Err(errors::validation("Invalid Open ID Connect Provider URL"));
    };
    if url.is_empty() || url.contains(['?', '#']) {
        return Err(errors::validation("Invalid Open ID Connect Provider URL"));
    }
    let mut provider = OidcRecord {
        url: url.to_owned(),
        created: ids::now(&ctx),
        client_ids: input.client_id_list.unwrap_or_default(),
        thumbprints: input.thumbprint_list.unwrap_or_default(),
        ..Default::default()
    };
    limits(&provider)?;
    rules::set_tags(&mut provider.tags, input.tags.as_deref().unwrap_or_default())?;
    transact!(ctx.store(), Error, |txn| {
        if state::PROVIDERS.get(txn, ctx.account_scope(), url).await?.is_some() {
            return Err(errors::provider_exists(&input.url));
        }
        save(&ctx, txn, &provider);
    })?;
    Ok(api::CreateOpenIDConnectProviderOutput {
        open_id_connect_provider_arn: Some(provider_arn(&ctx, url)),
        tags: (!provider.tags.is_empty()).then(|| rules::shown_tags(&provider.tags)),
    })
}

fn limits(provider: &OidcRecord) -> Result<()> {
    if provider.client_ids.len() > CLIENT_IDS_PER_PROVIDER_MAX {
        return Err(errors::quota(
            "ClientIdsPerOpenIdConnectProvider",
            CLIENT_IDS_PER_PROVIDER_MAX,
        ));
    }
    if provider.thumbprints.len() > THUMBPRINTS_PER_PROVIDER_MAX {
        return Err(errors::invalid_input("Thumbprint list must contain fewer than 5 entries."));
    }
    Ok(())
}

pub async fn get(
    ctx: Ctx,
    input: api::GetOpenIDConnectProviderInput,
) -> Result<api::GetOpenIDConnectProviderOutput> {
    let found = find(&ctx, ctx.store(), &input.open_id_connect_provider_arn).await?;
    Ok(api::GetOpenIDConnectProviderOutput {
        url: Some(found.url),
        client_id_list: Some(found.client_ids),
        thumbprint_list: Some(found.thumbprints),
        create_date: Some(found.created),
        tags: Some(rules::shown_tags(&found.tags)),
    })
}

pub async fn list(
    ctx: Ctx,
    _input: api::ListOpenIDConnectProvidersInput,
) -> Result<api::ListOpenIDConnectProvidersOutput> {
    let all = state::PROVIDERS.list(ctx.account_scope(), ()).read(ctx.store()).await?;
    let entries = all.into_iter().map(|(url, _)| api::OpenIDConnectProviderListEntry {
        arn: Some(provider_arn(&ctx, &url)),
    });
    Ok(api::ListOpenIDConnectProvidersOutput {
        open_id_connect_provider_list: Some(entries.collect()),
    })
}

pub async fn delete(
    ctx: Ctx,
    input: api::DeleteOpenIDConnectProviderInput,
) -> Result<api::DeleteOpenIDConnectProviderOutput> {
    let scope = ctx.account_scope();
    transact!(ctx.store(), Error, |txn| {
        let found = find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        state::PROVIDERS.delete(txn, scope, &found.url);
        state::touch(txn, scope);
    })?;
    Ok(api::DeleteOpenIDConnectProviderOutput {})
}

pub async fn update_thumbprints(
    ctx: Ctx,
    input: api::UpdateOpenIDConnectProviderThumbprintInput,
) -> Result<api::UpdateOpenIDConnectProviderThumbprintOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        found.thumbprints.clone_from(&input.thumbprint_list);
        limits(&found)?;
        save(&ctx, txn, &found);
    })?;
    Ok(api::UpdateOpenIDConnectProviderThumbprintOutput {})
}

pub async fn add_client_id(
    ctx: Ctx,
    input: api::AddClientIDToOpenIDConnectProviderInput,
) -> Result<api::AddClientIDToOpenIDConnectProviderOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        if !found.client_ids.contains(&input.client_id) {
            found.client_ids.push(input.client_id.clone());
            limits(&found)?;
            save(&ctx, txn, &found);
        }
    })?;
    Ok(api::AddClientIDToOpenIDConnectProviderOutput {})
}

pub async fn remove_client_id(
    ctx: Ctx,
    input: api::RemoveClientIDFromOpenIDConnectProviderInput,
) -> Result<api::RemoveClientIDFromOpenIDConnectProviderOutput> {
    transact!(ctx.store(), Error, |txn| {
        let mut found = find(&ctx, txn, &input.open_id_connect_provider_arn).await?;
        found.client_ids.retain(|id| *id != input.client_id);
        save(&ctx, txn, &found);
    })?;
    Ok(api::RemoveClientIDFromOpenIDConnectProviderOutput {})
}
