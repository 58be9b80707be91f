//! The bootstraps, compiled into the binary and written out for instances to see as `/var/runtime`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../../runtimes/", $name)))),*]
    };
}

const FILES: &[(&str, &str)] = files! {
    "java/com/amazonaws/services/lambda/runtime/Client.java"
    "java/com/amazonaws/services/lambda/runtime/ClientContext.java"
    "java/com/amazonaws/services/lambda/runtime/CognitoIdentity.java"
    "java/com/amazonaws/services/lambda/runtime/Context.java"
    "java/com/amazonaws/services/lambda/runtime/CustomPojoSerializer.java"
    "java/com/amazonaws/services/lambda/runtime/LambdaLogger.java"
    "java/com/amazonaws/services/lambda/runtime/LambdaRuntime.java"
    "java/com/amazonaws/services/lambda/runtime/RequestHandler.java"
    "java/com/amazonaws/services/lambda/runtime/RequestStreamHandler.java"
    "java/com/amazonaws/services/lambda/runtime/logging/LogLevel.java"
    "java/sereno/Bootstrap.java"
    "java/sereno/Frames.java"
    "java/sereno/Handler.java"
    "java/sereno/Invocation.java"
    "java/sereno/Json.java"
    "java/sereno/Pojo.java"
    "nodejs/bootstrap.js"
    "python/bootstrap.py"
    "python/zygote.py"
};
/// Where `Config::sdk` is shown.
pub const SDK_FOLDER: &str = "sdk";

/// Writes the files below `work` unless this version of them is there. Answers their folder.
pub fn unfold(work: &Path) -> io::Result<PathBuf> {
    let folder = work.join(format!("runtime-{}", version()));
    if folder.join("complete").exists() {
        return Ok(folder);
    }
    for (name, content) in FILES {
        let file = folder.join(name);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
            let below = parent.ancestors().take_while(|ancestor| *ancestor != folder);
            below.into_iter().try_for_each(|ancestor| open_to_all(ancestor, 0o755))?;
        }
        fs::write(&file, content)?;
        open_to_all(&file, 0o644)?;
    }
    fs::create_dir_all(folder.join(SDK_FOLDER))?;
    open_to_all(&folder, 0o755)?;
    fs::write(folder.join("complete"), "")?;
    Ok(folder)
}

/// Functions run as another user, whatever this process's umask is.
fn open_to_all(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn version() -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for (name, content) in FILES {
        hash.update(name.as_bytes());
        hash.update(content.as_bytes());
    }
    sereno_base::hex(&hash.finalize()[..8])
}
