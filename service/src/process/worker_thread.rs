//! An asynchronous loop on an OS thread of its own.

use std::future::Future;
use std::io;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A thread that runs one future, for loops that block on a disk.
///
/// The loops of the writers are async functions, so that a simulated world can run them on one thread. A commit
/// blocks, so production gives each of them a thread.
#[derive(Debug)]
pub struct WorkerThread<T> {
    result: oneshot::Receiver<T>,
}

impl<T: Send + 'static> WorkerThread<T> {
    /// Starts the thread. Its name shows in `top -H`.
    pub fn spawn(name: &str, work: impl Future<Output = T> + Send + 'static) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (sender, result) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody waits for the result if the process is ending.
            let _ = sender.send(runtime.block_on(work));
        })?;
        Ok(Self { result })
    }

    /// Waits for the result; `None` if the thread panicked. Cancel-safe. Further calls return `None`.
    pub async fn join(&mut self) -> Option<T> {
        // A receiver that has delivered its value panics if it is polled again.
        if self.result.is_terminated() {
            return None;
        }
        (&mut self.result).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_result_arrives_and_a_panic_is_none() {
        let mut good = WorkerThread::spawn("good", async { 7 }).unwrap();
        assert_eq!((good.join().await, good.join().await), (Some(7), None));
        let mut bad = WorkerThread::<()>::spawn("bad", async { panic!("a bug") }).unwrap();
        assert_eq!(bad.join().await, None);
    }
}
