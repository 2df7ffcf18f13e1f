//! What holds for boards where there is no hardware: each thing that is missing has its own error, which says what to do.
//!
//! A machine with SPI devices of its own passes these too: the names used here are those that no board has.

use super::*;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The last device that rppal can name; no Raspberry Pi has it.
const ABSENT_SPI: &str = "/dev/spidev6.15";

fn pins(spi: impl Into<PathBuf>, gpio_chip: impl Into<PathBuf>) -> Pins {
    Pins { spi: spi.into(), spi_hz: 2_000_000, gpio_chip: gpio_chip.into(), reset_line: 25, dio0_line: 22 }
}

fn refusal<B: Board>(mut board: B) -> BoardError {
    board.connect().err().expect("nothing of it is there")
}

fn lines_refusal(gpio_chip: impl Into<PathBuf>) -> BoardError {
    lines::take(&pins(ABSENT_SPI, gpio_chip)).expect_err("nothing of it is there")
}

fn says(error: &BoardError, parts: &[&str]) {
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn no_spi_device_is_told_with_how_to_enable_it() {
    for error in [refusal(Rppal::new(pins(ABSENT_SPI, "/none"))), refusal(Linux::new(pins(ABSENT_SPI, "/none")))] {
        assert!(matches!(&error, BoardError::NoSpi { path } if path == ABSENT_SPI), "{error}");
        says(&error, &[ABSENT_SPI, "dtparam=spi=on", "config.txt"]);
    }
}

#[test]
fn a_file_or_a_directory_is_no_spi_device() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spidev0.0");
    std::fs::write(&file, b"not a device").unwrap();
    for path in [file.as_path(), directory.path(), Path::new("/dev/null")] {
        let error = refusal(Linux::new(pins(path, "/none")));
        assert!(matches!(&error, BoardError::NotSpi { .. }), "{error}");
        says(&error, &[path.to_str().unwrap(), "/dev/spidev0.0"]);
        assert!(matches!(refusal(Rppal::new(pins(path, "/none"))), BoardError::NotSpi { .. }));
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"not a device", "it was only looked at");
}

#[test]
fn a_device_that_may_not_be_opened_is_told_with_its_group() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let spi = BoardError::of_spi(Path::new("/dev/spidev0.0"), denied());
    says(&spi, &["/dev/spidev0.0", "group `spi`", "usermod -aG spi"]);
    let chip = BoardError::of_gpio_chip(Path::new("/dev/gpiochip0"), denied());
    says(&chip, &["/dev/gpiochip0", "group `gpio`", "usermod -aG gpio"]);

    // And through the real way, where this user is one who can be denied something.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("closed");
    std::fs::write(&file, b"").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        println!("this user may open anything (root): that a closed file is refused was not tried on the system");
        return;
    }
    let error = refusal(Linux::new(pins(&file, "/none")));
    assert!(matches!(error, BoardError::NoPermission { group: "spi", .. }), "{error}");
    assert!(matches!(lines_refusal(&file), BoardError::NoPermission { group: "gpio", .. }));
}

#[test]
fn no_gpio_chip_and_no_chip_at_all_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("gpiochip0");
    let error = lines_refusal(&absent);
    assert!(matches!(&error, BoardError::NoGpioChip { .. }), "{error}");
    says(&error, &[absent.to_str().unwrap(), "ls /dev/gpiochip*", "`gpio_chip`"]);
    std::fs::write(&absent, b"").unwrap();
    for path in [absent.as_path(), directory.path(), Path::new("/dev/null")] {
        let error = lines_refusal(path);
        assert!(matches!(&error, BoardError::NotGpioChip { .. }), "{error}");
        says(&error, &[path.to_str().unwrap(), "/dev/gpiochip0"]);
    }
}

#[test]
fn what_the_system_says_beyond_that_is_passed_on() {
    let error = BoardError::of_spi(Path::new("/dev/spidev0.0"), io::Error::from_raw_os_error(5));
    says(&error, &["opening /dev/spidev0.0 as an SPI device", "Input/output error"]);
    let error = BoardError::of_gpio_chip(Path::new("/dev/gpiochip0"), io::Error::from_raw_os_error(5));
    says(&error, &["opening /dev/gpiochip0 as a GPIO chip", "Input/output error"]);
}

#[test]
fn a_line_that_is_taken_or_is_not_there_is_told_with_its_number() {
    let (chip, what) = ("/dev/gpiochip0".to_owned(), "DIO0");
    let error = BoardError::LineTaken { what, chip: chip.clone(), line: 22, holder: "`spi0 CS1`".to_owned() };
    says(&error, &["line 22 of /dev/gpiochip0", "DIO0", "held by `spi0 CS1`", "docs/radios.md"]);
    let error = BoardError::NoLine { what, chip, line: 99, lines: 54 };
    says(&error, &["line 99 of /dev/gpiochip0", "54 lines"]);
}
