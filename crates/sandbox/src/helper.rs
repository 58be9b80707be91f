//! The server's end of the line to the helper.
//!
//! Invariants: the helper is started at the first use and again when it has died; every instance that was asked for ends
//! with exactly one `End`, whatever becomes of the helper.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::net::{RecvFlags, SendFlags};
use serde_json::{Value, json};
use tokio::io::unix::AsyncFd;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::message::{self, Fields, Message};
use crate::network::Gate;

/// How an instance ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// The kernel killed something in it for want of memory.
    pub out_of_memory: bool,
    /// It was an extension that ended, not the runtime.
    pub extension: bool,
}

/// Descriptors by which the server watches and governs an instance itself.
pub struct Handles {
    pub pidfd: OwnedFd,
    pub memory_peak: Option<OwnedFd>,
    pub memory_statistics: Option<OwnedFd>,
    pub freezer: Option<Freezer>,
    /// The sockets of its network, until they are served.
    pub gate: Option<Gate>,
}

pub struct Freezer {
    pub file: OwnedFd,
    /// Version 1 of control groups takes words, version 2 digits.
    pub words: bool,
}

/// What the helper could set up, for `sereno doctor`.
pub type Greeting = Value;

pub struct Helper {
    socket: AsyncFd<OwnedFd>,
    alive: AtomicBool,
    numbers: AtomicU64,
    /// Who waits for the answer about an instance.
    answers: Mutex<HashMap<u64, oneshot::Sender<io::Result<Message>>>>,
    ends: Mutex<HashMap<u64, oneshot::Sender<End>>>,
    zygotes: Mutex<HashMap<String, ZygoteState>>,
    pub greeting: Greeting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZygoteState {
    Starting,
    Ready,
    /// It could not start or died; not tried again by this helper.
    Broken,
}

/// How to start it: `program __jail <work> <runtime>`.
#[derive(Clone, Debug)]
pub struct HelperCommand {
    pub program: PathBuf,
    pub work: PathBuf,
    pub runtime: PathBuf,
    /// Local ports that the server answers on in instances' networks: numbers and commas.
    pub ports: String,
    /// A folder of the machine's owner with AWS SDKs for functions (`nodejs/node_modules`, `python`).
    pub sdk: Option<PathBuf>,
}

impl Helper {
    pub async fn start(command: &HelperCommand) -> io::Result<Arc<Helper>> {
        let (ours, theirs) = message::pair()?;
        let mut child = Command::new(&command.program)
            .arg("__jail")
            .arg(&command.work)
            .arg(&command.runtime)
            .arg(&command.ports)
            .args(&command.sdk)
            // Its memory is copied into every instance's first process: nothing of ours belongs there.
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let socket = crate::sys::watched(ours)?;
        let greeting = receive(&socket).await?.ok_or_else(|| {
            let status = child.wait().map(|status| status.to_string()).unwrap_or_default();
            io::Error::other(format!("the sandbox's helper could not start ({status})"))
        })?;
        if let Some(reason) = greeting.body["error"].as_str() {
            return Err(io::Error::other(reason.to_owned()));
        }
        let helper = Arc::new(Helper {
            socket,
            alive: AtomicBool::new(true),
            numbers: AtomicU64::new(1),
            answers: Mutex::default(),
            ends: Mutex::default(),
            zygotes: Mutex::default(),
            greeting: greeting.body,
        });
        let listener = Arc::clone(&helper);
        tokio::spawn(async move {
            while let Ok(Some(message)) = receive(&listener.socket).await {
                listener.hear(message);
            }
            listener.lost();
            // It has ended or is about to: its socket is closed.
            let _ = tokio::task::spawn_blocking(move || child.wait()).await;
        });
        Ok(helper)
    }

    /// Have instances a network of their own here?
    pub fn own_network(&self) -> bool {
        self.greeting["network"][0].as_bool().unwrap_or_default()
    }

    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Starts an instance. The receiver tells its end.
    pub async fn spawn(
        &self,
        id: u64,
        order: Value,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<(Handles, oneshot::Receiver<End>)> {
        let (end, ended) = oneshot::channel();
        lock(&self.ends).insert(id, end);
        match self.ask(id, order, fds).await.and_then(handles) {
            Ok(handles) => Ok((handles, ended)),
            Err(error) => {
                lock(&self.ends).remove(&id);
                Err(error)
            }
        }
    }

    /// Gives a waiting generic instance its function.
    pub async fn assign(&self, id: u64, order: Value) -> io::Result<()> {
        self.ask(id, order, &[]).await.map(drop)
    }

    /// Starts one more process in an instance that has none yet, or an extension. `fds` as for `spawn`.
    pub async fn run(&self, id: u64, mut order: Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        order["op"] = json!("run");
        order["id"] = json!(id);
        self.ask(id, order, fds).await.map(drop)
    }

    /// A connection to a port of an instance's own loopback, where it has one.
    pub async fn connect_inside(&self, id: u64, port: u16) -> io::Result<TcpStream> {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if !self.own_network() {
            return TcpStream::connect(address).await;
        }
        // Other questions about this instance may be under way.
        let ticket = self.next_number();
        let order = json!({"op": "socket", "id": id, "ticket": ticket});
        let answer = self.ask(ticket, order, &[]).await?;
        let socket = answer.fds.into_iter().next().ok_or_else(gone)?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        socket.connect(address).await
    }

    /// Stops or continues an instance where there is no freezer.
    pub async fn signal(&self, id: u64, number: i32) {
        let _ = self.send(&json!({"op": "signal", "id": id, "number": number}), &[]).await;
    }

    pub fn zygote(&self, key: &str) -> Option<ZygoteState> {
        lock(&self.zygotes).get(key).copied()
    }

    /// Orders a zygote unless there is one; does not wait for it.
    pub async fn start_zygote(&self, key: &str, order: Value) -> io::Result<()> {
        {
            let mut zygotes = lock(&self.zygotes);
            if zygotes.contains_key(key) {
                return Ok(());
            }
            zygotes.insert(key.to_owned(), ZygoteState::Starting);
        }
        self.send(&order, &[]).await
    }

    /// Orders that get no answer of their own.
    pub async fn send(&self, order: &Value, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        loop {
            let mut guard = self.socket.writable().await?;
            let sent = guard.try_io(|socket| {
                message::send_flags(
                    socket.get_ref(),
                    order,
                    fds,
                    SendFlags::NOSIGNAL | SendFlags::DONTWAIT,
                )
            });
            if let Ok(result) = sent {
                return result;
            }
        }
    }

    async fn ask(&self, id: u64, order: Value, fds: &[BorrowedFd<'_>]) -> io::Result<Message> {
        let (answer, answered) = oneshot::channel();
        lock(&self.answers).insert(id, answer);
        if !self.is_alive() {
            self.lost();
        }
        self.send(&order, fds).await?;
        answered.await.map_err(|_| gone())?
    }

    fn hear(&self, message: Message) {
        let id = message.body.number("id") as u64;
        match message.body.text("ev") {
            "started" | "assigned" | "ran" | "socket" => {
                if let Some(answer) = lock(&self.answers).remove(&id) {
                    let _ = answer.send(Ok(message));
                }
            }
            "failed" => {
                let key = message.body.text("key");
                if !key.is_empty() {
                    self.settle_zygote(key, false);
                }
                if let Some(answer) = lock(&self.answers).remove(&id) {
                    let error = message.body.text("error").to_owned();
                    let _ = answer.send(Err(io::Error::other(error)));
                }
            }
            "exited" | "gone" => {
                if let Some(end) = lock(&self.ends).remove(&id) {
                    let number = |name: &str| message.body[name].as_i64().map(|n| n as i32);
                    let _ = end.send(End {
                        code: number("code"),
                        signal: number("signal"),
                        out_of_memory: message.body.flag("oom"),
                        extension: message.body.flag("extension"),
                    });
                }
            }
            "zygote" => self.settle_zygote(message.body.text("key"), message.body.flag("up")),
            _ => {}
        }
    }

    fn settle_zygote(&self, key: &str, up: bool) {
        let state = if up { ZygoteState::Ready } else { ZygoteState::Broken };
        lock(&self.zygotes).insert(key.to_owned(), state);
    }

    /// The helper is gone, and every instance with it.
    fn lost(&self) {
        self.alive.store(false, Ordering::Release);
        for (_, answer) in lock(&self.answers).drain() {
            let _ = answer.send(Err(gone()));
        }
        for (_, end) in lock(&self.ends).drain() {
            let _ = end.send(End { signal: Some(libc::SIGKILL), ..End::default() });
        }
    }
}

async fn receive(socket: &AsyncFd<OwnedFd>) -> io::Result<Option<Message>> {
    loop {
        let mut guard = socket.readable().await?;
        let received =
            guard.try_io(|socket| message::receive_flags(socket.get_ref(), RecvFlags::DONTWAIT));
        if let Ok(result) = received {
            return result;
        }
    }
}

fn handles(message: Message) -> io::Result<Handles> {
    let mut found: HashMap<String, OwnedFd> =
        message.body.texts("fds").into_iter().zip(message.fds).collect();
    let mut take = |name: &str| found.remove(name);
    let pidfd = take("pidfd").ok_or_else(gone)?;
    let freezer = match (take("freezer-words"), take("freezer")) {
        (Some(file), _) => Some(Freezer { file, words: true }),
        (None, Some(file)) => Some(Freezer { file, words: false }),
        (None, None) => None,
    };
    let gate = take("gate").zip(take("names")).map(|(tcp, names)| Gate { tcp, names });
    let memory_peak = take("peak");
    Ok(Handles { pidfd, memory_peak, memory_statistics: take("statistics"), freezer, gate })
}

impl Handles {
    /// Everything in the instance ends. A frozen one must be thawed for that.
    pub fn kill(&self) {
        let _ = rustix::process::pidfd_send_signal(&self.pidfd, rustix::process::Signal::KILL);
        self.freeze(false);
    }

    /// False where there is no freezer.
    pub fn freeze(&self, frozen: bool) -> bool {
        let Some(Freezer { file, words }) = &self.freezer else { return false };
        let order: &[u8] = match (words, frozen) {
            (true, true) => b"FROZEN",
            (true, false) => b"THAWED",
            (false, true) => b"1",
            (false, false) => b"0",
        };
        rustix::io::pwrite(file, order, 0).is_ok()
    }

    /// Most memory used so far, in bytes; 0 where it is not counted.
    pub fn memory_peak_bytes(&self) -> u64 {
        let Some(file) = &self.memory_peak else { return 0 };
        let mut text = [0u8; 32];
        let length = rustix::io::pread(file.as_fd(), &mut text, 0).unwrap_or(0);
        let text = std::str::from_utf8(&text[..length]).unwrap_or("");
        text.trim().parse().unwrap_or(0)
    }
}

fn gone() -> io::Error {
    io::Error::other("the sandbox's helper ended")
}

pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
