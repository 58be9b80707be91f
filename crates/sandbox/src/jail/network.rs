//! The network of an instance: a namespace with a loopback of its own, in which every way out ends at one socket.
//!
//! TCP to anywhere, and to the few local ports that the server answers on (its endpoint, the Runtime API, names), is
//! turned to a socket that the server itself accepts on; the kernel tells where the function wanted to go, and the server
//! decides. So no packet of a function ever leaves its namespace, no privilege on the host is needed, and another
//! service on this machine's loopback cannot even be named.
//!
//! UDP is carried for names only (port 53).

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, listen, netlink, recv,
    send, socket_with,
};

/// Where turned connections arrive: a port that only the first process can bind.
const GATE_PORT: u16 = 61;
const NAMES_PORT: u16 = 53;
/// As on AWS: `AWS_LAMBDA_RUNTIME_API` ends in it.
pub const RUNTIME_API_PORT: u16 = 9001;
const BACKLOG: i32 = 128;

/// The sockets by which the server serves an instance's network.
pub struct Gate {
    pub tcp: OwnedFd,
    pub names: OwnedFd,
}

/// Called by the first process in its new network namespace. `ports`: local ones that the server answers on.
pub fn set_up(ports: &[u16]) -> io::Result<Gate> {
    let route = netlink_socket(None)?;
    ask(&route, &[bring_up_loopback()])?;
    ask(&route, &[default_route()])?;
    let filter = netlink_socket(Some(netlink::NETFILTER))?;
    turn_connections(&filter, ports)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let tcp = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    bind(&tcp, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, GATE_PORT))?;
    listen(&tcp, BACKLOG)?;
    let names = socket_with(AddressFamily::INET, SocketType::DGRAM, flags, None)?;
    bind(&names, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, NAMES_PORT))?;
    Ok(Gate { tcp, names })
}

/// For the server to connect to what listens inside.
pub fn inner_socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

/// `None`: links, addresses, routes.
fn netlink_socket(protocol: Option<rustix::net::Protocol>) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?)
}

// From linux/netlink.h, rtnetlink.h, netfilter/nf_tables.h.
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;
const ERROR: u16 = 2;
const NESTED: u16 = 0x8000;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const NEW_CHAIN: u16 = (NFTABLES << 8) | 3;
const NEW_RULE: u16 = (NFTABLES << 8) | 6;
const IPV4: u8 = 2;
const LOOPBACK_INDEX: u32 = 1;

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&1u32.to_ne_bytes());
    bytes.extend_from_slice(&0u32.to_ne_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn attribute(kind: u16, data: &[u8]) -> Vec<u8> {
    let length = 4 + data.len();
    let mut bytes = Vec::with_capacity(length.next_multiple_of(4));
    bytes.extend_from_slice(&(length as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(data);
    bytes.resize(length.next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | NESTED, &parts.concat())
}

fn bring_up_loopback() -> Vec<u8> {
    let up = libc::IFF_UP as u32;
    let mut body = vec![0; 4];
    body.extend_from_slice(&LOOPBACK_INDEX.to_ne_bytes());
    body.extend_from_slice(&up.to_ne_bytes());
    body.extend_from_slice(&up.to_ne_bytes());
    message(NEW_LINK, REQUEST | ACK, &body)
}

/// Everything goes to the loopback, from its address: there the rules below catch it.
fn default_route() -> Vec<u8> {
    let (main_table, by_boot, link_scope, unicast) = (254, 3, 253, 1);
    let mut body = vec![IPV4, 0, 0, 0, main_table, by_boot, link_scope, unicast, 0, 0, 0, 0];
    body.extend(attribute(4, &LOOPBACK_INDEX.to_ne_bytes()));
    body.extend(attribute(7, &Ipv4Addr::LOCALHOST.octets()));
    message(NEW_ROUTE, REQUEST | ACK | CREATE, &body)
}

/// One table with one chain: TCP to an address outside of 127/8, or to one of `ports`, is turned to the gate.
fn turn_connections(socket: &OwnedFd, ports: &[u16]) -> io::Result<()> {
    let table = attribute(1, b"sereno\0");
    let hook =
        nested(4, &[attribute(1, &3u32.to_be_bytes()), attribute(2, &(-100i32).to_be_bytes())]);
    let chain = [table.clone(), attribute(3, b"out\0"), hook, attribute(7, b"nat\0")].concat();
    let rule = |conditions: Vec<Vec<u8>>| {
        let mut expressions = is_tcp();
        expressions.extend(conditions);
        expressions.extend(turn());
        let body = [table.clone(), attribute(2, b"out\0"), nested(4, &expressions)].concat();
        filter_message(NEW_RULE, CREATE | APPEND, &body)
    };
    let mut batch = vec![
        batch_mark(BATCH_BEGIN),
        filter_message(NEW_TABLE, CREATE, &table),
        filter_message(NEW_CHAIN, CREATE, &chain),
        rule(compare_network_byte(16, 1, &[127], false)),
    ];
    for port in ports {
        batch.push(rule(compare_transport(2, &port.to_be_bytes())));
    }
    batch.push(batch_mark(BATCH_END));
    ask(socket, &batch)
}

fn batch_mark(kind: u16) -> Vec<u8> {
    let [high, low] = NFTABLES.to_be_bytes();
    message(kind, REQUEST, &[0, 0, high, low])
}

fn filter_message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    message(kind, REQUEST | ACK | flags, &[&[IPV4, 0, 0, 0], body].concat())
}

fn expression(name: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let name = [name.as_bytes(), b"\0"].concat();
    nested(1, &[attribute(1, &name), nested(2, parts)])
}

const REGISTER: [u8; 4] = 1u32.to_be_bytes();

fn compare(value: &[u8], equal: bool) -> Vec<u8> {
    let operator = u32::from(!equal).to_be_bytes();
    let value = nested(3, &[attribute(1, value)]);
    expression("cmp", &[attribute(1, &REGISTER), attribute(2, &operator), value])
}

fn is_tcp() -> Vec<Vec<u8>> {
    let protocol = 16u32.to_be_bytes();
    vec![
        expression("meta", &[attribute(1, &REGISTER), attribute(2, &protocol)]),
        compare(&[libc::IPPROTO_TCP as u8], true),
    ]
}

fn load(base: u32, offset: u32, length: u32) -> Vec<u8> {
    let parts = [
        attribute(1, &REGISTER),
        attribute(2, &base.to_be_bytes()),
        attribute(3, &offset.to_be_bytes()),
        attribute(4, &length.to_be_bytes()),
    ];
    expression("payload", &parts)
}

fn compare_network_byte(offset: u32, length: u32, value: &[u8], equal: bool) -> Vec<Vec<u8>> {
    vec![load(1, offset, length), compare(value, equal)]
}

fn compare_transport(offset: u32, value: &[u8]) -> Vec<Vec<u8>> {
    vec![load(2, offset, value.len() as u32), compare(value, true)]
}

fn turn() -> Vec<Vec<u8>> {
    let port = nested(2, &[attribute(1, &GATE_PORT.to_be_bytes())]);
    vec![
        expression("immediate", &[attribute(1, &REGISTER), port]),
        expression("redir", &[attribute(1, &REGISTER)]),
    ]
}

/// Sends messages as one and reads the kernel's answer to each that asks for one.
fn ask(socket: &OwnedFd, messages: &[Vec<u8>]) -> io::Result<()> {
    let flag = |message: &Vec<u8>| u16::from_ne_bytes([message[6], message[7]]);
    let mut expected = messages.iter().filter(|message| flag(message) & ACK != 0).count();
    send(socket, &messages.concat(), SendFlags::empty())?;
    let mut buffer = vec![0; 16 * 1024];
    while expected > 0 {
        let (_, length) = recv(socket, &mut buffer[..], RecvFlags::empty())?;
        let mut rest = &buffer[..length];
        while rest.len() >= 20 {
            let size = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
            let kind = u16::from_ne_bytes([rest[4], rest[5]]);
            if kind == ERROR {
                let code = i32::from_ne_bytes([rest[16], rest[17], rest[18], rest[19]]);
                if code != 0 {
                    return Err(io::Error::from_raw_os_error(-code));
                }
                expected = expected.saturating_sub(1);
            }
            rest = &rest[size.next_multiple_of(4).clamp(20, rest.len())..];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_but_not_counted_so() {
        assert_eq!(attribute(1, b"ab\0"), [7, 0, 1, 0, b'a', b'b', 0, 0]);
        assert_eq!(nested(2, &[attribute(1, &[9])]), [12, 0, 2, 0x80, 5, 0, 1, 0, 9, 0, 0, 0]);
        assert_eq!(message(3, 1, &[]).len(), 16);
    }
}
