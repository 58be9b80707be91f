//! The load generator: keep-alive connections that send prepared requests and read whole answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a run measured.
pub struct Measured {
    /// Requests, those that were not timed included.
    pub count: f64,
    pub per_second: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Requests of a connection that are not timed: its first ones.
const WARM_UP: usize = 20;

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Status and body.
pub type Answer = (u16, Vec<u8>);

impl Connection {
    pub async fn open(port: u16) -> Result<Connection, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let stream = stream.map_err(|error| format!("cannot connect to port {port}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Connection { stream, buffer: Vec::with_capacity(64 << 10) })
    }

    pub async fn send(&mut self, request: &[u8]) -> Result<Answer, String> {
        let failed = |error: std::io::Error| format!("the connection broke: {error}");
        self.stream.write_all(request).await.map_err(failed)?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await.map_err(failed)? == 0 {
                return Err("the server closed the connection".to_owned());
            }
            let Some((status, from, length)) = head(&self.buffer) else { continue };
            // The rest of a large body is read without looking at the head again.
            while self.buffer.len() < from + length {
                self.buffer.reserve(from + length - self.buffer.len());
                if self.stream.read_buf(&mut self.buffer).await.map_err(failed)? == 0 {
                    return Err("the server closed the connection".to_owned());
                }
            }
            return Ok((status, self.buffer[from..from + length].to_vec()));
        }
    }

    /// Fails unless the answer is a success.
    pub async fn call(&mut self, request: &[u8]) -> Result<Vec<u8>, String> {
        match self.send(request).await? {
            (200..300, body) => Ok(body),
            (status, body) => Err(format!("{status}: {}", String::from_utf8_lossy(&body))),
        }
    }
}

/// Status, where the body begins, its length.
fn head(buffer: &[u8]) -> Option<(u16, usize, usize)> {
    let end = buffer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&buffer[..end]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, end, length.unwrap_or(0)))
}

/// Sends `requests` round-robin over `connections` connections for `time`.
pub async fn run(
    port: u16,
    requests: Vec<Vec<u8>>,
    connections: usize,
    time: Duration,
) -> Result<Measured, String> {
    let requests = Arc::new(requests);
    let mut workers = Vec::new();
    for worker in 0..connections {
        let requests = Arc::clone(&requests);
        workers.push(tokio::spawn(async move {
            let mut client = Client::open(port, requests, worker).await?;
            client.send(WARM_UP).await?;
            let mut taken = Vec::with_capacity(1 << 16);
            let until = Instant::now() + time;
            while Instant::now() < until {
                let started = Instant::now();
                client.send(1).await?;
                taken.push(started.elapsed());
            }
            Ok::<_, String>(taken)
        }));
    }
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.map_err(|error| error.to_string())??);
    }
    all.sort_unstable();
    let at = |share: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let index = (all.len() as f64 * share) as usize;
        all.get(index).map_or(f64::NAN, |taken| taken.as_secs_f64() * 1e6)
    };
    #[allow(clippy::cast_precision_loss)]
    let (timed, warming) = (all.len() as f64, (WARM_UP * connections) as f64);
    Ok(Measured {
        count: timed + warming,
        per_second: timed / time.as_secs_f64(),
        p50_us: at(0.5),
        p99_us: at(0.99),
    })
}

/// Sends `count` requests in all.
pub async fn send(
    port: u16,
    requests: Vec<Vec<u8>>,
    connections: usize,
    count: usize,
) -> Result<(), String> {
    let requests = Arc::new(requests);
    let mut workers = Vec::new();
    for worker in 0..connections {
        let requests = Arc::clone(&requests);
        workers.push(tokio::spawn(async move {
            Client::open(port, requests, worker).await?.send(count / connections).await
        }));
    }
    for worker in workers {
        worker.await.map_err(|error| error.to_string())??;
    }
    Ok(())
}

/// A connection that goes round the requests, each client from another place.
struct Client {
    connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    next: usize,
}

impl Client {
    async fn open(port: u16, requests: Arc<Vec<Vec<u8>>>, worker: usize) -> Result<Client, String> {
        let connection = Connection::open(port).await?;
        Ok(Client { connection, requests, next: worker * 7919 })
    }

    async fn send(&mut self, count: usize) -> Result<(), String> {
        for _ in 0..count {
            self.connection.call(&self.requests[self.next % self.requests.len()]).await?;
            self.next += 1;
        }
        Ok(())
    }
}
