//! Sockets: listens, speaks HTTP/1.1, refuses more connections than it may have, stops gracefully.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Gateway;
use crate::patience::{Felt, Patience, Pulse};

/// How long requests under way may take to finish once the server stops.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// After an error such as too many open files: time for some to be closed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves connections of `listener` until `stop` turns true, then lets requests under way finish.
pub async fn serve(gateway: Arc<Gateway>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let connections = Arc::new(());
    let patience = Arc::new(Patience::new(gateway.limits()));
    let looking = tokio::spawn(Arc::clone(&patience).run());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some(counted) = gateway.admit() else {
                    refuse(&stream);
                    continue;
                };
                let pulse = patience.connection(counted);
                let felt = Arc::clone(&pulse);
                let (gateway, alive) = (Arc::clone(&gateway), Arc::clone(&connections));
                let task = tokio::spawn(async move {
                    connection(gateway, stream, peer, felt).await;
                    drop(alive);
                });
                Patience::watch(&pulse, task.abort_handle());
            }
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    patience.stop();
    let drained = async {
        while Arc::strong_count(&connections) > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
        eprintln!("stopping with requests still under way");
    }
    looking.abort();
}

/// Clients try again after a 503, with a growing pause between.
fn refuse(stream: &TcpStream) {
    const FULL: &[u8] =
        b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    // The buffer of a new connection has room for it; if not, closing says the same.
    drop(stream.try_write(FULL));
}

async fn connection(gateway: Arc<Gateway>, stream: TcpStream, peer: SocketAddr, pulse: Arc<Pulse>) {
    // Header and body leave in one write; waiting for more to send would only add 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let felt = Felt { socket: TokioIo::new(stream), pulse: Arc::clone(&pulse) };
    let own = Arc::clone(&pulse);
    let service = service_fn(move |request| {
        let (gateway, pulse) = (Arc::clone(&gateway), Arc::clone(&own));
        async move { Ok::<_, Infallible>(gateway.handle(request, peer, pulse).await) }
    });
    // Without a timer: `patience` keeps the time.
    let connection =
        http1::Builder::new().half_close(true).serve_connection(felt, service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        // An error here is the client's: gone, or not speaking HTTP.
        _ = connection.as_mut() => return,
        () = pulse.stopped() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
