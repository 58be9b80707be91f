//! The stored form of functions and what belongs to them: a change of it is seen in review.

use std::collections::BTreeMap;

use bytes::Bytes;
use sereno_base::{AccountId, Region};
use sereno_store::{BlobRef, Scope};

use crate::state::{
    ALIASES, AliasRecord, CODE_SIGNING_CONFIGS, CodeRecord, CodeSigningRecord, CorsRecord,
    FUNCTIONS, FunctionRecord, HEADS, HeadRecord, LAYER_HEADS, LAYER_POLICIES, LAYER_VERSIONS,
    LayerHeadRecord, LayerRecord, LayerVersionRecord, POLICIES, PROVISIONED, PolicyRecord,
    ProvisionedRecord, RESERVED, ReservedRecord, URL_OWNERS, URLS, UrlOwnerRecord, UrlRecord,
};

fn code() -> CodeRecord {
    CodeRecord {
        blob: BlobRef { id: "blob".into(), len: 1 },
        sha256: "c2hh".into(),
        size_bytes: 1,
        unzipped_bytes: 2,
    }
}

fn function() -> FunctionRecord {
    FunctionRecord {
        name: "f".into(),
        version: "1".into(),
        description: "d".into(),
        runtime: "python3.12".into(),
        role: "arn:role".into(),
        handler: "index.handler".into(),
        memory_mb: 128,
        timeout_s: 3,
        environment: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
        code: code(),
        architecture: "x86_64".into(),
        ephemeral_storage_mb: 512,
        tracing: "PassThrough".into(),
        subnet_ids: vec!["subnet-1".into()],
        security_group_ids: vec!["sg-1".into()],
        snap_start: "None".into(),
        log_format: "JSON".into(),
        log_group: "/g".into(),
        application_log_level: "INFO".into(),
        system_log_level: "WARN".into(),
        revision_id: "revision".into(),
        last_modified_ms: 4,
        has_environment: true,
        build: "build".into(),
        latest_description: "latest".into(),
        layers: vec![LayerRecord { arn: "arn:layer:1".into(), code: code() }],
        sealed_environment: Bytes::from_static(b"sealed"),
        update_runtime_on: "Manual".into(),
        runtime_version_arn: "arn:runtime".into(),
        dead_letter_arn: "arn:queue".into(),
    }
}

fn url() -> UrlRecord {
    UrlRecord {
        id: "id".into(),
        function: "f".into(),
        qualifier: "live".into(),
        auth_type: "NONE".into(),
        cors: Some(CorsRecord {
            allow_credentials: Some(true),
            allow_headers: vec!["x-a".into()],
            allow_methods: vec!["GET".into()],
            allow_origins: vec!["*".into()],
            expose_headers: vec!["date".into()],
            max_age_s: Some(5),
        }),
        invoke_mode: "RESPONSE_STREAM".into(),
        created_ms: 6,
        modified_ms: 7,
    }
}

fn layer() -> LayerVersionRecord {
    LayerVersionRecord {
        name: "l".into(),
        version: 2,
        description: "d".into(),
        license: Some("MIT".into()),
        code: code(),
        created_ms: 8,
        names_architectures: true,
        architectures: vec!["arm64".into()],
        names_runtimes: true,
        runtimes: vec!["java21".into()],
    }
}

#[test]
fn format_of_stored_data() {
    let account: AccountId = "123456789012".parse().unwrap();
    let scope = Scope::new(account, Region::parse("us-east-1"));
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let head = HeadRecord {
        name: "f".into(),
        last_version: 1,
        tags: tags.clone(),
        reserved_concurrency: -1,
        created_ms: 2,
        code_signing_config_arn: "arn:csc".into(),
        recursion_allowed: true,
    };
    let alias = AliasRecord {
        name: "live".into(),
        version: "1".into(),
        description: "d".into(),
        other_version: Some("2".into()),
        other_weight: 0.25,
        revision_id: "revision".into(),
    };
    let policy = PolicyRecord { statements: vec!["{}".into()], revision_id: "revision".into() };
    let signing = CodeSigningRecord {
        id: "csc-1".into(),
        description: Some("d".into()),
        publishers: vec!["arn:profile".into()],
        policy: "Warn".into(),
        modified_ms: 3,
        tags,
    };
    let provisioned = ProvisionedRecord {
        requested: 2,
        ready: 1,
        status: "IN_PROGRESS".into(),
        status_reason: "why".into(),
        modified_ms: 4,
        version: "1".into(),
        build: "build".into(),
    };
    let owner = UrlOwnerRecord {
        account: "123456789012".into(),
        region: "us-east-1".into(),
        function: "f".into(),
        qualifier: "live".into(),
    };
    sereno_store::golden::Golden::at(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"))
        .table(&HEADS, scope, "f", &head)
        .table(&FUNCTIONS, scope, &("f", "000000000001"), &function())
        .table(&ALIASES, scope, &("f", "live"), &alias)
        .table(&POLICIES, scope, &("f", "live"), &policy)
        .table(&CODE_SIGNING_CONFIGS, scope, "csc-1", &signing)
        .table(&PROVISIONED, scope, &("f", "live"), &provisioned)
        .table(&RESERVED, scope, "all", &ReservedRecord { total: 5 })
        .table(&URLS, scope, &("f", "live"), &url())
        .table(&URL_OWNERS, Scope::GLOBAL, "id", &owner)
        .table(&LAYER_HEADS, scope, "l", &LayerHeadRecord { last_version: 2 })
        .table(&LAYER_VERSIONS, scope, &("l", 2), &layer())
        .table(&LAYER_POLICIES, scope, &("l", 2), &policy)
        .check();
}
