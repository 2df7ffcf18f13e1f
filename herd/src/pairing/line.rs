//! The line that pairs an office with a barn: `herdlinx:1:<base64url of postcard>`.
//!
//! # Decisions
//!
//! - **One line holds everything**: where the barn is, how to verify that it is the right one, and a key for its API.
//!   The operator copies one text, and there is no second step to get wrong.
//! - **The line is a secret**, so it is shown once and never appears in an error or a debug output.
//! - **The line contains no whitespace**, so it survives mail, paper and a shell.
//! - **The public key is pinned, not the certificate.** A self-signed certificate then needs no authority, and can be
//!   renewed with the same key.

use crate::position::StoreId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Start of every line, in all versions.
const PREFIX: &str = "herdlinx:";
/// The only version so far. Its body is the postcard encoding of [`Pairing`], whose field order is frozen.
const VERSION: &str = "1";

/// Maximum length of a line. A line with [`MAX_ADDRESSES`] addresses of full length is shorter.
pub const MAX_LINE_BYTES: usize = 16 * 1024;
/// Maximum number of addresses of one barn.
pub const MAX_ADDRESSES: usize = 32;
/// Start of the paths of a site at an office.
pub const SITE_PATH: &str = "/sites/";
/// Maximum length of an address without a path: a DNS name (253 characters, RFC 1035), a colon and a port.
pub const MAX_ADDRESS_BYTES: usize = 259;
/// Maximum length of a site's name.
pub const MAX_SITE_CHARS: usize = 64;
/// Maximum length of an API key. The keys that this program generates have 47 characters.
const MAX_KEY_BYTES: usize = 128;

/// Contents of a pairing line. `Display` writes the line, including the secret key; `Debug` omits the key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    /// Name of the barn, 1..=64 characters. The office may choose another one.
    pub site: String,
    /// Addresses of the barn as `host:port`, 1..=32 of them, the most likely ones first. Those of a copy at an office have the
    /// path of its site behind the port.
    pub addresses: Vec<String>,
    /// SHA-256 of the barn's public key in DER form (`SubjectPublicKeyInfo`). TLS proves that the barn holds it.
    pub spki_sha256: [u8; 32],
    /// Identity of the history that the barn writes.
    pub store: StoreId,
    /// API key for this office, with the scopes read, sync and correct.
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

/// Reason why a text is not a pairing line. No message contains the text, because it may contain a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The text starts with something else.
    #[error("a pairing line starts with `{PREFIX}`: copy the whole last line that `pair` printed")]
    WrongPrefix,
    /// The line has a version that this program does not know.
    #[error("this pairing line has version `{0}`, but this program knows only version {VERSION}: upgrade this program")]
    Version(String),
    /// The text is longer than any line that a barn prints.
    #[error("this pairing line has {0} bytes; the limit is {MAX_LINE_BYTES}: copy it again")]
    TooLong(usize),
    /// Characters of the line are missing or changed.
    #[error("this pairing line is damaged or incomplete ({0}): copy the whole line again")]
    Damaged(&'static str),
    /// A part of the line has an impossible value.
    #[error("this pairing line contains {part} that is invalid: {why}. Create a new line with `pair`")]
    InvalidPart {
        /// The part, with its article.
        part: &'static str,
        /// The rule that it breaks.
        why: &'static str,
    },
}

impl Pairing {
    /// Checks that all parts are within their limits.
    ///
    /// [`FromStr`] makes the same check, so call this before printing a line.
    pub fn validate(&self) -> Result<(), PairingError> {
        let part = |part, why| Err(PairingError::InvalidPart { part, why });
        let site_chars = self.site.chars().count();
        if site_chars == 0 || site_chars > MAX_SITE_CHARS || self.site.chars().any(char::is_control) {
            return part("a site name", "it needs 1 to 64 characters and no control characters");
        }
        if self.addresses.is_empty() || self.addresses.len() > MAX_ADDRESSES {
            return part("a list of addresses", "it needs 1 to 32 addresses");
        }
        if !self.addresses.iter().all(|address| is_address(address)) {
            return part("an address", "it is not in the form host:port or host:port/sites/NAME");
        }
        if self.key.is_empty() || self.key.len() > MAX_KEY_BYTES || !self.key.bytes().all(|b| b.is_ascii_graphic()) {
            return part("a key", "it needs 1 to 128 visible ASCII characters");
        }
        Ok(())
    }
}

/// Returns `true` for the path of a site at an office, such as `/sites/north`, and for no path at all.
#[must_use]
pub fn is_site_path(path: &str) -> bool {
    let Some(site) = path.strip_prefix(SITE_PATH) else { return path.is_empty() };
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_SITE_CHARS).contains(&site.len()) && site.bytes().all(is_allowed) && !site.starts_with('.')
}

/// Returns `true` for `host:port`, also with the path of a site behind it.
fn is_address(address: &str) -> bool {
    let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    is_host_and_port(authority) && is_site_path(path)
}

/// Returns `true` for `host:port`, `1.2.3.4:port` and `[v6]:port`, where the port is not 0.
fn is_host_and_port(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_host = match bracketed {
        // A zone (`fe80::1%eth0`) may follow the address. Only the operating system can check its name.
        Some(inner) => inner.split('%').next().is_some_and(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains(':'),
    };
    is_host
        && address.len() <= MAX_ADDRESS_BYTES
        && address.bytes().all(|byte| byte.is_ascii_graphic())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

impl fmt::Display for Pairing {
    /// Writes the line without a line break. It contains the key: print it only where the operator reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = postcard::to_stdvec(self).map_err(|_| fmt::Error)?;
        write!(f, "{PREFIX}{VERSION}:{}", URL_SAFE_NO_PAD.encode(body))
    }
}

impl FromStr for Pairing {
    type Err = PairingError;

    /// Parses a line. Whitespace around it is ignored. Never panics.
    fn from_str(text: &str) -> Result<Self, PairingError> {
        if text.len() > MAX_LINE_BYTES {
            return Err(PairingError::TooLong(text.len()));
        }
        let rest = text.trim().strip_prefix(PREFIX).ok_or(PairingError::WrongPrefix)?;
        let (version, body) = rest.split_once(':').ok_or(PairingError::WrongPrefix)?;
        if version != VERSION {
            return Err(PairingError::Version(version.chars().take(16).collect()));
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|_| PairingError::Damaged("it has foreign characters, or too few characters"))?;
        let (pairing, rest) = postcard::take_from_bytes::<Self>(&bytes)
            .map_err(|_| PairingError::Damaged("its end is missing, or a character is wrong"))?;
        if !rest.is_empty() {
            return Err(PairingError::Damaged("there is text after its end"));
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

    /// Catches a change of the encoding, after which an office could not read the line of an older barn.
    #[test]
    fn the_line_is_frozen() {
        // Assembled by another program from the list of fields above.
        let line = concat!(
            "herdlinx:1:Cm5vcnRoIGJhcm4DETE5Mi4xNjguMS4yMDo1MDAxE1tmZTgwOjoxJWV0aDBdOjUwMDEPYmFybi5sb2NhbDo1",
            "MDAxpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaUHBwcHBwcHBwcHBwcHBwcHL2h4Yl9ra2tra2tra2tra2tra2t",
            "ra2tra2tra2tra2tra2tra2tra2tra2tra2tr",
        );
        assert_eq!(pairing().to_string(), line);
        assert_eq!(line.parse(), Ok(pairing()));
        assert!(!line.contains(char::is_whitespace));
    }

    /// Catches a parser that rejects the line ending of a mail or a terminal.
    #[test]
    fn whitespace_around_a_copied_line_is_ignored() {
        assert_eq!(format!("  {}\r\n", pairing()).parse(), Ok(pairing()));
    }

    /// Catches a key in a log or a panic message.
    #[test]
    fn the_debug_output_omits_the_key() {
        let shown = format!("{:?}", pairing());
        assert!(shown.contains("north barn") && !shown.contains("hxb_"), "{shown}");
    }

    /// Catches a message that tells the operator to do the wrong thing.
    #[test]
    fn each_fault_has_its_own_error() {
        let line = pairing().to_string();
        let parse = |text: &str| text.parse::<Pairing>().unwrap_err();
        assert_eq!(parse("hello"), PairingError::WrongPrefix);
        assert_eq!(parse(&line.replacen(":1:", ":2:", 1)), PairingError::Version("2".into()));
        assert_eq!(parse(&"x".repeat(MAX_LINE_BYTES)), PairingError::WrongPrefix);
        assert_eq!(parse(&"x".repeat(MAX_LINE_BYTES + 1)), PairingError::TooLong(MAX_LINE_BYTES + 1));
        assert!(matches!(parse(&line[..line.len() - 8]), PairingError::Damaged(_)));
        assert!(matches!(parse(&format!("{line}AAAA")), PairingError::Damaged(_)));
        assert!(matches!(parse(&line.replace('5', " ")), PairingError::Damaged(_)));
    }

    /// Catches a line that is printed but cannot be read back, and values that no barn can have.
    #[test]
    fn invalid_parts_are_named() {
        let refused = |alter: fn(&mut Pairing)| {
            let mut altered = pairing();
            alter(&mut altered);
            assert_eq!(altered.validate(), altered.to_string().parse::<Pairing>().map(|_| ()));
            altered.validate().unwrap_err()
        };
        for address in ["barn", "barn:0", "barn:70000", ":5001", "a b:1", "::1:5001", "[zz]:1", "barn:"] {
            let altered = Pairing { addresses: vec![address.into()], ..pairing() };
            let error = altered.validate().unwrap_err();
            assert!(matches!(error, PairingError::InvalidPart { part: "an address", .. }), "{address}: {error}");
        }
        assert!(matches!(
            refused(|p| p.addresses.clear()),
            PairingError::InvalidPart { part: "a list of addresses", .. }
        ));
        assert!(matches!(refused(|p| p.site.clear()), PairingError::InvalidPart { part: "a site name", .. }));
        assert!(matches!(refused(|p| p.site = "a\nb".into()), PairingError::InvalidPart { part: "a site name", .. }));
        assert!(matches!(refused(|p| p.key = "a b".into()), PairingError::InvalidPart { part: "a key", .. }));
        assert!(matches!(refused(|p| p.key.clear()), PairingError::InvalidPart { part: "a key", .. }));
    }

    /// Returns a pairing whose parts have these lengths.
    fn of_lengths(site: usize, addresses: usize, address: usize, key: usize) -> Pairing {
        let host = "h".repeat(address - ":65535".len());
        Pairing {
            site: "é".repeat(site),
            addresses: vec![format!("{host}:65535/sites/{}", "s".repeat(MAX_SITE_CHARS)); addresses],
            key: "k".repeat(key),
            ..pairing()
        }
    }

    /// Catches a limit that moves by one, and a line of the largest parts that its own parser refuses.
    #[test]
    fn parts_of_full_length_are_a_line_and_longer_ones_are_named() {
        let full = of_lengths(64, 32, 259, 128);
        assert_eq!(full.to_string().parse(), Ok(full));
        for (longer, named) in [
            (of_lengths(65, 1, 259, 128), "a site name"),
            (of_lengths(64, 33, 259, 128), "a list of addresses"),
            (of_lengths(64, 1, 260, 128), "an address"),
            (of_lengths(64, 1, 259, 129), "a key"),
        ] {
            let error = longer.validate().unwrap_err();
            assert!(matches!(error, PairingError::InvalidPart { part, .. } if part == named), "{named}: {error}");
        }
    }

    /// Catches a path that leaves its place on the server, or that no office has.
    #[test]
    fn a_path_is_that_of_a_site_or_none() {
        let longest = format!("/sites/{}", "n".repeat(64));
        for path in ["", "/sites/north", "/sites/N.1_a-b", &longest] {
            assert!(is_site_path(path), "{path}");
            assert!(is_address(&format!("office:5001{path}")), "{path}");
        }
        let too_long = format!("{longest}n");
        for path in
            ["/", "/sites", "/sites/", "/site/north", "/sites/.", "/sites/..", "/sites/a/b", "/sites/a b", &too_long]
        {
            assert!(!is_site_path(path), "{path}");
            assert!(!is_address(&format!("office:5001{path}")), "{path}");
        }
    }

    proptest! {
        /// Catches a panic on a text that somebody typed.
        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(
            text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let _ = text.parse::<Pairing>();
            let _ = format!("{PREFIX}{VERSION}:{text}").parse::<Pairing>();
            let _ = format!("{PREFIX}{VERSION}:{}", URL_SAFE_NO_PAD.encode(bytes)).parse::<Pairing>();
        }

        /// Catches a valid pairing whose printed line cannot be read back.
        #[test]
        fn printed_lines_round_trip(
            site in "[a-z]{1,64}", port in 1..=u16::MAX, spki in any::<[u8; 32]>(), key in "[!-~]{1,128}",
        ) {
            let made = Pairing { site, addresses: vec![format!("barn:{port}")], spki_sha256: spki, key, ..pairing() };
            prop_assert_eq!(made.to_string().parse(), Ok(made));
        }
    }
}
