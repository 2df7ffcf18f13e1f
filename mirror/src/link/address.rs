//! `host:port`, as it stands in a pairing line and on the command line.

use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a barn listens: a name or an IP address, and a port. IPv6 addresses stand in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address: {why}. Write HOST:PORT, for example barn.local:5001 or [fd00::7]:5001")]
pub struct NoAddress {
    text: String,
    why: &'static str,
}

impl Address {
    /// The name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whom to ask for in the TLS handshake.
    pub(super) fn server_name(&self) -> ServerName<'static> {
        ServerName::try_from(self.host.clone()).expect("an address is only made of a host that is a server name")
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Self, NoAddress> {
        let refuse = |why| NoAddress { text: text.chars().take(80).collect(), why };
        let (host, port) = text.rsplit_once(':').ok_or_else(|| refuse("it has no port"))?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(|| refuse("its port is not 1..=65535"))?;
        let host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            Some(_) => return Err(refuse("there is no IPv6 address in its brackets")),
            None if host.contains(':') => return Err(refuse("an IPv6 address needs brackets")),
            None => host,
        };
        match ServerName::try_from(host) {
            Ok(_) => Ok(Self { host: host.to_owned(), port }),
            Err(_) => Err(refuse("its host is neither a name nor an IP address")),
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
    type Error = NoAddress;

    fn try_from(text: String) -> Result<Self, NoAddress> {
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
    fn names_and_both_kinds_of_ip_addresses_are_read_and_written_alike() {
        for text in ["barn.local:5001", "192.168.7.2:1", "[fd00::7]:65535", "localhost:5001"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_dialed_is_refused() {
        for text in ["barn", ":5001", "barn:0", "barn:65536", "fd00::7:5001", "[barn]:5001", "a b:1", "barn:", "[::1]"]
        {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_reads_back(text in "\\PC{0,40}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>().unwrap(), address.clone());
                let _ = address.server_name();
            }
        }
    }
}
