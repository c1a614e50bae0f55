//! The one clock of a fake cluster.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time inside a fake cluster: an epoch plus what tokio's clock has counted since, times a scale.
///
/// Under tokio's paused time this is virtual time; with real time and a scale above one it is paced time, in which
/// sockets work and everything else happens sooner.
#[derive(Clone, Debug)]
pub struct Clock {
    epoch: Timestamp,
    start: Instant,
    scale: u32,
}

impl Clock {
    /// A clock that shows `epoch` now and runs `scale` times as fast as tokio's. A scale of zero counts as one.
    pub fn new(epoch: Timestamp, scale: u32) -> Self {
        Self { epoch, start: Instant::now(), scale: scale.max(1) }
    }

    /// The time in the cluster.
    pub fn now(&self) -> Timestamp {
        let elapsed = self.start.elapsed().saturating_mul(self.scale);
        let elapsed = SignedDuration::try_from(elapsed).unwrap_or(SignedDuration::MAX);
        self.epoch.saturating_add(elapsed).unwrap_or(Timestamp::MAX)
    }

    /// The time in the cluster as metadata carries it: RFC 3339 with whole seconds.
    pub fn stamp(&self) -> String {
        stamp(self.now())
    }

    /// Sleeps until the cluster's clock has moved on by `duration`.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration / self.scale).await;
    }
}

/// A time as metadata carries it: RFC 3339 with whole seconds.
pub fn stamp(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn scale_divides_waiting_and_multiplies_time() {
        for scale in [1_u32, 10] {
            let clock = Clock::new("2026-01-01T00:00:00Z".parse().unwrap(), scale);
            let before = Instant::now();
            clock.sleep(Duration::from_secs(90)).await;
            assert_eq!(clock.stamp(), "2026-01-01T00:01:30Z", "scale {scale}");
            assert_eq!(before.elapsed(), Duration::from_secs(90) / scale);
        }
    }
}
