//! Quantities such as `500m` and `1Gi`, and the one way of writing each.

use std::cmp::Ordering;

const WRONG_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const WRONG_NUMBER: &str = "unable to parse numeric part of quantity";
const WRONG_SUFFIX: &str = "unable to parse quantity's suffix";

/// What is smaller is rounded up to it.
const NANO_DIGITS: usize = 9;
const NANO: i128 = 1_000_000_000;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// An amount in billionths, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantity {
    nanos: i128,
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Decimal,
    Exponent,
    Binary,
}

impl Quantity {
    /// Reads a quantity.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let digits = unsigned.len() - unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, suffix) = unsigned.split_at(digits);
        let letters = suffix.trim_start_matches(|c| "eEinumkKMGTP".contains(c));
        let exponent = letters.strip_prefix(['+', '-']).unwrap_or(letters);
        if text.is_empty() || !exponent.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(WRONG_FORMAT);
        }
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.contains('.') {
            return Err(WRONG_FORMAT);
        }
        let scale = scale(suffix).ok_or(WRONG_SUFFIX)?;
        if whole.is_empty() && part.is_empty() {
            return if suffix.is_empty() { Err(WRONG_FORMAT) } else { Err(WRONG_NUMBER) };
        }
        let nanos = nanos(whole, part, &scale).ok_or(WRONG_NUMBER)?;
        let format = match scale {
            Scale::Ten(_, format) => format,
            Scale::Two(_) => Format::Binary,
        };
        Ok(Self { nanos: if text.starts_with('-') { -nanos } else { nanos }, format })
    }

    /// Whether it is below zero.
    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    fn text(self) -> String {
        if self.nanos == 0 {
            return "0".to_owned();
        }
        let kibi = 1024 * NANO;
        if self.format == Format::Binary && (self.nanos >= kibi || self.nanos <= -kibi) {
            return self.binary_text();
        }
        let (mut mantissa, mut exponent) = (self.nanos, -9);
        while mantissa % 1000 == 0 && exponent < 18 {
            mantissa /= 1000;
            exponent += 3;
        }
        if self.format == Format::Exponent {
            return if exponent == 0 { mantissa.to_string() } else { format!("{mantissa}e{exponent}") };
        }
        let suffix = DECIMAL.iter().find(|(_, scale)| *scale == exponent).map_or("", |(suffix, _)| suffix);
        format!("{mantissa}{suffix}")
    }

    fn binary_text(self) -> String {
        let mut mantissa = self.nanos / NANO + i128::from(self.nanos % NANO > 0);
        let mut suffix = "";
        for (next, _) in BINARY {
            if mantissa % 1024 != 0 {
                break;
            }
            mantissa /= 1024;
            suffix = next;
        }
        format!("{mantissa}{suffix}")
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.nanos.cmp(&other.nanos))
    }
}

/// A quantity as the API server writes it.
pub(super) fn canonical(text: &str) -> Result<String, &'static str> {
    Quantity::parse(text).map(Quantity::text)
}

enum Scale {
    Ten(i32, Format),
    Two(u32),
}

fn scale(suffix: &str) -> Option<Scale> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(known, _)| *known == suffix) {
        return Some(Scale::Ten(*exponent, Format::Decimal));
    }
    if let Some((_, exponent)) = BINARY.iter().find(|(known, _)| *known == suffix) {
        return Some(Scale::Two(*exponent));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    Some(Scale::Ten(exponent, Format::Exponent))
}

/// The amount in billionths, rounded up.
fn nanos(whole: &str, part: &str, scale: &Scale) -> Option<i128> {
    let digits: String = [whole, part].concat();
    let amount: i128 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    let places = i32::try_from(part.len()).ok()?;
    let nano = i32::try_from(NANO_DIGITS).ok()?;
    let (amount, exponent) = match scale {
        Scale::Ten(exponent, _) => (amount, exponent.checked_add(nano)?.checked_sub(places)?),
        Scale::Two(exponent) => (amount.checked_mul(1 << exponent)?, nano - places),
    };
    if amount == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return amount.checked_mul(power?);
    }
    Some(power.map_or(1, |power| amount / power + i128::from(amount % power != 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_written_in_one_way() {
        for (text, expected) in [
            ("0", "0"),
            ("0.5", "500m"),
            ("1000m", "1"),
            ("1.5", "1500m"),
            ("1024Mi", "1Gi"),
            ("1500Mi", "1500Mi"),
            ("0.5Gi", "512Mi"),
            ("0.5Ki", "512"),
            ("1e3", "1e3"),
            ("1000k", "1M"),
            ("-250m", "-250m"),
            ("0.0000000001", "1n"),
            ("12E", "12E"),
            ("100", "100"),
            ("1000", "1k"),
        ] {
            assert_eq!(canonical(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, error) in [("", WRONG_FORMAT), ("one", WRONG_FORMAT), ("1x", WRONG_FORMAT), ("1mm", WRONG_SUFFIX)] {
            assert_eq!(canonical(text), Err(error), "{text}");
        }
    }
}
