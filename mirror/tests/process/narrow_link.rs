//! A proxy on loopback that is as slow as a link in the country, and cut as often.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Maximum number of bytes that pass at once.
const PIECE_BYTES: usize = 500;
/// Size of the socket buffers, so that the kernel hides less of how slow the link is.
const BUFFER_BYTES: u32 = 4_096;

/// Limits of the link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NarrowSettings {
    /// Rate of each direction, over all connections.
    pub(crate) bytes_per_s: u64,
    /// Bytes to the office after which all connections are cut.
    pub(crate) cut_after_bytes: u64,
}

/// A running proxy. Dropping it cuts all connections.
#[derive(Debug)]
pub(crate) struct NarrowLink {
    /// Address at which the barn can be reached over the link.
    pub(crate) address: SocketAddr,
    accepting: JoinHandle<()>,
    _cuts: Arc<watch::Sender<u64>>,
}

impl Drop for NarrowLink {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One direction of the link.
#[derive(Debug)]
struct Lane {
    settings: NarrowSettings,
    free_at: Mutex<Instant>,
    /// Bytes since the last cut.
    carried: AtomicU64,
}

impl Lane {
    fn new(settings: NarrowSettings) -> Arc<Self> {
        Arc::new(Self { settings, free_at: Mutex::new(Instant::now()), carried: AtomicU64::new(0) })
    }

    /// Waits as long as the link takes to carry these bytes. Returns true if it is cut after them.
    async fn carry(&self, bytes: u64) -> bool {
        let mut free_at = self.free_at.lock().await;
        *free_at = (*free_at).max(Instant::now()) + Duration::from_secs(bytes) / share(self.settings.bytes_per_s);
        sleep_until(*free_at).await;
        let carried = self.carried.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let cut = carried >= self.settings.cut_after_bytes;
        if cut {
            self.carried.store(0, Ordering::Relaxed);
        }
        cut
    }
}

fn share(bytes_per_s: u64) -> u32 {
    u32::try_from(bytes_per_s).unwrap_or(u32::MAX)
}

impl NarrowLink {
    /// Opens a link to `barn`. Needs a tokio runtime.
    pub(crate) fn open(barn: SocketAddr, settings: NarrowSettings) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(BUFFER_BYTES).unwrap();
        socket.set_send_buffer_size(BUFFER_BYTES).unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        let address = listener.local_addr().unwrap();
        let cuts = Arc::new(watch::Sender::new(0));
        let accepting = tokio::spawn(accept(listener, barn, settings, cuts.clone()));
        Self { address, accepting, _cuts: cuts }
    }
}

async fn accept(listener: TcpListener, barn: SocketAddr, settings: NarrowSettings, cuts: Arc<watch::Sender<u64>>) {
    let (up, down) = (Lane::new(NarrowSettings { cut_after_bytes: u64::MAX, ..settings }), Lane::new(settings));
    while let Ok((office, _)) = listener.accept().await {
        let (up, down, cuts) = (up.clone(), down.clone(), cuts.clone());
        tokio::spawn(async move {
            let mut cut = cuts.subscribe();
            let Ok(barn) = connect(barn).await else { return };
            let ((office_reads, office_writes), (barn_reads, barn_writes)) = (office.into_split(), barn.into_split());
            tokio::select! {
                // The connections close when their halves are dropped.
                _ = cut.changed() => {}
                _ = copy(office_reads, barn_writes, &up) => {}
                cut = copy(barn_reads, office_writes, &down) => {
                    cuts.send_if_modified(|cuts| {
                        *cuts += u64::from(cut);
                        cut
                    });
                }
            }
        });
    }
}

async fn connect(barn: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(BUFFER_BYTES)?;
    socket.connect(barn).await
}

/// Copies until one side closes, or the link is cut. Returns true if it was cut.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, lane: &Lane) -> bool {
    let mut piece = [0; PIECE_BYTES];
    while let Ok(bytes @ 1..) = from.read(&mut piece).await {
        let cut = lane.carry(bytes as u64).await;
        if to.write_all(&piece[..bytes]).await.is_err() || cut {
            return cut;
        }
    }
    false
}
