// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words that values consist of: texts, bytes that end in a zero, and numbers with a point.

use std::fmt::Write as _;

use crate::message::is_hidden;

/// A text between quotation marks.
pub(crate) fn quoted(value: &str) -> String {
    let quote = if value.contains('\'') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for c in value.chars() {
        match c {
            '\u{7}' => text.push_str("\\a"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{b}' => text.push_str("\\v"),
            c if c == quote || c == '\\' => text.extend(['\\', c]),
            c if is_hidden(c) => {
                let number = u32::from(c);
                // Nothing fails to be written to a text.
                let written = if number < 0x10000 {
                    write!(text, "\\u{number:04x}")
                } else {
                    write!(text, "\\U{number:08x}")
                };
                written.ok();
            }
            c => text.push(c),
        }
    }
    text.push(quote);
    text
}

/// Bytes of which the last is zero and no other, as they are written in C. None of others.
pub(crate) fn byte_string(bytes: &[u8]) -> Option<String> {
    let (last, bytes) = bytes.split_last()?;
    if *last != 0 || bytes.contains(&0) {
        return None;
    }
    let quote = if bytes.contains(&b'\'') { '"' } else { '\'' };
    let mut text = format!("b{quote}");
    for byte in bytes {
        match byte {
            8 => text.push_str("\\b"),
            12 => text.push_str("\\f"),
            b'\n' => text.push_str("\\n"),
            b'\r' => text.push_str("\\r"),
            b'\t' => text.push_str("\\t"),
            11 => text.push_str("\\v"),
            b'\\' | b'"' => text.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => text.push(char::from(*byte)),
            byte => {
                write!(text, "\\{byte:03o}").ok();
            }
        }
    }
    text.push(quote);
    Some(text)
}

/// The digits of `%.17g` in C, with which every number comes back.
const DIGITS: usize = 17;

/// A number that is seen not to be a whole one.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return if value.is_sign_negative() { "-nan" } else { "nan" }.into();
    }
    if value.is_infinite() {
        return if value.is_sign_negative() { "-inf" } else { "inf" }.into();
    }
    let scientific = format!("{value:.*e}", DIGITS.saturating_sub(1));
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let decimals = i32::try_from(DIGITS).unwrap_or(0).saturating_sub(1).saturating_sub(exponent);
    match usize::try_from(decimals) {
        Ok(decimals) if exponent >= -4 => {
            let fixed = format!("{value:.decimals$}");
            let short = without_zeros(&fixed);
            if short.contains('.') { short.to_owned() } else { format!("{short}.0") }
        }
        Ok(_) | Err(_) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.unsigned_abs())
        }
    }
}

fn without_zeros(digits: &str) -> &str {
    if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits }
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn floats_are_written_as_in_c() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-2.5, "-2.5"),
            (0.1, "0.10000000000000001"),
            (1e-4, "0.0001"),
            (1e-5, "1.0000000000000001e-05"),
            (1e16, "10000000000000000.0"),
            (1e17, "1e+17"),
            (1e300, "1.0000000000000001e+300"),
            (123_456.789, "123456.789"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ] {
            assert_eq!(float(value), text);
        }
    }
}
