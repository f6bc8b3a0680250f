// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people read: text from outside made harmless, errors and notices on stderr.
//!
//! A message is one line of what failed, one of why, one of what to do. File names, arguments and
//! variables may hold anything, escape sequences included, and are shown through [`Shown`].

use std::ffi::OsStr;
use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;

/// Text from outside as messages show it: control, invisible and undecodable characters escaped.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a>(&'a [u8]);

/// Shows `text` in a message.
pub fn shown<T: AsRef<OsStr> + ?Sized>(text: &T) -> Shown<'_> {
    Shown(text.as_ref().as_bytes())
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if is_hidden(c) { write!(f, "{}", c.escape_unicode())? } else { f.write_char(c)? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character would not be seen, or would change how its neighbours are seen (R53).
#[must_use]
pub fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    c.is_control()
        || matches!(u32::from(c),
            0x00AD | 0x0600..=0x0605 | 0x061C | 0x06DD | 0x070F | 0x0890..=0x0891 | 0x08E2
            | 0x180E | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF
            | 0xFFF9..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A | 0xE0000..=0xE007F)
}

/// Something to tell the user that does not stop the launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The sandbox will probably not do what was meant.
    Warning(String),
    /// Something optional was left out; shown with `--verbose`.
    Detail(String),
}

/// Lays out `message` as it goes to the terminal: the program's name first, then the reason and
/// the advice below it.
#[must_use]
pub fn layout(message: &str) -> String {
    let mut text = String::with_capacity(message.len().saturating_add(32));
    for (index, line) in message.lines().enumerate() {
        text.push_str(if index == 0 { "stockade: " } else { "  " });
        // Names that hold such characters are escaped where the message is made; this is the net.
        text.extend(line.chars().map(|c| if is_hidden(c) { '?' } else { c }));
        text.push('\n');
    }
    text
}

/// Prints an error.
pub fn error(error: &dyn Display) {
    write(&layout(&error.to_string()));
}

/// Prints notices, details only if `verbose`.
pub fn notices(notices: &[Notice], verbose: bool) {
    for notice in notices {
        match notice {
            Notice::Warning(text) => write(&layout(&format!("warning: {text}"))),
            Notice::Detail(text) if verbose => write(&layout(text)),
            Notice::Detail(_) => {}
        }
    }
}

/// A closed stderr is nobody's error.
fn write(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r53_escape_sequences_and_invisible_characters_are_escaped() {
        let name = OsStr::from_bytes(b"a\x1b[2K\n\xe2\x80\xaeb\xff\xc3\xa9");
        assert_eq!(shown(name).to_string(), "a\\u{1b}[2K\\u{a}\\u{202e}b\\xffé");
    }

    #[test]
    fn reason_and_advice_stand_below_the_failure() {
        assert_eq!(layout("cannot a\nb\nc"), "stockade: cannot a\n  b\n  c\n");
        assert_eq!(layout("cannot \x1ba"), "stockade: cannot ?a\n");
    }
}
