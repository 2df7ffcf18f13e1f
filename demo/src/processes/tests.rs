use super::*;
use std::net::{Ipv4Addr, TcpListener};

#[test]
fn a_preferred_port_is_given_unless_somebody_listens_there() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    assert_ne!(free_port_or(port).unwrap(), port);
    assert_ne!(free_port_or(port).unwrap(), 0);
}

#[test]
fn settings_that_do_not_read_are_refused_before_anything_starts() {
    let directory = tempfile::tempdir().unwrap();
    let programs = Programs::Own("/nowhere".into());
    let settings = BarnSettings { radios: "[[radio]".into(), ..BarnSettings::default() };
    assert!(Barn::new(&programs, directory.path(), &settings).is_err());
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&Programs::Own("/nowhere".into()), directory.path(), &BarnSettings::default()).unwrap();
    let error = barn.start().await.unwrap_err().to_string();
    assert!(error.contains("/nowhere") && error.contains("barn"), "{error}");
    assert!(matches!(barn.terminate().await, Err(ProcessError::NotRunning("barn"))));
}
