//! Boards without hardware: each missing part has its own error, which says what to do.
//!
//! These tests also pass on a machine with SPI devices, because no board has the names used here.

use super::*;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The last device that rppal can open; no Raspberry Pi has it.
const ABSENT_SPI: &str = "/dev/spidev6.15";

fn pins(spi: impl Into<PathBuf>, gpio_chip: impl Into<PathBuf>) -> Pins {
    Pins { spi: spi.into(), spi_hz: 2_000_000, gpio_chip: gpio_chip.into(), reset_line: Some(25), dio0_line: Some(22) }
}

fn connect_error<B: Board>(mut board: B) -> BoardError {
    board.connect().err().expect("the board does not exist")
}

fn lines_error(gpio_chip: impl Into<PathBuf>) -> BoardError {
    lines::take(&pins(ABSENT_SPI, gpio_chip)).expect_err("the board does not exist")
}

fn assert_mentions(error: &BoardError, parts: &[&str]) {
    let text = error.to_string();
    assert!(parts.iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn a_missing_spi_device_is_reported_with_how_to_enable_it() {
    for error in
        [connect_error(Rppal::new(pins(ABSENT_SPI, "/none"))), connect_error(Linux::new(pins(ABSENT_SPI, "/none")))]
    {
        assert!(matches!(&error, BoardError::NoSpi { path } if path == ABSENT_SPI), "{error}");
        assert_mentions(&error, &[ABSENT_SPI, "dtparam=spi=on", "config.txt"]);
    }
}

#[test]
fn a_file_or_a_directory_is_not_an_spi_device() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("spidev0.0");
    std::fs::write(&file, b"not a device").unwrap();
    for path in [file.as_path(), directory.path(), Path::new("/dev/null")] {
        let error = connect_error(Linux::new(pins(path, "/none")));
        assert!(matches!(&error, BoardError::NotSpi { .. }), "{error}");
        assert_mentions(&error, &[path.to_str().unwrap(), "/dev/spidev0.0"]);
        assert!(matches!(connect_error(Rppal::new(pins(path, "/none"))), BoardError::NotSpi { .. }));
    }
    assert_eq!(std::fs::read(&file).unwrap(), b"not a device", "the file is unchanged");
}

#[test]
fn a_device_without_permission_is_reported_with_its_group() {
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let spi = BoardError::of_spi(Path::new("/dev/spidev0.0"), denied());
    assert_mentions(&spi, &["/dev/spidev0.0", "group `spi`", "usermod -aG spi"]);
    let chip = BoardError::of_gpio_chip(Path::new("/dev/gpiochip0"), denied());
    assert_mentions(&chip, &["/dev/gpiochip0", "group `gpio`", "usermod -aG gpio"]);

    // The same through the file system, unless this user may open anything.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("closed");
    std::fs::write(&file, b"").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&file).is_ok() {
        println!("skipped: this user is root and may open any file");
        return;
    }
    let error = connect_error(Linux::new(pins(&file, "/none")));
    assert!(matches!(error, BoardError::NoPermission { group: "spi", .. }), "{error}");
    assert!(matches!(lines_error(&file), BoardError::NoPermission { group: "gpio", .. }));
}

#[test]
fn a_missing_gpio_chip_and_a_file_that_is_not_one_have_different_errors() {
    let directory = tempfile::tempdir().unwrap();
    let absent = directory.path().join("gpiochip0");
    let error = lines_error(&absent);
    assert!(matches!(&error, BoardError::NoGpioChip { .. }), "{error}");
    assert_mentions(&error, &[absent.to_str().unwrap(), "ls /dev/gpiochip*", "`gpio_chip`"]);
    std::fs::write(&absent, b"").unwrap();
    for path in [absent.as_path(), directory.path(), Path::new("/dev/null")] {
        let error = lines_error(path);
        assert!(matches!(&error, BoardError::NotGpioChip { .. }), "{error}");
        assert_mentions(&error, &[path.to_str().unwrap(), "/dev/gpiochip0"]);
    }
}

#[test]
fn other_errors_of_the_system_are_passed_on() {
    let error = BoardError::of_spi(Path::new("/dev/spidev0.0"), io::Error::from_raw_os_error(5));
    assert_mentions(&error, &["opening /dev/spidev0.0 as an SPI device", "Input/output error"]);
    let error = BoardError::of_gpio_chip(Path::new("/dev/gpiochip0"), io::Error::from_raw_os_error(5));
    assert_mentions(&error, &["opening /dev/gpiochip0 as a GPIO chip", "Input/output error"]);
}

#[test]
fn a_line_in_use_and_a_missing_line_are_reported_with_their_number() {
    let (chip, what) = ("/dev/gpiochip0".to_owned(), "DIO0");
    let error = BoardError::LineTaken { what, chip: chip.clone(), line: 22, holder: "`spi0 CS1`".to_owned() };
    assert_mentions(&error, &["line 22 of /dev/gpiochip0", "DIO0", "in use by `spi0 CS1`", "docs/radios.md"]);
    let error = BoardError::NoLine { what, chip, line: 99, lines: 54 };
    assert_mentions(&error, &["line 99 of /dev/gpiochip0", "54 lines"]);
}

#[test]
fn a_gpio_chip_that_is_given_as_a_path_is_taken_as_it_is() {
    for path in ["/dev/gpiochip7", "/nowhere", "/dev/../dev/gpiochip0"] {
        assert_eq!(find_gpio_chip(Path::new(path)).unwrap(), Path::new(path));
    }
}
