//! What holds for the task, over lines made of memory. Time is paused.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinSet;

use super::super::framing::Framing;
use super::super::framing::encode_cobs;
use super::*;
use crate::RadioCounters;

const PATH: &str = "/dev/ttyUSB0";
/// More than any wait of the task.
const LONG: Duration = Duration::from_secs(60);

/// What opening gives, in turn; when it is used up, the port is missing.
#[derive(Debug, Default, Clone)]
struct Lines(Arc<Mutex<VecDeque<Opening>>>, Arc<Mutex<Vec<Instant>>>);

#[derive(Debug)]
enum Opening {
    Open(Line),
    Missing,
    After(Duration, Line),
}

/// An end of a line, which may fail.
#[derive(Debug)]
enum Line {
    Good(DuplexStream),
    Failing,
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Good(line) => Pin::new(line).poll_read(context, bytes),
            Self::Failing => {
                Poll::Ready(Err(io::Error::other("device reports readiness to read but returned no data")))
            }
        }
    }
}

impl Opens for Lines {
    type Port = Line;

    async fn open(&mut self) -> Result<Line, PortError> {
        self.1.lock().unwrap().push(Instant::now());
        let next = self.0.lock().unwrap().pop_front();
        match next {
            Some(Opening::Open(line)) => Ok(line),
            Some(Opening::After(time, line)) => {
                sleep(time).await;
                Ok(line)
            }
            Some(Opening::Missing) | None => Err(PortError::Missing { path: PATH.to_owned() }),
        }
    }

    fn path(&self) -> &str {
        PATH
    }
}

/// A task over such lines, and what it gives.
struct Bench {
    lines: Lines,
    packets: mpsc::Receiver<Packet>,
    counters: Counters,
    health: watch::Receiver<Health>,
    task: JoinSet<()>,
}

impl Bench {
    fn new(framing: Framing, openings: impl IntoIterator<Item = Opening>) -> Self {
        let lines = Lines(Arc::new(Mutex::new(openings.into_iter().collect())), Arc::default());
        let (sender, packets) = mpsc::channel(2);
        let (counters, decoder) = (Counters::default(), Decoder::new(framing, false));
        let listener = Listener::new(lines.clone(), decoder, sender, counters.clone());
        let (health, mut task) = (listener.health(), JoinSet::new());
        task.spawn(listener.run());
        Self { lines, packets, counters, health, task }
    }

    async fn payload(&mut self) -> Vec<u8> {
        timeout(LONG, self.packets.recv()).await.expect("a packet was to come").unwrap().bytes
    }

    async fn is(&mut self, health: impl Fn(&Health) -> bool) -> Health {
        timeout(LONG, self.health.wait_for(health)).await.expect("the health was to change").unwrap().clone()
    }

    fn counted(&self) -> RadioCounters {
        self.counters.read()
    }
}

/// Two ends of a line. What is written to the first is read from the second.
fn line() -> (DuplexStream, Opening) {
    let (far, near) = duplex(16);
    (far, Opening::Open(Line::Good(near)))
}

fn fails_with(text: &str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Failing(said) if said.contains(text))
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_missing_is_said_and_tried_again_at_growing_times() {
    let (mut far, opening) = line();
    let openings = (0..7).map(|_| Opening::Missing).chain([opening]);
    let mut bench = Bench::new(Framing::Line, openings);
    assert!(fails_with("has not been opened yet")(&bench.health.borrow()));
    bench.is(fails_with("/dev/serial/by-id")).await;
    bench.is(|health| *health == Health::Listening).await;
    far.write_all(b"hxb:A:B:C\r\n").await.unwrap();
    assert_eq!(bench.payload().await, b"hxb:A:B:C");
    let tried = bench.lines.1.lock().unwrap().clone();
    let pauses_ms: Vec<_> = tried.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses_ms, [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    assert_eq!(bench.counted().rebuilt, 0, "it had never been open");
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_lost_is_opened_again_and_costs_the_frame_that_was_cut() {
    let ((mut first, first_opening), (mut second, second_opening)) = (line(), line());
    let failing = Opening::Open(Line::Failing);
    let mut bench = Bench::new(Framing::Line, [first_opening, failing, second_opening]);
    first.write_all(b"first\r\nhalf a li").await.unwrap();
    assert_eq!(bench.payload().await, b"first");
    drop(first);
    let Health::Failing(unplugged) = bench.is(fails_with("unplugged")).await else { unreachable!() };
    assert!(unplugged.starts_with(PATH), "{unplugged}");
    bench.is(fails_with("device reports readiness")).await;
    second.write_all(b"second\r\n").await.unwrap();
    assert_eq!(bench.payload().await, b"second");
    assert_eq!(*bench.health.borrow(), Health::Listening);
    assert_eq!(bench.counted(), RadioCounters { malformed: 1, rebuilt: 2, ..RadioCounters::default() });
}

#[tokio::test(start_paused = true)]
async fn a_port_that_opens_and_dies_at_once_is_tried_ever_more_slowly_until_it_is_alive() {
    let dead = || Opening::Open(Line::Failing);
    let (mut far, alive) = line();
    let mut bench = Bench::new(Framing::Line, [dead(), dead(), dead(), alive]);
    far.write_all(b"alive\n").await.unwrap();
    assert_eq!(bench.payload().await, b"alive");
    drop(far);
    bench.is(fails_with("not there")).await;
    let tried = bench.lines.1.lock().unwrap().clone();
    let pauses_ms: Vec<_> = tried.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
    assert_eq!(pauses_ms, [250, 500, 1_000, 250]);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_does_not_answer_is_said_and_heard_when_it_does() {
    let (mut far, Opening::Open(near)) = line() else { unreachable!() };
    let mut bench = Bench::new(Framing::Line, [Opening::After(OPENING * 2, near)]);
    bench.is(fails_with("does not answer")).await;
    far.write_all(b"late\n").await.unwrap();
    assert_eq!(bench.payload().await, b"late");
    assert_eq!(bench.lines.1.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silence_keeps_half_a_frame_from_the_next_one() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Line, [opening]);
    far.write_all(b"hxb:A").await.unwrap();
    sleep(SILENCE + Duration::from_millis(1)).await;
    far.write_all(b"hxb:D:E:F\n").await.unwrap();
    assert_eq!(bench.payload().await, b"hxb:D:E:F");
    assert_eq!(bench.counted().malformed, 1);
}

#[tokio::test(start_paused = true)]
async fn pauses_within_a_frame_shorter_than_a_silence_keep_it_whole() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Line, [opening]);
    for byte in b"hxb:A:B:C\n" {
        sleep(SILENCE.mul_f64(0.999)).await;
        far.write_all(&[*byte]).await.unwrap();
    }
    assert_eq!(bench.payload().await, b"hxb:A:B:C");
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_busy_for_a_minute_is_no_silence_on_the_line() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Line, [opening]);
    // Two wait, the third waits to be handed on, and half of the fourth is in the decoder.
    let writing = tokio::spawn(async move { far.write_all(b"1\n2\n3\nhalf and half\n5\n").await.map(|()| far) });
    sleep(LONG).await;
    for payload in [b"1".as_slice(), b"2", b"3", b"half and half", b"5"] {
        assert_eq!(bench.payload().await, payload);
    }
    writing.await.unwrap().unwrap();
    assert_eq!(bench.counted().malformed, 0);
}

#[tokio::test(start_paused = true)]
async fn a_packet_is_of_the_time_of_its_last_byte() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Line, [opening]);
    far.write_all(b"12").await.unwrap();
    sleep(Duration::from_millis(700)).await;
    let ended_at = Instant::now();
    far.write_all(b"3\n").await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.packets.recv().await.unwrap().received_at, ended_at);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_crc_and_other_damage_are_counted_apart() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Cobs, [opening]);
    let mut bad = encode_cobs(b"damaged");
    bad[4] ^= 1;
    far.write_all(&bad).await.unwrap();
    far.write_all(b"\x05ab\x00").await.unwrap();
    far.write_all(&encode_cobs(b"good")).await.unwrap();
    assert_eq!(bench.payload().await, b"good");
    assert_eq!(bench.counted(), RadioCounters { crc_errors: 1, malformed: 1, ..RadioCounters::default() });
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_nobody_receives() {
    let (mut far, opening) = line();
    let mut bench = Bench::new(Framing::Line, [opening]);
    bench.packets.close();
    far.write_all(b"unheard\n").await.unwrap();
    timeout(LONG, bench.task.join_next()).await.unwrap().unwrap().unwrap();
}
