//! The servers under measurement, as processes of their own.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::load::Connection;
use crate::signed;

/// Linux counts processor time in hundredths of a second, whatever its own clock's rate.
const TICK_US: f64 = 10_000.0;

/// A server process, killed when dropped.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing else to do about it here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// The bare hyper server: this program itself.
    pub fn bare() -> Result<Server, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let child = Command::new(program)
            .arg("bare-server")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let mut server = Server { child, port: 0 };
        let output = server.child.stdout.take().ok_or("no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        server.port = line.trim().parse().map_err(|_| format!("no port in {line:?}"))?;
        Ok(server)
    }

    /// Sereno, and the time from exec to its first answered call.
    pub async fn sereno(data: &Path) -> Result<(Server, Duration), String> {
        let port = free_port()?;
        let binary = binary();
        let started = Instant::now();
        let child = Command::new(&binary)
            .args(["serve", "--listen", &format!("127.0.0.1:{port}"), "--data"])
            .arg(data)
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", binary.display()))?;
        let server = Server { child, port };
        let request = signed::dynamodb("ListTables", &serde_json::json!({}));
        while started.elapsed() < Duration::from_secs(20) {
            if let Ok(mut connection) = Connection::open(port).await
                && connection.call(&request).await.is_ok()
            {
                return Ok((server, started.elapsed()));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        Err("Sereno does not answer".to_owned())
    }

    /// Processor time so far, in µs. A throughput depends on who else shares the machine; this hardly does.
    pub fn cpu_us(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        // Behind the program's name, which may hold anything: user and system time are the 12th and 13th.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks: f64 =
            fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        Some(ticks * TICK_US)
    }

    /// Resident memory, in MiB.
    pub fn rss_mib(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
        let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib / 1024.0)
    }
}

fn binary() -> PathBuf {
    std::env::var_os("SERENO_BIN")
        .map_or_else(|| PathBuf::from("target/release/sereno"), PathBuf::from)
}

fn free_port() -> Result<u16, String> {
    let probe = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(probe.local_addr().map_err(|error| error.to_string())?.port())
}
