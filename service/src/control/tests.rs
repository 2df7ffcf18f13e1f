use super::direct::or_direct_within;
use super::*;
use crate::lifecycle::ShutdownTrigger;
use proptest::prelude::*;
use serde_json::json;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::task::{JoinHandle, spawn_blocking};

fn echo() -> Answerer {
    answerer(|request| async move {
        match request["command"].as_str() {
            Some("echo") => Ok(Answer::from_iter([("said".to_owned(), request["say"].clone())])),
            Some("long") => Ok(Answer::from_iter([("said".to_owned(), "x".repeat(MAX_ANSWER_BYTES).into())])),
            Some("hang") => std::future::pending().await,
            _ => Err(ControlError::unknown_command(&request)),
        }
    })
}

struct Process {
    dir: tempfile::TempDir,
    path: PathBuf,
    stop: ShutdownTrigger,
    serving: JoinHandle<()>,
}

fn start_in(dir: tempfile::TempDir, path: PathBuf) -> Process {
    let stop = ShutdownTrigger::default();
    let stopping = stop.signal();
    let serving = tokio::spawn(listen(&path, echo(), stopping).unwrap());
    Process { dir, path, stop, serving }
}

fn start() -> Process {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    start_in(dir, path)
}

async fn asked(path: &Path, request: Value) -> Result<Answer, AskError> {
    let path = path.to_owned();
    spawn_blocking(move || ask(&path, &request)).await.unwrap()
}

async fn said_raw(path: &Path, bytes: Vec<u8>) -> Option<Result<Answer, ControlError>> {
    let path = path.to_owned();
    spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        read_answer(&answer)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_request_is_answered_and_an_unknown_one_refused() {
    let process = start();
    let answer = asked(&process.path, json!({"command": "echo", "say": "moo\n"})).await.unwrap();
    assert_eq!(answer["said"], "moo\n");
    let refused = asked(&process.path, json!({"command": "fly"})).await;
    assert!(matches!(&refused, Err(AskError::Refused(why)) if why.error == "unknown_command"), "{refused:?}");
    let long = asked(&process.path, json!({"command": "long"})).await;
    assert!(matches!(&long, Err(AskError::Refused(why)) if why.error == "answer_too_long"), "{long:?}");
}

#[tokio::test]
async fn only_the_owner_can_speak_to_the_socket_and_it_is_gone_after_a_stop() {
    let process = start();
    let mode = std::fs::metadata(&process.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    process.stop.request();
    process.serving.await.unwrap();
    assert_eq!(std::fs::read_dir(process.dir.path()).unwrap().count(), 0);
    assert!(matches!(asked(&process.path, json!({"command": "echo"})).await, Err(AskError::NobodyHome { .. })));
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_an_answered_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(asked(&path, json!({"command": "echo"})).await, Err(AskError::NobodyHome { .. })));
    let process = start_in(dir, path);
    asked(&process.path, json!({"command": "echo"})).await.unwrap();
    let second = listen(&process.path, echo(), process.stop.signal());
    assert!(matches!(second.map(drop), Err(ListenError::Taken { .. })));
    asked(&process.path, json!({"command": "echo"})).await.unwrap();
}

#[tokio::test]
async fn a_file_in_the_sockets_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    std::fs::write(&path, "mine").unwrap();
    let trigger = ShutdownTrigger::default();
    let stopping = trigger.signal();
    assert!(matches!(listen(&path, echo(), stopping).map(drop), Err(ListenError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn a_path_longer_than_the_kernel_takes_works_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    let path = deep.join(SOCKET_NAME);
    let process = start_in(dir, path);
    assert_eq!(asked(&process.path, json!({"command": "echo", "say": 1})).await.unwrap()["said"], 1);
}

#[tokio::test]
async fn what_is_no_request_is_refused_with_the_reason() {
    let process = start();
    for bytes in [&b"\n"[..], b"no json\n", b"[]\n", b"{\"command\":5}\n", b"{\"command\":\"echo\"}", b"\xff\xfe\n"] {
        let answer = said_raw(&process.path, bytes.to_vec()).await;
        assert!(matches!(&answer, Some(Err(why)) if why.error == "bad_request"), "{bytes:?}: {answer:?}");
    }
    let over = format!("{{\"command\":\"{}\"}}\n", "x".repeat(MAX_REQUEST_BYTES));
    assert!(matches!(asked(&process.path, json!({"command": over})).await, Err(AskError::TooLong)));
}

#[tokio::test]
async fn connections_that_hang_do_not_keep_others_out_for_ever() {
    let process = start();
    let hanging: Vec<_> = (0..MAX_CONNECTIONS).map(|_| UnixStream::connect(&process.path).unwrap()).collect();
    // Every place is taken by one that says nothing; each is given up after its time-out, so this one gets its turn.
    asked(&process.path, json!({"command": "echo"})).await.unwrap();
    drop(hanging);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_never_found_is_given_up() {
    let result = super::server::find(b"{\"command\":\"hang\"}\n", &echo()).await;
    assert_eq!(result.unwrap_err().error, "timed_out");
}

#[tokio::test]
async fn a_command_asks_the_process_and_only_without_it_the_files() {
    let process = start();
    let path = process.path.clone();
    let request = json!({"command": "echo", "say": "process"});
    let from_files = || Ok(Answer::from_iter([("said".to_owned(), "files".into())]));
    let (asked_path, asked_request) = (path.clone(), request.clone());
    let first = spawn_blocking(move || or_direct(&asked_path, &asked_request, from_files)).await.unwrap().unwrap();
    assert_eq!(first["said"], "process");
    process.stop.request();
    process.serving.await.unwrap();
    assert_eq!(or_direct(&path, &request, from_files).unwrap()["said"], "files");
}

#[tokio::test]
async fn a_process_that_is_just_starting_is_asked_as_soon_as_it_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    let trigger = ShutdownTrigger::default();
    let stopping = trigger.signal();
    let runtime = tokio::runtime::Handle::current();
    let answer = spawn_blocking(move || {
        or_direct(&path, &json!({"command": "echo", "say": "process"}), || {
            // It has locked its files, and only now comes to listen.
            let _entered = runtime.enter();
            runtime.spawn(listen(&path, echo(), stopping.clone()).unwrap());
            Err(DirectError::Locked)
        })
    });
    assert_eq!(answer.await.unwrap().unwrap()["said"], "process");
}

#[test]
fn locked_files_are_tried_again_and_at_last_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (path, request) = (dir.path().join(SOCKET_NAME), json!({"command": "x"}));
    let mut tries = 0;
    let result = or_direct(&path, &request, || {
        tries += 1;
        if tries < 3 { Err(DirectError::Locked) } else { Ok(Answer::new()) }
    });
    assert!(result.is_ok() && tries == 3);
    let never = or_direct_within(Duration::ZERO, &path, &request, || Err(DirectError::Locked));
    assert!(matches!(never, Err(CommandError::Locked)));
}

proptest! {
    #[test]
    fn no_line_makes_either_side_panic(line in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = (read_request(&line), read_answer(&line));
        let _ = (read_request(text.as_bytes()), read_answer(text.as_bytes()));
    }

    #[test]
    fn what_one_side_says_the_other_reads(key in "[a-n]{1,8}", value in "\\PC{0,80}", refused in any::<bool>()) {
        let result = if refused {
            Err(ControlError::new(key, value))
        } else {
            Ok(Answer::from_iter([(key, value.into())]))
        };
        let line = answer_line(result.clone());
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(read_answer(line.as_bytes()), Some(result));
    }
}
