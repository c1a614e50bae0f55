//! Who is writing to a cluster right now.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use crate::facts::Who;

/// Says whose request a cluster is working on. Stores tell of writes while they happen, and requests are worked on in
/// one go, so whoever is marked while a write is told of has made it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marker(Arc<AtomicU8>);

impl Marker {
    /// The one whose request is worked on: a controller when nobody is marked.
    pub(crate) fn who(&self) -> Who {
        match self.0.load(Ordering::Relaxed) {
            1 => Who::Operator,
            2 => Who::User,
            _ => Who::Cluster,
        }
    }

    /// Runs `work` as `who`: the mark stands whenever it is polled, and only then.
    pub(crate) async fn during<T>(&self, who: Who, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        std::future::poll_fn(|cx| {
            self.0.store(who as u8, Ordering::Relaxed);
            let polled = work.as_mut().poll(cx);
            self.0.store(Who::Cluster as u8, Ordering::Relaxed);
            polled
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_mark_does_not_outlast_a_poll() {
        let marker = Marker::default();
        let seen = marker.during(Who::Operator, async {
            let before = marker.who();
            tokio::task::yield_now().await;
            (before, marker.who())
        });
        let (seen, outside) = tokio::join!(seen, async { marker.who() });
        assert_eq!(seen, (Who::Operator, Who::Operator));
        assert_eq!(outside, Who::Cluster);
    }
}
