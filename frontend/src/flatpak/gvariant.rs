// SPDX-License-Identifier: MIT OR Apache-2.0
//! GLib's serialised form of values, as far as the files of an installation and settings need it.
//!
//! Written after the GVariant specification. Reading is total: what does not fit is nothing, and no
//! part is ever longer than what it is read from.

mod kind;
mod text;

use std::str::from_utf8;

/// A part of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it may begin: a multiple of so many bytes.
    align: usize,
    /// How long it is, if that is always the same.
    size: Option<usize>,
}

/// A text, or a list of texts or bytes.
pub const TEXT: Part = Part { align: 1, size: None };
/// A number of 64 bits.
pub const NUMBER: Part = Part { align: 8, size: Some(8) };
/// A dictionary with values of any type, or such a value.
pub const ANY: Part = Part { align: 8, size: None };

/// An entry of a dictionary from texts to values of any type.
const ENTRY: [Part; 2] = [TEXT, ANY];

/// How many bytes one framing offset has in a container of this length.
fn offset_size(length: usize) -> usize {
    match length {
        0 => 0,
        1..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// The framing offset that stands so many places before the end. They are little-endian everywhere.
fn offset(bytes: &[u8], place: usize) -> Option<usize> {
    let size = offset_size(bytes.len());
    let start = bytes.len().checked_sub(size.checked_mul(place)?)?;
    let number = bytes.get(start..start.checked_add(size)?)?;
    let number = number.iter().rev().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

/// The parts of a tuple.
#[must_use]
pub fn tuple<'a, const N: usize>(bytes: &'a [u8], parts: &[Part; N]) -> Option<[&'a [u8]; N]> {
    let mut found = [&[][..]; N];
    let (mut at, mut offsets) = (0_usize, 0_usize);
    for (index, (part, found)) in parts.iter().zip(&mut found).enumerate() {
        let start = at.checked_next_multiple_of(part.align)?;
        let end = match part.size {
            Some(size) => start.checked_add(size)?,
            None if index.checked_add(1)? == N => {
                bytes.len().checked_sub(offset_size(bytes.len()).checked_mul(offsets)?)?
            }
            None => {
                offsets = offsets.checked_add(1)?;
                offset(bytes, offsets)?
            }
        };
        *found = bytes.get(start..end)?;
        at = end;
    }
    Some(found)
}

/// The elements of a list of elements whose length varies.
#[must_use]
pub fn list(bytes: &[u8], element: Part) -> Option<Vec<&[u8]>> {
    if bytes.is_empty() {
        return Some(Vec::new());
    }
    // The offsets begin where the last element ends.
    let ends = bytes.get(offset(bytes, 1)?..)?;
    let size = offset_size(bytes.len());
    if ends.is_empty() || ends.len().checked_rem(size)? != 0 {
        return None;
    }
    let (mut found, mut at) = (Vec::new(), 0_usize);
    for place in (1..=ends.len().checked_div(size)?).rev() {
        let start = at.checked_next_multiple_of(element.align)?;
        at = offset(bytes, place)?;
        found.push(bytes.get(start..at)?);
    }
    Some(found)
}

/// The entries of a dictionary from texts to values of any type; those that fit.
#[must_use]
pub fn dictionary(bytes: &[u8]) -> Option<Vec<(&str, Value<'_>)>> {
    let entries = list(bytes, ANY)?;
    let entry = |bytes| {
        let [key, value] = tuple(bytes, &ENTRY)?;
        Some((text(key)?, Value::read(value)?))
    };
    Some(entries.into_iter().filter_map(entry).collect())
}

/// A text.
#[must_use]
pub fn text(bytes: &[u8]) -> Option<&str> {
    let (end, text) = bytes.split_last()?;
    (*end == 0 && !text.contains(&0)).then_some(text).and_then(|text| from_utf8(text).ok())
}

/// A list of texts.
#[must_use]
pub fn texts(bytes: &[u8]) -> Option<Vec<&str>> {
    list(bytes, TEXT)?.into_iter().map(text).collect()
}

/// A number whose first byte is the highest.
#[must_use]
pub fn big_endian(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// A value of any type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    bytes: &'a [u8],
    kind: &'a str,
}

impl<'a> Value<'a> {
    /// Reads a value of any type, whose type stands behind it and a zero.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let zero = bytes.iter().rposition(|byte| *byte == 0)?;
        let (value, kind) = bytes.split_at_checked(zero)?;
        let kind = from_utf8(kind.get(1..)?).ok()?;
        let (_, more) = kind::first(kind)?;
        more.is_empty().then_some(Self { bytes: value, kind })
    }

    /// The value, if it is a text.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        (self.kind == "s").then_some(self.bytes).and_then(text)
    }

    /// The value, if it is a list of texts.
    #[must_use]
    pub fn texts(&self) -> Option<Vec<&'a str>> {
        (self.kind == "as").then_some(self.bytes).and_then(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_the_specification() {
        assert_eq!(text(b"hello world\0"), Some("hello world"));
        assert_eq!(texts(b"i\0can\0has\0strings?\0\x02\x06\x0a\x13").unwrap().len(), 4);
        // ('foo', 0x...) with the offset of the text behind the number.
        let bytes = b"foo\0\0\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08\x04";
        let [name, number] = tuple(bytes, &[TEXT, NUMBER]).unwrap();
        assert_eq!((text(name), big_endian(number)), (Some("foo"), Some(0x0102_0304_0506_0708)));
        assert_eq!(texts(b""), Some(vec![]));
    }

    #[test]
    fn what_does_not_fit_is_nothing() {
        for bytes in [&b""[..], b"x", b"a\0b\0", b"\xff\0"] {
            assert_eq!(text(bytes), None, "{bytes:?}");
        }
        // An end behind the end, ends that go backwards, a list without an end.
        for bytes in [&b"a\0\x09"[..], b"a\0b\0\x04\x02\x05", b"a\0\x03"] {
            assert_eq!(texts(bytes), None, "{bytes:?}");
        }
        assert_eq!(tuple(b"", &[TEXT, NUMBER]), None);
        assert_eq!(tuple(b"\0\x02", &[TEXT, NUMBER]), None);
    }

    #[test]
    fn values_are_of_the_type_they_say() {
        let value = Value::read(b"text\0\0s").unwrap();
        assert_eq!((value.text(), value.texts()), (Some("text"), None));
        let value = Value::read(b"text\0\x05\0as").unwrap();
        assert_eq!((value.text(), value.texts()), (None, Some(vec!["text"])));
        assert_eq!(Value::read(b"no type"), None);
    }

    proptest! {
        /// Whatever the bytes, there is an answer, and it is no longer than they are.
        #[test]
        fn reading_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            for part in [TEXT, ANY] {
                for element in list(&bytes, part).into_iter().flatten() {
                    prop_assert!(element.len() <= bytes.len());
                }
            }
            for part in tuple(&bytes, &[TEXT, TEXT, TEXT, NUMBER, ANY]).into_iter().flatten() {
                prop_assert!(part.len() <= bytes.len());
            }
            for (key, value) in dictionary(&bytes).into_iter().flatten() {
                prop_assert!(key.len() < bytes.len());
                prop_assert!(value.texts().is_none_or(|texts| texts.len() <= bytes.len()));
            }
        }
    }
}
