//! Scaling: outside of a roll one set takes the new size; during one, every set takes its share of it.

use std::cmp::Reverse;

use super::Action;
use super::draft::Draft;
use super::set::Set;
use super::spec::Strategy;

impl Draft<'_> {
    /// True when an active set was told another number of replicas than the Deployment asks for now.
    pub(super) fn is_scaled(&self) -> bool {
        let mut active = self.sets.iter().filter(|set| set.replicas > 0);
        active.any(|set| set.desired().is_some_and(|desired| desired != self.spec.replicas))
    }

    /// Brings the sets to the Deployment's size without getting the roll ahead.
    pub(super) fn scale(&mut self) {
        let active: Vec<usize> =
            self.sets.iter().enumerate().filter(|(_, set)| set.replicas > 0).map(|(index, _)| index).collect();
        match active[..] {
            // Without any active set the one of the current template counts, or else the latest.
            [] => {
                if let Some(index) = self.new.or(self.sets.len().checked_sub(1)) {
                    self.resize(index, self.spec.replicas);
                }
            }
            [index] => drop(self.resize(index, self.spec.replicas)),
            _ if self.is_saturated() => {
                let old: Vec<usize> = self.active_old_sets().map(|(index, _)| index).collect();
                for index in old {
                    self.resize(index, 0);
                }
            }
            _ if self.spec.strategy == Strategy::Recreate => {}
            _ => self.share(active),
        }
    }

    /// True when the new set has all the pods, and all of them serve.
    fn is_saturated(&self) -> bool {
        self.new_set().is_some_and(|set| {
            let counts = [set.replicas, set.status.available_replicas];
            set.desired() == Some(self.spec.replicas) && counts.iter().all(|&count| count == self.spec.replicas)
        })
    }

    /// Adds or takes pods, the larger sets first: of sets of one size the newer ones grow and the older ones shrink.
    fn share(&mut self, mut active: Vec<usize>) {
        let allowed = if self.spec.replicas > 0 { self.spec.max_replicas() } else { 0 };
        let change = allowed - self.total();
        let size = |index: &usize| self.sets.get(*index).map_or(0, |set| set.replicas);
        active.sort_by_key(|index| (Reverse(size(index)), if change > 0 { Reverse(*index) } else { Reverse(0) }));
        let mut changed = 0;
        let mut sizes: Vec<(usize, i32)> = Vec::new();
        for index in active {
            let Some(set) = self.sets.get(index) else { continue };
            let share = if change == changed { 0 } else { within(self.share_of(set), change - changed) };
            changed += share;
            sizes.push((index, set.replicas + share));
        }
        if let Some((_, size)) = sizes.first_mut() {
            *size = (*size + change - changed).max(0);
        }
        for (index, size) in sizes {
            self.resize_or_tell(index, size);
        }
    }

    /// A set's share: it stays as large in proportion to the most pods there may be.
    fn share_of(&self, set: &Set<'_>) -> i32 {
        if self.spec.replicas == 0 {
            return -set.replicas;
        }
        let before = set.max_replicas().filter(|&count| count > 0).unwrap_or(self.status.replicas);
        if before <= 0 {
            return 0;
        }
        let (size, before) = (i64::from(set.replicas), i64::from(before));
        let twice = 2 * size * i64::from(self.spec.max_replicas());
        let rounded = (twice + before) / (2 * before);
        i32::try_from(rounded - size).unwrap_or(i32::MAX)
    }

    /// Also a set that keeps its size has to know the Deployment's.
    fn resize_or_tell(&mut self, index: usize, replicas: i32) {
        let Some(set) = self.sets.get(index) else { return };
        if set.replicas != replicas || !set.is_told(&self.spec) {
            let set = set.resized(&self.spec, replicas);
            self.plan.actions.push(Action::UpdateSet(set));
        }
    }
}

/// A share that goes no further than what is left.
fn within(share: i32, left: i32) -> i32 {
    if left > 0 { share.min(left) } else { share.max(left) }
}
