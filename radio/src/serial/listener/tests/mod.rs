//! Tests of the listener task on lines in memory. Time is paused.

use super::*;
use crate::RadioCounters;
use crate::serial::framing::{Framing, encode_cobs};
use full_queue::LossyBuffer;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::task::JoinSet;

mod full_queue;
mod modem;

const PATH: &str = "/dev/ttyUSB0";
/// Longer than any wait of the task.
const LONG: Duration = Duration::from_secs(60);

/// A port with scripted results of its opens. After the last one the port is missing.
#[derive(Clone, Debug, Default)]
struct ScriptedPort {
    results: Arc<Mutex<VecDeque<OpenResult>>>,
    /// Times of the attempts to open the port.
    attempts: Arc<Mutex<Vec<Instant>>>,
}

#[derive(Debug)]
enum OpenResult {
    Open(Line),
    Missing,
    OpenAfter(Duration, Line),
}

/// The near end of a line.
#[derive(Debug)]
enum Line {
    Good(DuplexStream),
    /// Every read fails.
    Failing,
    /// A buffer that discards what it has no room for.
    Lossy(LossyBuffer),
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Good(line) => Pin::new(line).poll_read(context, bytes),
            Self::Lossy(buffer) => buffer.poll_read(context, bytes),
            Self::Failing => {
                Poll::Ready(Err(io::Error::other("device reports readiness to read but returned no data")))
            }
        }
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Good(line) => Pin::new(line).poll_write(context, bytes),
            Self::Lossy(_) => Poll::Ready(Ok(bytes.len())),
            Self::Failing => Poll::Ready(Err(io::Error::other("no writing either"))),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Port for ScriptedPort {
    type Stream = Line;

    async fn open(&mut self) -> Result<Line, PortError> {
        self.attempts.lock().unwrap().push(Instant::now());
        let next = self.results.lock().unwrap().pop_front();
        match next {
            Some(OpenResult::Open(line)) => Ok(line),
            Some(OpenResult::OpenAfter(time, line)) => {
                sleep(time).await;
                Ok(line)
            }
            Some(OpenResult::Missing) | None => Err(PortError::Missing { path: PATH.to_owned() }),
        }
    }

    fn path(&self) -> &str {
        PATH
    }
}

/// A listener on a scripted port, and its outputs.
struct Bench {
    port: ScriptedPort,
    packets: mpsc::Receiver<Packet>,
    counters: Counters,
    health: watch::Receiver<Health>,
    task: JoinSet<()>,
}

impl Bench {
    fn new(framing: Framing, results: impl IntoIterator<Item = OpenResult>) -> Self {
        Self::with(framing, SILENCE, &[], results)
    }

    fn with(framing: Framing, silence: Duration, init: &[&str], results: impl IntoIterator<Item = OpenResult>) -> Self {
        let init = init.iter().map(|command| (*command).to_owned()).collect();
        let results = Arc::new(Mutex::new(results.into_iter().collect()));
        let port = ScriptedPort { results, attempts: Arc::default() };
        let (sender, packets) = mpsc::channel(2);
        let (counters, decoder) = (Counters::default(), Decoder::new(framing, false));
        let options = ListenerOptions { silence, init };
        let listener = Listener::new(port.clone(), decoder, options, sender, counters.clone());
        let (health, mut task) = (listener.health(), JoinSet::new());
        task.spawn(listener.run());
        Self { port, packets, counters, health, task }
    }

    async fn payload(&mut self) -> Vec<u8> {
        timeout(LONG, self.packets.recv()).await.expect("no packet came").unwrap().bytes
    }

    async fn wait_for(&mut self, health: impl Fn(&Health) -> bool) -> Health {
        timeout(LONG, self.health.wait_for(health)).await.expect("the health did not change").unwrap().clone()
    }

    fn counts(&self) -> RadioCounters {
        self.counters.read()
    }

    /// Returns the pauses between the attempts to open the port.
    fn retry_delays_ms(&self) -> Vec<u128> {
        let attempts = self.port.attempts.lock().unwrap();
        attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect()
    }
}

/// Returns the far end of a line, and the result of opening its near end.
fn line() -> (DuplexStream, OpenResult) {
    let (far, near) = duplex(16);
    (far, OpenResult::Open(Line::Good(near)))
}

/// Writes to the far end of a line, which takes more than a few bytes only if the near end is read.
async fn send(far: &mut DuplexStream, bytes: &[u8]) {
    timeout(LONG, far.write_all(bytes)).await.expect("nobody reads the line").unwrap();
}

fn fails_with(text: &str) -> impl Fn(&Health) -> bool {
    move |health| matches!(health, Health::Failing(reason) if reason.contains(text))
}

#[tokio::test(start_paused = true)]
async fn a_missing_port_is_reported_and_retried_with_growing_delays() {
    let (mut far, near) = line();
    let results = (0..7).map(|_| OpenResult::Missing).chain([near]);
    let mut bench = Bench::new(Framing::Line, results);
    assert!(matches!(&*bench.health.borrow(), Health::Starting(why) if why.contains("has not been opened yet")));
    bench.wait_for(fails_with("/dev/serial/by-id")).await;
    bench.wait_for(|health| *health == Health::Listening).await;
    send(&mut far, b"hxb:A:B:C\r\n").await;
    assert_eq!(bench.payload().await, b"hxb:A:B:C");
    assert_eq!(bench.retry_delays_ms(), [250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
    assert_eq!(bench.counts().rebuilt, 0, "the port had never been open");
}

#[tokio::test(start_paused = true)]
async fn a_lost_port_is_reopened_and_costs_only_the_truncated_frame() {
    let ((mut first, first_near), (mut second, second_near)) = (line(), line());
    let failing = OpenResult::Open(Line::Failing);
    let mut bench = Bench::new(Framing::Line, [first_near, failing, second_near]);
    send(&mut first, b"first\r\nhalf a li").await;
    assert_eq!(bench.payload().await, b"first");
    drop(first);
    let Health::Failing(unplugged) = bench.wait_for(fails_with("unplugged")).await else { unreachable!() };
    assert!(unplugged.starts_with(PATH), "{unplugged}");
    bench.wait_for(fails_with("device reports readiness")).await;
    send(&mut second, b"second\r\n").await;
    assert_eq!(bench.payload().await, b"half a li\xff");
    assert_eq!(bench.payload().await, b"second");
    assert_eq!(*bench.health.borrow(), Health::Listening);
    assert_eq!(bench.counts(), RadioCounters { cut: 1, rebuilt: 2, ..RadioCounters::default() });
}

#[tokio::test(start_paused = true)]
async fn retries_slow_down_while_a_port_opens_but_cannot_be_read() {
    let dead = || OpenResult::Open(Line::Failing);
    let (mut far, alive) = line();
    let mut bench = Bench::new(Framing::Line, [dead(), dead(), dead(), alive]);
    send(&mut far, b"alive\n").await;
    assert_eq!(bench.payload().await, b"alive");
    drop(far);
    bench.wait_for(fails_with("does not exist")).await;
    assert_eq!(bench.retry_delays_ms(), [250, 500, 1_000, 250]);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_opens_late_is_reported_and_then_read() {
    let (mut far, OpenResult::Open(near)) = line() else { unreachable!() };
    let mut bench = Bench::new(Framing::Line, [OpenResult::OpenAfter(OPEN_TIMEOUT * 2, near)]);
    bench.wait_for(fails_with("did not open in time")).await;
    send(&mut far, b"late\n").await;
    assert_eq!(bench.payload().await, b"late");
    assert_eq!(bench.port.attempts.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_silence_separates_half_a_frame_from_the_next_frame() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    send(&mut far, b"hxb:A").await;
    sleep(SILENCE + Duration::from_millis(1)).await;
    send(&mut far, b"hxb:D:E:F\n").await;
    assert_eq!(bench.payload().await, b"hxb:A\xff");
    assert_eq!(bench.payload().await, b"hxb:D:E:F");
    assert_eq!(bench.counts(), RadioCounters { cut: 1, ..RadioCounters::default() });
}

/// Catches half a tag that is taken for a whole one, and a payload that is dropped because its end is missing.
#[tokio::test(start_paused = true)]
async fn what_a_silence_or_the_longest_length_cuts_is_kept_with_a_mark() {
    let overlong = [b'x'; 300];
    let longest = [&[b'x'; 254][..], b"\xff"].concat();
    for (bytes, kept) in
        [(b"hxb:A:B:9820".as_slice(), b"hxb:A:B:9820\xff".as_slice()), (b"hxb", b"hxb\xff"), (&overlong, &longest)]
    {
        let (mut far, near) = line();
        let mut bench = Bench::new(Framing::Line, [near]);
        send(&mut far, bytes).await;
        assert_eq!(bench.payload().await, kept);
        assert_eq!(bench.counts().cut, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn three_payloads_without_a_line_end_are_noted_until_one_has_it() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    for _ in 0..CUT_IN_A_ROW {
        assert!(!matches!(&*bench.health.borrow(), Health::Degraded(_)));
        send(&mut far, b"hxb:A:B:C").await;
        bench.payload().await;
        tokio::task::yield_now().await;
    }
    bench.wait_for(|health| matches!(health, Health::Degraded(note) if note.contains("framing = \"burst\""))).await;
    send(&mut far, b"hxb:A:B:C\r").await;
    bench.payload().await;
    bench.wait_for(|health| *health == Health::Listening).await;
}

/// Catches a note that advises the framing that is set.
#[tokio::test(start_paused = true)]
async fn three_bursts_without_a_pause_in_them_are_noted_with_what_to_check() {
    let pause = Duration::from_millis(54);
    let (mut far, near) = line();
    let mut bench = Bench::with(Framing::Burst, pause, &[], [near]);
    for _ in 0..CUT_IN_A_ROW {
        assert!(!matches!(&*bench.health.borrow(), Health::Degraded(_)));
        send(&mut far, &[b'x'; 300]).await;
        sleep(2 * pause).await;
        bench.payload().await;
    }
    let Health::Degraded(note) = bench.wait_for(|health| matches!(health, Health::Degraded(_))).await else {
        unreachable!()
    };
    assert!(note.contains("pause") && note.contains("`baud`") && !note.contains("`framing"), "{note}");
    send(&mut far, b"hxb:A:B:C").await;
    bench.payload().await;
    bench.wait_for(|health| *health == Health::Listening).await;
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_a_burst_and_a_shorter_one_does_not() {
    let pause = Duration::from_millis(54);
    let (mut far, near) = line();
    let mut bench = Bench::with(Framing::Burst, pause, &[], [near]);
    for payload in [b"hxb:A:B:C".as_slice(), b"\x00\xffany\r\n", b"x"] {
        for byte in payload {
            send(&mut far, &[*byte]).await;
            sleep(pause.mul_f64(0.9)).await;
        }
        sleep(pause).await;
        assert_eq!(bench.payload().await, payload);
    }
    assert_eq!(bench.counts(), RadioCounters::default());
}

#[tokio::test(start_paused = true)]
async fn pauses_shorter_than_a_silence_do_not_split_a_frame() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    for byte in b"hxb:A:B:C\n" {
        sleep(SILENCE.mul_f64(0.999)).await;
        send(&mut far, &[*byte]).await;
    }
    assert_eq!(bench.payload().await, b"hxb:A:B:C");
}

#[tokio::test(start_paused = true)]
async fn a_packet_has_the_time_of_its_last_byte() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    send(&mut far, b"12").await;
    sleep(Duration::from_millis(700)).await;
    let ended_at = Instant::now();
    send(&mut far, b"3\n").await;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.packets.recv().await.unwrap().received_at, ended_at);
}

#[tokio::test(start_paused = true)]
async fn wrong_crcs_and_other_damage_are_counted_separately() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Cobs, [near]);
    let mut bad = encode_cobs(b"damaged");
    bad[4] ^= 1;
    send(&mut far, &bad).await;
    send(&mut far, b"\x05ab\x00").await;
    send(&mut far, &encode_cobs(b"good")).await;
    assert_eq!(bench.payload().await, b"good");
    assert_eq!(bench.counts(), RadioCounters { crc_errors: 1, malformed: 1, ..RadioCounters::default() });
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_when_the_receiver_is_gone() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    bench.packets.close();
    send(&mut far, b"unheard\n").await;
    timeout(LONG, bench.task.join_next()).await.unwrap().unwrap().unwrap();
}
