//! The customization that Raspberry Pi Imager writes for an image with `init_format` `cloudinit`.
//!
//! Read from `user-data`: `hostname`, `timezone`, `ssh_authorized_keys` (at the top, and of each of the `users`). Read
//! from `network-config`, with or without the outer `network`: of the first of the `wifis` its `regulatory-domain`, and
//! of the first of its `access-points` the name, `password` and `auth.password`. Everything else is ignored: the card
//! has no user with a password, no packages to install and nothing to run.
//!
//! A value of `herdlinx.toml` wins over the same one of Imager. After `network-config` was applied, a note replaces it,
//! because it holds the password.

use super::record::{Password, Values, Wifi};
use super::yaml::{Node, YamlError};
use service::card::{CardError, CardMistake, check_country, check_host, check_network, check_password, check_ssh_key};

pub(super) const USER_DATA: &str = "user-data";
pub(super) const NETWORK_CONFIG: &str = "network-config";

/// Content of `network-config` after it was applied.
pub(super) const APPLIED_NOTE: &str = "\
# HerdLinx has applied the Wi-Fi settings of this file and removed them from here, with the password.
# To change them, edit herdlinx.toml.
";

/// Maximum number of SSH keys that are taken from Imager.
const MAX_SSH_KEYS: usize = 16;

/// A mistake in one of the files: its name, and the mistake.
pub(super) type ImagerMistake = (&'static str, CardMistake);

/// Reads the two files, each of which may be missing.
pub(super) fn read_imager(user_data: Option<&str>, network_config: Option<&str>) -> Result<Values, Vec<ImagerMistake>> {
    let mut reader = Reader::default();
    if let Some(root) = user_data.and_then(|text| reader.parse(USER_DATA, text)) {
        reader.read_user_data(&root);
    }
    if let Some(root) = network_config.and_then(|text| reader.parse(NETWORK_CONFIG, text)) {
        reader.read_network(root.get("network").unwrap_or(&root));
    }
    if reader.mistakes.is_empty() { Ok(reader.values) } else { Err(reader.mistakes) }
}

#[derive(Default)]
struct Reader {
    values: Values,
    mistakes: Vec<ImagerMistake>,
}

impl Reader {
    fn parse(&mut self, file: &'static str, text: &str) -> Option<Node> {
        let error = match Node::read(text) {
            Ok(root) => return Some(root),
            Err(error) => error,
        };
        let line = match error {
            YamlError::Syntax { line, .. } | YamlError::Alias { line } => Some(line),
            YamlError::TooLarge => None,
        };
        let error = CardError::value("the file", format!("cannot be read: {error}"));
        self.mistakes.push((file, CardMistake { line, error }));
        None
    }

    /// Returns the checked text of a node. Notes a mistake if it is not allowed.
    fn checked(
        &mut self,
        file: &'static str,
        key: &str,
        node: Option<&Node>,
        check: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        let (text, line) = node?.text()?;
        self.noted(file, key, line, check(text))
    }

    fn noted(&mut self, file: &'static str, key: &str, line: usize, checked: Result<String, String>) -> Option<String> {
        let reason = match checked {
            Ok(value) => return Some(value),
            Err(reason) => reason,
        };
        self.mistakes.push((file, CardMistake::at(line, CardError::value(key, reason))));
        None
    }

    fn read_user_data(&mut self, root: &Node) {
        let host = self.checked(USER_DATA, "hostname", root.get("hostname"), check_host);
        // cloud-init takes a name with a domain; the kernel's name is its first label.
        self.values.host_name = host.and_then(|host| host.split('.').next().map(str::to_ascii_lowercase));
        self.values.time_zone = self.checked(USER_DATA, "timezone", root.get("timezone"), |zone| Ok(zone.to_owned()));
        let users = root.get("users").map_or(&[][..], Node::elements).iter();
        let lists = std::iter::once(root).chain(users).filter_map(|node| node.get("ssh_authorized_keys"));
        let keys: Vec<&Node> = lists.flat_map(Node::elements).take(MAX_SSH_KEYS).collect();
        for key in keys {
            let key = self.checked(USER_DATA, "ssh_authorized_keys", Some(key), check_ssh_key);
            self.values.ssh_keys.extend(key);
        }
    }

    fn read_network(&mut self, root: &Node) {
        let Some(Node::Map(interfaces)) = root.get("wifis") else { return };
        // The key `renderer` beside the interfaces is a text.
        let Some((.., interface)) = interfaces.iter().find(|(.., node)| matches!(node, Node::Map(_))) else { return };
        let Some(Node::Map(points)) = interface.get("access-points") else { return };
        let Some((name, line, point)) = points.first() else { return };
        let network = self.noted(NETWORK_CONFIG, "access-points", *line, check_network(name));
        let password = point.get("password").or_else(|| point.get("auth")?.get("password"));
        let password = self.checked(NETWORK_CONFIG, "password", password, check_password).map(Password);
        let domain = interface.get("regulatory-domain");
        if domain.and_then(Node::text).is_none() {
            let reason = "is missing: choose the country of the Wi-Fi in Imager, or write [wifi] in herdlinx.toml";
            self.mistakes.push((NETWORK_CONFIG, CardMistake::at(*line, CardError::value("regulatory-domain", reason))));
        }
        let country = self.checked(NETWORK_CONFIG, "regulatory-domain", domain, check_country);
        if let (Some(country), Some(network)) = (country, network) {
            self.values.wifi = Some(Wifi { country, network, password });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGPKJ7Ar6oXHCZ8y4DK6Tdeb8jEMpvV3gVvGC1uL0vZQ farm-office";

    /// The form in which Imager 2 writes it.
    fn user_data() -> String {
        format!(
            "#cloud-config\nhostname: North-Barn\nmanage_etc_hosts: true\npackages:\n- avahi-daemon\napt:\n  conf: |\n    \
             Acquire {{\n      Check-Date \"false\";\n    }};\ntimezone: America/Denver\nkeyboard:\n  model: pc105\n  \
             layout: \"us\"\nenable_ssh: true\nusers:\n- name: pi\n  groups: users,adm,sudo\n  shell: /bin/bash\n  \
             lock_passwd: true\n  ssh_authorized_keys:\n    - {KEY}\n  sudo: ALL=(ALL) NOPASSWD:ALL\nssh_pwauth: true\n"
        )
    }

    fn network_config(wrapper: bool) -> String {
        let psk = "0123456789abcdef".repeat(4);
        let text = format!(
            "network:\n  version: 2\n  wifis:\n    renderer: networkd\n    wlan0:\n      dhcp4: true\n      \
             regulatory-domain: \"US\"\n      access-points:\n        \"Barn \\\"2\\\"\":\n          hidden: true\n          \
             password: \"{psk}\"\n      optional: true\n"
        );
        if wrapper { text } else { text.replace("network:\n", "").replace("\n  ", "\n").trim_start().to_owned() }
    }

    /// Catches a form of Imager's files of which a value is no longer found.
    #[test]
    fn the_values_that_imager_writes_are_read() {
        for wrapper in [true, false] {
            let values = read_imager(Some(&user_data()), Some(&network_config(wrapper))).unwrap();
            assert_eq!(values.host_name.as_deref(), Some("north-barn"));
            assert_eq!(values.time_zone.as_deref(), Some("America/Denver"));
            assert_eq!(values.ssh_keys, [KEY]);
            let wifi = values.wifi.unwrap();
            assert_eq!((wifi.country.as_str(), wifi.network.as_str()), ("US", "Barn \"2\""));
            assert_eq!(wifi.password.unwrap().0.len(), 64);
        }
        assert_eq!(read_imager(None, None), Ok(Values::default()));
        assert_eq!(read_imager(Some(""), Some(APPLIED_NOTE)), Ok(Values::default()));
    }

    /// Catches a value of Imager that is taken unchecked, and a mistake without its line.
    #[test]
    fn mistakes_name_the_file_and_the_line() {
        let bad = user_data().replace("AAAAC3", "AAAA").replace("North-Barn", "no name");
        let network = network_config(true).replace("      regulatory-domain: \"US\"\n", "");
        let mistakes = read_imager(Some(&bad), Some(&network)).unwrap_err();
        let shown: Vec<String> = mistakes.iter().map(|(file, mistake)| format!("{file}, {mistake}")).collect();
        assert_eq!(shown.len(), 3, "{shown:?}");
        assert!(shown[0].starts_with("user-data, line 2: the value of `hostname`"), "{shown:?}");
        assert!(shown[1].starts_with("user-data, line 22: the value of `ssh_authorized_keys`"), "{shown:?}");
        assert!(
            shown[2].starts_with("network-config, line 8: the value of `regulatory-domain` is missing"),
            "{shown:?}"
        );
        assert!(read_imager(Some("hostname: [\n"), None).is_err());
    }
}
