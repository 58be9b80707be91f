//! Steps that are under way, finished in whatever order.

use std::future::poll_fn;
use std::task::Poll;

use sereno_kernel::BoxFuture;

/// Resources that one stack works on at the same time.
pub const PARALLEL_MAX: usize = 16;

/// Futures with their names.
pub struct Running<T> {
    futures: Vec<(String, bool, BoxFuture<'static, T>)>,
}

impl<T> Running<T> {
    pub fn new() -> Self {
        Self { futures: Vec::new() }
    }

    pub fn push(&mut self, id: String, cancellable: bool, future: BoxFuture<'static, T>) {
        self.futures.push((id, cancellable, future));
    }

    pub fn len(&self) -> usize {
        self.futures.len()
    }

    pub fn is_empty(&self) -> bool {
        self.futures.is_empty()
    }

    pub fn contains(&self, id: &str) -> bool {
        self.futures.iter().any(|(known, _, _)| known == id)
    }

    /// Drops the futures that only wait for something outside; answers their names.
    pub fn cancel(&mut self) -> Vec<String> {
        let (cancelled, kept) = std::mem::take(&mut self.futures)
            .into_iter()
            .partition(|(_, cancellable, _)| *cancellable);
        self.futures = kept;
        let cancelled: Vec<(String, bool, BoxFuture<'static, T>)> = cancelled;
        cancelled.into_iter().map(|(id, _, _)| id).collect()
    }

    /// The next one that ends; never resolves when there is none.
    pub async fn next(&mut self) -> (String, T) {
        poll_fn(|context| {
            for at in 0..self.futures.len() {
                if let Poll::Ready(value) = self.futures[at].2.as_mut().poll(context) {
                    let (id, _, _) = self.futures.swap_remove(at);
                    return Poll::Ready((id, value));
                }
            }
            Poll::Pending
        })
        .await
    }
}
