//! A proxy on loopback that is as slow as a link in the country, and fails as often.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

/// Maximum number of bytes that pass at once.
const PIECE_BYTES: usize = 500;
/// Size of the socket buffers, so that the kernel hides less of how slow the link is.
const BUFFER_BYTES: u32 = 4_096;
/// Maximum number of connections at a time. Further ones wait.
const MAX_CONNECTIONS: usize = 64;
/// Length of the queue of connections that wait.
const BACKLOG: u32 = 64;
/// Maximum time until the process behind the link accepts a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// State of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NarrowSettings {
    /// Rate of each direction, over all connections. With 0, connections stay open and nothing passes.
    pub bytes_per_s: u64,
    /// Number of bytes to the office after which all connections are cut.
    pub cut_after_bytes: u64,
    /// True if there is no link: connections are cut, and new ones are closed at once.
    pub is_down: bool,
}

impl NarrowSettings {
    /// A link that carries everything at once.
    pub const OPEN: Self = Self { bytes_per_s: u64::MAX, cut_after_bytes: u64::MAX, is_down: false };
    /// A link whose connections stay open although nothing passes.
    pub const SILENT: Self = Self::rate(0);
    /// No link.
    pub const DOWN: Self = Self { is_down: true, ..Self::OPEN };

    /// Returns a link with this rate in each direction.
    pub const fn rate(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, ..Self::OPEN }
    }

    /// Returns a link that is cut again and again, after this number of bytes to the office.
    pub const fn cut_every(bytes: u64) -> Self {
        Self { cut_after_bytes: bytes, ..Self::OPEN }
    }
}

/// A running proxy. Dropping it cuts all connections.
#[derive(Debug)]
pub struct NarrowLink {
    address: SocketAddr,
    settings: watch::Sender<NarrowSettings>,
    cable: Arc<Cable>,
    accepting: JoinHandle<()>,
}

/// Both directions of a link, over all connections.
#[derive(Debug)]
struct Cable {
    to_barn: Lane,
    to_office: Lane,
    /// Number of cuts. Each change ends all connections.
    cuts: watch::Sender<u64>,
}

/// One direction of a link.
#[derive(Debug)]
struct Lane {
    settings: watch::Receiver<NarrowSettings>,
    /// True if the bytes of this direction are those after which the link is cut.
    is_cut: bool,
    free_at: Mutex<Instant>,
    /// Bytes since the last cut.
    since_cut: AtomicU64,
    carried: AtomicU64,
}

impl Drop for NarrowLink {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl NarrowLink {
    /// Opens a link to the barn at `target`. Needs a tokio runtime.
    pub fn open(target: SocketAddr, settings: NarrowSettings) -> io::Result<Self> {
        let socket = small_socket()?;
        socket.set_send_buffer_size(BUFFER_BYTES)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (settings, current) = watch::channel(settings);
        let cable = Arc::new(Cable {
            to_barn: Lane::new(current.clone(), false),
            to_office: Lane::new(current, true),
            cuts: watch::Sender::new(0),
        });
        let accepting = tokio::spawn(accept(listener, target, cable.clone()));
        Ok(Self { address, settings, cable, accepting })
    }

    /// Returns the address at which the barn can be reached over the link.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the state of the link.
    pub fn set(&self, settings: NarrowSettings) {
        self.settings.send_replace(settings);
        if settings.is_down {
            self.cut();
        }
    }

    /// Cuts all connections. New ones are accepted at once.
    pub fn cut(&self) {
        self.cable.cut();
    }

    /// Returns the number of cuts so far.
    pub fn cuts(&self) -> u64 {
        *self.cable.cuts.borrow()
    }

    /// Returns the number of bytes that the office has received so far.
    pub fn bytes_to_office(&self) -> u64 {
        self.cable.to_office.carried.load(Ordering::Relaxed)
    }
}

impl Cable {
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Carries one connection until one side closes it, or the link is cut.
    async fn connect(&self, office: TcpStream, target: SocketAddr) {
        let mut cut = self.cuts.subscribe();
        let Ok(Ok(barn)) = timeout(CONNECT_TIMEOUT, connect(target)).await else { return };
        let ((office_reads, office_writes), (barn_reads, barn_writes)) = (office.into_split(), barn.into_split());
        tokio::select! {
            // The connections close when their halves are dropped.
            _ = cut.changed() => {}
            _ = self.to_barn.copy(office_reads, barn_writes) => {}
            is_cut = self.to_office.copy(barn_reads, office_writes) => {
                if is_cut {
                    self.cut();
                }
            }
        }
    }
}

impl Lane {
    fn new(settings: watch::Receiver<NarrowSettings>, is_cut: bool) -> Self {
        let (since_cut, carried) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { settings, is_cut, free_at: Mutex::new(Instant::now()), since_cut, carried }
    }

    /// Copies until one side closes, or the link is cut. Returns true if it was cut.
    async fn copy(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> bool {
        let mut piece = [0; PIECE_BYTES];
        while let Ok(bytes @ 1..) = from.read(&mut piece).await {
            let cut = self.carry(bytes as u64).await;
            if to.write_all(&piece[..bytes]).await.is_err() || cut {
                return cut;
            }
        }
        false
    }

    /// Waits as long as the link takes to carry these bytes. Returns true if it is cut after them.
    async fn carry(&self, bytes: u64) -> bool {
        let mut settings = self.settings.clone();
        let mut free_at = self.free_at.lock().await;
        let passes = settings.wait_for(|settings| settings.bytes_per_s > 0).await;
        // An error is the end of the link.
        let Ok(settings) = passes.map(|settings| *settings) else { return true };
        if settings.bytes_per_s < u64::MAX {
            *free_at = (*free_at).max(Instant::now()) + Duration::from_secs(bytes) / share(settings.bytes_per_s);
            sleep_until(*free_at).await;
        }
        self.carried.fetch_add(bytes, Ordering::Relaxed);
        let since_cut = self.since_cut.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let cut = self.is_cut && since_cut >= settings.cut_after_bytes;
        if cut {
            self.since_cut.store(0, Ordering::Relaxed);
        }
        cut
    }
}

fn share(bytes_per_s: u64) -> u32 {
    u32::try_from(bytes_per_s).unwrap_or(u32::MAX)
}

async fn accept(listener: TcpListener, target: SocketAddr, cable: Arc<Cable>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Ok(slot) = slots.clone().acquire_owned().await
        && let Ok((office, _)) = listener.accept().await
    {
        let is_down = cable.to_office.settings.borrow().is_down;
        if is_down {
            continue;
        }
        let cable = cable.clone();
        tokio::spawn(async move {
            cable.connect(office, target).await;
            drop(slot);
        });
    }
}

async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    small_socket()?.connect(target).await
}

fn small_socket() -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    Ok(socket)
}
