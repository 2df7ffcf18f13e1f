//! A queue that nobody empties, at a line that discards what is not read in time, as the kernel and USB adapters do.

use super::*;
use std::sync::MutexGuard;
use std::task::Waker;

/// Capacity of the buffer, in bytes: two payloads and part of a third.
const LOSSY_BYTES: usize = 50;
/// Time that a byte takes.
const BYTE_TIME: Duration = Duration::from_millis(1);

/// A buffer between both ends of a line. It discards the bytes that it has no room for.
#[derive(Clone, Debug, Default)]
pub(super) struct LossyBuffer(Arc<Mutex<Buffered>>);

#[derive(Debug, Default)]
struct Buffered {
    bytes: VecDeque<u8>,
    reader: Option<Waker>,
}

impl LossyBuffer {
    fn buffered(&self) -> MutexGuard<'_, Buffered> {
        self.0.lock().unwrap()
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>, read: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut buffered = self.buffered();
        if buffered.bytes.is_empty() {
            buffered.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        while read.remaining() > 0
            && let Some(byte) = buffered.bytes.pop_front()
        {
            read.put_slice(&[byte]);
        }
        Poll::Ready(Ok(()))
    }

    fn push(&self, byte: u8) {
        let mut buffered = self.buffered();
        if buffered.bytes.len() < LOSSY_BYTES {
            buffered.bytes.push_back(byte);
        }
        if let Some(reader) = buffered.reader.take() {
            reader.wake();
        }
    }

    async fn send(&self, bytes: &[u8]) {
        for byte in bytes {
            self.push(*byte);
            sleep(BYTE_TIME).await;
        }
    }
}

fn scan(number: usize) -> String {
    format!("hxb:B1:LF{number}:UHF{number}")
}

/// Catches a payload of an animal that does not exist: the head of one line and the tail of another, between which nobody read.
#[tokio::test(start_paused = true)]
async fn a_full_queue_costs_whole_frames_and_joins_no_two() {
    const SENT: usize = 400;
    let far = LossyBuffer::default();
    let mut bench = Bench::new(Framing::Line, [OpenResult::Open(Line::Lossy(far.clone()))]);
    let sending = tokio::spawn(async move {
        for number in 100..100 + SENT {
            far.send(format!("{}\n", scan(number)).as_bytes()).await;
        }
        far
    });
    let mut delivered = Vec::new();
    while !sending.is_finished() {
        // The receiver is blocked for some 40 payloads at a time.
        sleep(Duration::from_millis(977)).await;
        while let Ok(packet) = bench.packets.try_recv() {
            delivered.push(String::from_utf8_lossy(&packet.bytes).into_owned());
        }
    }
    let sent: Vec<String> = (100..100 + SENT).map(scan).collect();
    for payload in &delivered {
        assert!(sent.contains(payload), "`{payload}` was never sent; delivered: {delivered:?}");
    }
    assert!(delivered.is_sorted() && delivered.len() >= 10, "{delivered:?}");
    let counts = RadioCounters { malformed: (SENT - delivered.len()) as u64, ..RadioCounters::default() };
    assert_eq!(bench.counts(), counts, "what is not delivered is counted");
    sending.await.unwrap().send(b"hxb:B1:LF1:UHF1\n").await;
    assert_eq!(bench.payload().await, b"hxb:B1:LF1:UHF1");
}

/// Catches a dropped frame whose bytes go for the beginning of the next one after a silence, and time that counts as a silence
/// because nobody called `receive`.
#[tokio::test(start_paused = true)]
async fn a_frame_that_began_while_the_queue_was_full_is_delivered_whole() {
    let (mut far, near) = line();
    let mut bench = Bench::new(Framing::Line, [near]);
    send(&mut far, b"1\n2\n3\nhalf and").await;
    sleep(SILENCE.mul_f64(0.9)).await;
    assert_eq!(bench.payload().await, b"1");
    send(&mut far, b" half\n").await;
    for payload in [b"2".as_slice(), b"half and half"] {
        assert_eq!(bench.payload().await, payload);
    }
    assert_eq!(bench.counts(), RadioCounters { malformed: 1, ..RadioCounters::default() });
}
