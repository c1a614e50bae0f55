//! What the fake API server keeps in memory: for each object, and for each change of one that it remembers.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot be set up has nothing to say")]

use slipway_benches::server::Server;

/// As much of the process as is in memory, in bytes.
fn resident() -> usize {
    /// Linux on every machine this is measured on.
    const PAGE_BYTES: usize = 4096;
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split(' ').nth(1).map_or(0, |pages| pages.parse::<usize>().unwrap() * PAGE_BYTES)
}

fn main() {
    // Without `--bench` this is a test, which has no time.
    let (objects, changes) = if std::env::args().any(|it| it == "--bench") { (10_000, 9_000) } else { (20, 18) };
    drop(Server::with_objects(1));
    let before = resident();
    let mut server = Server::with_objects(objects);
    let created = resident();
    println!("an object of {} bytes keeps {} bytes", server.get("web-1").len(), (created - before) / objects);
    let draft = server.draft("web-1");
    for _ in 0..changes {
        server.replace("web-1", draft.clone());
    }
    println!("a change of it keeps {} bytes", resident().saturating_sub(created) / changes);
}
