//! Which interesting situations a run reached.

use std::collections::BTreeMap;

macro_rules! situations {
    ($($variant:ident $name:literal,)*) => {
        /// A situation worth reaching.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Situation {
            $(#[doc = $name] $variant,)*
        }

        impl Situation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

situations! {
    CrashBeforeWrite "crash before a write",
    CrashAfterWrite "crash after a write",
    CrashInBatch "crash while a batch is running",
    CrashAtBreakpoint "crash while paused at a breakpoint",
    CrashAtRunCreation "crash around the creation of a run",
    CrashAtPartition "crash around a write to a workload",
    CrashAtRunStatus "crash around a write of a run's status",
    LostRequest "request lost",
    LostRead "answer to a read lost",
    LostStatusAnswer "answer to a landed status write lost",
    LostWorkloadAnswer "answer to a landed workload write lost",
    LostCreateAnswer "answer to a landed creation lost",
    InjectedConflict "conflict injected",
    RealConflict "conflict with another writer",
    Throttled "429 injected",
    ServerError "500 injected",
    Unavailable "503 injected",
    WatchDropped "watch dropped",
    WatchExpired "watch expired",
    UnreachableInBatch "cluster unreachable while a batch is running",
    UnreachableHub "hub unreachable",
    PausedAtBreakpoint "paused at a breakpoint",
    PausedInBatch "paused inside a batch",
    CommandGiven "command given by a user",
    RunError "run stopped by an error",
    BatchSkipped "batch skipped",
    RunCanceled "run canceled",
    ScaledInRun "workload scaled during a run",
    TemplateChangedInRun "template changed during a run",
    ForeignExposure "pod put on the new revision by a foreign write",
    BadImage "pod that cannot start",
    PodsDown "pod taken down for an update",
    SeveralClustersMoving "pods of several clusters down at once",
    RolloutDeletedInRun "rollout deleted during a run",
    ActorInjured "actor hurt",
    HookAsked "hook asked",
    CrashInHook "crash while a run waits for a hook",
    CrashAtRoute "crash around a write to a route",
    CrashAtFork "crash around a write to a fork",
    TrafficDivided "requests divided between the forks of a backend",
    TrafficSwitched "all requests with the copies of a canary",
}

/// Looks a situation up by name. The error says which ones there are.
pub fn find(name: &str) -> Result<Situation, String> {
    Situation::ALL.iter().find(|situation| situation.name() == name).copied().ok_or_else(|| {
        let names: Vec<_> = Situation::ALL.iter().map(|situation| situation.name()).collect();
        format!("unknown situation `{name}`: use one of: {}", names.join(", "))
    })
}

/// How often each situation was reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<Situation, u64>);

impl Coverage {
    /// Counts a situation.
    pub fn hit(&mut self, situation: Situation) {
        *self.0.entry(situation).or_default() += 1;
    }

    /// How often it was reached.
    pub fn of(&self, situation: Situation) -> u64 {
        self.0.get(&situation).copied().unwrap_or_default()
    }

    /// Adds what another run reached.
    pub fn add(&mut self, other: &Self) {
        for (situation, count) in &other.0 {
            *self.0.entry(*situation).or_default() += count;
        }
    }

    /// The situations that were never reached.
    pub fn missed(&self) -> Vec<&'static str> {
        Situation::ALL.iter().filter(|situation| self.of(**situation) == 0).map(|s| s.name()).collect()
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Situation::ALL.iter().try_for_each(|situation| writeln!(f, "{:>8}  {}", self.of(*situation), situation.name()))
    }
}
