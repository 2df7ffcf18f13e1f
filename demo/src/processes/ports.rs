//! Ports to listen on.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// The preferred port if nobody listens there on loopback, else a free one. Another process may take it before it is
/// used; a listener that must not lose that race asks for port 0 instead.
pub fn free_port_or(preferred: u16) -> io::Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    Ok(bind(preferred).or_else(|_| bind(0))?.local_addr()?.port())
}
