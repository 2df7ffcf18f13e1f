//! An address, as written in a pairing line and on the command line: `host:port`, at an office with the path of a site.

use herd::pairing::is_site_path;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An address of a barn: a DNS name or an IP address, and a port. IPv6 addresses are written in brackets. At an office that
/// is followed, the path of its site comes after it, as in `office.local:5000/sites/north`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
    /// Start of the paths of all calls: empty at a barn.
    path: String,
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an address: {why}. Use HOST:PORT, for example barn.local:5001 or [fd00::7]:5001, or of an office's copy office.local:5000/sites/north"
)]
pub struct AddressError {
    text: String,
    why: &'static str,
}

impl Address {
    /// Returns the DNS name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port, which is never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns host and port, as a `Host` header has them.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Returns the path of a call, with that of the site in front.
    pub(super) fn path_to(&self, call: &str) -> String {
        format!("{}{call}", self.path)
    }

    /// Returns the name that the TLS handshake asks for.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).expect("parsing an address checks that its host is a server name")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |why| AddressError { text: text.chars().take(80).collect(), why };
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        if !is_site_path(path) {
            return Err(refuse("what follows its port is not the path of a site"));
        }
        let (host, port) = authority.rsplit_once(':').ok_or_else(|| refuse("it has no port"))?;
        let port =
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| refuse("its port is not between 1 and 65535"))?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse("its brackets do not hold an IPv6 address")),
            None if host.contains(':') => return Err(refuse("an IPv6 address needs brackets")),
            None => host,
        };
        match ServerName::try_from(host) {
            Ok(_) => Ok(Self { host: host.to_owned(), port, path: path.to_owned() }),
            Err(_) => Err(refuse("its host is neither a DNS name nor an IP address")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.authority(), self.path)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_ip_addresses_survive_a_round_trip() {
        for text in [
            "barn.local:5001",
            "192.168.7.2:1",
            "[fd00::7]:65535",
            "localhost:5001",
            "office:5000/sites/north",
            "[::1]:5000/sites/N.1_x-y",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn addresses_that_cannot_be_dialed_are_rejected() {
        let of_hosts =
            ["barn", ":5001", "barn:0", "barn:65536", "fd00::7:5001", "[barn]:5001", "a b:1", "barn:", "[::1]"];
        let of_paths =
            ["b:1/", "b:1/sites/", "b:1/sites/a/b", "b:1/other/a", "b:1/sites/a?x", "b:1/sites/..", "b:1//sites/a"];
        for text in of_hosts.into_iter().chain(of_paths) {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsing_rejects_a_text_or_round_trips_it(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address.clone());
                let _ = address.server_name();
            }
        }
    }
}
