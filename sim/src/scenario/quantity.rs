//! Durations, spans and ratios as a scenario writes them.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, de};

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// A duration such as `250ms`, `5s`, `10m` or `1h`: a whole number and one unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub Duration);

impl Time {
    /// So many milliseconds.
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// So many seconds.
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('-') {
            return Err(format!("`{text}` is negative: write zero or more, for example `5s`"));
        }
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let wrong = || format!("`{text}` is no duration: write a whole number and ms, s, m or h, for example `5s`");
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
        number.checked_mul(*factor).map(Self::millis).ok_or_else(wrong)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let unit = UNITS.iter().rev().find(|(_, factor)| millis.is_multiple_of(*factor) && millis > 0);
        let (unit, factor) = unit.copied().unwrap_or(("s", 1000));
        write!(f, "{}{unit}", millis / factor)
    }
}

/// A span of time to draw from, `5ms..20ms`, or one duration, which is then always the draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The shortest draw.
    pub low: Duration,
    /// The longest draw.
    pub high: Duration,
}

impl Span {
    /// From so many to so many milliseconds.
    pub const fn millis(low: u64, high: u64) -> Self {
        Self { low: Duration::from_millis(low), high: Duration::from_millis(high) }
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        let (Time(low), Time(high)) = (low.parse()?, high.parse()?);
        if low > high {
            return Err(format!("`{text}` is an empty span: write the shorter duration first"));
        }
        Ok(Self { low, high })
    }
}

/// How often something happens: `3/100` is three times in a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// How many times.
    pub hits: u32,
    /// Out of how many.
    pub of: u32,
}

impl Ratio {
    /// Not once.
    pub const NEVER: Self = Self { hits: 0, of: 1 };
}

impl Default for Ratio {
    fn default() -> Self {
        Self::NEVER
    }
}

impl FromStr for Ratio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no ratio: write how often out of how many, for example `3/100`");
        let (hits, of) = text.split_once('/').ok_or_else(wrong)?;
        let ratio =
            Self { hits: hits.trim().parse().map_err(|_| wrong())?, of: of.trim().parse().map_err(|_| wrong())? };
        if ratio.of == 0 || ratio.hits > ratio.of {
            return Err(format!("`{text}` is no ratio: the first number must not exceed the second"));
        }
        Ok(ratio)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hits, self.of)
    }
}

/// A scalar of any type as its text, so that a bare `5` gets the message that names the missing unit.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        other => Ok(other.to_string()),
    }
}

macro_rules! from_scalar {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

from_scalar!(Time, Span, Ratio);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [("0s", 0), ("250ms", 250), ("5s", 5000), ("10m", 600_000), ("1h", 3_600_000)] {
            let time: Time = text.parse().unwrap();
            assert_eq!(time, Time::millis(millis));
            assert_eq!(time.to_string(), text);
        }
        for (text, complaint) in
            [("-5s", "negative"), ("5", "whole number and ms, s"), ("s", "no duration"), ("1.5s", "no duration")]
        {
            let error = text.parse::<Time>().unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn spans_and_ratios() {
        assert_eq!("5ms..2s".parse(), Ok(Span::millis(5, 2000)));
        assert_eq!("1s".parse(), Ok(Span::millis(1000, 1000)));
        assert!("2s..1s".parse::<Span>().unwrap_err().contains("shorter duration first"));
        assert_eq!("3/100".parse(), Ok(Ratio { hits: 3, of: 100 }));
        for text in ["3", "3/0", "5/4", "-1/4", "a/b"] {
            assert!(text.parse::<Ratio>().is_err(), "{text}");
        }
    }
}
