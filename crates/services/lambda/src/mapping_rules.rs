//! What an event source mapping may be. Pure functions of their arguments.

use sereno_api_lambda as api;
use sereno_base::Arn;
use sereno_kernel::Result;
use sereno_pattern::Pattern;

use crate::destination::Target;
use crate::event_state::MappingRecord;
use crate::{errors, source};

pub const NO_LIMIT: i64 = -1;
const BATCH_SIZE: u32 = 100;
const RECORD_AGE_S_MIN: i64 = 60;

/// Services whose resources are event sources on AWS and not yet here.
const OTHER_SOURCES: &[&str] = &["sqs", "kinesis", "kafka", "mq", "rds"];

/// What creating and updating have in common; `None` leaves a setting as it is.
pub struct Settings<'a> {
    pub batch_size: Option<i32>,
    pub window_s: Option<i32>,
    pub lanes: Option<i32>,
    pub filter: Option<&'a api::FilterCriteria>,
    pub destinations: Option<&'a api::DestinationConfig>,
    pub age_s_max: Option<i32>,
    pub retries_max: Option<i32>,
    pub bisect: Option<bool>,
    pub tumbling_s: Option<i32>,
    pub responses: Option<&'a [api::FunctionResponseType]>,
    /// Parameters of other kinds of sources that were given.
    foreign: Option<&'static str>,
    /// Parameters that nothing here acts on.
    unserved: Option<&'static str>,
}

/// The settings of an input; both inputs have members of the same names.
macro_rules! settings {
    ($input:ident, $($name:literal => $given:expr),*) => {
        Settings {
            batch_size: $input.batch_size,
            window_s: $input.maximum_batching_window_in_seconds,
            lanes: $input.parallelization_factor,
            filter: $input.filter_criteria.as_ref(),
            destinations: $input.destination_config.as_ref(),
            age_s_max: $input.maximum_record_age_in_seconds,
            retries_max: $input.maximum_retry_attempts,
            bisect: $input.bisect_batch_on_function_error,
            tumbling_s: $input.tumbling_window_in_seconds,
            responses: $input.function_response_types.as_deref(),
            foreign: first(&[
                ("ScalingConfig", $input.scaling_config.is_some()),
                ("LoggingConfig", $input.logging_config.is_some()),
                ("SourceAccessConfigurations", is_filled($input.source_access_configurations.as_deref())),
                ("AmazonManagedKafkaEventSourceConfig", $input.amazon_managed_kafka_event_source_config.is_some()),
                ("SelfManagedKafkaEventSourceConfig", $input.self_managed_kafka_event_source_config.is_some()),
                ("DocumentDBEventSourceConfig", $input.document_db_event_source_config.is_some()),
                ("ProvisionedPollerConfig", $input.provisioned_poller_config.is_some()),
                $(($name, $given)),*
            ]),
            unserved: first(&[
                ("KMSKeyArn of an event source mapping", $input.kms_key_arn.as_ref().is_some_and(|key| !key.is_empty())),
                ("MetricsConfig", $input.metrics_config.as_ref().is_some_and(|config| {
                    is_filled(config.metrics.as_deref())
                })),
            ]),
        }
    };
}

fn first(parameters: &[(&'static str, bool)]) -> Option<&'static str> {
    parameters.iter().find(|(_, given)| *given).map(|(name, _)| *name)
}

fn is_filled<T>(list: Option<&[T]>) -> bool {
    list.is_some_and(|list| !list.is_empty())
}

impl<'a> Settings<'a> {
    pub fn of_create(input: &'a api::CreateEventSourceMappingInput) -> Settings<'a> {
        settings!(
            input,
            "Topics" => is_filled(input.topics.as_deref()),
            "Queues" => is_filled(input.queues.as_deref())
        )
    }

    pub fn of_update(input: &'a api::UpdateEventSourceMappingInput) -> Settings<'a> {
        settings!(input,)
    }

    pub fn check(&self) -> Result<()> {
        if self.destinations.is_some_and(|config| config.on_success.is_some()) {
            return Err(errors::unsupported_mapping_parameter("DestinationConfig"));
        }
        if let Some(parameter) = self.foreign {
            return Err(errors::unsupported_mapping_parameter(parameter));
        }
        if let Some(parameter) = self.unserved {
            return Err(errors::not_honoured(parameter));
        }
        let age = self.age_s_max.map(i64::from);
        if age.is_some_and(|age| age != NO_LIMIT && age < RECORD_AGE_S_MIN) {
            return Err(errors::record_age_out_of_range());
        }
        for pattern in self.patterns() {
            if pattern.is_none_or(|pattern| Pattern::parse(pattern).is_err()) {
                return Err(errors::invalid_filter());
            }
        }
        match self.on_failure().filter(|arn| !arn.is_empty()) {
            Some(arn) if !Target::parse(arn).is_some_and(|target| target.takes_batches()) => {
                Err(errors::invalid_destinations(None, Some(arn)))
            }
            _ => Ok(()),
        }
    }

    fn patterns(&self) -> impl Iterator<Item = Option<&'a str>> {
        let filters = self.filter.and_then(|filter| filter.filters.as_deref());
        filters.unwrap_or_default().iter().map(|filter| filter.pattern.as_deref())
    }

    pub fn on_failure(&self) -> Option<&'a str> {
        self.destinations?.on_failure.as_ref()?.destination.as_deref()
    }

    /// The model's bounds were checked: sizes and spans are never negative.
    pub fn apply(&self, record: &mut MappingRecord) {
        let set = |field: &mut u32, value: Option<i32>| {
            if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
                *field = value;
            }
        };
        set(&mut record.batch_size, self.batch_size);
        set(&mut record.window_s, self.window_s);
        set(&mut record.lanes, self.lanes);
        set(&mut record.tumbling_s, self.tumbling_s);
        record.age_s_max = self.age_s_max.map_or(record.age_s_max, i64::from);
        record.retries_max = self.retries_max.map_or(record.retries_max, i64::from);
        record.bisect = self.bisect.unwrap_or(record.bisect);
        if self.filter.is_some() {
            record.filters = self.patterns().flatten().map(str::to_owned).collect();
        }
        if self.destinations.is_some() {
            record.on_failure = self.on_failure().unwrap_or_default().to_owned();
        }
        if let Some(responses) = self.responses {
            record.report_failures =
                responses.contains(&api::FunctionResponseType::ReportBatchItemFailures);
        }
    }
}

/// A mapping with nothing but AWS's defaults.
pub fn defaults() -> MappingRecord {
    MappingRecord {
        batch_size: BATCH_SIZE,
        lanes: 1,
        age_s_max: NO_LIMIT,
        retries_max: NO_LIMIT,
        ..Default::default()
    }
}

/// What can be said of the source before anything is looked up.
pub fn check_source(input: &api::CreateEventSourceMappingInput) -> Result<&str> {
    if input.self_managed_event_source.is_some() {
        return Err(errors::not_honoured("SelfManagedEventSource"));
    }
    let arn = input.event_source_arn.as_deref().ok_or_else(errors::unrecognized_event_source)?;
    if source::of(arn).is_none() {
        return Ok(arn);
    }
    match &input.starting_position {
        None => Err(errors::no_starting_position()),
        // Recorded: DynamoDB's streams know no times.
        Some(api::EventSourcePosition::AtTimestamp) => {
            Err(errors::unsupported_starting_position(arn))
        }
        Some(_) if input.starting_position_timestamp.is_some() => {
            Err(errors::unsupported_mapping_parameter("StartingPositionTimestamp"))
        }
        Some(_) => Ok(arn),
    }
}

/// Why a source cannot be mapped, though its function is there.
pub fn unsupported_source(arn: &str) -> sereno_kernel::Error {
    let service = Arn::parse(arn).map(|arn| arn.service).unwrap_or_default();
    if OTHER_SOURCES.contains(&service.as_str()) {
        errors::not_honoured(&format!("event sources of {service}"))
    } else {
        errors::unknown_event_source(arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create() -> api::CreateEventSourceMappingInput {
        api::CreateEventSourceMappingInput {
            event_source_arn: Some(
                "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2016".to_owned(),
            ),
            starting_position: Some(api::EventSourcePosition::Latest),
            ..Default::default()
        }
    }

    #[test]
    fn defaults_are_awss() {
        let mut record = defaults();
        Settings::of_create(&create()).apply(&mut record);
        assert_eq!((record.batch_size, record.window_s, record.lanes), (100, 0, 1));
        assert_eq!((record.age_s_max, record.retries_max, record.tumbling_s), (-1, -1, 0));
    }

    #[test]
    fn sources() {
        let input = create();
        assert!(check_source(&input).is_ok());
        let at = Some(api::EventSourcePosition::AtTimestamp);
        let input = api::CreateEventSourceMappingInput { starting_position: at, ..create() };
        let error = check_source(&input).unwrap_err();
        assert!(error.message().starts_with("Unsupported starting position"));
        let input = api::CreateEventSourceMappingInput { starting_position: None, ..create() };
        assert!(check_source(&input).unwrap_err().message().contains("'startingPosition'"));
        assert_eq!(unsupported_source("arn:aws:sqs:us-east-1:1:q").code(), "NotImplemented");
        assert!(unsupported_source("arn:aws:s3:::b").message().contains("must be kinesis"));
    }

    #[test]
    fn what_does_not_belong_is_refused() {
        let refused = |change: fn(&mut api::CreateEventSourceMappingInput)| {
            let mut input = create();
            change(&mut input);
            Settings::of_create(&input).check().unwrap_err().message().to_owned()
        };
        let queues = refused(|input| input.queues = Some(vec!["q".to_owned()]));
        assert_eq!(queues, "Unsupported Queues parameter for given event source mapping type.");
        assert!(refused(|input| input.maximum_record_age_in_seconds = Some(59)).contains("-1"));
        let pattern = |pattern: &str| {
            let filter = api::Filter { pattern: Some(pattern.to_owned()) };
            let criteria = api::FilterCriteria { filters: Some(vec![filter]) };
            let input =
                api::CreateEventSourceMappingInput { filter_criteria: Some(criteria), ..create() };
            Settings::of_create(&input).check()
        };
        assert!(pattern("{\"eventName\": [\"INSERT\"]}").is_ok());
        assert!(pattern("single-string").is_err());
    }
}
