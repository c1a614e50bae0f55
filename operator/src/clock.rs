//! The clocks that are handed to the graph: the machine's for the operator, a faster one for the demo.

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

/// The fake clusters' own time, as the demo paces it.
#[derive(Clone, Debug)]
pub(crate) struct Paced(pub slipway_fakes::Clock);

impl Clock for Paced {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let clock = self.0.clone();
        async move { clock.sleep(duration).await }.boxed()
    }
}
