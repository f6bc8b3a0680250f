// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values in GLib's text format, from which programs read settings
//! (<https://docs.gtk.org/glib/gvariant-text-format.html>).

use std::fmt::Write as _;

use super::kind::{DEPTH, content, elements, fields};
use super::{Value, text};
use crate::portal::text_form::word;

impl Value<'_> {
    /// The value as text, with its type where that could be mistaken. None if it is damaged.
    #[must_use]
    pub fn to_text(&self) -> Option<String> {
        let mut out = String::new();
        print(self.kind, self.bytes, true, DEPTH, &mut out)?;
        Some(out)
    }
}

/// `typed`: whether the type has to be told.
fn print(kind: &str, bytes: &[u8], typed: bool, depth: usize, out: &mut String) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    match kind.bytes().next()? {
        b'v' => {
            let inner = Value::read(bytes)?;
            out.push('<');
            print(inner.kind, inner.bytes, true, depth, out)?;
            out.push('>');
        }
        b'm' => maybe(kind, bytes, typed, depth, out)?,
        b'a' => array(kind, bytes, typed, depth, out)?,
        b'(' => {
            out.push('(');
            let all = fields(kind, bytes)?;
            for (index, (kind, bytes)) in all.iter().enumerate() {
                separate(index, out);
                print(kind, bytes, typed, depth, out)?;
            }
            // One alone would be a value in brackets.
            out.push_str(if all.len() == 1 { ",)" } else { ")" });
        }
        b'{' => {
            out.push('{');
            entry(kind, bytes, typed, ", ", depth, out)?;
            out.push('}');
        }
        _ => basic(kind, bytes, typed, out)?,
    }
    Some(())
}

fn separate(index: usize, out: &mut String) {
    if index > 0 {
        out.push_str(", ");
    }
}

fn entry(
    kind: &str,
    bytes: &[u8],
    typed: bool,
    between: &str,
    depth: usize,
    out: &mut String,
) -> Option<()> {
    let fields = fields(kind, bytes)?;
    let [(key_kind, key), (value_kind, value)] = fields.as_slice() else { return None };
    print(key_kind, key, typed, depth, out)?;
    out.push_str(between);
    print(value_kind, value, typed, depth, out)
}

fn maybe(kind: &str, bytes: &[u8], typed: bool, depth: usize, out: &mut String) -> Option<()> {
    if typed {
        // Writing to a String does not fail.
        write!(out, "@{kind} ").ok()?;
    }
    // `just` where something that is none is in it.
    let (mut kind, mut bytes, mut levels) = (kind, bytes, 0_usize);
    while kind.starts_with('m') {
        match content(kind, bytes)? {
            Some(inner) => (kind, bytes, levels) = (kind.get(1..)?, inner, levels.checked_add(1)?),
            None => {
                out.push_str(&"just ".repeat(levels));
                out.push_str("nothing");
                return Some(());
            }
        }
    }
    print(kind, bytes, false, depth, out)
}

fn array(kind: &str, bytes: &[u8], typed: bool, depth: usize, out: &mut String) -> Option<()> {
    let element = kind.get(1..)?;
    if element == "y"
        && let Some(text) = word::byte_string(bytes)
    {
        out.push_str(&text);
        return Some(());
    }
    let is_dictionary = element.starts_with('{');
    let [open, close] = if is_dictionary { ['{', '}'] } else { ['[', ']'] };
    let all = elements(kind, bytes)?;
    if all.is_empty() && typed {
        write!(out, "@{kind} ").ok()?;
    }
    out.push(open);
    for (index, bytes) in all.into_iter().enumerate() {
        separate(index, out);
        // The others are of the same type.
        let typed = typed && index == 0;
        if is_dictionary {
            entry(element, bytes, typed, ": ", depth, out)?;
        } else {
            print(element, bytes, typed, depth, out)?;
        }
    }
    out.push(close);
    Some(())
}

fn basic(kind: &str, bytes: &[u8], typed: bool, out: &mut String) -> Option<()> {
    let mut number = |name: &str, digits: String| {
        if typed && !name.is_empty() {
            out.push_str(name);
            out.push(' ');
        }
        out.push_str(&digits);
    };
    match kind {
        "b" => number("", (*bytes.first()? != 0).to_string()),
        "y" => number("byte", format!("0x{:02x}", bytes.first()?)),
        "n" => number("int16", i16::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "q" => number("uint16", u16::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "i" => number("", i32::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "u" => number("uint32", u32::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "h" => number("handle", i32::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "x" => number("int64", i64::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "t" => number("uint64", u64::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "d" => number("", word::float(f64::from_le_bytes(bytes.try_into().ok()?))),
        "s" => out.push_str(&word::quoted(text(bytes)?)),
        "o" | "g" => {
            if typed {
                out.push_str(if kind == "o" { "objectpath " } else { "signature " });
            }
            out.push_str(&word::quoted(text(bytes)?));
        }
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn printed(bytes: &[u8]) -> Option<String> {
        Value::read(bytes)?.to_text()
    }

    /// Values of any type as GLib 2.74 wrote them, and what its `g_variant_print` says of them.
    const GOLDEN: &[(&[u8], &str)] = &[
    (b"\x01\x00b", "true"),
    (b"\x07\x00y", "byte 0x07"),
    (b"\xfe\xff\x00n", "int16 -2"),
    (b"\xff\xff\x00q", "uint16 65535"),
    (b"\xfb\xff\xff\xff\x00i", "-5"),
    (b"\x07\x00\x00\x00\x00u", "uint32 7"),
    (b"\xf7\xff\xff\xff\xff\xff\xff\xff\x00x", "int64 -9"),
    (b"\xff\xff\xff\xff\xff\xff\xff\xff\x00t", "uint64 18446744073709551615"),
    (b"\x03\x00\x00\x00\x00h", "handle 3"),
    (b"\x00\x00\x00\x00\x00\x00\xf8?\x00d", "1.5"),
    (b"\x00\x00\x00\x00\x00\x00\x00\x80\x00d", "-0.0"),
    (b"\x9cu\x00\x88<\xe47~\x00d", "1.0000000000000001e+300"),
    (b"it\x00\x00s", "'it'"),
    (b"it's\x00\x00s", "\"it's\""),
    (b"it's \x22x\x22\x00\x00s", "\"it's \\\"x\\\"\""),
    (b"a\x0ab\x5c\x09\xc2\xad\x00\x00s", "'a\\nb\\\\\\t\\u00ad'"),
    (b"/a\x00\x00o", "objectpath '/a'"),
    (b"a{sv}\x00\x00g", "signature 'a{sv}'"),
    (b"\x00as", "@as []"),
    (b"\x00a{sv}", "@a{sv} {}"),
    (b"a\x00b\x00\x02\x04\x00as", "['a', 'b']"),
    (b"\x01\x00\x00\x00\x02\x00\x00\x00\x00au", "[uint32 1, 2]"),
    (b"\x01\x00\x00\x00x\x00\x00\x00\x02\x00\x00\x00y\x00\x06\x0e\x00a(is)", "[(1, 'x'), (2, 'y')]"),
    (b"a\x00\x00(s)", "('a',)"),
    (b"\x00\x00()", "()"),
    (b"\x00mi", "@mi nothing"),
    (b"\x05\x00\x00\x00\x00mi", "@mi 5"),
    (b"\x00\x00mmi", "@mmi just nothing"),
    (b"x\x00\x00\x00ms", "@ms 'x'"),
    (b"x\x00\x00\x03\x03\x00ams", "[@ms 'x', nothing]"),
    (b"\x01\x00\x00\x00\x00i\x00v\x00v", "<<1>>"),
    (b"k\x00\x00\x00\x00\x00\x00\x00v\x00\x00s\x02\x00\x00\x00l\x00\x00\x00\x00\x00\x00\x00\x07\x00y\x02\x0d\x1c\x00a{sv}", "{'k': <'v'>, 'l': <byte 0x07>}"),
    (b"\x01\x00\x00\x00a\x00\x00\x00\x02\x00\x00\x00b\x00\x06\x0e\x00a{us}", "{uint32 1: 'a', 2: 'b'}"),
    (b"raw\x00\x00ay", "b'raw'"),
    (b"it's \x22q\x22\x00\x00ay", "b\"it's \\\"q\\\"\""),
    (b"\xff\x01\x00\x00ay", "b'\\377\\001'"),
    (b"\x00ay", "@ay []"),
    (b"a\x00\x00\x00ay", "[byte 0x61, 0x00, 0x00]"),
    (b"a\x00\x02\x00\x02\x00{sq}", "{'a', uint16 2}"),
    (b"\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00a(yx)", "[(byte 0x01, int64 2)]"),
    (b"\x01\x00\x02\x00x\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c@\x10\x06\x00(ynsaid)", "(byte 0x01, int16 2, 'x', [1, 2], 3.5)"),
    (b"\x00\x00aa(si)", "[@a(si) []]"),
    (b"x\x00\x02\x03\x03\x00aas", "[['x'], []]"),
    (b"\x01\x00\x00ab", "[true, false]"),
    (b"\x01\x01\x00a(bms)", "[(true, @ms nothing)]"),];

    #[test]
    fn r127_values_are_written_as_glib_writes_them() {
        for (bytes, text) in GOLDEN {
            assert_eq!(printed(bytes).as_deref(), Some(*text));
        }
    }

    #[test]
    fn what_is_damaged_is_not_written() {
        for bytes in [
            &b""[..],
            b"x",
            b"\x01\0i",
            b"a\0s",
            b"a\0\0ss",
            b"a\0\0",
            b"a\0\0(s",
            b"a\0\0{s}x",
            b"\x01\0?",
            b"abc\0au",
            b"\x01\0\0v",
        ] {
            assert_eq!(printed(bytes), None, "{bytes:?}");
        }
        // Nested deeper than anybody means.
        let deep = ["(".repeat(99), ")".repeat(99)].concat();
        assert_eq!(printed(format!("\0\0{deep}").as_bytes()), None);
        let mut variant = b"\x01\0b".to_vec();
        for _ in 0..99 {
            variant.extend(b"\0v");
        }
        assert_eq!(printed(&variant), None);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_there_is_an_answer_on_one_line(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in "[abynqiuxthdsogvm(){}]{1,12}",
        ) {
            let value = [&bytes[..], b"\0", kind.as_bytes()].concat();
            if let Some(text) = printed(&value) {
                prop_assert!(!text.contains('\n'));
                prop_assert!(text.len() < 1 << 20);
            }
        }
    }
}
