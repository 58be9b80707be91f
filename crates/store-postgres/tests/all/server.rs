//! Starts PostgreSQL from Debian's package once for all tests; stops it when they end.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

struct Server {
    sockets: PathBuf,
    /// Closed with this process, however it ends; then the shell below stops the server.
    _leash: (Child, ChildStdin),
}

/// The newest installed version's programs.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let bins = versions.filter_map(|version| Some(version.ok()?.path().join("bin")));
    bins.filter(|bin| bin.join("postgres").exists()).max()
}

/// As another user where we are root: PostgreSQL refuses to run as root.
fn command(script: &str) -> Command {
    let am_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let mut command = if am_root {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--", "sh", "-c", script]);
        command
    } else {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    };
    command.current_dir("/tmp").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(bin: &Path) -> Option<Server> {
    let folder = std::env::temp_dir().join(format!("sereno-pg-{}", std::process::id()));
    let (bin, folder_text) = (bin.display(), folder.display());
    // Not synced: what is tested is isolation, not PostgreSQL's durability.
    let script = format!(
        "mkdir -p {folder_text} && {bin}/initdb -D {folder_text}/data -A trust -U postgres -N >/dev/null &&
         {bin}/postgres -D {folder_text}/data -k {folder_text} -c listen_addresses= -c fsync=off \
            -c max_connections=500 -c max_pred_locks_per_transaction=256 &
         server=$!; cat >/dev/null; kill -INT $server; wait $server; rm -rf {folder_text}"
    );
    let mut shell = command(&script).stdin(Stdio::piped()).spawn().ok()?;
    let leash = shell.stdin.take()?;
    let server = Server { sockets: folder.clone(), _leash: (shell, leash) };
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let ready = server.sockets.join(".s.PGSQL.5432").exists();
        let query = format!("{bin}/psql -h {folder_text} -U postgres -qc 'SELECT 1'");
        if ready && command(&query).status().is_ok_and(|status| status.success()) {
            return Some(server);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    None
}

fn server() -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| start(&programs()?)).as_ref();
    if server.is_none() {
        println!("skipped: no PostgreSQL in /usr/lib/postgresql, or it does not start");
    }
    server
}

/// The address of an empty schema of its own; `None` where there is no server.
pub fn schema() -> Option<String> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let server = server()?;
    let name = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let (bin, sockets) = (programs()?, server.sockets.display().to_string());
    let create =
        format!("{}/psql -h {sockets} -U postgres -qc 'CREATE SCHEMA {name}'", bin.display());
    assert!(command(&create).status().is_ok_and(|status| status.success()));
    let sockets = sockets.replace('/', "%2F");
    std::io::stdout().flush().ok()?;
    Some(format!("postgres://postgres@{sockets}/postgres?options=-c%20search_path%3D{name}"))
}
