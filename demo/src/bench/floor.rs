//! The floor: the fastest that this machine can sync and make a round trip over TLS.

use super::{BenchError, Budget, Samples, timed};
use mirror::link::{Trust, client_config};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use service::door::certificate::Identity;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Size of a message in both directions, about that of a payload with its envelope.
const ECHO_BYTES: usize = 100;
/// Round trips before the measurement, which fill caches.
const WARM_UP_TRIPS: usize = 50;
/// Maximum time for the samples of the disk. A slow disk gives fewer of them.
const SYNC_BUDGET: Duration = Duration::from_secs(4);
/// Maximum time that either end waits for the other.
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);

/// Samples of the floor.
#[derive(Clone, Debug)]
pub struct Floor {
    /// Durable appends of 4 KiB.
    pub fdatasync: Samples,
    /// Round trips of 100 bytes on a warm TLS 1.3 connection over loopback, with both ends blocking.
    pub tls: Samples,
}

impl Floor {
    /// Measures the floor on the disk of `directory`, with `count` samples of each kind.
    pub fn measure(directory: &Path, count: usize) -> Result<Self, BenchError> {
        Ok(Self { fdatasync: fdatasync(directory, count)?, tls: tls_round_trips(directory, count)? })
    }

    /// Returns the floor of a replicated payload: one sync at each end, and one round trip between them.
    pub fn both_ends(&self, percent: usize) -> Duration {
        self.fdatasync.percentile(percent) * 2 + self.tls.percentile(percent)
    }

    /// Returns the number of consecutive durable appends per second.
    pub fn syncs_per_s(&self) -> f64 {
        1.0 / self.fdatasync.percentile(50).as_secs_f64().max(1e-9)
    }

    /// Returns the figures of the floor.
    pub fn to_json(&self) -> Value {
        json!({
            "fdatasync": self.fdatasync.to_json(),
            "fdatasync_per_s": self.syncs_per_s().round(),
            "tls_round_trip": self.tls.to_json(),
            "two_fdatasync_and_one_tls_p50_ms": super::ms(self.both_ends(50)),
            "two_fdatasync_and_one_tls_p99_ms": super::ms(self.both_ends(99)),
        })
    }
}

/// Measures appends of 4 KiB, each followed by fdatasync. No commit on this disk can be faster.
fn fdatasync(directory: &Path, count: usize) -> io::Result<Samples> {
    let path = directory.join("floor");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [0x5a; 4096];
    let mut samples = Vec::with_capacity(count);
    let budget = Budget::new(SYNC_BUDGET);
    while samples.len() < count && !budget.is_spent() {
        let (result, elapsed) = timed(|| file.write_all(&block).and_then(|()| file.sync_data()));
        result?;
        samples.push(elapsed);
    }
    std::fs::remove_file(path)?;
    Ok(Samples::new(samples))
}

/// Measures round trips between two threads of this process.
fn tls_round_trips(directory: &Path, count: usize) -> Result<Samples, BenchError> {
    let identity = Identity::load_or_generate(directory, &[])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, config) = (listener.local_addr()?, identity.server_config()?);
    let server = std::thread::spawn(move || echo(&listener, config));
    let config = client_config(&Trust::Pin(identity.spki_sha256()))?;
    let connection = ClientConnection::new(Arc::new(config), ServerName::from(address.ip()))?;
    let mut stream = StreamOwned::new(connection, configured(TcpStream::connect(address)?)?);
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
    anyhow::ensure!(
        stream.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3),
        "the connection did not use TLS 1.3"
    );
    stream.conn.send_close_notify();
    stream.flush()?;
    drop(stream);
    server.join().map_err(|_| anyhow::anyhow!("the echo thread panicked"))??;
    Ok(Samples::new(samples))
}

fn configured(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SOCKET_TIMEOUT))?;
    stream.set_write_timeout(Some(SOCKET_TIMEOUT))?;
    Ok(stream)
}

/// Echoes the data of one connection until it is closed.
fn echo(listener: &TcpListener, config: Arc<ServerConfig>) -> Result<(), BenchError> {
    let (stream, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, configured(stream)?);
    let mut block = [0; ECHO_BYTES];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            length => stream.write_all(&block[..length]).and_then(|()| stream.flush())?,
        }
    }
}
