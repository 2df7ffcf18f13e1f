//! The socket on which a server listens.

use super::ServeError;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

/// Number of connections that wait to be accepted, as the standard library has it.
const BACKLOG: i32 = 128;

/// Binds the address before anything is served, so that the port is known even if port 0 was requested.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Bind { address, source })
}

/// Binds the address as [`bind`] does, also if this machine does not have it yet: it is served once it has.
///
/// After a power cut a barn is up before its network, and must hear its radios without one. `check` refuses such an address,
/// because it may be a mistake.
pub fn bind_ahead(address: SocketAddr) -> Result<TcpListener, ServeError> {
    match bind(address) {
        Err(ServeError::Bind { source, .. }) if source.kind() == ErrorKind::AddrNotAvailable => {
            tracing::warn!(%address, "this machine does not have the address to listen on; it is served once it has");
            listen_ahead(address).map_err(|errno| ServeError::Bind { address, source: errno.into() })
        }
        bound => bound,
    }
}

/// Listens on an address that is not there yet (`IP_FREEBIND` in ip(7)).
fn listen_ahead(address: SocketAddr) -> Result<TcpListener, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv4() {
        sockopt::set_ip_freebind(&socket, true)?;
    } else {
        sockopt::set_ipv6_freebind(&socket, true)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::recorder::LogRecorder;

    /// Catches a barn that is deaf after a power cut until its network is there, and a port in use that passes for one.
    #[test]
    fn an_address_that_is_not_there_yet_is_bound_with_a_warning_and_a_port_in_use_is_refused() {
        let (log, _recording) = LogRecorder::start();
        // Addresses for documentation (RFC 5737, RFC 3849): no machine has them.
        let addresses: [SocketAddr; 2] = ["192.0.2.1:0", "[2001:db8::1]:0"].map(|address| address.parse().unwrap());
        // A kernel may have no IPv6.
        let has_v6 = TcpListener::bind("[::]:0").is_ok();
        for address in addresses.into_iter().filter(|address| address.is_ipv4() || has_v6) {
            assert!(matches!(bind(address), Err(ServeError::Bind { .. })), "an office is told at its start");
            let bound = bind_ahead(address).unwrap().local_addr().unwrap();
            assert_eq!(bound.ip(), address.ip());
            assert_ne!(bound.port(), 0);
            assert!(log.take().iter().any(|line| line.starts_with("WARN this machine does not have")));
        }
        let held = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let refused = bind_ahead(held.local_addr().unwrap());
        assert!(matches!(refused, Err(ServeError::Bind { .. })), "{refused:?}");
        assert_eq!(log.take(), Vec::<String>::new());
    }
}
