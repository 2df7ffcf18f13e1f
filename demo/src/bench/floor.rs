//! The floor: the fastest that this machine can sync, make a round trip over TLS, and move bytes from one disk to another.
//!
//! # Decisions
//!
//! - **fdatasync is measured on a preallocated file and on one that grows**, in turn, so that both meet the same disk. To
//!   grow, a file system must also commit the new length, which takes longer. A store that preallocates can beat the second
//!   and not the first. The lag is compared with the second, as its peers append.
//! - **Both ends of the TLS round trip run on one CPU.** Free threads gave two values on two CPUs of a virtual machine,
//!   16 or 55 us, and kept the one that they began with. Neither Nagle's algorithm nor delayed acknowledgments are the
//!   cause: the times are the same with and without `TCP_NODELAY`, which is set. The scheduler is: it places the thread
//!   that it wakes either on the CPU of the one that woke it, where only the thread changes, or on the other one, which
//!   is idle and must be woken by an interrupt. On one CPU the trip is always the fast one. The other one is printed, too.
//! - **Bulk is one connection and one file**: 64 MiB are sent over TLS and written in pages, each with an fdatasync, like
//!   the pages of a copy. Nothing is parsed and no table is written.

use super::{BenchError, Budget, Samples, ms, timed};
use mirror::link::{Trust, client_config};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use service::door::certificate::Identity;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Size of an append, that of a record of the journal.
const BLOCK_BYTES: usize = 4096;
/// Size of the preallocated file, which is written around in turn.
const PREALLOCATED_BLOCKS: usize = 512;
/// Size of a message in both directions, about that of a payload with its envelope.
const ECHO_BYTES: usize = 100;
/// Round trips before the measurement, which fill caches.
const WARM_UP_TRIPS: usize = 50;
/// Number of bytes that are sent in bulk.
const BULK_BYTES: usize = 64 * 1024 * 1024;
/// Maximum size of a page of a copy, and size of one in bulk.
pub const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Maximum time for the samples of the disk. A slow disk gives fewer of them.
const SYNC_BUDGET: Duration = Duration::from_secs(4);
/// Maximum time that either end waits for the other.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// Samples of the floor.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Durable writes of 4 KiB into a preallocated file.
    pub preallocated: Samples,
    /// Durable appends of 4 KiB to a file that grows.
    pub appended: Samples,
    /// Round trips of 100 bytes on a warm TLS 1.3 connection over loopback, with both ends blocking on one CPU.
    pub tls: Samples,
    /// The same with the ends on two CPUs, or on one if there is only one.
    pub tls_two_cpus: Samples,
    /// Bytes per second over TLS into a file, one fdatasync a page.
    pub bulk_bytes_per_s: f64,
}

impl Floor {
    /// Measures the floor on the disk of `directory`, with `count` samples of each kind.
    pub fn measure(directory: &Path, count: usize) -> Result<Self, BenchError> {
        let (preallocated, appended) = fdatasync(directory, count)?;
        let cpus = allowed_cpus()?;
        let (first, last) = (cpus[0], cpus[cpus.len() - 1]);
        let identity = Identity::load_or_generate(directory, &[])?;
        Ok(Self {
            preallocated,
            appended,
            tls: tls_round_trips(&identity, count, [first, first])?,
            tls_two_cpus: tls_round_trips(&identity, count, [first, last])?,
            bulk_bytes_per_s: bulk_bytes_per_s(&identity, directory)?,
        })
    }

    /// Returns the floor of a replicated payload: one sync of an appended file at each end, and one round trip.
    pub fn both_ends(&self, percent: usize) -> Duration {
        self.appended.percentile(percent) * 2 + self.tls.percentile(percent)
    }

    /// Returns the same with preallocated files.
    pub fn both_ends_preallocated(&self, percent: usize) -> Duration {
        self.preallocated.percentile(percent) * 2 + self.tls.percentile(percent)
    }

    /// Returns the number of consecutive durable writes into a preallocated file per second.
    pub fn syncs_per_s(&self) -> f64 {
        1.0 / self.preallocated.percentile(50).as_secs_f64().max(1e-9)
    }

    /// Returns the figures of the floor.
    pub fn to_json(&self) -> Value {
        json!({
            "fdatasync_preallocated": self.preallocated.to_json(),
            "fdatasync_appended": self.appended.to_json(),
            "fdatasync_preallocated_per_s": self.syncs_per_s().round(),
            "tls_round_trip": self.tls.to_json(),
            "tls_round_trip_between_two_cpus": self.tls_two_cpus.to_json(),
            "two_fdatasync_appended_and_one_tls_p50_ms": ms(self.both_ends(50)),
            "two_fdatasync_appended_and_one_tls_p99_ms": ms(self.both_ends(99)),
            "two_fdatasync_preallocated_and_one_tls_p50_ms": ms(self.both_ends_preallocated(50)),
            "bulk_mib_per_s": (self.bulk_bytes_per_s / 1024.0 / 1024.0).round(),
        })
    }
}

/// Measures durable writes into a preallocated and into a growing file, in turn.
fn fdatasync(directory: &Path, count: usize) -> io::Result<(Samples, Samples)> {
    let places = ["floor-preallocated", "floor-appended"].map(|name| directory.join(name));
    let [preallocated, mut appended] = [create(&places[0])?, create(&places[1])?];
    let block = [0x5a; BLOCK_BYTES];
    for n in 0..PREALLOCATED_BLOCKS {
        preallocated.write_all_at(&block, offset(n))?;
    }
    preallocated.sync_all()?;
    let (mut into, mut after) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let budget = Budget::new(SYNC_BUDGET);
    for n in 0..count {
        let at = offset(n % PREALLOCATED_BLOCKS);
        let (result, elapsed) = timed(|| preallocated.write_all_at(&block, at).and_then(|()| preallocated.sync_data()));
        result?;
        into.push(elapsed);
        let (result, elapsed) = timed(|| appended.write_all(&block).and_then(|()| appended.sync_data()));
        result?;
        after.push(elapsed);
        if budget.is_spent() {
            break;
        }
    }
    places.iter().try_for_each(std::fs::remove_file)?;
    Ok((Samples::new(into), Samples::new(after)))
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(true).write(true).open(path)
}

fn offset(block: usize) -> u64 {
    (block * BLOCK_BYTES) as u64
}

/// Returns the CPUs on which this process may run, at least one.
fn allowed_cpus() -> io::Result<Vec<usize>> {
    let allowed = sched_getaffinity(None)?;
    let cpus: Vec<_> = (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect();
    if cpus.is_empty() { Err(io::Error::other("this process may run on no CPU")) } else { Ok(cpus) }
}

/// Lets the calling thread run on one CPU only.
fn pin(cpu: usize) -> io::Result<()> {
    let mut only = CpuSet::new();
    only.set(cpu);
    Ok(sched_setaffinity(None, &only)?)
}

/// Measures round trips between two threads of this process, each on its CPU.
fn tls_round_trips(identity: &Identity, count: usize, cpus: [usize; 2]) -> Result<Samples, BenchError> {
    let [client_cpu, server_cpu] = cpus;
    between_two_threads(
        identity,
        move |mut stream| pin(server_cpu).and_then(|()| echo(&mut stream)),
        // A thread of its own, so that the caller is not pinned.
        move |stream| pin(client_cpu).and_then(|()| round_trips(stream, count)),
    )
}

fn round_trips(stream: &mut (impl Read + Write), count: usize) -> io::Result<Samples> {
    let mut samples = Vec::with_capacity(count);
    let (message, mut reply) = ([0x42; ECHO_BYTES], [0; ECHO_BYTES]);
    for trip in 0..WARM_UP_TRIPS + count {
        let exchange =
            || stream.write_all(&message).and_then(|()| stream.flush()).and_then(|()| stream.read_exact(&mut reply));
        let (result, elapsed) = timed(exchange);
        result?;
        if trip >= WARM_UP_TRIPS {
            samples.push(elapsed);
        }
    }
    Ok(Samples::new(samples))
}

/// Echoes the data of one connection until it is closed.
fn echo(stream: &mut (impl Read + Write)) -> io::Result<()> {
    let mut block = [0; ECHO_BYTES];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            length => stream.write_all(&block[..length]).and_then(|()| stream.flush())?,
        }
    }
}

/// Measures bytes per second from memory over TLS into a durable file.
fn bulk_bytes_per_s(identity: &Identity, directory: &Path) -> Result<f64, BenchError> {
    let path = directory.join("floor-bulk");
    let file = create(&path)?;
    let (result, elapsed) =
        timed(|| between_two_threads(identity, |mut stream| receive_bulk(&mut stream, &file), send_bulk));
    result?;
    std::fs::remove_file(&path)?;
    #[expect(clippy::cast_precision_loss, reason = "64 MiB are far below 2^52 bytes")]
    Ok(BULK_BYTES as f64 / elapsed.as_secs_f64())
}

fn send_bulk(stream: ClientStream<'_>) -> io::Result<()> {
    let page = vec![0x42; PAGE_BYTES];
    for _ in 0..BULK_BYTES / PAGE_BYTES {
        stream.write_all(&page)?;
    }
    stream.flush()?;
    // The other end answers when all of it is durable.
    stream.read_exact(&mut [0])
}

fn receive_bulk(stream: &mut (impl Read + Write), mut file: &File) -> io::Result<()> {
    let mut page = vec![0; PAGE_BYTES];
    for _ in 0..BULK_BYTES / PAGE_BYTES {
        stream.read_exact(&mut page)?;
        file.write_all(&page).and_then(|()| file.sync_data())?;
    }
    stream.write_all(&[1]).and_then(|()| stream.flush())?;
    echo(stream)
}

type ServerStream = StreamOwned<ServerConnection, TcpStream>;
type ClientStream<'a> = &'a mut StreamOwned<ClientConnection, TcpStream>;

/// Connects two threads over TLS 1.3, runs `server` and `client` on them, and returns the client's result.
fn between_two_threads<T: Send>(
    identity: &Identity,
    server: impl FnOnce(ServerStream) -> io::Result<()> + Send,
    client: impl FnOnce(ClientStream<'_>) -> io::Result<T> + Send,
) -> Result<T, BenchError> {
    let (mut client_stream, server_stream) = connected_pair(identity)?;
    thread::scope(|scope| {
        let server = scope.spawn(move || server(server_stream));
        let client = scope.spawn(move || {
            let result = client(&mut client_stream)?;
            let version = client_stream.conn.protocol_version();
            anyhow::ensure!(
                version == Some(rustls::ProtocolVersion::TLSv1_3),
                "the connection used {version:?} instead of TLS 1.3"
            );
            client_stream.conn.send_close_notify();
            client_stream.flush()?;
            Ok(result)
        });
        let result = client.join().map_err(|_| anyhow::anyhow!("the client's thread panicked"))?;
        server.join().map_err(|_| anyhow::anyhow!("the server's thread panicked"))??;
        result
    })
}

/// Returns both ends of a connection over loopback, before the handshake.
fn connected_pair(identity: &Identity) -> Result<(StreamOwned<ClientConnection, TcpStream>, ServerStream), BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let client = client_config(&Trust::Pin(identity.spki_sha256()))?;
    let client = ClientConnection::new(Arc::new(client), ServerName::from(address.ip()))?;
    let server = ServerConnection::new(identity.server_config()?)?;
    // The kernel completes the connection before it is accepted.
    let client_end = configured(TcpStream::connect(address)?)?;
    let (server_end, _) = listener.accept()?;
    Ok((StreamOwned::new(client, client_end), StreamOwned::new(server, configured(server_end)?)))
}

fn configured(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SOCKET_TIMEOUT))?;
    stream.set_write_timeout(Some(SOCKET_TIMEOUT))?;
    Ok(stream)
}
