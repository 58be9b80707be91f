//! TestMetricFilter: what a filter pattern finds in sample messages.

use sereno_api_logs as api;
use sereno_kernel::{Ctx, Result};

use crate::errors;
use crate::pattern::Pattern;

pub async fn test(
    _: Ctx,
    input: api::TestMetricFilterInput,
) -> Result<api::TestMetricFilterOutput> {
    let pattern = Pattern::parse(&input.filter_pattern).map_err(|_| errors::bad_pattern())?;
    let numbered = (1..).zip(input.log_event_messages);
    let matches =
        numbered.filter(|(_, message)| pattern.matches(message)).map(|(event_number, message)| {
            api::MetricFilterMatchRecord {
                event_number: Some(event_number),
                extracted_values: Some(pattern.extract(&message)),
                event_message: Some(message),
            }
        });
    Ok(api::TestMetricFilterOutput { matches: Some(matches.collect()) })
}
