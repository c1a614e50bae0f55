//! The wall clock: the one place where the graph's time is the machine's.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use slipway_actors::world::Clock;

/// Time as the machine has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that is handed over at construction")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(duration).boxed()
    }
}
