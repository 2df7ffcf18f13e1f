use super::*;

#[test]
fn malformed_settings_are_refused_before_a_process_starts() {
    let directory = tempfile::tempdir().unwrap();
    let programs = Programs::Own("/nowhere".into());
    let settings = BarnSettings { radios: "[[radio]".into(), ..BarnSettings::default() };
    assert!(Barn::new(&programs, directory.path(), &settings).is_err());
}

#[tokio::test]
async fn the_error_names_a_missing_executable_and_its_process() {
    let directory = tempfile::tempdir().unwrap();
    let mut barn = Barn::new(&Programs::Own("/nowhere".into()), directory.path(), &BarnSettings::default()).unwrap();
    let error = barn.start().await.unwrap_err().to_string();
    assert!(error.contains("/nowhere") && error.contains("barn"), "{error}");
    assert!(matches!(barn.terminate().await, Err(ProcessError::NotRunning("barn"))));
}
