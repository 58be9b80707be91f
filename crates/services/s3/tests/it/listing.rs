//! Listings, against a model of them: sorted keys, rolled up by hand.

use std::collections::BTreeSet;

use sereno_api_s3 as api;
use sereno_kernel::Ctx;

use crate::{bucket, cloud, delete, put, versioning};

/// Names of keys and groups, page after page.
async fn walk(ctx: &Ctx, prefix: &str, delimiter: &str, page: i32) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut token) = (Vec::new(), 0, None);
    loop {
        let input = api::ListObjectsV2Input {
            bucket: "listed".to_owned(),
            prefix: Some(prefix.to_owned()),
            delimiter: Some(delimiter.to_owned()).filter(|d| !d.is_empty()),
            max_keys: Some(page),
            continuation_token: token,
            ..Default::default()
        };
        let output = ctx.call::<api::ListObjectsV2>(input).await.expect("a page");
        let keys = output.contents.unwrap_or_default().into_iter().filter_map(|o| o.key);
        let groups =
            output.common_prefixes.unwrap_or_default().into_iter().filter_map(|p| p.prefix);
        let mut both: Vec<String> = keys.chain(groups).collect();
        both.sort();
        names.extend(both);
        pages += 1;
        token = output.next_continuation_token;
        if output.is_truncated != Some(true) {
            return (names, pages);
        }
    }
}

fn model(keys: &[&str], prefix: &str, delimiter: &str) -> Vec<String> {
    let rolled: BTreeSet<String> = keys
        .iter()
        .filter_map(|key| key.strip_prefix(prefix))
        .map(|rest| match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => format!("{prefix}{}", &rest[..at + delimiter.len()]),
            None => format!("{prefix}{rest}"),
        })
        .collect();
    rolled.into_iter().collect()
}

#[tokio::test]
async fn pages_add_up_to_the_listing() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "listed").await;
    let keys = [
        "a", "a/", "a/1", "a/2", "a/b/1", "a/b/2", "a0", "b", "b//x", "b/1", "ü/1", "z/z/z", "a/é",
    ];
    for key in keys {
        put(&ctx, "listed", key, "x").await;
    }
    for prefix in ["", "a", "a/", "a/b/", "b/", "none"] {
        for delimiter in ["", "/", "b"] {
            let wanted = model(&keys, prefix, delimiter);
            for page in [1, 2, 5, 1000] {
                let (found, _) = walk(&ctx, prefix, delimiter, page).await;
                assert_eq!(found, wanted, "prefix {prefix:?} delimiter {delimiter:?} by {page}");
            }
        }
    }
}

#[tokio::test]
async fn a_group_costs_one_step_however_large() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "listed").await;
    for n in 0..2500 {
        put(&ctx, "listed", &format!("many/{n:05}"), "x").await;
    }
    put(&ctx, "listed", "one", "x").await;
    let (names, pages) = walk(&ctx, "", "/", 1000).await;
    assert_eq!((names.as_slice(), pages), (["many/".to_owned(), "one".to_owned()].as_slice(), 1));
    assert_eq!(walk(&ctx, "", "", 1000).await.0.len(), 2501);
}

#[tokio::test]
async fn versions_are_listed_newest_first_page_by_page() {
    let cloud = cloud();
    let ctx = cloud.ctx();
    bucket(&ctx, "listed").await;
    versioning(&ctx, "listed", "Enabled").await;
    for key in ["a", "b", "c"] {
        for n in 0..3 {
            put(&ctx, "listed", key, &format!("{n}")).await;
        }
    }
    delete(&ctx, "listed", "b", None).await;
    let all = versions(&ctx, 1000).await;
    assert_eq!(all.len(), 10);
    assert_eq!(all.iter().filter(|(_, _, latest)| *latest).count(), 3);
    for page in [1, 2, 3, 7] {
        assert_eq!(versions(&ctx, page).await, all, "by {page}");
    }
}

/// Key, version and whether it is the latest, in the order of listing.
async fn versions(ctx: &Ctx, page: i32) -> Vec<(String, String, bool)> {
    let (mut all, mut key, mut version) = (Vec::new(), None, None);
    loop {
        let input = api::ListObjectVersionsInput {
            bucket: "listed".to_owned(),
            max_keys: Some(page),
            key_marker: key,
            version_id_marker: version,
            ..Default::default()
        };
        let output = ctx.call::<api::ListObjectVersions>(input).await.expect("a page");
        let mut lines = Vec::new();
        for one in output.versions.unwrap_or_default() {
            lines.push((one.key, one.version_id, one.is_latest));
        }
        for one in output.delete_markers.unwrap_or_default() {
            lines.push((one.key, one.version_id, one.is_latest));
        }
        let mut lines: Vec<_> = lines
            .into_iter()
            .map(|(k, v, l)| (k.unwrap_or_default(), v.unwrap_or_default(), l == Some(true)))
            .collect();
        lines.sort_by(|a, b| (&a.0, !a.2).cmp(&(&b.0, !b.2)));
        all.extend(lines);
        if output.is_truncated != Some(true) {
            return all;
        }
        (key, version) = (output.next_key_marker, output.next_version_id_marker);
    }
}
