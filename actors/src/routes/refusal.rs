//! Why our part cannot be laid over a route.

/// Why our part cannot be laid over a route. It names the field of the route or of what was asked for; who has it adds the
/// object's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A list would be longer than the API server takes it.
    #[error("{field} would have {found} entries with ours, and may have {most} at most: {remedy}")]
    TooMany {
        /// The list.
        field: String,
        /// How many entries it would have.
        found: usize,
        /// How many it may have.
        most: usize,
        /// What to do.
        remedy: &'static str,
    },
    /// A weight that leaves no room for a share of it.
    #[error(
        "rules[{rule}].backendRefs[].weight is {found}, and shares of a weight can be told up to 10000: use smaller weights"
    )]
    Weight {
        /// The rule.
        rule: usize,
        /// The weight.
        found: i64,
    },
    /// Nothing in it goes to the backend.
    #[error("no rule of it refers to {kind} {name}: correct the TrafficTopology, or the route")]
    Unreferenced {
        /// Kind of the backend.
        kind: String,
        /// Its name.
        name: String,
    },
    /// There is nothing to match by.
    #[error("{of}.matches is empty, so that no request would take the rule: say which requests are meant")]
    NoMatches {
        /// `stable` or `canary`.
        of: &'static str,
    },
    /// No match of ours fits any of a rule's.
    #[error(
        "{of}.matches fit none of the route's own matches, so that no request would take the rule: correct the matches"
    )]
    NothingMatches {
        /// `stable` or `canary`.
        of: &'static str,
    },
    /// A rule would take what another one takes.
    #[error(
        "with the matches, rules[{by}] is more specific than rules[{rule}], and would take requests of it to {name}: add them to rules[{rule}] as well, or use a weight"
    )]
    Overtakes {
        /// The rule whose requests they are, of the user's.
        rule: usize,
        /// The rule of the user's that would take them.
        by: usize,
        /// Name of the backend.
        name: String,
    },
    /// Two backends of one rule are both told apart by matches.
    #[error(
        "a rule refers to {name} and to another backend whose requests are told apart by matches: use a weight for one of the two, or give each a rule of its own"
    )]
    Shared {
        /// Name of the backend.
        name: String,
    },
    /// A prefix is replaced, and there is not the one prefix.
    #[error(
        "rules[{rule}].matches has {found} entries, and a filter that replaces the matched prefix needs exactly one, of type PathPrefix: use matches without a path, or replace the full path"
    )]
    Prefix {
        /// The rule.
        rule: usize,
        /// How many matches it has.
        found: usize,
    },
    /// What this kind of route, or nginx, has no word for.
    #[error("{field} cannot be said in {kind}: {remedy}")]
    Unsupported {
        /// The field of what was asked for.
        field: String,
        /// The kind of route.
        kind: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The name of the canary Ingress is somebody else's.
    #[error(
        "Ingress {name} is there already, and is not the canary Ingress of this backend: rename it, or give each backend an Ingress of its own"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// A path can have one canary.
    #[error(
        "Ingress {name} is the canary for {path} already, and a path can have one: delete it, or take this Ingress out of the TrafficTopology"
    )]
    Occupied {
        /// Somebody's own canary Ingress.
        name: String,
        /// Host and path.
        path: String,
    },
    /// The API server would not take it.
    #[error("{field} {problem}: correct it")]
    Invalid {
        /// The field of what was asked for.
        field: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}
