//! NATS JetStream with `sync_interval: always` at both ends. A payload is a message.
//!
//! The source is a hub with a stream, the replica a leaf node with a mirror of it, each in a domain of its own, as NATS
//! recommends for a site that may be cut off. A push consumer of the mirror is told of a message once the file store has
//! written and synced it.

use super::super::BenchError;
use super::package::{Package, connect, free_address, start_server};
use super::{Peer, RowIds, Watcher, Writer};
use anyhow::Context as _;
use serde_json::{Value, json};
use service::harness::{ChildProcess, wait_until};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const SOURCE: &str = "barn";
const REPLICA: &str = "office";
/// Subject of the payloads.
const SUBJECT: &str = "log";
/// Subject at which the replica's consumer delivers.
const DELIVERY: &str = "delivery";

/// A hub and its leaf node.
#[derive(Debug)]
pub struct JetStream {
    package: Package,
    directory: PathBuf,
    source: (ChildProcess, SocketAddr),
    /// Address at which the hub awaits leaf nodes.
    leaves: SocketAddr,
    replica: Option<(ChildProcess, SocketAddr)>,
}

impl JetStream {
    async fn server(
        package: &Package,
        directory: &Path,
        name: &str,
        leaf_nodes: &str,
    ) -> Result<(ChildProcess, SocketAddr), BenchError> {
        let (place, address) = (directory.join(name), free_address()?);
        std::fs::create_dir_all(&place)?;
        let settings = format!(
            "server_name: {name}\nlisten: \"{address}\"\nleafnodes {{ {leaf_nodes} }}\n\
             jetstream {{ store_dir: \"{}\", domain: {name}, sync_interval: always }}\n",
            place.display()
        );
        let file = place.join("nats.conf");
        std::fs::write(&file, settings)?;
        let mut command = package.main_command()?;
        command.arg("-c").arg(&file);
        Ok((start_server("NATS server", command, address, &place.join("log")).await?, address))
    }

    async fn start_replica(&mut self) -> Result<SocketAddr, BenchError> {
        let leaf_nodes = format!("remotes: [ {{ url: \"nats-leaf://{}\" }} ]", self.leaves);
        let server = Self::server(&self.package, &self.directory, REPLICA, &leaf_nodes).await?;
        let address = server.1;
        self.replica = Some(server);
        Ok(address)
    }

    fn replica_address(&self) -> Result<SocketAddr, BenchError> {
        Ok(self.replica.as_ref().context("the replica was not started")?.1)
    }
}

impl Peer for JetStream {
    type Writer = Connection;
    type Watcher = Connection;

    const ROWS: RowIds = RowIds {
        lag_p50: ["jetstream_lag_p50", "JetStream: lag p50"],
        lag_p99: ["jetstream_lag_p99", "JetStream: lag p99"],
        lone: ["jetstream_lone_per_s", "JetStream: lone"],
        in_flight: ["jetstream_in_flight_per_s", "JetStream: 100 in flight"],
        catch_up: ["jetstream_catch_up_per_s", "JetStream: catch-up"],
    };

    async fn start(package: &Package, directory: &Path) -> Result<Self, BenchError> {
        let leaves = free_address()?;
        let source = Self::server(package, directory, SOURCE, &format!("listen: \"{leaves}\"")).await?;
        let mut connection = Connection::open(source.1).await?;
        let stream = json!({ "name": "LOG", "subjects": [SUBJECT], "storage": "file" });
        connection.call(SOURCE, "STREAM.CREATE.LOG", &stream).await?;
        Ok(Self { package: package.clone(), directory: directory.to_owned(), source, leaves, replica: None })
    }

    async fn writer(&self) -> Result<Connection, BenchError> {
        Connection::open(self.source.1).await
    }

    async fn follow(&mut self) -> Result<(), BenchError> {
        let mut connection = Connection::open(self.start_replica().await?).await?;
        let of = json!({ "name": "LOG", "external": { "api": format!("$JS.{SOURCE}.API") } });
        let mirror = json!({ "name": "COPY", "storage": "file", "mirror": of });
        connection.call(REPLICA, "STREAM.CREATE.COPY", &mirror).await?;
        Ok(())
    }

    async fn replicated(&mut self) -> Result<u64, BenchError> {
        let mut connection = Connection::open(self.replica_address()?).await?;
        let info = connection.call(REPLICA, "STREAM.INFO.COPY", &json!({})).await?;
        info["state"]["messages"].as_u64().context("the state of the mirror has no number of messages")
    }

    async fn watcher(&mut self) -> Result<Connection, BenchError> {
        let mut connection = Connection::open(self.replica_address()?).await?;
        connection.send(&format!("SUB {DELIVERY} 2\r\n")).await?;
        let config = json!({ "deliver_subject": DELIVERY, "ack_policy": "none", "deliver_policy": "new" });
        let consumer = json!({ "stream_name": "COPY", "config": config });
        connection.call(REPLICA, "CONSUMER.CREATE.COPY", &consumer).await?;
        Ok(connection)
    }

    async fn leave(&mut self) -> Result<(), BenchError> {
        let (replica, _) = self.replica.take().context("the replica was not started")?;
        replica.terminate().await?;
        Ok(())
    }

    async fn return_to_source(&mut self) -> Result<(), BenchError> {
        let address = self.start_replica().await?;
        // The server answers before it has opened its streams.
        let open = wait_until("the mirror to be open", async || {
            let mut connection = Connection::open(address).await.ok()?;
            connection.call(REPLICA, "STREAM.INFO.COPY", &json!({})).await.ok()
        });
        open.await?;
        Ok(())
    }

    async fn end(self) -> Result<(), BenchError> {
        if let Some((replica, _)) = self.replica {
            replica.terminate().await?;
        }
        self.source.0.terminate().await?;
        Ok(())
    }
}

/// A connection that speaks the protocol of NATS clients, with one subject for all replies.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    replies: String,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        /// Numbers of the subjects for replies. Hub and leaf node share subjects.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let replies = format!("replies.{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = Self { stream: connect(address).await?, replies };
        connection.line().await.context("the NATS server sent no INFO")?;
        let hello = format!("CONNECT {{\"verbose\":false}}\r\nSUB {} 1\r\nPING\r\n", connection.replies);
        connection.send(&hello).await?;
        while connection.line().await? != "PONG" {}
        Ok(connection)
    }

    async fn send(&mut self, text: &str) -> Result<(), BenchError> {
        Ok(self.stream.write_all(text.as_bytes()).await?)
    }

    async fn line(&mut self) -> Result<String, BenchError> {
        let mut line = String::new();
        anyhow::ensure!(self.stream.read_line(&mut line).await? > 0, "the NATS server closed the connection");
        anyhow::ensure!(!line.starts_with("-ERR"), "the NATS server answered: {}", line.trim_end());
        Ok(line.trim_end().to_owned())
    }

    async fn message(&mut self) -> Result<Vec<u8>, BenchError> {
        loop {
            let line = self.line().await?;
            if line == "PING" {
                self.send("PONG\r\n").await?;
            } else if line.starts_with("MSG ") {
                let length: usize = line.rsplit(' ').next().unwrap_or_default().parse()?;
                let mut bytes = vec![0; length + 2];
                self.stream.read_exact(&mut bytes).await?;
                bytes.truncate(length);
                return Ok(bytes);
            }
        }
    }

    fn publication(&self, subject: &str, body: &str) -> String {
        format!("PUB {subject} {} {}\r\n{body}\r\n", self.replies, body.len())
    }

    /// Calls the interface of JetStream in a domain.
    async fn call(&mut self, domain: &str, call: &str, body: &Value) -> Result<Value, BenchError> {
        let publication = self.publication(&format!("$JS.{domain}.API.{call}"), &body.to_string());
        self.send(&publication).await?;
        let waiting = tokio::time::timeout(service::harness::TIMEOUT, self.message()).await;
        let reply: Value = serde_json::from_slice(&waiting.with_context(|| format!("no reply to {call}"))??)?;
        anyhow::ensure!(reply["error"].is_null(), "JetStream refused {call}: {}", reply["error"]);
        Ok(reply)
    }

    async fn acknowledgment(&mut self) -> Result<(), BenchError> {
        let reply = self.message().await?;
        let text = String::from_utf8_lossy(&reply);
        anyhow::ensure!(text.contains("\"seq\""), "JetStream did not store a message: {text}");
        Ok(())
    }
}

impl Writer for Connection {
    async fn append(&mut self, payload: &str) -> Result<(), BenchError> {
        let publication = self.publication(SUBJECT, payload);
        self.send(&publication).await?;
        self.acknowledgment().await
    }

    async fn append_group(&mut self, payloads: &[String]) -> Result<(), BenchError> {
        let all: String = payloads.iter().map(|payload| self.publication(SUBJECT, payload)).collect();
        self.send(&all).await?;
        for _ in payloads {
            self.acknowledgment().await?;
        }
        Ok(())
    }
}

impl Watcher for Connection {
    async fn wait_for_next(&mut self) -> Result<(), BenchError> {
        self.message().await?;
        Ok(())
    }
}
