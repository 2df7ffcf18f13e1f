//! What the machine can do: the ruler for everything else.

use super::{Budget, Failed, Samples, timed};
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

/// What goes there and back: about a payload with its envelope.
const ECHO_BYTES: usize = 100;
/// The first trips fill caches and are not counted.
const WARM_UP_TRIPS: usize = 50;
/// A slow disk gives fewer samples, but gives them in this time.
const SYNCING: Duration = Duration::from_secs(4);
/// Either end that hears nothing for so long gives up.
const SILENCE: Duration = Duration::from_secs(10);

/// The machine's floor.
#[derive(Clone, Debug)]
pub struct Floor {
    /// One durable append of 4 KiB.
    pub fdatasync: Samples,
    /// One round trip of 100 bytes on a warm TLS 1.3 connection over loopback, both ends blocking.
    pub tls: Samples,
}

impl Floor {
    /// Measures it in `directory`.
    pub fn measure(directory: &Path, count: usize) -> Result<Self, Failed> {
        Ok(Self { fdatasync: fdatasync(directory, count)?, tls: tls_round_trips(directory, count)? })
    }

    /// Barn and office: each syncs once, and one round trip lies between.
    pub fn both_ends(&self, percent: usize) -> Duration {
        self.fdatasync.percentile(percent) * 2 + self.tls.percentile(percent)
    }

    /// Durable appends a second, one after the other.
    pub fn syncs_per_s(&self) -> f64 {
        1.0 / self.fdatasync.percentile(50).as_secs_f64().max(1e-9)
    }

    /// As a part.
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

/// Appends of 4 KiB, each followed by fdatasync: nothing can be durable faster on this disk.
fn fdatasync(directory: &Path, count: usize) -> io::Result<Samples> {
    let path = directory.join("floor");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let block = [0x5a; 4096];
    let mut samples = Vec::with_capacity(count);
    let budget = Budget::of(SYNCING);
    while samples.len() < count && !budget.is_spent() {
        let (result, took) = timed(|| file.write_all(&block).and_then(|()| file.sync_data()));
        result?;
        samples.push(took);
    }
    std::fs::remove_file(path)?;
    Ok(Samples::new(samples))
}

/// Round trips between two threads of this process.
fn tls_round_trips(directory: &Path, count: usize) -> Result<Samples, Failed> {
    let identity = Identity::load_or_generate(directory, &[])?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (address, config) = (listener.local_addr()?, identity.server_config()?);
    let server = std::thread::spawn(move || echo(&listener, config));
    let config = client_config(&Trust::Pin(identity.spki_sha256()))?;
    let connection = ClientConnection::new(Arc::new(config), ServerName::from(address.ip()))?;
    let mut stream = StreamOwned::new(connection, prepared(TcpStream::connect(address)?)?);
    let mut samples = Vec::with_capacity(count);
    let (sent, mut back) = ([0x42; ECHO_BYTES], [0; ECHO_BYTES]);
    for trip in 0..WARM_UP_TRIPS + count {
        let exchange =
            || stream.write_all(&sent).and_then(|()| stream.flush()).and_then(|()| stream.read_exact(&mut back));
        let (result, took) = timed(exchange);
        result?;
        if trip >= WARM_UP_TRIPS {
            samples.push(took);
        }
    }
    anyhow::ensure!(stream.conn.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3), "this was no TLS 1.3");
    stream.conn.send_close_notify();
    stream.flush()?;
    drop(stream);
    server.join().map_err(|_| anyhow::anyhow!("the echo's thread panicked"))??;
    Ok(Samples::new(samples))
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    Ok(stream)
}

/// Sends back what comes on one connection, until it is closed.
fn echo(listener: &TcpListener, config: Arc<ServerConfig>) -> Result<(), Failed> {
    let (stream, _) = listener.accept()?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, prepared(stream)?);
    let mut block = [0; ECHO_BYTES];
    loop {
        match stream.read(&mut block)? {
            0 => return Ok(()),
            length => stream.write_all(&block[..length]).and_then(|()| stream.flush())?,
        }
    }
}
