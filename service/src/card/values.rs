//! Rules for single values. Each check returns the value in its normal form, or the reason with its mend, as a phrase
//! that follows the name of the key.

use super::{CardRadioKind, closest};
use crate::door::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use herd::pairing::PairingCode;
use toml::Value;
use toml::de::DeValue;

/// Maximum length of a site's name, as in the daemon's settings.
const MAX_SITE_CHARS: usize = 64;
/// Maximum length of a DNS name.
const MAX_HOST_BYTES: usize = 253;
/// Maximum length of a network's name (IEEE 802.11).
const MAX_NETWORK_BYTES: usize = 32;
/// Lengths of a passphrase (IEEE 802.11, annex J).
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 8..=63;
/// Length of a pre-shared key in hex, which stands in place of a passphrase.
const PSK_HEX_BYTES: usize = 64;
/// Types of SSH keys that the card's sshd accepts.
const SSH_TYPES: [&str; 7] = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "ssh-rsa",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// Maximum length of a line with an SSH key. An RSA key of 16,384 bits has 2,800 bytes.
const MAX_SSH_KEY_BYTES: usize = 4096;
/// Bytes of a whole Ed25519 key: type and key, each with its length.
const ED25519_BYTES: usize = 4 + 11 + 4 + 32;

type Checked<T> = Result<T, String>;

pub(super) fn check_site(text: &str) -> Checked<String> {
    if text.chars().count() > MAX_SITE_CHARS || text.chars().any(char::is_control) {
        return Err(format!("must have 1 to {MAX_SITE_CHARS} characters, on one line and without tabs"));
    }
    Ok(text.to_owned())
}

/// Checks only the form: the names are in the time zone files of the machine.
pub fn check_time_zone(text: &str) -> Checked<String> {
    let is_part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+-".contains(&byte))
    };
    if text.len() <= MAX_SITE_CHARS && text.split('/').all(is_part) {
        return Ok(text.to_owned());
    }
    Err("is not a time zone: write one such as America/Denver or Europe/Berlin".to_owned())
}

/// Checks a host name or an IP address.
pub fn check_host(text: &str) -> Checked<String> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_name = text.len() <= MAX_HOST_BYTES && text.split('.').all(is_label);
    if is_name || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("must be one host name or IP address, such as 192.168.1.1 or pool.ntp.org".to_owned())
}

/// Checks a URL of an HTTP server without a path.
pub(super) fn check_log_server(text: &str) -> Checked<String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let (name, port) = host.map_or(("", None), |host| match host.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    });
    if check_host(name).is_ok() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port != 0)) {
        return Ok(text.to_owned());
    }
    Err("must be the address of a server, such as https://logs.example.com:19532".to_owned())
}

/// Checks a country of ISO 3166.
pub fn check_country(text: &str) -> Checked<String> {
    let country = text.to_ascii_uppercase();
    if country == "UK" {
        return Err("is GB for the United Kingdom: country = \"GB\"".to_owned());
    }
    if country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(country);
    }
    Err("must be the two letters of your country, such as US, CA or DE".to_owned())
}

fn control(what: &str) -> String {
    format!("contains a tab or another control character: type the {what} again, and write a backslash twice (\\\\)")
}

/// Checks the name of a Wi-Fi network. Blanks at its ends belong to it.
pub fn check_network(text: &str) -> Checked<String> {
    if text.chars().any(char::is_control) {
        return Err(control("name of the network"));
    }
    if text.len() > MAX_NETWORK_BYTES {
        return Err(format!("has {} bytes, but the name of a network has at most {MAX_NETWORK_BYTES}", text.len()));
    }
    Ok(text.to_owned())
}

/// Checks the password of a Wi-Fi network.
pub fn check_password(text: &str) -> Checked<String> {
    if text.chars().any(char::is_control) {
        return Err(control("password"));
    }
    if PASSPHRASE_BYTES.contains(&text.len()) || is_psk(text) {
        return Ok(text.to_owned());
    }
    let length = text.len();
    Err(format!("has {length} characters, but a Wi-Fi password has 8 to 63: check for a missing or an extra one"))
}

/// Returns whether the password is a key in hex instead of a passphrase.
pub fn is_psk(text: &str) -> bool {
    text.len() == PSK_HEX_BYTES && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

pub(super) fn check_api_key(text: &str) -> Checked<String> {
    text.parse::<Secret>().map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) fn check_pairing_code(text: &str) -> Checked<String> {
    match text.parse::<PairingCode>() {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("is refused: {error}")),
    }
}

pub(super) fn check_radio_kind(text: &str) -> Checked<CardRadioKind> {
    let kinds = [CardRadioKind::Sx127x, CardRadioKind::Serial, CardRadioKind::None];
    kinds.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
        let hint = closest(text, kinds.map(CardRadioKind::name)).map(|name| format!("; did you mean \"{name}\"?"));
        format!("must be \"sx127x\", \"serial\" or \"none\"{}", hint.unwrap_or_default())
    })
}

/// Checks one line of an `authorized_keys` file: type, key and comment, without options.
pub fn check_ssh_key(text: &str) -> Checked<String> {
    if text.contains("PRIVATE KEY") {
        return Err("is a private key, which must never leave your computer: use the line of the .pub file".to_owned());
    }
    if text.len() > MAX_SSH_KEY_BYTES || text.chars().any(char::is_control) {
        return Err("must be one line, the one of your .pub file: remove line breaks and tabs in it".to_owned());
    }
    let mut parts = text.split_ascii_whitespace();
    let (kind, encoded) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    if !SSH_TYPES.contains(&kind) {
        return Err(
            "must start with ssh-ed25519 or another type of key: copy the whole line of your .pub file".to_owned()
        );
    }
    let cut = || "is incomplete or altered: copy the whole line of your .pub file again".to_owned();
    let blob = STANDARD.decode(encoded).map_err(|_| cut())?;
    if !is_whole_ssh_key(kind, &blob) {
        return Err(cut());
    }
    Ok(text.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns whether the blob is a sequence of whole fields, the first of which is the type (RFC 4253, section 6.6).
fn is_whole_ssh_key(kind: &str, blob: &[u8]) -> bool {
    let mut rest = blob;
    let mut fields = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((field, after)) = after.split_at_checked(length) else { return false };
        fields.push(field);
        rest = after;
    }
    let is_ed25519 = kind == "ssh-ed25519";
    rest.is_empty()
        && fields.len() >= 2
        && fields.first().is_some_and(|first| *first == kind.as_bytes())
        && (!is_ed25519 || blob.len() == ED25519_BYTES)
}

/// Returns a text or a whole number as a value of its own.
pub(super) fn plain(value: &DeValue<'_>) -> Option<Value> {
    match value {
        DeValue::String(text) => Some(Value::String(text.trim().to_owned())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer),
        _ => None,
    }
}
