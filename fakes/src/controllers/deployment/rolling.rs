//! Rolling updates: the new set grows and the old ones shrink, within the bounds of surge and unavailability.

use super::Observed;
use super::draft::Draft;

impl Draft<'_> {
    /// One step of a rolling update.
    pub(super) fn roll(&mut self, seen: &Observed<'_>) {
        if self.new.is_none() && !self.create_set(seen) {
            return;
        }
        let moved = self.grow_new() || self.shrink_old();
        if !moved && self.status.is_complete(&self.spec) {
            self.clean_up();
        }
        self.report_progress();
    }

    /// Gives the new set as many pods as there is room for.
    fn grow_new(&mut self) -> bool {
        let (Some(index), Some(new)) = (self.new, self.new_set()) else { return false };
        let replicas = new.replicas;
        let wanted =
            if replicas > self.spec.replicas { self.spec.replicas } else { self.spec.room(self.total(), replicas) };
        self.resize(index, wanted)
    }

    /// Takes pods from the old sets: first those that do not serve, then as many as the available ones allow.
    fn shrink_old(&mut self) -> bool {
        let Some(new) = self.new_set() else { return false };
        let unavailable = new.replicas - new.status.available_replicas;
        let spare = self.total() - self.spec.min_available() - unavailable;
        let mut sizes: Vec<(usize, i32)> = self.active_old_sets().map(|(index, set)| (index, set.replicas)).collect();
        if spare <= 0 || sizes.is_empty() {
            return false;
        }
        let Some(cleaned) = self.take_unavailable(&mut sizes, spare) else { return false };
        let taken = self.take_available(&sizes);
        cleaned || taken
    }

    /// None where a set has not yet carried out an earlier step: it counts more pods than it ought to have.
    fn take_unavailable(&mut self, sizes: &mut [(usize, i32)], spare: i32) -> Option<bool> {
        let mut left = spare;
        for (index, size) in sizes {
            let available = self.sets.get(*index).map_or(0, |set| set.status.available_replicas);
            if left <= 0 || *size == available {
                continue;
            }
            if available > *size {
                return None;
            }
            let surplus = (*size - available).min(left);
            left -= surplus;
            *size -= surplus;
            self.resize(*index, *size);
        }
        Some(left < spare)
    }

    fn take_available(&mut self, sizes: &[(usize, i32)]) -> bool {
        let available: i32 = self.sets.iter().map(|set| set.status.available_replicas).sum();
        let allowed = available - self.spec.min_available();
        let mut left = allowed;
        for &(index, size) in sizes.iter().filter(|(_, size)| *size > 0) {
            let taken = size.min(left);
            if taken > 0 {
                left -= taken;
                self.resize(index, size - taken);
            }
        }
        left < allowed
    }
}
