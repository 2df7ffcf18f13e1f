//! The ONE line that pairs an office with a barn: `herdlinx:1:<base64url of postcard>`.
//!
//! It holds all that an office needs to find the barn, to know that it is the right one, and to be let in: so it is
//! a secret, and is shown once. It has no blank, so that it survives mail, paper and a shell.

use crate::position::StoreId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What every line begins with, whatever its version.
const PREFIX: &str = "herdlinx:";
/// The only version so far: the body is postcard of [`Pairing`], whose order of fields is frozen.
const VERSION: &str = "1";

/// The longest line that is read. One with [`MAX_ADDRESSES`] full addresses stays below it.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// The most addresses that one barn can have.
pub const MAX_ADDRESSES: usize = 32;
/// The longest address: a DNS name (RFC 1035: 253 characters), a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 259;
/// The longest name of a site.
pub const MAX_SITE_CHARS: usize = 64;
/// The longest key; those that this program makes have 47 characters.
const MAX_KEY_BYTES: usize = 128;

/// What an office learns from the line. `Display` gives the line itself, secret included; `Debug` hides the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// What the barn calls itself, 1..=64 characters; a proposal for its name at the office.
    pub site: String,
    /// Where it listens, each as `host:port`, most likely ones first; 1..=32 of them.
    pub addresses: Vec<String>,
    /// SHA-256 of the DER form of the public key (`SubjectPublicKeyInfo`) that it proves to hold in TLS.
    pub spki_sha256: [u8; 32],
    /// The history that it writes.
    pub store: StoreId,
    /// The API key that was made for this office; its scopes are read, sync and correct.
    pub key: String,
}

impl fmt::Debug for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pairing")
            .field("site", &self.site)
            .field("addresses", &self.addresses)
            .field("spki_sha256", &hex::encode(self.spki_sha256))
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Why a text is no pairing line. None of these shows the text, as a key may be in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// It begins with something else.
    #[error("a pairing line begins with `{PREFIX}`: copy the last line that `herdlinxd pair` printed, all of it")]
    NotALine,
    /// A later barn made it.
    #[error("this pairing line is of version `{0}`, and only version {VERSION} is known here: upgrade this program")]
    Version(String),
    /// It is longer than any that a barn makes.
    #[error("this pairing line has {0} bytes, and at most {MAX_LINE_BYTES} are allowed: copy it again")]
    TooLong(usize),
    /// Characters were lost or altered on its way.
    #[error("this pairing line is damaged or cut ({0}): copy it again, all of it, in one piece")]
    Damaged(&'static str),
    /// A part of it cannot be.
    #[error("this pairing line has {part} that cannot be: {why}. Make a new one with `herdlinxd pair`")]
    Part {
        /// Which part.
        part: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Pairing {
    /// Whether all parts are within their bounds: what [`FromStr`] refuses, nobody should print.
    pub fn validate(&self) -> Result<(), PairingError> {
        let part = |part, why| Err(PairingError::Part { part, why });
        let site_chars = self.site.chars().count();
        if site_chars == 0 || site_chars > MAX_SITE_CHARS || self.site.chars().any(char::is_control) {
            return part("a site name", "it needs 1 to 64 characters, none of them a control character");
        }
        if self.addresses.is_empty() || self.addresses.len() > MAX_ADDRESSES {
            return part("a list of addresses", "it needs 1 to 32 of them");
        }
        if !self.addresses.iter().all(|address| is_host_and_port(address)) {
            return part("an address", "it is not of the form host:port");
        }
        if self.key.is_empty() || self.key.len() > MAX_KEY_BYTES || !self.key.bytes().all(|b| b.is_ascii_graphic()) {
            return part("a key", "it needs 1 to 128 visible ASCII characters");
        }
        Ok(())
    }
}

/// `host:port`, `1.2.3.4:port` or `[v6]:port`; the port is not 0.
fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_one = match bracketed {
        // A zone (`fe80::1%eth0`) may follow the address; what it is called is the system's affair.
        Some(inner) => inner.split('%').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(':'),
    };
    host_is_one
        && address.len() <= MAX_ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

impl fmt::Display for Pairing {
    /// The line, without a line end. It holds the key: print it where it is meant to be read, and nowhere else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = postcard::to_stdvec(self).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{VERSION}:{}", URL_SAFE_NO_PAD.encode(body))
    }
}

impl FromStr for Pairing {
    type Err = PairingError;

    /// Reads a line; blanks around it are forgiven. Never panics.
    fn from_str(text: &str) -> Result<Self, PairingError> {
        if text.len() > MAX_LINE_BYTES {
            return Err(PairingError::TooLong(text.len()));
        }
        let rest = text.trim().strip_prefix(PREFIX).ok_or(PairingError::NotALine)?;
        let (version, body) = rest.split_once(':').ok_or(PairingError::NotALine)?;
        if version != VERSION {
            return Err(PairingError::Version(version.chars().take(16).collect()));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| PairingError::Damaged("it has characters that no such line has, or too few"))?;
        let (pairing, rest) = postcard::take_from_bytes::<Self>(&bytes)
            .map_err(|_| PairingError::Damaged("its end is missing, or a character differs"))?;
        if !rest.is_empty() {
            return Err(PairingError::Damaged("something follows its end"));
        }
        pairing.validate()?;
        Ok(pairing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairing() -> Pairing {
        Pairing {
            site: "north barn".into(),
            addresses: vec!["192.168.1.20:5001".into(), "[fe80::1%eth0]:5001".into(), "barn.local:5001".into()],
            spki_sha256: [0xa5; 32],
            store: StoreId([7; 16]),
            key: format!("hxb_{}", "k".repeat(43)),
        }
    }

    #[test]
    fn the_line_is_frozen() {
        // Put together by another program from the field list above.
        let line = concat!(
            "herdlinx:1:Cm5vcnRoIGJhcm4DETE5Mi4xNjguMS4yMDo1MDAxE1tmZTgwOjoxJWV0aDBdOjUwMDEPYmFybi5sb2NhbDo1",
            "MDAxpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaUHBwcHBwcHBwcHBwcHBwcHL2h4Yl9ra2tra2tra2tra2tra2t",
            "ra2tra2tra2tra2tra2tra2tra2tra2tra2tr",
        );
        assert_eq!(pairing().to_string(), line);
        assert_eq!(line.parse(), Ok(pairing()));
        assert!(!line.contains(char::is_whitespace));
    }

    #[test]
    fn blanks_around_a_copied_line_are_forgiven() {
        assert_eq!(format!("  {}\r\n", pairing()).parse(), Ok(pairing()));
    }

    #[test]
    fn the_key_is_not_in_the_debug_form() {
        let shown = format!("{:?}", pairing());
        assert!(shown.contains("north barn") && !shown.contains("hxb_"), "{shown}");
    }

    #[test]
    fn each_way_to_be_wrong_has_its_own_error() {
        let line = pairing().to_string();
        let parse = |text: &str| text.parse::<Pairing>().unwrap_err();
        assert_eq!(parse("hello"), PairingError::NotALine);
        assert_eq!(parse(&line.replacen(":1:", ":2:", 1)), PairingError::Version("2".into()));
        assert_eq!(parse(&"x".repeat(MAX_LINE_BYTES + 1)), PairingError::TooLong(MAX_LINE_BYTES + 1));
        assert!(matches!(parse(&line[..line.len() - 8]), PairingError::Damaged(_)));
        assert!(matches!(parse(&format!("{line}AAAA")), PairingError::Damaged(_)));
        assert!(matches!(parse(&line.replace('5', " ")), PairingError::Damaged(_)));
    }

    #[test]
    fn parts_out_of_their_bounds_are_refused_by_name() {
        let refused = |alter: fn(&mut Pairing)| {
            let mut altered = pairing();
            alter(&mut altered);
            assert_eq!(altered.validate(), altered.to_string().parse::<Pairing>().map(|_| ()));
            altered.validate().unwrap_err()
        };
        for address in ["barn", "barn:0", "barn:70000", ":5001", "a b:1", "::1:5001", "[zz]:1", "barn:"] {
            let altered = Pairing { addresses: vec![address.into()], ..pairing() };
            let error = altered.validate().unwrap_err();
            assert!(matches!(error, PairingError::Part { part: "an address", .. }), "{address}: {error}");
        }
        assert!(matches!(refused(|p| p.addresses.clear()), PairingError::Part { part: "a list of addresses", .. }));
        assert!(matches!(refused(|p| p.site.clear()), PairingError::Part { part: "a site name", .. }));
        assert!(matches!(refused(|p| p.key = "a b".into()), PairingError::Part { part: "a key", .. }));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(
            text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = text.parse::<Pairing>();
            let _ = format!("{PREFIX}{VERSION}:{text}").parse::<Pairing>();
            let _ = format!("{PREFIX}{VERSION}:{}", URL_SAFE_NO_PAD.encode(bytes)).parse::<Pairing>();
        }

        #[test]
        fn what_is_printed_is_read_back(
            site in "[a-z]{1,64}", port in 1..=u16::MAX, spki in any::<[u8; 32]>(), key in "[!-~]{1,128}",
        ) {
            let made = Pairing { site, addresses: vec![format!("barn:{port}")], spki_sha256: spki, key, ..pairing() };
            prop_assert_eq!(made.to_string().parse(), Ok(made));
        }
    }
}
