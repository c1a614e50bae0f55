//! Counts that are a number or a share: `3`, `"30%"`.

use super::IntOrString;

/// What a string must look like to be a share.
pub const PATTERN: &str = "^[0-9]+%$";

/// A count of pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IntOrPercent {
    /// That many.
    Int(i32),
    /// A share of all, in percent, at most 100.
    Percent(i32),
}

impl IntOrPercent {
    /// How many that is of `total`: shares are rounded up, and never more than there are.
    pub fn scaled(self, total: i32) -> i32 {
        let total = total.max(0);
        match self {
            Self::Int(count) => count.clamp(0, total),
            Self::Percent(percent) => {
                let hundredths = i64::from(total) * i64::from(percent.clamp(0, 100));
                i32::try_from((hundredths + 99) / 100).unwrap_or(total)
            }
        }
    }
}

/// Why a value is no count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found} is no count of pods; write a number from 0, such as 3, or a percentage, such as \"30%\"")]
pub struct ParseError {
    /// The value as it was written.
    pub found: String,
}

/// Reads a count. A share above 100 % counts as 100 %.
pub fn parse(value: &IntOrString) -> Result<IntOrPercent, ParseError> {
    match value {
        IntOrString::Int(count) if *count >= 0 => Ok(IntOrPercent::Int(*count)),
        IntOrString::Int(count) => Err(ParseError { found: count.to_string() }),
        IntOrString::String(text) => {
            parse_percent(text).map(IntOrPercent::Percent).ok_or_else(|| ParseError { found: format!("{text:?}") })
        }
    }
}

fn parse_percent(text: &str) -> Option<i32> {
    let digits = text.strip_suffix('%')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than fit are far more than everything.
    Some(digits.parse().map_or(100, |percent: i32| percent.min(100)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_numbers_and_shares() {
        let text = |text: &str| IntOrString::String(text.to_owned());
        let cases = [
            (IntOrString::Int(0), Some(IntOrPercent::Int(0))),
            (IntOrString::Int(3), Some(IntOrPercent::Int(3))),
            (IntOrString::Int(-1), None),
            (text("30%"), Some(IntOrPercent::Percent(30))),
            (text("007%"), Some(IntOrPercent::Percent(7))),
            (text("250%"), Some(IntOrPercent::Percent(100))),
            (text("99999999999999999999%"), Some(IntOrPercent::Percent(100))),
            (text("-5%"), None),
            (text("+5%"), None),
            (text("5"), None),
            (text("%"), None),
            (text("ten"), None),
            (text("1.5%"), None),
            (text(" 5%"), None),
            (text("5%\n"), None),
            (text("\u{0665}%"), None),
            (text(""), None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse(&value).ok(), expected, "{value:?}");
        }
        let error = parse(&text("ten")).unwrap_err().to_string();
        assert!(error.starts_with("\"ten\" is no count of pods; write"), "{error}");
    }

    #[test]
    fn rounds_up_and_never_exceeds_the_total() {
        let cases = [
            (IntOrPercent::Percent(1), 5, 1),
            (IntOrPercent::Percent(20), 5, 1),
            (IntOrPercent::Percent(21), 5, 2),
            (IntOrPercent::Percent(100), 5, 5),
            (IntOrPercent::Percent(50), 0, 0),
            (IntOrPercent::Percent(100), i32::MAX, i32::MAX),
            (IntOrPercent::Int(3), 5, 3),
            (IntOrPercent::Int(9), 5, 5),
            (IntOrPercent::Int(9), 0, 0),
            (IntOrPercent::Int(1), -4, 0),
        ];
        for (value, total, expected) in cases {
            assert_eq!(value.scaled(total), expected, "{value:?} of {total}");
        }
    }

    proptest! {
        #[test]
        fn a_share_is_the_least_count_that_is_no_less(percent in 0..=200i32, total in 0..=i32::MAX) {
            let value = parse(&IntOrString::String(format!("{percent}%"))).unwrap();
            let count = i64::from(value.scaled(total));
            let exact = i64::from(total) * i64::from(percent.min(100));
            prop_assert!(count * 100 >= exact && (count - 1) * 100 < exact, "{count} for {exact} hundredths");
            prop_assert!(count <= i64::from(total));
        }

        #[test]
        fn more_percent_are_never_fewer_pods(lower in 0..=100i32, upper in 0..=100i32, total in 0..=10_000i32) {
            prop_assume!(lower <= upper);
            prop_assert!(IntOrPercent::Percent(lower).scaled(total) <= IntOrPercent::Percent(upper).scaled(total));
        }

        #[test]
        fn nothing_but_digits_and_a_percent_sign_is_a_share(text in ".{0,6}") {
            let digits = text.strip_suffix('%').filter(|digits| !digits.is_empty());
            let expected = digits.is_some_and(|digits| digits.chars().all(|char| char.is_ascii_digit()));
            prop_assert_eq!(parse(&IntOrString::String(text)).is_ok(), expected);
        }
    }
}
