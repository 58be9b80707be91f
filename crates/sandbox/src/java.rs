//! Java: our bootstrap, compiled by the machine's own compiler once for each version, and an archive of the classes that
//! it loads (class-data sharing), made in a jail by a rehearsal.
//!
//! Invariants: what is not complete is not seen: everything is made beside its place and renamed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::helper::Helper;
use crate::interpreters::Interpreter;
use crate::plan::prefixes;
use crate::process::spawn;

const JAR: &str = "bootstrap.jar";
const ARCHIVE: &str = "bootstrap.jsa";
/// `-XX:ArchiveClassesAtExit`: https://openjdk.org/jeps/350
const ARCHIVES_SINCE: (u32, u32, u32) = (13, 0, 0);
const REHEARSAL_TIME_MAX: Duration = Duration::from_secs(30);
const ARCHIVE_BYTES_MAX: u64 = 128 << 20;

/// Our bootstrap for one version of Java.
#[derive(Clone, Debug)]
pub struct Kit {
    /// On this machine.
    folder: PathBuf,
    /// As functions see it.
    seen: String,
}

impl Kit {
    /// Compiles the bootstrap unless that was done. `runtime`: the folder that functions see as `/var/runtime`.
    pub fn compile(runtime: &Path, interpreter: &Interpreter) -> Result<Kit, String> {
        let (major, minor, patch) = interpreter.version;
        let name = format!("java/{major}.{minor}.{patch}");
        let kit = Kit { folder: runtime.join(&name), seen: format!("/var/runtime/{name}") };
        if kit.folder.join(JAR).exists() {
            return Ok(kit);
        }
        let compiler = compiler_of(&interpreter.executable).ok_or_else(|| {
            format!(
                "{} has no compiler beside it: Java functions need a JDK (the `javac` command), not only a JRE. Install one, e.g. \
                 openjdk-{major}-jdk-headless.",
                interpreter.executable.display()
            )
        })?;
        let failed = |error: io::Error| format!("The Java bootstrap cannot be compiled: {error}");
        let classes = runtime.join(format!("{name}.{}", std::process::id()));
        let made = compile_into(&compiler, &runtime.join("java"), &classes)
            .and_then(|()| pack(&classes, &kit.folder));
        // Of the compiler's work the archive only is kept.
        let _ = fs::remove_dir_all(&classes);
        made.map_err(failed)?;
        Ok(kit)
    }

    fn has_archive(&self) -> bool {
        self.folder.join(ARCHIVE).exists()
    }

    fn jar(&self) -> String {
        format!("{}/{JAR}", self.seen)
    }

    /// The command that runs a function. AWS, too, compiles at the first level only.
    /// https://docs.aws.amazon.com/lambda/latest/dg/java-customization.html
    pub fn arguments(&self, interpreter: &Interpreter, memory_mb: u32) -> Vec<String> {
        let mut arguments = vec![interpreter.executable.display().to_string()];
        arguments.extend(flags(interpreter));
        // Threads, classes and compiled code have their share.
        arguments.push(format!("-Xmx{}m", (memory_mb * 8 / 10).max(32)));
        if self.has_archive() {
            arguments.push(format!("-XX:SharedArchiveFile={}/{ARCHIVE}", self.seen));
        }
        arguments.extend(["-cp".to_owned(), self.jar(), "sereno.Bootstrap".to_owned()]);
        arguments
    }

    /// Rehearses in a jail, and keeps the archive that comes of it.
    pub async fn archive(&self, helper: &Arc<Helper>, interpreter: &Interpreter) -> io::Result<()> {
        if self.has_archive() || interpreter.version < ARCHIVES_SINCE {
            return Ok(());
        }
        let java = interpreter.executable.display();
        let flags = flags(interpreter).join(" ");
        let script = format!(
            "{java} {flags} -XX:ArchiveClassesAtExit=/tmp/archive -cp {} sereno.Bootstrap rehearse >/dev/null 2>&1 \
             && cat /tmp/archive",
            self.jar()
        );
        let order = json!({
            "op": "spawn", "id": helper.next_number(), "root": prefixes(interpreter), "cwd": "/",
            "furnish": true, "memory_mb": 512, "tmp_mb": 128,
            "argv": ["/bin/sh", "-c", script], "env": ["PATH=/usr/bin:/bin", "LAMBDA_TASK_ROOT=/var/task"],
        });
        let mut process = spawn(helper, order).await?;
        let mut archive = Vec::new();
        let mut limited = (&mut process.output).take(ARCHIVE_BYTES_MAX);
        let reading = limited.read_to_end(&mut archive);
        let read = tokio::time::timeout(REHEARSAL_TIME_MAX, reading).await;
        process.handles.kill();
        read.map_err(|_| io::Error::other("the rehearsal did not end"))??;
        if archive.is_empty() {
            return Err(io::Error::other("the rehearsal failed"));
        }
        place(&self.folder, ARCHIVE, &archive)
    }
}

fn flags(interpreter: &Interpreter) -> Vec<String> {
    let mut flags =
        vec!["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-XX:-UsePerfData"];
    if interpreter.version.0 >= 9 {
        // For the two descriptors of the frames.
        flags.push("--add-opens=java.base/java.io=ALL-UNNAMED");
    }
    flags.into_iter().map(str::to_owned).collect()
}

/// Beside `java`, or one level up where that is the one of a `jre` folder.
fn compiler_of(java: &Path) -> Option<PathBuf> {
    let folder = java.parent()?;
    let places = [folder.join("javac"), folder.join("../../bin/javac")];
    places.into_iter().find(|place| place.is_file())
}

fn compile_into(compiler: &Path, sources: &Path, classes: &Path) -> io::Result<()> {
    fs::create_dir_all(classes)?;
    let mut files = Vec::new();
    find(sources, "java", &mut files)?;
    let output = Command::new(compiler)
        .args(["-nowarn", "-encoding", "UTF-8", "-d"])
        .arg(classes)
        .args(files)
        .env_remove("JAVA_TOOL_OPTIONS")
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn find(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, extension, found)?;
        } else if path.extension().is_some_and(|is| is == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

fn pack(classes: &Path, into: &Path) -> io::Result<()> {
    let mut files = Vec::new();
    find(classes, "class", &mut files)?;
    let mut jar = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options =
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for file in files {
        let name = file.strip_prefix(classes).map_err(io::Error::other)?;
        jar.start_file(name.to_string_lossy(), options).map_err(io::Error::other)?;
        jar.write_all(&fs::read(&file)?)?;
    }
    let bytes = jar.finish().map_err(io::Error::other)?.into_inner();
    place(into, JAR, &bytes)
}

/// Writes a file that functions, which are another user, can read.
fn place(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    let beside = folder.join(format!("{name}.{}", std::process::id()));
    fs::write(&beside, content)?;
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o644))?;
    fs::rename(beside, folder.join(name))
}
