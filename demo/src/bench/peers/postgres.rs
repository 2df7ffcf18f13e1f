//! PostgreSQL with logical replication. A payload is a row, in a transaction of its own.
//!
//! The subscription has `synchronous_commit = on`, so that the subscriber syncs each transaction before it is visible there.
//! A trigger notifies a listener with the commit. `wal_retrieve_retry_interval` is 100 ms instead of 5 s, because a
//! subscriber that starts would otherwise mostly wait.
//!
//! The replica is away while its server is stopped, and the catch-up begins with the start of the process, as at ours.

use super::super::BenchError;
use super::package::{Package, connect, free_address, start_server};
use super::{Peer, RowIds, Watcher, Writer};
use anyhow::Context as _;
use rustix::process::geteuid;
use service::harness::{ChildProcess, Signal, wait_until};
use std::fs::{Permissions, create_dir_all, set_permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Directory of the programs below the root of the package.
const PROGRAMS: &str = "usr/lib/postgresql/15/bin";
/// User in the servers.
const USER: &str = "bench";
/// Version 3.0 of the protocol between client and server.
const PROTOCOL: u32 = 0x0003_0000;
/// User and group `nobody` of Debian. PostgreSQL refuses to run as root.
const NOBODY: u32 = 65_534;
/// Maximum size of a message of a server.
const MAX_MESSAGE_BYTES: u32 = 1024 * 1024;

const TABLE: &str = "CREATE TABLE log (id bigserial PRIMARY KEY, payload text NOT NULL)";
const TRIGGER: &str = "CREATE FUNCTION notify_seen() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN PERFORM pg_notify('seen', ''); RETURN NULL; END $$; \
    CREATE TRIGGER seen AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION notify_seen(); \
    ALTER TABLE log ENABLE ALWAYS TRIGGER seen; LISTEN seen";

/// A server and its files.
#[derive(Debug)]
struct Server {
    data: PathBuf,
    address: SocketAddr,
    process: Option<ChildProcess>,
}

/// A publisher and a subscriber.
#[derive(Debug)]
pub struct Postgres {
    package: Package,
    source: Server,
    replica: Server,
}

impl Server {
    /// Creates the files in `directory`.
    fn new(package: &Package, directory: &Path) -> Result<Self, BenchError> {
        create_dir_all(directory)?;
        if geteuid().is_root() {
            chown(directory, Some(NOBODY), Some(NOBODY))?;
        }
        let data = directory.join("data");
        let mut initdb = unprivileged(package.command(&format!("{PROGRAMS}/initdb"))?);
        initdb.arg("-D").arg(&data).args(["-A", "trust", "-U", USER, "--locale=C", "-E", "UTF8", "--no-sync"]);
        let output = initdb.stderr(Stdio::piped()).output().context("cannot run initdb")?;
        anyhow::ensure!(
            output.status.success(),
            "initdb failed; it must be able to reach {} as the user nobody: {}",
            data.display(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(Self { data, address: free_address()?, process: None })
    }

    async fn start(&mut self, package: &Package) -> Result<(), BenchError> {
        let mut command = unprivileged(package.main_command()?);
        command.arg("-D").arg(&self.data).args(["-p", &self.address.port().to_string()]);
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "wal_level=logical",
            "wal_retrieve_retry_interval=100ms",
            "max_connections=150",
            // No checkpoint in the middle of a row.
            "max_wal_size=4GB",
            "jit=off",
        ];
        command.args(settings.iter().flat_map(|setting| ["-c", setting]));
        let log = self.data.with_file_name("log");
        self.process = Some(start_server("PostgreSQL server", command, self.address, &log).await?);
        // It listens before it has recovered, and refuses everybody meanwhile.
        wait_until("a PostgreSQL server that takes queries", async || self.connect().await.ok()).await?;
        Ok(())
    }

    /// Stops the server without waiting for its clients.
    async fn stop(&mut self) -> Result<(), BenchError> {
        if let Some(mut process) = self.process.take() {
            process.signal(Signal::INT)?;
            process.wait().await?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Connection, BenchError> {
        Connection::open(self.address).await
    }
}

/// Makes a command run as `nobody`, if this process is root.
fn unprivileged(mut command: Command) -> Command {
    if geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

impl Peer for Postgres {
    type Writer = Connection;
    type Watcher = Connection;

    const ROWS: RowIds = RowIds {
        lag_p50: ["postgres_lag_p50", "PostgreSQL: lag p50"],
        lag_p99: ["postgres_lag_p99", "PostgreSQL: lag p99"],
        lone: ["postgres_lone_per_s", "PostgreSQL: lone"],
        in_flight: ["postgres_in_flight_per_s", "PostgreSQL: 100 in flight"],
        catch_up: ["postgres_catch_up_per_s", "PostgreSQL: catch-up"],
    };

    async fn start(package: &Package, directory: &Path) -> Result<Self, BenchError> {
        create_dir_all(directory)?;
        for above in [Some(directory), directory.parent()].into_iter().flatten() {
            // The user nobody must be able to pass.
            set_permissions(above, Permissions::from_mode(0o711))?;
        }
        let mut source = Server::new(package, &directory.join("source"))?;
        let replica = Server::new(package, &directory.join("replica"))?;
        source.start(package).await?;
        source.connect().await?.query(&format!("{TABLE}; CREATE PUBLICATION barn FOR TABLE log")).await?;
        Ok(Self { package: package.clone(), source, replica })
    }

    async fn writer(&self) -> Result<Connection, BenchError> {
        let mut connection = self.source.connect().await?;
        connection.query("PREPARE add (text) AS INSERT INTO log (payload) VALUES ($1)").await?;
        Ok(connection)
    }

    async fn follow(&mut self) -> Result<(), BenchError> {
        self.replica.start(&self.package).await?;
        let mut connection = self.replica.connect().await?;
        connection.query(TABLE).await?;
        let port = self.source.address.port();
        let subscription = format!(
            "CREATE SUBSCRIPTION office CONNECTION 'host=127.0.0.1 port={port} user={USER} dbname=postgres' \
             PUBLICATION barn WITH (synchronous_commit = on)"
        );
        connection.query(&subscription).await?;
        Ok(())
    }

    async fn replicated(&mut self) -> Result<u64, BenchError> {
        let max = self.replica.connect().await?.query("SELECT coalesce(max(id), 0) FROM log").await?;
        Ok(max.context("the replica did not return its last row")?.parse()?)
    }

    async fn watcher(&mut self) -> Result<Connection, BenchError> {
        let mut connection = self.replica.connect().await?;
        connection.query(TRIGGER).await?;
        Ok(connection)
    }

    async fn leave(&mut self) -> Result<(), BenchError> {
        // Only the lag needs to be told of each row.
        self.replica.connect().await?.query("DROP TRIGGER seen ON log").await?;
        self.replica.stop().await
    }

    async fn return_to_source(&mut self) -> Result<(), BenchError> {
        self.replica.start(&self.package).await
    }

    async fn end(mut self) -> Result<(), BenchError> {
        self.replica.stop().await?;
        self.source.stop().await
    }
}

/// A connection that speaks version 3 of PostgreSQL's protocol, with simple queries.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let mut connection = Self(connect(address).await?);
        let parameters = format!("user\0{USER}\0database\0postgres\0\0");
        let mut hello = u32::try_from(parameters.len() + 8)?.to_be_bytes().to_vec();
        hello.extend_from_slice(&PROTOCOL.to_be_bytes());
        hello.extend_from_slice(parameters.as_bytes());
        connection.0.write_all(&hello).await?;
        connection.ready().await?;
        Ok(connection)
    }

    /// Runs statements, and returns the first column of the last row.
    async fn query(&mut self, sql: &str) -> Result<Option<String>, BenchError> {
        let mut message = vec![b'Q'];
        message.extend_from_slice(&u32::try_from(sql.len() + 5)?.to_be_bytes());
        message.extend_from_slice(sql.as_bytes());
        message.push(0);
        self.0.write_all(&message).await?;
        self.ready().await
    }

    /// Reads until the server awaits the next query.
    async fn ready(&mut self) -> Result<Option<String>, BenchError> {
        let (mut column, mut refusal) = (None, None);
        loop {
            let (kind, body) = self.message().await?;
            match kind {
                b'Z' => return refusal.map_or(Ok(column), |text| Err(anyhow::anyhow!("PostgreSQL answered: {text}"))),
                b'E' => refusal = Some(printable(&body)),
                b'D' => column = first_column(&body),
                _ => {}
            }
            // The server closes a connection that it refuses, and is not ready any more.
            if let (b'E', Some(text)) = (kind, &refusal)
                && text.contains("FATAL")
            {
                anyhow::bail!("PostgreSQL answered: {text}");
            }
        }
    }

    async fn message(&mut self) -> Result<(u8, Vec<u8>), BenchError> {
        let kind = self.0.read_u8().await?;
        let length = self.0.read_u32().await?;
        anyhow::ensure!((4..=MAX_MESSAGE_BYTES).contains(&length), "PostgreSQL sent a message of {length} bytes");
        let mut body = vec![0; usize::try_from(length - 4)?];
        self.0.read_exact(&mut body).await?;
        Ok((kind, body))
    }
}

/// Returns the first column of a row: after the number of columns, its length and its text.
fn first_column(row: &[u8]) -> Option<String> {
    let length = u32::from_be_bytes(row.get(2..6)?.try_into().ok()?);
    let text = row.get(6..6 + usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Returns the fields of an error, which end with zeros.
fn printable(body: &[u8]) -> String {
    String::from_utf8_lossy(body).replace('\0', " ").trim().to_owned()
}

fn quoted(payload: &str) -> String {
    format!("'{}'", payload.replace('\'', "''"))
}

impl Writer for Connection {
    async fn append(&mut self, payload: &str) -> Result<(), BenchError> {
        self.query(&format!("EXECUTE add ({})", quoted(payload))).await?;
        Ok(())
    }

    async fn append_group(&mut self, payloads: &[String]) -> Result<(), BenchError> {
        let values: Vec<_> = payloads.iter().map(|payload| format!("({})", quoted(payload))).collect();
        self.query(&format!("INSERT INTO log (payload) VALUES {}", values.join(","))).await?;
        Ok(())
    }
}

impl Watcher for Connection {
    async fn wait_for_next(&mut self) -> Result<(), BenchError> {
        while self.message().await?.0 != b'A' {}
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Catches a panic on a row that is cut short, or whose length is a lie.
    #[test]
    fn the_first_column_of_a_row_is_read_within_its_bounds() {
        let row = [0, 1, 0, 0, 0, 2, b'4', b'2'];
        assert_eq!(first_column(&row).as_deref(), Some("42"));
        for end in 0..row.len() {
            assert_eq!(first_column(&row[..end]), None);
        }
        let null = [0, 1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(first_column(&null), None);
    }
}
