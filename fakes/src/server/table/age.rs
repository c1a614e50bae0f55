//! Ages in the words that kubectl's users know.

use jiff::Timestamp;
use serde_json::Value;

/// How long ago a time was.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    spell(now.as_second() - then.as_second())
}

/// How long ago a recorded time was.
pub(super) fn ago(text: &str, now: Timestamp) -> Value {
    text.parse().map_or_else(|_| "<unknown>".into(), |then| age(now, then).into())
}

/// So many seconds, in the two units that matter.
pub(super) fn spell(seconds: i64) -> String {
    let two = |big: i64, unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        ..-1 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, "d", hours % 24, "h"),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_kubectl_prints_them() {
        let day = 86_400;
        for (seconds, expected) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (600, "10m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (30_000, "8h"),
            (2 * day, "2d"),
            (3 * day + 7200, "3d2h"),
            (9 * day, "9d"),
            (800 * day, "2y70d"),
            (3000 * day, "8y"),
        ] {
            assert_eq!(spell(seconds), expected, "{seconds}");
        }
    }
}
