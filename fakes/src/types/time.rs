//! Times as Go reads and writes them.

use jiff::Timestamp;

/// The layout, as Go's errors tell it, and its parts with the number of characters of each.
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";
const MICRO_LAYOUT: &str = "2006-01-02T15:04:05.000000Z07:00";
const PARTS: [(&str, usize); 11] = [
    ("2006", 4),
    ("-", 0),
    ("01", 2),
    ("-", 0),
    ("02", 2),
    ("T", 0),
    ("15", 2),
    (":", 0),
    ("04", 2),
    (":", 0),
    ("05", 2),
];

/// The time in UTC, to the second or to the microsecond.
pub(super) fn canonical(text: &str, micro: bool) -> Result<String, String> {
    let layout = if micro { MICRO_LAYOUT } else { LAYOUT };
    let rest = skip(text, layout)?;
    let fraction = rest.strip_prefix('.').map_or(rest, |rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    if micro && rest.len() - fraction.len() != 7 {
        return Err(cannot(text, layout, rest, ".000000"));
    }
    if fraction != "Z" && !is_offset(fraction) {
        return Err(cannot(text, layout, fraction, "Z07:00"));
    }
    let Ok(time) = text.parse::<Timestamp>() else {
        return Err(format!("parsing time {text:?}: day out of range"));
    };
    if micro {
        return Ok(format!("{time:.6}"));
    }
    let seconds = Timestamp::from_second(time.as_second()).unwrap_or(time);
    Ok(seconds.to_string())
}

/// What follows the seconds.
fn skip<'a>(text: &'a str, layout: &str) -> Result<&'a str, String> {
    let mut rest = text;
    for (part, digits) in PARTS {
        let after = if digits == 0 {
            rest.strip_prefix(part)
        } else {
            let number = rest.get(..digits).filter(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
            number.and_then(|_| rest.get(digits..))
        };
        let Some(after) = after else { return Err(cannot(text, layout, rest, part)) };
        if let Some(range) = range(part)
            && !rest.get(..digits).and_then(|number| number.parse().ok()).is_some_and(|n: u32| range.1.contains(&n))
        {
            return Err(format!("parsing time {text:?}: {} out of range", range.0));
        }
        rest = after;
    }
    Ok(rest)
}

fn range(part: &str) -> Option<(&'static str, std::ops::RangeInclusive<u32>)> {
    Some(match part {
        "01" => ("month", 1..=12),
        "15" => ("hour", 0..=23),
        "04" => ("minute", 0..=59),
        "05" => ("second", 0..=59),
        _ => return None,
    })
}

fn is_offset(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 6
        && matches!(bytes[0], b'+' | b'-')
        && bytes[3] == b':'
        && [1, 2, 4, 5].iter().all(|&place| bytes[place].is_ascii_digit())
}

fn cannot(text: &str, layout: &str, rest: &str, part: &str) -> String {
    format!("parsing time {text:?} as {layout:?}: cannot parse {rest:?} as {part:?}")
}
