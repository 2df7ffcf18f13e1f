//! The pairing line: one line of text that pairs an office with this barn, or with a copy of a barn at this office.
//!
//! # Decisions
//!
//! - **An office that others follow gives its copy an address with a path**, such as `office:5000/sites/north`. To who follows,
//!   it is a barn at that address, and nothing else is different. A field of its own in the line was rejected: whoever types
//!   an address by hand would need a second option for it.

use super::certificate::host_name;
use super::keys::{KeyError, KeyRing, Scope};
use super::secret::KEY_PREFIX;
use crate::control::ControlError;
use herd::pairing::{MAX_ADDRESSES, Pairing, PairingError};
use herd::position::StoreId;
use std::io;
use std::net::{IpAddr, SocketAddr};

/// Scopes of an office: read, replicate, and correct.
pub const OFFICE_SCOPES: [Scope; 3] = [Scope::Read, Scope::Sync, Scope::Correct];

/// Reason why there is no pairing line.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// The port is chosen when the daemon starts.
    #[error("`listen` has port 0, so the address is known only while the process runs: start it, or set a port")]
    NoPort,
    /// The addresses of this machine could not be listed.
    #[error("cannot list the network addresses of this machine: {0}")]
    Interfaces(#[source] io::Error),
    /// The key could not be created.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A part of the line is invalid, such as the name of the site.
    #[error(transparent)]
    Line(#[from] PairingError),
}

/// The log that is offered: the facts in the line besides the key.
#[derive(Clone, Debug)]
pub struct PairingSource {
    /// Name of the barn.
    pub site: String,
    /// Address of the HTTPS server.
    pub listen: SocketAddr,
    /// Start of the paths of its calls: empty at a barn, `/sites/NAME` at an office.
    pub path: String,
    /// SHA-256 of the TLS public key, by which offices pin it.
    pub spki_sha256: [u8; 32],
    /// Identity of the history.
    pub store: StoreId,
}

/// Creates a key and returns the pairing line with it. The key is valid immediately. Without a `name` it is called
/// `office-1`, `office-2`, ...
///
/// Syncs the disk, so async code must call it on a blocking thread.
pub fn pair(keys: &KeyRing, source: PairingSource, name: Option<&str>) -> Result<Pairing, PairError> {
    let PairingSource { site, listen, path, spki_sha256, store } = source;
    let addresses = addresses(listen)?.into_iter().map(|address| address + &path).collect();
    let mut pairing = Pairing { site, addresses, spki_sha256, store, key: KEY_PREFIX.to_owned() };
    // Before the key is created: an invalid line must leave no key behind.
    pairing.validate()?;
    let name = name.map_or_else(|| free_name(keys), str::to_owned);
    keys.add(&name, OFFICE_SCOPES.into())?.reveal().clone_into(&mut pairing.key);
    Ok(pairing)
}

/// Creates a key for an office and returns the pairing line, as the answer to a command.
pub fn create_pairing_line(keys: &KeyRing, source: PairingSource, name: Option<&str>) -> Result<String, ControlError> {
    let pairing = pair(keys, source, name).map_err(|error| {
        let code = match &error {
            PairError::Key(KeyError::Exists(_)) => "key_exists",
            PairError::Key(KeyError::Name(_)) => "bad_request",
            _ => "failed",
        };
        ControlError::new(code, error.to_string())
    })?;
    Ok(pairing.to_string())
}

fn free_name(keys: &KeyRing) -> String {
    let taken = keys.list();
    let names = (1..).map(|number| format!("office-{number}"));
    // The names never run out, because the number of keys is limited.
    names.into_iter().find(|name| taken.iter().all(|row| row.name != *name)).unwrap_or_default()
}

/// Returns the addresses at which an office may reach this machine, most likely ones first.
pub fn addresses(listen: SocketAddr) -> Result<Vec<String>, PairError> {
    if listen.port() == 0 {
        return Err(PairError::NoPort);
    }
    let interfaces = if_addrs::get_if_addrs().map_err(PairError::Interfaces)?;
    let ips: Vec<_> = interfaces.iter().map(if_addrs::Interface::ip).collect();
    Ok(addresses_among(listen, &ips, &host_name().unwrap_or_default()))
}

/// Returns the address of the listener. For a wildcard address, returns that of every interface, then the `.local` name,
/// and loopback last.
fn addresses_among(listen: SocketAddr, interfaces: &[IpAddr], host: &str) -> Vec<String> {
    if !listen.ip().is_unspecified() {
        return vec![listen.to_string()];
    }
    let is_reachable = |ip: &&IpAddr| match ip {
        IpAddr::V4(ip) => !ip.is_link_local(),
        // A link-local IPv6 address needs the name of an interface of the other machine, which is unknown here.
        IpAddr::V6(ip) => listen.is_ipv6() && !ip.is_unicast_link_local(),
    };
    let (loopback, others): (Vec<_>, Vec<_>) = interfaces.iter().filter(is_reachable).partition(|ip| ip.is_loopback());
    let with_port = |ip: &&IpAddr| SocketAddr::new(**ip, listen.port()).to_string();
    let others = others.iter().map(with_port).take(MAX_ADDRESSES - 3);
    let by_name = (!host.is_empty()).then(|| format!("{host}.local:{}", listen.port()));
    others.chain(by_name).chain(loopback.iter().map(with_port).take(2)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use herd::clock::SystemClock;
    use herd::randomness::SeededRandomness;
    use herd::store::LocalFile;
    use std::sync::Arc;

    fn ips() -> Vec<IpAddr> {
        ["127.0.0.1", "::1", "192.168.1.20", "10.0.0.3", "fe80::1", "2001:db8::7", "169.254.3.4"]
            .map(|ip| ip.parse().unwrap())
            .to_vec()
    }

    fn among(listen: &str) -> Vec<String> {
        addresses_among(listen.parse().unwrap(), &ips(), "barn")
    }

    #[test]
    fn a_specific_address_is_the_only_one() {
        assert_eq!(among("192.168.1.20:5001"), ["192.168.1.20:5001"]);
    }

    #[test]
    fn a_wildcard_lists_its_interfaces_then_the_local_name_then_loopback() {
        let expected = ["192.168.1.20:5001", "10.0.0.3:5001", "barn.local:5001", "127.0.0.1:5001"];
        assert_eq!(among("0.0.0.0:5001"), expected);
        let expected = ["192.168.1.20:5001", "10.0.0.3:5001", "[2001:db8::7]:5001", "barn.local:5001"];
        let both = among("[::]:5001");
        assert_eq!(both[..4], expected);
        assert_eq!(both[4..], ["127.0.0.1:5001", "[::1]:5001"]);
    }

    #[test]
    fn any_number_of_interfaces_fits_into_the_line() {
        let many: Vec<IpAddr> = (0..200).map(|n| IpAddr::from([10, 0, 0, n])).chain(ips()).collect();
        let addresses = addresses_among("[::]:1".parse().unwrap(), &many, "barn");
        assert_eq!(addresses.len(), MAX_ADDRESSES, "there is room for as many as the line takes");
        assert_eq!(addresses[MAX_ADDRESSES - 3..], ["barn.local:1", "127.0.0.1:1", "[::1]:1"]);
        assert_eq!(addresses_among("0.0.0.0:1".parse().unwrap(), &[], ""), Vec::<String>::new());
    }

    #[test]
    fn the_answer_to_a_command_is_the_line_or_a_code_for_scripts() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = KeyRing::load(local, Arc::new(SystemClock::default()), SeededRandomness::new(3)).unwrap();
        let pair = |listen: &str, name| {
            let (listen, path) = (listen.parse().unwrap(), String::new());
            let source =
                PairingSource { site: "north".into(), listen, path, spki_sha256: [1; 32], store: StoreId([2; 16]) };
            create_pairing_line(&keys, source, Some(name)).map_err(|error| error.code)
        };
        let line = pair("192.168.1.20:5001", "desk").unwrap();
        assert!(keys.check(&line.parse::<Pairing>().unwrap().key).is_some());
        for (listen, name, code) in [
            ("192.168.1.20:5001", "desk", "key_exists"),
            ("192.168.1.20:5001", "a desk", "bad_request"),
            ("0.0.0.0:0", "other", "failed"),
        ] {
            assert_eq!(pair(listen, name), Err(code.to_owned()), "{listen} {name}");
        }
    }

    #[test]
    fn each_pairing_has_a_valid_key_of_its_own_with_the_scopes_of_an_office() {
        let directory = tempfile::tempdir().unwrap();
        let local = LocalFile::open(directory.path().join("local.redb")).unwrap();
        let keys = KeyRing::load(local, Arc::new(SystemClock::default()), SeededRandomness::new(3)).unwrap();
        let listen = "192.168.1.20:5001".parse().unwrap();
        let path = String::new();
        let barn = PairingSource { site: "north".into(), listen, path, spki_sha256: [1; 32], store: StoreId([2; 16]) };
        for name in ["office-1", "office-2"] {
            let line = pair(&keys, barn.clone(), None).unwrap().to_string();
            let found = keys.check(&line.parse::<Pairing>().unwrap().key).unwrap();
            assert_eq!(found.name, name);
            assert!(OFFICE_SCOPES.iter().all(|scope| found.has(*scope)) && !found.has(Scope::Ingest));
        }
        assert!(matches!(pair(&keys, barn.clone(), Some("office-1")), Err(PairError::Key(KeyError::Exists(_)))));
        let nameless = PairingSource { site: String::new(), ..barn.clone() };
        assert!(matches!(pair(&keys, nameless, None), Err(PairError::Line(_))));
        let no_port = PairingSource { listen: "0.0.0.0:0".parse().unwrap(), ..barn.clone() };
        assert!(matches!(pair(&keys, no_port, None), Err(PairError::NoPort)));
        assert_eq!(keys.list().len(), 2);
        let copy = PairingSource { path: "/sites/north".into(), ..barn };
        assert_eq!(pair(&keys, copy, None).unwrap().addresses, ["192.168.1.20:5001/sites/north"]);
    }
}
