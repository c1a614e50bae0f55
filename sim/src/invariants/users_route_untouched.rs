//! A user's part of a route is the user's.

use super::{About, Ending, Invariant};
use crate::facts::{Change, Delta, Facts, Who};

/// A route less our part, which is references to forks, rules that send matching requests to them and mirrors to them, is
/// what a user wrote last, whoever else writes. While forks divide a backend's weight, the proportion is looked at.
pub(super) struct UsersRouteUntouched;

impl Invariant for UsersRouteUntouched {
    fn about(&self) -> About {
        About {
            name: "users_route_untouched",
            sentence: "a route less our part is always what a user wrote last",
            reference: "DESIGN section 3, own only what is yours",
            live: true,
        }
    }

    fn observe(&mut self, facts: &Facts, delta: &Delta, change: &Change<'_>) -> Option<String> {
        let Delta::Route { id, .. } = delta else { return None };
        if change.who == Who::User {
            return None;
        }
        let touched = facts.routes.get(id)?.touched()?;
        Some(format!("{id}: {touched}"))
    }

    fn finish(&mut self, facts: &Facts, _: &Ending) -> Option<String> {
        facts.routes.iter().find_map(|(id, route)| Some(format!("{id}: {}", route.touched()?)))
    }
}
