//! The timestamp of a signature: its unit, and its greatest distance from now.

use jiff::Timestamp;

use super::AuthError;

/// Numbers from here on are milliseconds for [`TimeUnit::Auto`]: as seconds, they begin in the year 5138.
const AUTO_MILLISECONDS: i64 = 100_000_000_000;

/// Unit in which a platform writes the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds since 1970, in digits.
    Seconds,
    /// Milliseconds since 1970, in digits.
    Milliseconds,
    /// Seconds or milliseconds, told apart by their magnitude.
    Auto,
    /// Date and time with an offset: `2026-11-26T13:32:19+00:00`.
    Rfc3339,
}

/// Rule for the timestamp of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedTime {
    /// Unit.
    pub unit: TimeUnit,
    /// Greatest distance of a valid timestamp from now in seconds, in the past and in the future.
    pub tolerance_s: u32,
}

impl SignedTime {
    /// Returns the time that the text stands for, if it is near enough to now.
    pub(super) fn check(self, text: &[u8], now: Timestamp) -> Result<Timestamp, AuthError> {
        self.check_milliseconds(self.parse(text).ok_or(AuthError::Malformed)?, now)
    }

    /// Returns the time, if it is near enough to now.
    pub(super) fn check_milliseconds(
        self,
        signed_at: i64,
        now: Timestamp,
    ) -> Result<Timestamp, AuthError> {
        let age = now.as_millisecond().saturating_sub(signed_at);
        let tolerance = u64::from(self.tolerance_s) * 1000;
        if age.unsigned_abs() <= tolerance {
            return Timestamp::from_millisecond(signed_at).map_err(|_| AuthError::Malformed);
        }
        let is_near = |other: i64| {
            now.as_millisecond().saturating_sub(other).unsigned_abs() <= tolerance + 1000
        };
        match self.unit {
            TimeUnit::Milliseconds if is_near(signed_at.saturating_mul(1000)) => {
                Err(AuthError::Seconds)
            }
            TimeUnit::Seconds if is_near(signed_at / 1000) => Err(AuthError::Milliseconds),
            TimeUnit::Seconds | TimeUnit::Milliseconds | TimeUnit::Auto | TimeUnit::Rfc3339 => {
                let beyond = (age.unsigned_abs() - tolerance).div_ceil(1000);
                let beyond = i64::try_from(beyond).unwrap_or(i64::MAX);
                Err(AuthError::Stale { by_s: beyond * age.signum() })
            }
        }
    }

    /// Returns the milliseconds since 1970; `None` unless the text has exactly the form of the unit.
    fn parse(self, text: &[u8]) -> Option<i64> {
        if self.unit == TimeUnit::Rfc3339 {
            let text = std::str::from_utf8(text).ok()?;
            return Some(text.parse::<Timestamp>().ok()?.as_millisecond());
        }
        if !(1..=16).contains(&text.len()) || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = text.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let is_milliseconds = match self.unit {
            TimeUnit::Milliseconds => true,
            TimeUnit::Auto => number >= AUTO_MILLISECONDS,
            TimeUnit::Seconds | TimeUnit::Rfc3339 => false,
        };
        Some(if is_milliseconds { number } else { number.saturating_mul(1000) })
    }

    /// Writes a time as the platform would.
    pub(super) fn write(self, now: Timestamp) -> String {
        match self.unit {
            TimeUnit::Seconds | TimeUnit::Auto => now.as_second().to_string(),
            TimeUnit::Milliseconds => now.as_millisecond().to_string(),
            TimeUnit::Rfc3339 => now.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_795_700_000;

    #[track_caller]
    fn check(unit: TimeUnit, text: &str, expected: Result<i64, AuthError>) {
        let now = Timestamp::from_second(NOW_S).unwrap();
        let result = SignedTime { unit, tolerance_s: 300 }.check(text.as_bytes(), now);
        assert_eq!(result.map(|time| time.as_millisecond()), expected, "{text}");
    }

    #[test]
    fn each_unit_has_its_own_form() {
        let now = Ok(NOW_S * 1000);
        check(TimeUnit::Seconds, "1795700000", now);
        check(TimeUnit::Milliseconds, "1795700000000", now);
        check(TimeUnit::Auto, "1795700000", now);
        check(TimeUnit::Auto, "1795700000000", now);
        check(TimeUnit::Rfc3339, "2026-11-26T13:33:20Z", now);
        check(TimeUnit::Rfc3339, "2026-11-26T14:33:20.000+01:00", now);
        check(TimeUnit::Rfc3339, "1795700000", Err(AuthError::Malformed));
        check(TimeUnit::Rfc3339, "2026-11-26T13:33:20", Err(AuthError::Malformed));
        for text in ["", "+1795700000", " 1795700000", "1795700000 ", "1795700000.0", "0x6b084ca0"]
        {
            check(TimeUnit::Seconds, text, Err(AuthError::Malformed));
        }
        check(TimeUnit::Seconds, "17957000000000000", Err(AuthError::Malformed));
    }

    #[test]
    fn the_tolerance_is_inclusive_and_holds_in_both_directions() {
        check(TimeUnit::Seconds, "1795699700", Ok((NOW_S - 300) * 1000));
        check(TimeUnit::Seconds, "1795700300", Ok((NOW_S + 300) * 1000));
        check(TimeUnit::Seconds, "1795699699", Err(AuthError::Stale { by_s: 1 }));
        check(TimeUnit::Seconds, "1795700301", Err(AuthError::Stale { by_s: -1 }));
        check(TimeUnit::Milliseconds, "1795699699999", Err(AuthError::Stale { by_s: 1 }));
        // A number beyond all times does not overflow.
        check(
            TimeUnit::Seconds,
            "9999999999999999",
            Err(AuthError::Stale { by_s: -9_223_370_241_154_476 }),
        );
    }

    #[test]
    fn the_other_unit_is_named() {
        check(TimeUnit::Seconds, "1795700000123", Err(AuthError::Milliseconds));
        check(TimeUnit::Milliseconds, "1795700000", Err(AuthError::Seconds));
    }
}
