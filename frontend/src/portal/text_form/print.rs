// SPDX-License-Identifier: MIT OR Apache-2.0
//! From values to text.

use zbus::Variant;

use super::word;

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
        Variant::F64(value) => text.push_str(&word::float(*value)),
        Variant::Str(value) => text.push_str(&word::quoted(value)),
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

/// Bytes of which the last is zero and no other, as they are written in C. None of others.
fn byte_string(elements: &[Variant<'_>]) -> Option<String> {
    let byte = |element: &Variant<'_>| u8::try_from(element).ok();
    let bytes: Vec<u8> = elements.iter().map(byte).collect::<Option<_>>()?;
    word::byte_string(&bytes)
}
