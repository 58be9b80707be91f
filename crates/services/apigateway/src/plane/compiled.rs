//! A deployment made ready to serve: paths in a router, templates and patterns read.
//!
//! Made once per deployment and kept: a deployment never changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use regex::Regex;
use sereno_base::{AccountId, Region};
use sereno_policy::Policy;
use sereno_vtl::Template;

use super::router::Router;
use crate::policy;
use crate::schema::Models;
use crate::state::{
    ApiDocument, AuthorizerRecord, GatewayResponseRecord, IntegrationRecord,
    IntegrationResponseRecord, MethodRecord, RestApiRecord, ValidatorRecord,
};

#[derive(Debug)]
pub struct Compiled {
    pub api: RestApiRecord,
    pub router: Router<Arc<Plan>>,
    /// By resource and verb: tests name the resource.
    plans: HashMap<(String, String), Arc<Plan>>,
    pub gateway_responses: BTreeMap<String, GatewayResponseRecord>,
    pub authorizers: HashMap<String, Arc<AuthorizerPlan>>,
    pub models: Models,
    /// The resource policy with its ARNs written out.
    pub policy: Option<Arc<Policy>>,
}

/// A method with all that serving it needs.
#[derive(Debug)]
pub struct Plan {
    pub resource_id: String,
    pub resource_path: String,
    pub method: MethodRecord,
    pub integration: IntegrationPlan,
    pub validator: Option<ValidatorRecord>,
}

#[derive(Debug)]
pub struct IntegrationPlan {
    pub record: IntegrationRecord,
    /// By content type.
    pub templates: BTreeMap<String, Prepared>,
    pub responses: Vec<ResponsePlan>,
}

#[derive(Debug)]
pub struct ResponsePlan {
    pub status: u16,
    /// `None` is the default response.
    pub pattern: Option<Regex>,
    pub record: IntegrationResponseRecord,
    pub templates: BTreeMap<String, Prepared>,
}

/// A mapping template, read; or why it cannot be.
pub type Prepared = Result<Template, String>;

#[derive(Debug)]
pub struct AuthorizerPlan {
    pub record: AuthorizerRecord,
    pub pattern: Option<Regex>,
}

fn prepare(templates: &BTreeMap<String, String>) -> BTreeMap<String, Prepared> {
    let read = |(kind, text): (&String, &String)| {
        (kind.to_lowercase(), Template::parse(text).map_err(|error| error.to_string()))
    };
    templates.iter().filter(|(_, text)| !text.is_empty()).map(read).collect()
}

/// A selection pattern must match the whole text; look-around is not supported and never matches.
fn whole(pattern: &str) -> Option<Regex> {
    Regex::new(&format!("^(?s:{pattern})$")).ok()
}

impl Compiled {
    pub fn new(
        document: ApiDocument,
        partition: &str,
        region: Region,
        account: AccountId,
    ) -> Compiled {
        let validators: HashMap<String, ValidatorRecord> =
            document.validators.into_iter().map(|record| (record.id.clone(), record)).collect();
        let mut router = Router::default();
        let mut all = HashMap::new();
        for resource in document.resources {
            let mut plans = HashMap::new();
            for (verb, method) in resource.methods {
                let validator = method.request_validator_id.as_ref();
                let validator = validator.and_then(|id| validators.get(id)).cloned();
                let integration = integration(method.integration.clone().unwrap_or_default());
                let plan = Plan {
                    resource_id: resource.id.clone(),
                    resource_path: resource.path.clone(),
                    method,
                    integration,
                    validator,
                };
                let plan = Arc::new(plan);
                all.insert((resource.id.clone(), verb.clone()), Arc::clone(&plan));
                plans.insert(verb, plan);
            }
            if !plans.is_empty() {
                router.add(&resource.path, plans);
            }
        }
        let models = document
            .models
            .iter()
            .map(|model| (model.name.as_str(), model.schema.as_deref().unwrap_or("{}")));
        let policy = document.api.policy.as_deref().and_then(|text| {
            let text = policy::expanded(text, partition, region, account, &document.api.id);
            sereno_policy::validate::resource(&text).ok().map(Arc::new)
        });
        Compiled {
            models: Models::new(models),
            router,
            plans: all,
            gateway_responses: document
                .gateway_responses
                .into_iter()
                .map(|record| (record.kind.clone(), record))
                .collect(),
            authorizers: document.authorizers.into_iter().map(authorizer).collect(),
            policy,
            api: document.api,
        }
    }
}

impl Compiled {
    pub fn plan(&self, resource_id: &str, verb: &str) -> Option<Arc<Plan>> {
        let find = |verb: &str| self.plans.get(&(resource_id.to_owned(), verb.to_owned()));
        find(verb).or_else(|| find("ANY")).cloned()
    }
}

fn authorizer(record: AuthorizerRecord) -> (String, Arc<AuthorizerPlan>) {
    let pattern = record.validation_expression.as_deref().and_then(whole);
    (record.id.clone(), Arc::new(AuthorizerPlan { record, pattern }))
}

fn integration(record: IntegrationRecord) -> IntegrationPlan {
    let response = |(status, record): (&String, &IntegrationResponseRecord)| ResponsePlan {
        status: status.parse().unwrap_or(200),
        pattern: record
            .selection_pattern
            .as_deref()
            .filter(|pattern| !pattern.is_empty())
            .and_then(|pattern| whole(pattern).or_else(|| Regex::new("$.^").ok())),
        templates: prepare(&record.templates),
        record: record.clone(),
    };
    IntegrationPlan {
        templates: prepare(&record.request_templates),
        responses: record.responses.iter().map(response).collect(),
        record,
    }
}
