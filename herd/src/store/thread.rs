//! Threads of a store.

use std::io;
use std::thread::{Builder, JoinHandle};

/// Calls a function when it is dropped, also while its thread panics.
struct OnEnd<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for OnEnd<F> {
    fn drop(&mut self) {
        if let Some(on_end) = self.0.take() {
            on_end();
        }
    }
}

/// Starts a thread, which calls `on_end` once `work` has returned or panicked.
///
/// `on_end` must wake all who wait for something that the thread does. A panic would leave them waiting forever.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
    on_end: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    let run = move || {
        let _on_end = OnEnd(Some(on_end));
        work()
    };
    Builder::new().name(name.to_owned()).spawn(run)
}
