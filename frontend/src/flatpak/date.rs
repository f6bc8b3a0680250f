// SPDX-License-Identifier: MIT OR Apache-2.0
//! When a version was made, as text.

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The last second with a year of four digits.
const LAST: u64 = 253_402_300_799;

/// `2026-01-02 03:04:05 +0000` for a number of seconds since 1970. None behind the year 9999.
#[must_use]
pub fn utc(seconds: u64) -> Option<String> {
    if seconds > LAST {
        return None;
    }
    let (mut days, time) = (seconds / DAY, seconds % DAY);
    let mut year = 1970_u64;
    while let Some(rest) = days.checked_sub(if is_leap(year) { 366 } else { 365 }) {
        (days, year) = (rest, year.checked_add(1)?);
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1_u64;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        let Some(rest) = days.checked_sub(length) else { break };
        (days, month) = (rest, month.checked_add(1)?);
    }
    let (day, hour, minute) = (days.checked_add(1)?, time / 3600, time / 60 % 60);
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{:02} +0000", time % 60))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_date_1() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 +0000"),
            (1_767_323_045, "2026-01-02 03:04:05 +0000"),
            (951_782_399, "2000-02-28 23:59:59 +0000"),
            (951_782_400, "2000-02-29 00:00:00 +0000"),
            (4_107_542_400, "2100-03-01 00:00:00 +0000"),
            (LAST, "9999-12-31 23:59:59 +0000"),
        ] {
            assert_eq!(utc(seconds).as_deref(), Some(text));
        }
        assert_eq!(utc(u64::MAX), None);
    }
}
