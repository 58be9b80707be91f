//! Archives that are well meant and archives that are not.

use std::sync::Arc;

use zip::write::SimpleFileOptions;

use super::*;

enum Entry<'a> {
    File(&'a str, &'a [u8], u32),
    Link(&'a str, &'a str),
}

fn archive(entries: &[Entry<'_>]) -> Bytes {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for entry in entries {
        match entry {
            Entry::File(name, content, mode) => {
                let options = SimpleFileOptions::default().unix_permissions(*mode);
                writer.start_file(*name, options).unwrap();
                writer.write_all(content).unwrap();
            }
            Entry::Link(name, target) => {
                writer.add_symlink(*name, *target, SimpleFileOptions::default()).unwrap();
            }
        }
    }
    Bytes::from(writer.finish().unwrap().into_inner())
}

fn package(bytes: Bytes) -> Package {
    let sha256 = hash(&bytes);
    Package {
        sha256,
        fetch: Arc::new(move || {
            let bytes = bytes.clone();
            Box::pin(async move { Ok(bytes) })
        }),
    }
}

fn packages() -> Packages {
    let mut name = [0u8; 8];
    getrandom::fill(&mut name).unwrap();
    Packages::new(&std::env::temp_dir().join(format!("sereno-test-{}", sereno_base::hex(&name))))
}

async fn unpack_all(entries: &[Entry<'_>]) -> Result<PathBuf, PackageError> {
    packages().unpacked(&package(archive(entries)), 1 << 20).await
}

#[tokio::test]
async fn files_modes_and_links_arrive() {
    let folder = unpack_all(&[
        Entry::File("index.js", b"code", 0o600),
        Entry::File("bin/run", b"#!/bin/sh", 0o755),
        Entry::Link("lib/link", "../index.js"),
    ])
    .await
    .unwrap();
    let mode = |name: &str| fs::metadata(folder.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("index.js"), 0o644, "readable for another user");
    assert_eq!(mode("bin/run"), 0o755);
    assert_eq!(fs::read(folder.join("lib/link")).unwrap(), b"code");
    fs::remove_dir_all(folder.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn nothing_leads_out() {
    for name in ["../evil", "a/../../evil", "/etc/evil", "a\\..\\..\\evil"] {
        let result = unpack_all(&[Entry::File(name, b"x", 0o644)]).await;
        assert!(matches!(result, Err(PackageError::Invalid(_))), "{name}: {result:?}");
    }
    for target in ["/etc/passwd", "../../etc/passwd", "x/../../../y"] {
        let result = unpack_all(&[Entry::Link("a/link", target)]).await;
        assert!(matches!(result, Err(PackageError::Invalid(_))), "{target}: {result:?}");
    }
    // A link and then a file below it.
    let result = unpack_all(&[Entry::Link("a", "b"), Entry::File("a/file", b"x", 0o644)]).await;
    assert!(result.is_err() || result.is_ok_and(|folder| folder.join("a/file").exists()));
}

#[tokio::test]
async fn the_limit_counts_what_is_unpacked() {
    let zeros = vec![0u8; 2 << 20];
    let result = unpack_all(&[Entry::File("bomb", &zeros, 0o644)]).await;
    assert!(matches!(result, Err(PackageError::TooLarge { .. })), "{result:?}");
    let result = packages().unpacked(&package(Bytes::from_static(b"not a zip")), 1 << 20).await;
    assert!(matches!(result, Err(PackageError::Invalid(_))), "{result:?}");
}

#[tokio::test]
async fn later_layers_lie_over_earlier_ones() {
    let packages = packages();
    let one = package(archive(&[Entry::File("a", b"1", 0o644), Entry::File("d/x", b"1", 0o644)]));
    let two = package(archive(&[Entry::File("a", b"2", 0o644), Entry::File("d/y", b"2", 0o644)]));
    let merged = packages.merged(&[one.clone(), two.clone()], 1 << 20).await.unwrap().unwrap();
    let read = |name: &str| fs::read_to_string(merged.join(name)).unwrap();
    assert_eq!((read("a"), read("d/x"), read("d/y")), ("2".into(), "1".into(), "2".into()));
    let first = packages.unpacked(&one, 1 << 20).await.unwrap();
    assert_eq!(
        fs::read_to_string(first.join("a")).unwrap(),
        "1",
        "layers themselves are untouched"
    );
    assert_eq!(packages.inspect(&one, 1 << 20).await.unwrap().files, 2);
    fs::remove_dir_all(first.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn what_nobody_uses_is_swept() {
    let base = std::env::temp_dir().join(format!("sereno-sweep-{}", std::process::id()));
    for (name, days) in [("old", 4), ("new", 1)] {
        let folder = base.join(name);
        std::fs::create_dir_all(folder.join("inside")).unwrap();
        let used = SystemTime::now() - Duration::from_secs(days * 24 * 3600);
        std::fs::File::open(&folder).unwrap().set_modified(used).unwrap();
    }
    sweep(&base, SystemTime::now(), UNUSED_AGE_MAX);
    assert!(!base.join("old").exists() && base.join("new/inside").exists());
    assert_eq!(std::fs::read_dir(&base).unwrap().count(), 1);
    assert!(touch(&base) && !touch(&base.join("old")));
    std::fs::remove_dir_all(base).unwrap();
}
