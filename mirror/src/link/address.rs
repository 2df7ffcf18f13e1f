//! A `host:port` address, as written in a pairing line and on the command line.

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An address of a barn: a DNS name or an IP address, and a port. IPv6 addresses are written in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {why}. Use HOST:PORT, for example barn.local:5001 or [fd00::7]:5001")]
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

    /// Returns the name that the TLS handshake asks for.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).expect("parsing an address checks that its host is a server name")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let refuse = |why| AddressError { text: text.chars().take(80).collect(), why };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| refuse("it has no port"))?;
        let port =
            port.parse().ok().filter(|port| *port != 0).ok_or_else(|| refuse("its port is not between 1 and 65535"))?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse("its brackets do not hold an IPv6 address")),
            None if host.contains(':') => return Err(refuse("an IPv6 address needs brackets")),
            None => host,
        };
        match ServerName::try_from(host) {
            Ok(_) => Ok(Self { host: host.to_owned(), port }),
            Err(_) => Err(refuse("its host is neither a DNS name nor an IP address")),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
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
        for text in ["barn.local:5001", "192.168.7.2:1", "[fd00::7]:65535", "localhost:5001"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn addresses_that_cannot_be_dialed_are_rejected() {
        for text in ["barn", ":5001", "barn:0", "barn:65536", "fd00::7:5001", "[barn]:5001", "a b:1", "barn:", "[::1]"]
        {
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
