//! The server's end of an instance's network: connections that were turned to the gate, and questions for names.
//!
//! Invariants: an instance reaches the server's endpoint, its own Runtime API, and (where allowed) the world outside of
//! this machine's loopback and of link-local addresses, where clouds keep their hosts' secrets; nothing else.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use crate::jail::RUNTIME_API_PORT;
use crate::runtime_api::Conversation;

const DIAL_TIME_MAX: Duration = Duration::from_secs(10);
const NAME_TIME_MAX: Duration = Duration::from_secs(5);
const NAME_BYTES_MAX: usize = 4096;
/// An instance that asks for more names at once waits.
const NAMES_AT_ONCE_MAX: usize = 64;
const NAMES_PORT: u16 = 53;

/// The sockets of an instance's network.
pub struct Gate {
    pub tcp: OwnedFd,
    pub names: OwnedFd,
}

/// What an instance may reach.
#[derive(Clone)]
pub struct Reach {
    /// The server's own address, as functions name it.
    pub endpoint: Option<SocketAddr>,
    pub internet: bool,
    pub runtime_api: Option<Arc<Conversation>>,
}

/// Serves until dropped.
pub struct Network {
    tasks: [JoinHandle<()>; 2],
}

impl Network {
    pub fn serve(gate: Gate, reach: Reach) -> io::Result<Network> {
        let listener = TcpListener::from_std(std::net::TcpListener::from(gate.tcp))?;
        let names = UdpSocket::from_std(std::net::UdpSocket::from(gate.names))?;
        let internet = reach.internet;
        Ok(Network {
            tasks: [
                tokio::spawn(accept(listener, reach)),
                tokio::spawn(async move {
                    if internet {
                        answer_names(Arc::new(names)).await;
                    }
                }),
            ],
        })
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn accept(listener: TcpListener, reach: Reach) {
    // Ends with the network: connections end with their function, whose side closes.
    while let Ok((stream, _)) = listener.accept().await {
        let reach = reach.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            if let Ok(wanted) = rustix::net::sockopt::ip_original_dst(&stream) {
                let _ = connect(stream, wanted, reach).await;
            }
        });
    }
}

async fn connect(mut stream: TcpStream, wanted: SocketAddrV4, reach: Reach) -> io::Result<()> {
    if wanted.ip().is_loopback() && wanted.port() == RUNTIME_API_PORT {
        if let Some(api) = reach.runtime_api {
            api.serve(stream).await;
        }
        return Ok(());
    }
    let Some(address) = allowed(wanted, &reach) else { return Ok(()) };
    let dialled = tokio::time::timeout(DIAL_TIME_MAX, TcpStream::connect(address)).await;
    let mut other = dialled.map_err(|_| io::ErrorKind::TimedOut)??;
    other.set_nodelay(true)?;
    copy_bidirectional(&mut stream, &mut other).await?;
    Ok(())
}

/// Where a wish leads, if anywhere.
fn allowed(wanted: SocketAddrV4, reach: &Reach) -> Option<SocketAddr> {
    let address = SocketAddr::V4(wanted);
    if reach.endpoint == Some(address) {
        return Some(address);
    }
    if !reach.internet {
        return None;
    }
    if wanted.ip().is_loopback() && wanted.port() == NAMES_PORT {
        return Some(SocketAddr::new(name_server(), NAMES_PORT));
    }
    is_outside(*wanted.ip()).then_some(address)
}

fn is_outside(ip: Ipv4Addr) -> bool {
    !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast())
        // "This network": the host itself, on Linux.
        && ip.octets()[0] != 0
}

/// Passes questions on to the host's name server and the answers back.
async fn answer_names(names: Arc<UdpSocket>) {
    let room = Arc::new(tokio::sync::Semaphore::new(NAMES_AT_ONCE_MAX));
    let mut question = vec![0; NAME_BYTES_MAX];
    while let Ok((length, from)) = names.recv_from(&mut question).await {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let (names, question) = (Arc::clone(&names), question[..length].to_vec());
        tokio::spawn(async move {
            if let Ok(Ok(answer)) = tokio::time::timeout(NAME_TIME_MAX, ask_name(&question)).await {
                let _ = names.send_to(&answer, from).await;
            }
            drop(place);
        });
    }
}

async fn ask_name(question: &[u8]) -> io::Result<Vec<u8>> {
    let server = name_server();
    let any: IpAddr = if server.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect((server, NAMES_PORT)).await?;
    socket.send(question).await?;
    let mut answer = vec![0; NAME_BYTES_MAX];
    let length = socket.recv(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

/// The first one of `/etc/resolv.conf`, read anew: machines change networks.
fn name_server() -> IpAddr {
    let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let first = text.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok());
    first.unwrap_or(Ipv4Addr::LOCALHOST.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_endpoint_of_this_machine_can_be_reached() {
        let reach = |internet| Reach {
            endpoint: Some("127.0.0.1:4566".parse().unwrap()),
            internet,
            runtime_api: None,
        };
        let goes =
            |address: &str, internet| allowed(address.parse().unwrap(), &reach(internet)).is_some();
        assert!(goes("127.0.0.1:4566", true) && goes("127.0.0.1:4566", false));
        assert!(goes("93.184.216.34:443", true) && !goes("93.184.216.34:443", false));
        for closed in [
            "127.0.0.1:5432",
            "127.0.0.2:4566",
            "169.254.169.254:80",
            "0.0.0.0:22",
            "0.1.2.3:22",
            "224.0.0.1:1",
        ] {
            assert!(!goes(closed, true), "{closed}");
        }
    }
}
