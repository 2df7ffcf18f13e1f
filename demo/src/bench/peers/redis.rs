//! Redis with `appendfsync always` at both ends. A payload is an entry of a stream.
//!
//! A reply is sent after the fsync of the same turn of the event loop, at the replica too. So what a reader of the replica
//! is told is durable there.
//!
//! The replica is away while it is stopped by a signal: the source then keeps in memory what it lacks. A replica that was
//! restarted would copy everything again, which is not a catch-up.

use super::super::BenchError;
use super::package::{Package, connect, free_address, start_server};
use super::{Peer, RowIds, Watcher, Writer};
use anyhow::Context as _;
use service::harness::{ChildProcess, Signal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const STREAM: &str = "log";

/// A Redis server and its replica.
#[derive(Debug)]
pub struct Redis {
    package: Package,
    directory: PathBuf,
    source: (ChildProcess, SocketAddr),
    replica: Option<(ChildProcess, SocketAddr)>,
}

impl Redis {
    async fn server(
        package: &Package,
        directory: &Path,
        more: &[&str],
    ) -> Result<(ChildProcess, SocketAddr), BenchError> {
        std::fs::create_dir_all(directory)?;
        let address = free_address()?;
        let mut command = package.main_command()?;
        command.current_dir(directory);
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
        command.args(["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]);
        command.args(["--repl-diskless-sync-delay", "0", "--logfile", "log"]).args(more);
        Ok((start_server("Redis server", command, address, &directory.join("log")).await?, address))
    }

    fn replica(&self) -> Result<&(ChildProcess, SocketAddr), BenchError> {
        self.replica.as_ref().context("the replica was not started")
    }
}

impl Peer for Redis {
    type Writer = Connection;
    type Watcher = StreamWatcher;

    const ROWS: RowIds = RowIds {
        lag_p50: ["redis_lag_p50", "Redis: lag p50"],
        lag_p99: ["redis_lag_p99", "Redis: lag p99"],
        lone: ["redis_lone_per_s", "Redis: lone"],
        in_flight: ["redis_in_flight_per_s", "Redis: 100 in flight"],
        catch_up: ["redis_catch_up_per_s", "Redis: catch-up"],
    };

    async fn start(package: &Package, directory: &Path) -> Result<Self, BenchError> {
        // What a replica lacks is kept without a limit.
        let limit = ["--client-output-buffer-limit", "replica 0 0 0"];
        let source = Self::server(package, &directory.join("source"), &limit).await?;
        Ok(Self { package: package.clone(), directory: directory.to_owned(), source, replica: None })
    }

    async fn writer(&self) -> Result<Connection, BenchError> {
        Connection::open(self.source.1).await
    }

    async fn follow(&mut self) -> Result<(), BenchError> {
        let of = format!("127.0.0.1 {}", self.source.1.port());
        let more = ["--replicaof", of.as_str()];
        self.replica = Some(Self::server(&self.package, &self.directory.join("replica"), &more).await?);
        Ok(())
    }

    async fn replicated(&mut self) -> Result<u64, BenchError> {
        let mut connection = Connection::open(self.replica()?.1).await?;
        let reply = connection.request(&["XLEN", STREAM]).await;
        match reply {
            // While it loads a copy, it answers nothing else.
            Err(error) if error.to_string().contains("LOADING") => Ok(0),
            other => Ok(u64::try_from(other?.integer)?),
        }
    }

    async fn watcher(&mut self) -> Result<StreamWatcher, BenchError> {
        let mut connection = Connection::open(self.replica()?.1).await?;
        let newest = connection.request(&["XREVRANGE", STREAM, "+", "-", "COUNT", "1"]).await?;
        let last_id = newest.texts.into_iter().next().context("the stream is empty")?;
        Ok(StreamWatcher { connection, last_id })
    }

    async fn leave(&mut self) -> Result<(), BenchError> {
        Ok(self.replica()?.0.signal(Signal::STOP)?)
    }

    async fn return_to_source(&mut self) -> Result<(), BenchError> {
        Ok(self.replica()?.0.signal(Signal::CONT)?)
    }

    async fn end(self) -> Result<(), BenchError> {
        if let Some((replica, _)) = self.replica {
            replica.terminate().await?;
        }
        self.source.0.terminate().await?;
        Ok(())
    }
}

/// The parts of a reply that the bench reads.
#[derive(Debug, Default)]
struct Reply {
    integer: i64,
    /// All strings in it, nested ones too, in order.
    texts: Vec<String>,
}

/// A connection that speaks RESP 2.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        Ok(Self(connect(address).await?))
    }

    async fn request(&mut self, words: &[&str]) -> Result<Reply, BenchError> {
        self.0.write_all(&encode(words)).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> Result<Reply, BenchError> {
        let (mut reply, mut left) = (Reply::default(), 1);
        while left > 0 {
            left -= 1;
            let mut line = String::new();
            anyhow::ensure!(self.0.read_line(&mut line).await? > 0, "Redis closed the connection");
            let line = line.trim_end();
            let (kind, rest) = line.split_at_checked(1).context("Redis sent an empty line")?;
            match kind {
                "+" => {}
                "-" => anyhow::bail!("Redis answered: {rest}"),
                ":" => reply.integer = rest.parse()?,
                "*" => left += rest.parse::<i64>()?.max(0),
                "$" => reply.texts.extend(self.text(rest.parse()?).await?),
                _ => anyhow::bail!("Redis sent an unknown kind of reply: {line}"),
            }
        }
        Ok(reply)
    }

    /// Reads a string of this length; a negative one is null.
    async fn text(&mut self, length: i64) -> Result<Option<String>, BenchError> {
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes).await?;
        bytes.truncate(length);
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }
}

fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

impl Writer for Connection {
    async fn append(&mut self, payload: &str) -> Result<(), BenchError> {
        self.request(&["XADD", STREAM, "*", "p", payload]).await?;
        Ok(())
    }

    async fn append_group(&mut self, payloads: &[String]) -> Result<(), BenchError> {
        let all: Vec<_> = payloads.iter().flat_map(|payload| encode(&["XADD", STREAM, "*", "p", payload])).collect();
        self.0.write_all(&all).await?;
        for _ in payloads {
            self.reply().await?;
        }
        Ok(())
    }
}

/// A blocked read of the replica's stream.
#[derive(Debug)]
pub struct StreamWatcher {
    connection: Connection,
    last_id: String,
}

impl Watcher for StreamWatcher {
    async fn wait_for_next(&mut self) -> Result<(), BenchError> {
        let request = ["XREAD", "COUNT", "1", "BLOCK", "0", "STREAMS", STREAM, &self.last_id];
        let reply = self.connection.request(&request).await?;
        // The texts are: stream, id, field, value.
        self.last_id = reply.texts.into_iter().nth(1).context("XREAD returned no entry")?;
        Ok(())
    }
}
