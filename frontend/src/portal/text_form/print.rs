// SPDX-License-Identifier: MIT OR Apache-2.0
//! From values to text.

use std::fmt::Write as _;

use zbus::Variant;

use crate::message::is_hidden;

/// A value as text, without its type: that of a number may not be the one that the text suggests.
/// Within variants types are there.
#[must_use]
pub fn print(value: &Variant<'_>) -> String {
    let mut text = String::new();
    put(value, false, &mut text);
    text
}

/// Writes a value, with its type if that is `typed` and the text alone would suggest another.
fn put(value: &Variant<'_>, typed: bool, text: &mut String) {
    let number = |word: &str, number: &dyn std::fmt::Display| {
        if typed && !word.is_empty() { format!("{word} {number}") } else { number.to_string() }
    };
    match value {
        Variant::U8(byte) => text.push_str(&number("byte", &format!("{byte:#04x}"))),
        Variant::Bool(value) => text.push_str(&number("", value)),
        Variant::I16(value) => text.push_str(&number("int16", value)),
        Variant::U16(value) => text.push_str(&number("uint16", value)),
        Variant::I32(value) => text.push_str(&number("", value)),
        Variant::U32(value) => text.push_str(&number("uint32", value)),
        Variant::I64(value) => text.push_str(&number("int64", value)),
        Variant::U64(value) => text.push_str(&number("uint64", value)),
        Variant::F64(value) => text.push_str(&float(*value)),
        Variant::Str(value) => text.push_str(&quoted(value)),
        Variant::Signature(value) => text.push_str(&number("signature", &format!("'{value}'"))),
        Variant::ObjectPath(value) => text.push_str(&number("objectpath", &format!("'{value}'"))),
        // A descriptor was not received with it.
        Variant::Fd(_) => text.push_str(&number("handle", &0)),
        Variant::Variant(value) => {
            text.push('<');
            put(value, true, text);
            text.push('>');
        }
        Variant::Array(array) => {
            let elements = array.inner();
            if let Some(bytes) = byte_string(elements) {
                text.push_str(&bytes);
            } else if elements.is_empty() {
                text.push_str(&empty("[]", array.signature(), typed));
            } else {
                // The rest are of the type of the first.
                let typed = std::iter::once(typed).chain(std::iter::repeat(false));
                text.push('[');
                separated(elements.iter().zip(typed), text, |(element, typed), text| {
                    put(element, typed, text);
                });
                text.push(']');
            }
        }
        Variant::Dict(dictionary) => {
            let mut entries = dictionary.iter().peekable();
            if entries.peek().is_none() {
                text.push_str(&empty("{}", dictionary.signature(), typed));
            } else {
                let typed = std::iter::once(typed).chain(std::iter::repeat(false));
                text.push('{');
                separated(entries.zip(typed), text, |((key, value), typed), text| {
                    put(key, typed, text);
                    text.push_str(": ");
                    put(value, typed, text);
                });
                text.push('}');
            }
        }
        Variant::Structure(structure) => {
            text.push('(');
            separated(structure.fields().iter(), text, |field, text| put(field, typed, text));
            text.push_str(if structure.fields().len() == 1 { ",)" } else { ")" });
        }
    }
}

fn separated<T>(items: impl Iterator<Item = T>, text: &mut String, put: impl Fn(T, &mut String)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        put(item, text);
    }
}

/// Of nothing only the type could be told.
fn empty(brackets: &str, signature: &zbus::Signature, typed: bool) -> String {
    if typed { format!("@{signature} {brackets}") } else { brackets.to_owned() }
}

/// A text between quotation marks.
fn quoted(value: &str) -> String {
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

/// Bytes of which the last is zero and no other, as they are written in C.
fn byte_string(elements: &[Variant<'_>]) -> Option<String> {
    let (last, elements) = elements.split_last()?;
    let byte = |element: &Variant<'_>| u8::try_from(element).ok();
    let bytes: Vec<u8> = elements.iter().map(byte).collect::<Option<_>>()?;
    if byte(last)? != 0 || bytes.contains(&0) {
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
            b'\\' | b'"' => text.extend(['\\', char::from(byte)]),
            b' '..=b'~' => text.push(char::from(byte)),
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
fn float(value: f64) -> String {
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
