// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers on the command line, as `strtol(3)` reads them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

/// A number that is neither negative nor larger than an `int`: a descriptor, a user, a group.
pub(crate) fn integer(text: &OsStr) -> Option<u32> {
    let (negative, digits) = sign(text.as_bytes());
    let value = digits_of(digits, 10)?;
    let fits = value <= u64::from(i32::MAX.unsigned_abs()) && (!negative || value == 0);
    u32::try_from(value).ok().filter(|_| fits)
}

/// Permission bits: octal, at most 07777.
pub(crate) fn mode(text: &OsStr) -> Option<u32> {
    let (negative, digits) = sign(text.as_bytes());
    let value = digits_of(digits, 8)?;
    u32::try_from(value).ok().filter(|value| *value <= 0o7777 && (!negative || *value == 0))
}

/// A size in bytes: begins with a digit, the base is told by the prefix as in C.
pub(crate) fn size(text: &OsStr) -> Option<u64> {
    let bytes = text.as_bytes();
    bytes.first().filter(|byte| byte.is_ascii_digit())?;
    let value = match bytes {
        [b'0', b'x' | b'X', rest @ ..] => digits_of(rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => digits_of(rest, 8),
        _ => digits_of(bytes, 10),
    }?;
    (value > 0 && value <= u64::MAX / 2).then_some(value)
}

/// What `strtol(3)` passes over: blanks, then one sign.
fn sign(text: &[u8]) -> (bool, &[u8]) {
    let blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    match text.get(start..).unwrap_or_default() {
        [b'+', rest @ ..] => (false, rest),
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    }
}

fn digits_of(digits: &[u8], base: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |value, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        value.checked_mul(u64::from(base))?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_and_ids_are_decimal_and_not_negative() {
        for (text, value) in [
            ("0", Some(0)),
            (" +7", Some(7)),
            ("-0", Some(0)),
            ("2147483647", Some(i32::MAX as u32)),
        ] {
            assert_eq!(integer(OsStr::new(text)), value, "{text:?}");
        }
        for text in ["", " ", "-1", "0x3", "3 ", "3a", "2147483648", "99999999999999999999", "+-1"]
        {
            assert_eq!(integer(OsStr::new(text)), None, "{text:?}");
        }
    }

    #[test]
    fn modes_are_octal() {
        assert_eq!(mode(OsStr::new("0755")), Some(0o755));
        assert_eq!(mode(OsStr::new("7777")), Some(0o7777));
        for text in ["", "8", "10000", "0o7", "rwx"] {
            assert_eq!(mode(OsStr::new(text)), None, "{text:?}");
        }
    }

    #[test]
    fn the_base_of_a_size_is_told_by_its_prefix() {
        for (text, value) in [("1", 1), ("010", 8), ("0x100000", 0x10_0000), ("123456", 123_456)] {
            assert_eq!(size(OsStr::new(text)), Some(value), "{text}");
        }
        for text in ["", "0", "+1", " 1", "1k", "0x", "08", "9223372036854775808"] {
            assert_eq!(size(OsStr::new(text)), None, "{text:?}");
        }
    }
}
