//! Contributor insights: UpdateContributorInsights, DescribeContributorInsights,
//! ListContributorInsights. The setting is kept and shown; counts of keys are CloudWatch's to show.

use std::sync::Arc;

use sereno_api_dynamodb as api;
use sereno_base::Timestamp;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::state::{TABLES, TableRecord};
use crate::table::{Engine, Target};
use crate::tables;

const PAGE_MAX: usize = 100;

pub async fn update(
    ctx: Ctx,
    input: api::UpdateContributorInsightsInput,
) -> Result<api::UpdateContributorInsightsOutput> {
    let target = Target::parse(&ctx, &input.table_name)?;
    let on = input.contributor_insights_action == api::ContributorInsightsAction::Enable;
    let mode = input
        .contributor_insights_mode
        .clone()
        .unwrap_or(api::ContributorInsightsMode::AccessedAndThrottledKeys);
    let index = input.index_name.clone().unwrap_or_default();
    let now = ctx.now().millis();
    tables::change(&ctx, &target, |record| {
        check_index(record, input.index_name.as_deref())?;
        if on {
            record.contributor_insights.insert(index.clone(), mode.as_str().to_owned());
        } else {
            record.contributor_insights.remove(&index);
        }
        record.insights_changed_ms = now;
        Ok(())
    })
    .await?;
    let status = if on {
        api::ContributorInsightsStatus::Enabling
    } else {
        api::ContributorInsightsStatus::Disabling
    };
    Ok(api::UpdateContributorInsightsOutput {
        table_name: Some(target.name),
        index_name: input.index_name,
        contributor_insights_status: Some(status),
        contributor_insights_mode: on.then_some(mode),
    })
}

fn check_index(record: &TableRecord, name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if !record.indexes.iter().any(|index| index.name == name) => {
            Err(errors::resource_not_found(format!(
                "Requested resource not found: Index: {name} not found"
            )))
        }
        _ => Ok(()),
    }
}

pub async fn describe(
    engine: Arc<Engine>,
    ctx: Ctx,
    input: api::DescribeContributorInsightsInput,
) -> Result<api::DescribeContributorInsightsOutput> {
    let (target, table) = tables::find(&engine, &ctx, &input.table_name).await?;
    let record = &table.record;
    check_index(record, input.index_name.as_deref())?;
    let index = input.index_name.as_deref().unwrap_or_default();
    let mode = record.contributor_insights.get(index);
    let changed = record.insights_changed_ms;
    Ok(api::DescribeContributorInsightsOutput {
        contributor_insights_rule_list: mode.map(|_| rules(record, index)),
        table_name: Some(target.name),
        index_name: input.index_name,
        contributor_insights_status: Some(status(mode.is_some())),
        last_update_date_time: (changed > 0).then(|| Timestamp::from_millis(changed)),
        contributor_insights_mode: mode.map(|mode| mode.as_str().into()),
        ..Default::default()
    })
}

fn status(on: bool) -> api::ContributorInsightsStatus {
    if on {
        api::ContributorInsightsStatus::Enabled
    } else {
        api::ContributorInsightsStatus::Disabled
    }
}

/// The names of CloudWatch's rules: accessed and throttled partition keys, and sort keys with them.
/// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/contributorinsights_tutorial.html
fn rules(record: &TableRecord, index: &str) -> Vec<String> {
    let sorted = match record.indexes.iter().find(|one| one.name == index) {
        Some(index) => !index.range.is_empty(),
        None => record.range.is_some(),
    };
    let kinds: &[&str] = if sorted { &["PKC", "SKC", "PKT", "SKT"] } else { &["PKC", "PKT"] };
    let (name, at) = (&record.name, record.insights_changed_ms);
    kinds.iter().map(|kind| format!("DynamoDBContributorInsights-{kind}-{name}-{at}")).collect()
}

pub async fn list(
    ctx: Ctx,
    input: api::ListContributorInsightsInput,
) -> Result<api::ListContributorInsightsOutput> {
    let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.filter(|limit| *limit > 0).unwrap_or(PAGE_MAX).min(PAGE_MAX);
    let only = match &input.table_name {
        Some(name) => Some(Target::parse(&ctx, name)?.name),
        None => None,
    };
    let all = TABLES.list(ctx.scope(), ()).read(ctx.store()).await?;
    let entries = all.iter().filter(|(name, _)| only.as_ref().is_none_or(|only| only == name));
    let entries = entries.flat_map(|(name, record)| {
        record.contributor_insights.iter().map(move |(index, mode)| (name, index, mode))
    });
    // A token names the entry behind which the next page begins.
    let behind = |name: &str, index: &str| {
        let place = format!("{name}/{index}");
        input.next_token.as_ref().is_none_or(|token| place > *token)
    };
    let mut page: Vec<api::ContributorInsightsSummary> = entries
        .filter(|(name, index, _)| behind(name, index))
        .map(|(name, index, mode)| api::ContributorInsightsSummary {
            table_name: Some(name.clone()),
            index_name: (!index.is_empty()).then(|| index.clone()),
            contributor_insights_status: Some(status(true)),
            contributor_insights_mode: Some(mode.as_str().into()),
        })
        .collect();
    page.sort_by(|a, b| (&a.table_name, &a.index_name).cmp(&(&b.table_name, &b.index_name)));
    let more = page.len() > limit;
    page.truncate(limit);
    let next = page.last().filter(|_| more).map(|last| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{}/{}", text(&last.table_name), text(&last.index_name))
    });
    Ok(api::ListContributorInsightsOutput {
        contributor_insights_summaries: Some(page),
        next_token: next,
    })
}
