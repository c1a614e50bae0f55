//! Whether the server is well. A fake always is.

use http::{Response, StatusCode};

use super::{ApiBody, Incoming, text};

/// Checks that can be asked for one by one.
const CHECKS: [&str; 3] = ["ping", "log", "etcd"];

pub(super) fn answer(incoming: &Incoming<'_>) -> Response<ApiBody> {
    match incoming.segments.as_slice() {
        _ if incoming.path.ends_with('/') => super::not_served(),
        [endpoint] if incoming.query.get("verbose").is_some() => {
            let checks = CHECKS.map(|check| format!("[+]{check} ok\n")).concat();
            text(StatusCode::OK, format!("{checks}{endpoint} check passed\n"))
        }
        [_] => text(StatusCode::OK, "ok"),
        [_, check] if CHECKS.contains(check) => text(StatusCode::OK, "ok"),
        _ => super::not_served(),
    }
}
