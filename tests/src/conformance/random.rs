//! Random request scripts, in the format of the written ones: a seed says everything.
//!
//! They are for an API server alone. Controllers write when they please, and every write of theirs would show in
//! versions, managed fields and statuses; without them each answer follows from the requests before it.

mod bodies;
mod census;
mod changes;
mod dice;
mod kinds;
mod options;
mod reads;
mod shrink;
mod spoil;
mod world;
mod writes;

pub use census::Census;
pub use shrink::shrink;
pub use spoil::mutate;

use super::script::Script;
use world::World;

/// How the names of random scripts begin.
pub const RANDOM: &str = "random-";

/// How many of them run when nobody says otherwise: a few minutes on two cores.
pub const RANDOM_SCRIPTS: u64 = 2000;

/// The fewest steps of a script, and how many more there can be.
const STEPS: (usize, usize) = (6, 12);

type Request = fn(&mut World);

/// What a step does, each as often as its number says.
const REQUESTS: &[(usize, Request)] = &[
    (16, writes::create),
    (12, writes::update),
    (10, writes::merge_patch),
    (8, writes::json_patch),
    (8, writes::strategic_patch),
    (12, writes::apply),
    (6, writes::status),
    (4, writes::scale),
    (8, writes::delete),
    (2, writes::delete_collection),
    (5, reads::get),
    (8, reads::list),
    (5, reads::watch),
    (2, reads::lost),
];

/// The script of a seed.
pub fn generate(seed: u64) -> Script {
    let mut world = World::new(seed);
    let steps = STEPS.0 + world.dice.plan.below(STEPS.1);
    writes::create(&mut world);
    while world.steps() < steps {
        let request = world.dice.plan.weighted(REQUESTS);
        request(&mut world);
    }
    world.script(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything() {
        let text = |seed| serde_json::to_string(&generate(seed)).unwrap();
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn a_script_is_read_as_it_is_written() {
        for seed in 0..200 {
            let script = generate(seed);
            let text = serde_saphyr::to_string(&script).unwrap();
            let read: Script = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(&script).unwrap(), "{text}");
        }
    }
}
