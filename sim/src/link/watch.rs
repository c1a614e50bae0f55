//! A watch on its way: every frame takes its time, in order, and the stream may end in between.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::{FutureExt, future::BoxFuture};
use http_body::{Body, Frame};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::{
    sync::futures::OwnedNotified,
    time::{Instant, Sleep, sleep},
};
use tower::BoxError;

use super::Wire;

/// The body of a watch.
pub(super) struct WatchBody {
    inner: UnsyncBoxBody<Bytes, BoxError>,
    wire: Arc<Wire>,
    /// Frames on their way, with their arrival.
    flying: VecDeque<(Instant, Frame<Bytes>)>,
    /// The API server has ended the stream.
    ended: bool,
    timer: Pin<Box<Sleep>>,
    cut: BoxFuture<'static, ()>,
    drop: Option<Pin<Box<Sleep>>>,
}

impl WatchBody {
    pub(super) fn new(
        inner: UnsyncBoxBody<Bytes, BoxError>,
        wire: Arc<Wire>,
        cut: OwnedNotified,
        ends: Option<Duration>,
    ) -> Self {
        wire.watches.fetch_add(1, Ordering::Relaxed);
        Self {
            inner,
            wire,
            flying: VecDeque::new(),
            ended: false,
            timer: Box::pin(sleep(Duration::ZERO)),
            cut: cut.boxed(),
            drop: ends.map(|lasts| Box::pin(sleep(lasts))),
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>) -> Result<(), BoxError> {
        while !self.ended {
            match Pin::new(&mut self.inner).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => self.ended = true,
                Poll::Ready(Some(frame)) => {
                    let last = self.flying.back().map(|(at, _)| *at);
                    let at = Instant::now() + self.wire.delay();
                    self.flying.push_back((last.map_or(at, |last| last.max(at)), frame?));
                }
            }
        }
        Ok(())
    }
}

impl Drop for WatchBody {
    fn drop(&mut self) {
        self.wire.watches.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Body for WatchBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if this.cut.poll_unpin(cx).is_ready() {
            // Not polled again: the stream has ended.
            this.cut = futures::future::ready(()).boxed();
            return Poll::Ready(None);
        }
        if this.drop.as_mut().is_some_and(|drop| drop.poll_unpin(cx).is_ready()) {
            this.cut = futures::future::ready(()).boxed();
            this.wire.watch_dropped();
            return Poll::Ready(None);
        }
        if let Err(error) = this.receive(cx) {
            return Poll::Ready(Some(Err(error)));
        }
        let Some((at, _)) = this.flying.front() else {
            return if this.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        if *at > Instant::now() {
            this.timer.as_mut().reset(*at);
            if this.timer.poll_unpin(cx).is_pending() {
                return Poll::Pending;
            }
        }
        Poll::Ready(this.flying.pop_front().map(|(_, frame)| Ok(frame)))
    }
}
