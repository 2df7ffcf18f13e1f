//! GPIO chips by their labels.

use crate::board::BoardError;
use std::path::PathBuf;

/// Name for the GPIO chip of a Raspberry Pi's header, which is found by its label.
pub const HEADER_CHIP: &str = "header";
/// Labels of that chip: on a Pi 5, on a Pi 4, and on the older ones.
///
/// Its number is no name for it. On a Pi 5 it was `gpiochip4` up to kernel 6.6.45, is `gpiochip0` since, and the numbers
/// that it left belong to chips inside the board (raspberrypi/linux, pull request 6144).
const HEADER_LABELS: [&str; 3] = ["pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"];
/// The chip that is taken for the header's if none has one of these labels, as on other boards.
const FIRST_CHIP: &str = "/dev/gpiochip0";

/// Chooses among chips, each with its path and label.
pub(super) fn choose(wanted: &str, chips: &[(PathBuf, String)]) -> Result<PathBuf, BoardError> {
    let with_label = |label: &str| chips.iter().find(|(_, found)| found == label).map(|(path, _)| path.clone());
    if wanted == HEADER_CHIP {
        return Ok(HEADER_LABELS.into_iter().find_map(with_label).unwrap_or_else(|| FIRST_CHIP.into()));
    }
    with_label(wanted).ok_or_else(|| {
        let known = chips.iter().map(|(path, label)| format!("{label} ({})", path.display())).collect::<Vec<_>>();
        let known = if known.is_empty() { "none that can be opened".to_owned() } else { known.join(", ") };
        BoardError::NoGpioLabel { label: wanted.to_owned(), known }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn chips(found: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
        found.iter().map(|(path, label)| (PathBuf::from(path), (*label).to_owned())).collect()
    }

    /// Catches the lines of a chip inside the board being taken for those of the header.
    #[test]
    fn the_chip_of_the_header_is_found_on_every_raspberry_pi() {
        let pi_5_before = chips(&[
            ("/dev/gpiochip0", "gpio-brcmstb@107d508500"),
            ("/dev/gpiochip1", "gpio-brcmstb@107d508520"),
            ("/dev/gpiochip4", "pinctrl-rp1"),
        ]);
        let pi_5_since = chips(&[("/dev/gpiochip0", "pinctrl-rp1"), ("/dev/gpiochip10", "gpio-brcmstb@107d508500")]);
        let pi_4 = chips(&[("/dev/gpiochip0", "pinctrl-bcm2711"), ("/dev/gpiochip1", "raspberrypi-exp-gpio")]);
        let pi_3 = chips(&[("/dev/gpiochip0", "pinctrl-bcm2835"), ("/dev/gpiochip1", "raspberrypi-exp-gpio")]);
        for (found, path) in [
            (pi_5_before, "/dev/gpiochip4"),
            (pi_5_since, "/dev/gpiochip0"),
            (pi_4, "/dev/gpiochip0"),
            (pi_3, "/dev/gpiochip0"),
            (chips(&[("/dev/gpiochip1", "1c20800.pinctrl")]), "/dev/gpiochip0"),
            (Vec::new(), "/dev/gpiochip0"),
        ] {
            assert_eq!(choose(HEADER_CHIP, &found).unwrap(), Path::new(path), "{found:?}");
        }
    }

    #[test]
    fn a_label_names_its_chip_and_an_unknown_one_is_refused_with_the_known_ones() {
        let found = chips(&[("/dev/gpiochip0", "pinctrl-rp1"), ("/dev/gpiochip1", "1c20800.pinctrl")]);
        assert_eq!(choose("1c20800.pinctrl", &found).unwrap(), Path::new("/dev/gpiochip1"));
        let refused = choose("pinctrl-bcm2711", &found).unwrap_err().to_string();
        assert!(refused.contains("`pinctrl-bcm2711`") && refused.contains("pinctrl-rp1 (/dev/gpiochip0)"), "{refused}");
        assert!(choose("any", &[]).unwrap_err().to_string().contains("none that can be opened"));
    }

    /// Catches a file that is offered as a chip by its name alone.
    #[test]
    fn what_only_has_the_name_of_a_chip_is_not_listed() {
        let devices = tempfile::tempdir().unwrap();
        std::fs::write(devices.path().join("gpiochip0"), "").unwrap();
        assert_eq!(super::super::labeled_chips(devices.path()), []);
        assert_eq!(super::super::labeled_chips(&devices.path().join("none")), []);
    }
}
