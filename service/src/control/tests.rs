//! Claims about the socket and about commands that use it.

use super::direct::ask_or_open_within;
use super::*;
use crate::lifecycle::{Exit, ShutdownTrigger};
use proptest::prelude::*;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::task::{JoinHandle, spawn_blocking};

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum TestRequest {
    Echo { text: String },
    Long,
    Hang,
    Refuse,
}

impl Request for TestRequest {
    type Response = String;
}

fn echo(text: &str) -> TestRequest {
    TestRequest::Echo { text: text.to_owned() }
}

fn test_handler() -> Handler<TestRequest> {
    handler(|request| async move {
        match request {
            TestRequest::Echo { text } => Ok(text),
            TestRequest::Long => Ok("x".repeat(MAX_RESPONSE_BYTES)),
            TestRequest::Hang => std::future::pending().await,
            TestRequest::Refuse => Err(ControlError::new("refused", "no")),
        }
    })
}

struct Process {
    dir: tempfile::TempDir,
    path: PathBuf,
    trigger: ShutdownTrigger,
    serving: JoinHandle<()>,
}

fn start_in(dir: tempfile::TempDir, path: PathBuf) -> Process {
    let trigger = ShutdownTrigger::default();
    let serving = tokio::spawn(listen(&path, test_handler(), trigger.signal()).unwrap());
    Process { dir, path, trigger, serving }
}

fn start() -> Process {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    start_in(dir, path)
}

async fn send(path: &Path, request: TestRequest) -> Result<String, AskError> {
    let path = path.to_owned();
    spawn_blocking(move || ask(&path, &request)).await.unwrap()
}

async fn send_raw(path: &Path, bytes: Vec<u8>) -> Option<Result<String, ControlError>> {
    let path = path.to_owned();
    spawn_blocking(move || {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut response = Vec::new();
        stream.read_to_end(&mut response).unwrap();
        decode_response(&response)
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_request_gets_its_response_or_the_reason_why_not() {
    let process = start();
    assert_eq!(send(&process.path, echo("moo\n")).await.unwrap(), "moo\n");
    let refused = send(&process.path, TestRequest::Refuse).await;
    assert!(matches!(&refused, Err(AskError::Refused(error)) if error.code == "refused"), "{refused:?}");
    let long = send(&process.path, TestRequest::Long).await;
    assert!(matches!(&long, Err(AskError::Refused(error)) if error.code == "response_too_long"), "{long:?}");
}

#[tokio::test]
async fn only_the_owner_can_open_the_socket_and_the_shutdown_removes_it() {
    let process = start();
    let mode = std::fs::metadata(&process.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    process.trigger.request();
    process.serving.await.unwrap();
    assert_eq!(std::fs::read_dir(process.dir.path()).unwrap().count(), 0);
    assert!(matches!(send(&process.path, echo("")).await, Err(AskError::NotRunning { .. })));
}

#[tokio::test]
async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(matches!(send(&path, echo("")).await, Err(AskError::NotRunning { .. })));
    let process = start_in(dir, path);
    send(&process.path, echo("")).await.unwrap();
    let second = listen(&process.path, test_handler(), process.trigger.signal());
    assert!(matches!(second.map(drop), Err(ListenError::Taken { .. })));
    send(&process.path, echo("")).await.unwrap();
}

/// Catches a process that takes the socket of its successor with it.
#[tokio::test]
async fn a_process_that_ends_leaves_the_socket_of_another_one_alone() {
    let first = start();
    std::fs::remove_file(&first.path).unwrap();
    let second = start_in(first.dir, first.path);
    first.trigger.request();
    first.serving.await.unwrap();
    send(&second.path, echo("")).await.unwrap();
}

/// Catches a listener whose user is made up.
#[tokio::test]
async fn the_user_of_a_listener_is_that_of_its_process_and_none_without_one() {
    let process = start();
    assert_eq!(listening_user(&process.path), Some(rustix::process::geteuid().as_raw()));
    assert_eq!(listening_user(&process.dir.path().join("none")), None);
}

/// Catches a reason of the operating system that another one hides.
#[tokio::test]
async fn a_directory_beside_the_socket_is_named_as_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(format!("control.{}.new", std::process::id()))).unwrap();
    let refused = listen(&dir.path().join(SOCKET_NAME), test_handler(), ShutdownTrigger::default().signal()).map(drop);
    let Err(ListenError::Io { source, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::IsADirectory);
}

#[tokio::test]
async fn a_file_in_place_of_the_socket_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    std::fs::write(&path, "mine").unwrap();
    let shutdown = ShutdownTrigger::default().signal();
    assert!(matches!(listen(&path, test_handler(), shutdown).map(drop), Err(ListenError::NotASocket { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn a_path_that_is_too_long_for_the_kernel_works_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    let process = start_in(dir, deep.join(SOCKET_NAME));
    assert_eq!(send(&process.path, echo("moo")).await.unwrap(), "moo");
}

/// Catches an error that repeats a pairing line, which holds a key, in a log.
#[tokio::test]
async fn a_malformed_request_is_refused_and_not_quoted() {
    let process = start();
    for bytes in [
        &b"\n"[..],
        b"not json\n",
        b"[]\n",
        b"{\"fly\":{\"line\":\"SECRET\"}}\n",
        b"{\"echo\":{\"text\":\"SECRET\",\"more\":1}}\n",
        b"{\"echo\":{\"text\":7}}\n",
        b"{\"echo\":{\"text\":\"\"}}",
        b"\xff\xfe\n",
    ] {
        let response = send_raw(&process.path, bytes.to_vec()).await;
        assert!(
            matches!(&response, Some(Err(error)) if error.code == "bad_request" && !error.message.contains("SECRET")),
            "{bytes:?}: {response:?}"
        );
    }
    for (line, reason) in [(&b"{\n"[..], "not JSON"), (b"\"fly\"\n", "another version"), (b"\"hang\"", "one line of")] {
        let error = decode_request::<TestRequest>(line).unwrap_err();
        assert!(error.message.contains(reason), "{error}");
    }
    assert_eq!(send_raw(&process.path, Vec::new()).await, None, "a probe is answered");
}

/// Catches a request or a response that is cut, or refused although it fits.
#[tokio::test]
async fn a_request_of_64_kib_and_a_response_of_1_mib_are_the_longest() {
    let process = start();
    let of_bytes = |bytes: usize| echo(&"x".repeat(bytes - "{\"echo\":{\"text\":\"\"}}\n".len()));
    assert!(send(&process.path, of_bytes(65_536)).await.is_ok());
    assert!(matches!(send(&process.path, of_bytes(65_537)).await, Err(AskError::TooLong)));

    let text_of = |bytes: usize| "x".repeat(bytes - "{\"ok\":\"\"}\n".len());
    let longest = encode_response(Ok(text_of(1_048_576)));
    assert_eq!((longest.len(), decode_response(longest.as_bytes())), (1_048_576, Some(Ok(text_of(1_048_576)))));
    let cut = decode_response::<String>(encode_response(Ok(text_of(1_048_577))).as_bytes());
    assert!(matches!(&cut, Some(Err(error)) if error.code == "response_too_long"), "{cut:?}");
    let listener = std::os::unix::net::UnixListener::bind(process.dir.path().join("longest")).unwrap();
    let answering = spawn_blocking(move || listener.accept().unwrap().0.write_all(longest.as_bytes()));
    assert_eq!(send(&process.dir.path().join("longest"), echo("")).await.unwrap(), text_of(1_048_576));
    answering.await.unwrap().unwrap();
}

/// Catches a script that takes a stuck process, or one of another version, for one that does not run.
#[tokio::test]
async fn a_silent_or_foreign_process_has_the_exit_code_of_no_peer() {
    for (answer, is_silent) in [("", true), ("hello\n", false), ("{\"ok\":7}\n", false)] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(SOCKET_NAME);
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let answering = spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut String::new()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let error = send(&path, echo("")).await.unwrap_err();
        let found = matches!(error, AskError::NoResponse { .. } if is_silent)
            || matches!(error, AskError::Unreadable { .. } if !is_silent);
        assert!(found && Exit::from(&error) == Exit::NoPeer, "{answer}: {error}");
        answering.await.unwrap();
    }
    assert_eq!(Exit::from(&AskError::Refused(ControlError::failed("no"))), Exit::Refused);
}

/// Catches an order that is called refused although the process carries it out later, and one in doubt that is not called so.
#[tokio::test]
async fn an_answer_that_is_not_ready_in_time_leaves_the_order_in_doubt() {
    for (code, is_late, is_in_doubt) in
        [("timed_out", true, true), ("failed", false, true), ("not_found", false, false)]
    {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let answer = encode_response::<String>(Err(ControlError::new(code, "no response was ready within 5 s")));
        let answering = spawn_blocking(move || {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(&stream), &mut String::new()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let open = || panic!("the process is there");
        let error = spawn_blocking(move || ask_or_open(&path, &echo(""), open)).await.unwrap().unwrap_err();
        let found = (matches!(error, CommandError::Ask(AskError::Late { .. })), error.is_in_doubt());
        assert_eq!(found, (is_late, is_in_doubt), "{error}");
        let exit = if is_late { Exit::NoPeer } else { Exit::Refused };
        assert_eq!(Exit::from(&error), exit);
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn silent_connections_do_not_lock_others_out_for_ever() {
    let process = start();
    let silent: Vec<_> = (0..MAX_CONNECTIONS).map(|_| UnixStream::connect(&process.path).unwrap()).collect();
    // All places are taken. Each is given up after its timeout, and this request gets one.
    send(&process.path, echo("")).await.unwrap();
    drop(silent);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_never_comes_times_out() {
    let result = super::server::respond(b"\"hang\"\n", &test_handler()).await;
    assert_eq!(result.unwrap_err().code, "timed_out");
}

#[tokio::test]
async fn the_files_are_used_only_if_no_process_runs() {
    let process = start();
    let path = process.path.clone();
    let open = || Ok("files".to_owned());
    let socket = path.clone();
    let first = spawn_blocking(move || ask_or_open(&socket, &echo("process"), open)).await.unwrap().unwrap();
    assert_eq!(first, "process");
    process.trigger.request();
    process.serving.await.unwrap();
    assert_eq!(ask_or_open(&path, &echo("process"), open).unwrap(), "files");
}

#[tokio::test]
async fn a_process_that_is_starting_is_asked_as_soon_as_it_listens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    let trigger = ShutdownTrigger::default();
    let shutdown = trigger.signal();
    let runtime = tokio::runtime::Handle::current();
    let response = spawn_blocking(move || {
        ask_or_open(&path, &echo("process"), || {
            // The process has locked its files and listens from now on.
            let _entered = runtime.enter();
            runtime.spawn(listen(&path, test_handler(), shutdown.clone()).unwrap());
            Err(DirectError::Locked)
        })
    });
    assert_eq!(response.await.unwrap().unwrap(), "process");
}

#[test]
fn locked_files_are_tried_again_until_the_timeout() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SOCKET_NAME);
    let mut tries = 0;
    let result = ask_or_open(&path, &echo(""), || {
        tries += 1;
        if tries < 3 { Err(DirectError::Locked) } else { Ok(String::new()) }
    });
    assert!(result.is_ok() && tries == 3);
    let never = ask_or_open_within(Duration::ZERO, &path, &echo(""), || Err(DirectError::Locked));
    assert!(matches!(never, Err(CommandError::Locked)));
}

proptest! {
    #[test]
    fn no_line_makes_either_side_panic(line in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        for line in [line.as_slice(), text.as_bytes()] {
            let _ = (decode_request::<TestRequest>(line).is_ok(), decode_response::<String>(line).is_some());
        }
    }

    #[test]
    fn a_response_reads_back_as_it_was_sent(code in "[a-n]{1,8}", text in "\\PC{0,80}", refused in any::<bool>()) {
        let result = if refused { Err(ControlError::new(code, text)) } else { Ok(text) };
        let line = encode_response(result.clone());
        prop_assert_eq!(line.matches('\n').count(), 1);
        prop_assert_eq!(decode_response(line.as_bytes()), Some(result));
    }
}
