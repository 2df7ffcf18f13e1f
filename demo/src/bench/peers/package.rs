//! The programs of a peer, unpacked from Debian packages by `.ci/peers` and run from there.

use super::super::BenchError;
use anyhow::Context as _;
use service::harness::{ChildProcess, command, wait_until};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tokio::net::TcpStream;

/// Unpacked packages of one peer.
#[derive(Clone, Debug)]
pub struct Package {
    root: PathBuf,
    /// Path of the program below the root.
    program: &'static str,
}

impl Package {
    /// Returns the packages in `root`, whose main program is `program`.
    pub fn new(root: &Path, program: &'static str) -> Result<Self, BenchError> {
        let path = root.join(program);
        anyhow::ensure!(path.exists(), "{} does not exist; run .ci/peers, which unpacks it", path.display());
        // Some programs run in a directory of their own.
        Ok(Self { root: root.canonicalize()?, program })
    }

    /// Returns the command that runs a program of the package with its own libraries.
    pub(super) fn command(&self, program: &str) -> Result<Command, BenchError> {
        let mut libraries = Vec::new();
        for below in ["lib", "usr/lib"] {
            let Ok(entries) = std::fs::read_dir(self.root.join(below)) else { continue };
            for entry in entries {
                let path = entry?.path();
                libraries.extend(path.to_string_lossy().ends_with("-linux-gnu").then_some(path));
            }
        }
        let mut command = command(self.root.join(program));
        command.env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?).env("LC_ALL", "C");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }

    /// Returns the command that runs the main program.
    pub(super) fn main_command(&self) -> Result<Command, BenchError> {
        self.command(self.program)
    }

    /// Returns the version as the program prints it.
    pub(super) fn version(&self) -> String {
        let output = self.main_command().and_then(|mut command| {
            Ok(command.arg("--version").stdout(Stdio::piped()).stderr(Stdio::null()).output()?)
        });
        output.map_or_else(|error| error.to_string(), |output| String::from_utf8_lossy(&output.stdout).trim().into())
    }
}

/// Returns an address on loopback whose port is free now.
pub(super) fn free_address() -> Result<SocketAddr, BenchError> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Starts a server and waits until it accepts connections at `address`.
pub(super) async fn start_server(
    name: &'static str,
    command: Command,
    address: SocketAddr,
    log: &Path,
) -> Result<ChildProcess, BenchError> {
    let mut child = ChildProcess::spawn(name, command, log)?;
    let what = format!("a connection to the {name} at {address}");
    let connected = wait_until(&what, async || match child.try_wait() {
        Ok(None) => TcpStream::connect(address).await.ok().map(|_| Ok(())),
        Ok(Some(status)) => Some(Err(anyhow::anyhow!("the {name} ended with {status}"))),
        Err(error) => Some(Err(error.into())),
    });
    let connected = connected.await.map_err(BenchError::from).and_then(|connected| connected);
    connected.with_context(|| {
        let end = std::fs::read_to_string(log).unwrap_or_default();
        let end: Vec<_> = end.lines().rev().take(5).collect();
        format!("cannot start the {name}; its log ends, last line first, with: {}", end.join(" / "))
    })?;
    Ok(child)
}

/// Connects without Nagle's algorithm, as all clients of the bench.
pub(super) async fn connect(address: SocketAddr) -> Result<tokio::io::BufReader<TcpStream>, BenchError> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(tokio::io::BufReader::new(stream))
}
