//! Clients that take their time, and too many of them, over real sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sereno_gateway::{Gateway, Limits, RootKeys};
use sereno_kernel::Cloud;
use sereno_store::{MemoryBlobs, MemoryStore};
use tokio::net::TcpListener;
use tokio::sync::watch;

const LIMITS: Limits =
    Limits { connections_max: 4, head_s_max: 1, pause_s_max: 1, ..Limits::DEFAULT };
/// One second rounded up, and the time that a busy machine takes.
const SOON: Duration = Duration::from_secs(20);

/// A server without services for as long as the answer is kept.
async fn server() -> (u16, watch::Sender<bool>) {
    let store = Arc::new(MemoryStore::default());
    let cloud = Cloud::builder(store, Arc::new(MemoryBlobs::default())).build();
    let roots = RootKeys { keys: Vec::new(), development: true };
    let gateway = Arc::new(Gateway::new(cloud, roots, LIMITS));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(sereno_gateway::serve(gateway, listener, stopped));
    (port, stop)
}

fn connect(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    stream
}

/// What comes until the server closes; panics if it does not.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("never closed"),
        _ => String::from_utf8(text).unwrap(),
    }
}

const HEALTH: &str = "GET /_sereno/health HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_and_others_are_served() {
    let (port, _running) = server().await;
    let slow = [
        "",
        "GET / HTTP/1.1\r\nhost:",
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 100\r\n\r\nVersion",
    ];
    let slow: Vec<TcpStream> = slow.iter().map(|text| connect(port, text)).collect();
    let mut served = connect(port, HEALTH);
    let mut start = [0; 12];
    served.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    for stream in slow {
        let began = Instant::now();
        let text = rest(stream);
        assert!(began.elapsed() < SOON);
        assert!(!text.contains("200 OK"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_told_so() {
    let (port, _running) = server().await;
    let held: Vec<TcpStream> = (0..LIMITS.connections_max)
        .map(|_| {
            let mut stream = connect(port, HEALTH);
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    assert!(rest(connect(port, "")).starts_with("HTTP/1.1 503"));
    drop(held);
    let began = Instant::now();
    while !rest(connect(port, "GET /_sereno/health HTTP/1.0\r\n\r\n")).starts_with("HTTP/1.0 200") {
        assert!(began.elapsed() < SOON);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_form_of_nobody_is_not_collected() {
    let (port, _running) = server().await;
    let stream = connect(
        port,
        "POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\n\
         content-length: 10000000\r\n\r\nVersion=",
    );
    assert!(rest(stream).starts_with("HTTP/1.1 413"));
}
