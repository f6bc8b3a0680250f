// SPDX-License-Identifier: MIT OR Apache-2.0
//! Key files with the meaning that GLib gives them (R18-R23): metadata, overrides, `.flatpak-info`.
//!
//! What is read is kept as it stands and given its meaning when it is asked for, so that a value of one
//! kind that is wrong says nothing about the others.

use std::fmt::{self, Write as _};

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile {
    groups: Vec<Group>,
}

/// A group, which may have been opened several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    name: String,
    /// The last one of each key counts; they stand where the first one stood.
    entries: Vec<(String, String)>,
}

/// Why a file is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
pub struct KeyFileError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes that are no text.
    #[error("it is not UTF-8")]
    Encoding,
    /// A byte at which readers written in C stop, and do not see the rest (CVE-2021-43860).
    #[error("it has a NUL byte")]
    Nul,
    /// An entry before the first group.
    #[error("it stands before the first group")]
    NoGroup,
    /// A group without a name, or with one that cannot be.
    #[error("it is no name of a group")]
    GroupName,
    /// Something in front of `=` that is no key.
    #[error("it is no key")]
    Key,
    /// Neither comment, nor group, nor entry.
    #[error("it is neither a comment nor a group nor key=value")]
    Line,
}

/// A value that is not of the kind that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("key '{key}' in group '{group}' has a value that is no {kind}")]
pub struct ValueError {
    /// Where it stands.
    pub group: String,
    /// Its key.
    pub key: String,
    /// What was asked for.
    pub kind: &'static str,
}

impl KeyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyFileError> {
        let mut file = Self::default();
        let mut current = None;
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let wrong = |fault| KeyFileError { line: index.saturating_add(1), fault };
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.contains(&0) {
                return Err(wrong(Fault::Nul));
            }
            let line = std::str::from_utf8(line).map_err(|_| wrong(Fault::Encoding))?;
            match Line::read(line).map_err(wrong)? {
                Line::Nothing => {}
                Line::Group(name) => current = Some(file.position(name)),
                Line::Entry(key, value) => {
                    let group = current.and_then(|at: usize| file.groups.get_mut(at));
                    group.ok_or_else(|| wrong(Fault::NoGroup))?.set(key, value.to_owned());
                }
            }
        }
        Ok(file)
    }

    /// Where a group stands, at the end if it is new.
    fn position(&mut self, name: &str) -> usize {
        let known = self.groups.iter().position(|group| group.name == name);
        known.unwrap_or_else(|| {
            self.groups.push(Group { name: name.to_owned(), entries: Vec::new() });
            self.groups.len().saturating_sub(1)
        })
    }

    /// The groups, in the order in which they were first opened.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.iter()
    }

    /// A group.
    #[must_use]
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }

    /// A group to write to, made if it is not there.
    #[expect(clippy::indexing_slicing, reason = "a position is that of a group")]
    pub fn group_mut(&mut self, name: &str) -> &mut Group {
        let at = self.position(name);
        &mut self.groups[at]
    }

    /// Removes the groups whose names this is true of.
    pub fn remove_groups(&mut self, named: impl Fn(&str) -> bool) {
        self.groups.retain(|group| !named(&group.name));
    }

    /// A text; none if the group or the key is not there.
    ///
    /// # Errors
    /// If it has an escape that is none.
    pub fn string(&self, group: &str, key: &str) -> Result<Option<String>, ValueError> {
        self.group(group).map_or(Ok(None), |group| group.string(key))
    }

    /// A list of texts, empty if the group or the key is not there.
    ///
    /// # Errors
    /// If it has an escape that is none.
    pub fn list(&self, group: &str, key: &str) -> Result<Vec<String>, ValueError> {
        self.group(group).map_or(Ok(Vec::new()), |group| group.list(key))
    }
}

/// A line of a file.
enum Line<'a> {
    Nothing,
    Group(&'a str),
    Entry(&'a str, &'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Result<Self, Fault> {
        let text = line.trim_start_matches(is_space);
        if text.is_empty() || text.starts_with('#') {
            return Ok(Self::Nothing);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let name = rest.trim_end_matches(is_space).strip_suffix(']').ok_or(Fault::GroupName)?;
            return if can_be_group(name) { Ok(Self::Group(name)) } else { Err(Fault::GroupName) };
        }
        let (key, value) = text.split_once('=').ok_or(Fault::Line)?;
        let key = key.trim_end_matches(is_space);
        if is_key(key) {
            Ok(Self::Entry(key, value.trim_start_matches(is_space)))
        } else {
            Err(Fault::Key)
        }
    }
}

/// What GLib takes for white space, `g_ascii_isspace(3)`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{c}')
}

/// Whether a value that begins with this text is read again as it was written: white space there is
/// taken for nothing, and for a form feed there is no escape.
#[must_use]
pub fn can_begin_value(text: &str) -> bool {
    !text.starts_with('\u{c}')
}

/// Whether a text that is written as a key is read again as that key, and as nothing else: not as a
/// comment, a group or a translation.
#[must_use]
pub fn can_be_key(text: &str) -> bool {
    let odd = |c: char| matches!(c, '=' | '[' | ']') || c.is_control();
    !text.is_empty() && !text.starts_with(['#', ' ']) && !text.ends_with(' ') && !text.contains(odd)
}

/// Whether a text can be the name of a group.
#[must_use]
pub fn can_be_group(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| matches!(c, '[' | ']') || c.is_control())
}

/// A key, with a locale in brackets behind it or without.
fn is_key(text: &str) -> bool {
    let (name, locale) = match text.split_once('[') {
        None => (text, None),
        Some((name, rest)) => (name, Some(rest)),
    };
    let plain = !name.is_empty() && !name.ends_with(' ') && !name.contains([']', '=']);
    let locale = locale.is_none_or(|rest| {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '@');
        rest.strip_suffix(']').is_some_and(|locale| !locale.is_empty() && locale.chars().all(fits))
    });
    plain && locale
}

impl Group {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    fn raw(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, key: &str, value: String) {
        match self.entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    fn wrong(&self, key: &str, kind: &'static str) -> ValueError {
        ValueError { group: self.name.clone(), key: key.to_owned(), kind }
    }

    /// A text; none if the key is not there.
    ///
    /// # Errors
    /// If it has an escape that is none.
    pub fn string(&self, key: &str) -> Result<Option<String>, ValueError> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        unescape(raw).map(Some).ok_or_else(|| self.wrong(key, "text"))
    }

    /// A list of texts, empty if the key is not there (R21).
    ///
    /// # Errors
    /// If it has an escape that is none.
    pub fn list(&self, key: &str) -> Result<Vec<String>, ValueError> {
        let Some(raw) = self.raw(key) else { return Ok(Vec::new()) };
        items(raw).ok_or_else(|| self.wrong(key, "list of texts"))
    }

    /// Yes or no; none if the key is not there (R22).
    ///
    /// # Errors
    /// If it is neither.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, ValueError> {
        match self.raw(key).map(|raw| raw.trim_end_matches(is_space)) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(self.wrong(key, "truth value")),
        }
    }

    /// A whole number; none if the key is not there.
    ///
    /// # Errors
    /// If it is none.
    pub fn integer(&self, key: &str) -> Result<Option<i32>, ValueError> {
        let Some(raw) = self.raw(key) else { return Ok(None) };
        let number = raw.trim_end_matches(is_space).parse();
        number.map(Some).map_err(|_| self.wrong(key, "whole number"))
    }

    /// Whether it has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, key: &str) {
        self.entries.retain(|(known, _)| known != key);
    }

    /// Writes a text (R23).
    pub fn set_string(&mut self, key: &str, text: &str) {
        let mut raw = String::new();
        escape(text, false, &mut raw);
        self.set(key, raw);
    }

    /// Writes a list of texts.
    pub fn set_list<'a>(&mut self, key: &str, items: impl IntoIterator<Item = &'a str>) {
        let mut raw = String::new();
        for item in items {
            escape(item, true, &mut raw);
            raw.push(';');
        }
        self.set(key, raw);
    }
}

/// A text as it was meant (R20). None if an escape is none.
fn unescape(raw: &str) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(c) = rest.next() {
        text.push(if c == '\\' { escaped(rest.next()?)? } else { c });
    }
    Some(text)
}

/// What a letter behind a backslash stands for.
fn escaped(letter: char) -> Option<char> {
    match letter {
        's' => Some(' '),
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        '\\' => Some('\\'),
        _ => None,
    }
}

/// The items of a list. None if an escape is none.
fn items(raw: &str) -> Option<Vec<String>> {
    let (mut items, mut item) = (Vec::new(), String::new());
    let mut rest = raw.chars();
    let mut open = false;
    while let Some(c) = rest.next() {
        open = c != ';';
        match c {
            ';' => items.push(std::mem::take(&mut item)),
            '\\' => match rest.next()? {
                ';' => item.push(';'),
                letter => item.push(escaped(letter)?),
            },
            plain => item.push(plain),
        }
    }
    if open {
        items.push(item);
    }
    Some(items)
}

/// Writes a text so that it is read again as it is.
fn escape(text: &str, in_list: bool, raw: &mut String) {
    let mut leading = true;
    for c in text.chars() {
        leading &= matches!(c, ' ' | '\t');
        match c {
            ' ' if leading => raw.push_str("\\s"),
            '\t' if leading => raw.push_str("\\t"),
            '\n' => raw.push_str("\\n"),
            '\r' => raw.push_str("\\r"),
            '\\' => raw.push_str("\\\\"),
            ';' if in_list => raw.push_str("\\;"),
            plain => raw.push(plain),
        }
    }
}

impl fmt::Display for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, group) in self.groups.iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            writeln!(f, "[{}]", group.name)?;
            for (key, value) in &group.entries {
                writeln!(f, "{key}={value}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> KeyFile {
        KeyFile::parse(text.as_bytes()).unwrap()
    }

    fn fault(text: &str) -> (usize, Fault) {
        let error = KeyFile::parse(text.as_bytes()).unwrap_err();
        (error.line, error.fault)
    }

    #[test]
    fn r18_groups_comments_and_lines() {
        let read = file("# x\n\n[A]\r\na=1\r\n[B]\nb=2\n[A]\nc=3");
        assert_eq!(read.groups().map(Group::name).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(read.group("A").unwrap().keys().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(read.string("A", "a"), Ok(Some("1".into())));
        assert_eq!(read.string("B", "a"), Ok(None));
        assert_eq!(read.string("C", "a"), Ok(None));
        // White space before a comment says nothing, and a vertical tab is none: Flatpak 1.14 was asked.
        let read = file("[A]\n \t#a=1\n\u{c}b=\u{c}2\n\u{b}c=\u{b}3\n");
        assert_eq!(read.group("A").unwrap().keys().collect::<Vec<_>>(), ["b", "\u{b}c"]);
        assert_eq!(read.string("A", "b"), Ok(Some("2".into())));
        assert_eq!(read.string("A", "\u{b}c"), Ok(Some("\u{b}3".into())));
        assert_eq!(fault("[A]\n\u{b}"), (2, Fault::Line));
        assert_eq!(fault("a=1"), (1, Fault::NoGroup));
        assert_eq!(fault("[A]\nnothing"), (2, Fault::Line));
        for name in ["[]", "[A", "[A[B]", "[A]B]", "[A\u{7}]"] {
            assert_eq!(fault(name), (1, Fault::GroupName), "{name}");
        }
        assert_eq!(KeyFile::parse(b"[A]\na=\xff").unwrap_err().fault, Fault::Encoding);
    }

    #[test]
    fn t70_nothing_hides_behind_a_nul() {
        for text in ["[A]\na=b\0c", "# \0\n[A]", "[A]\n\0[B]\na=b"] {
            assert_eq!(KeyFile::parse(text.as_bytes()).unwrap_err().fault, Fault::Nul, "{text:?}");
        }
    }

    #[test]
    fn what_can_be_a_key_is_read_again_as_that_key() {
        for key in ["a", "a b", "a.b-c", "\u{e9}", "%", "a#"] {
            assert!(can_be_key(key), "{key}");
            assert_eq!(file(&format!("[A]\n{key}=x")).string("A", key), Ok(Some("x".into())));
        }
        for key in ["", "#a", " a", "a ", "a=b", "[a", "a[b]", "a\nb", "a\rb"] {
            assert!(!can_be_key(key), "{key:?}");
        }
        for name in ["", "a]", "[a", "a\nb"] {
            assert!(!can_be_group(name), "{name:?}");
        }
    }

    #[test]
    fn what_can_begin_a_value_is_read_again() {
        for text in [" ", "\t", "\n", "\r", "\u{b}", "!", "\u{e9}", "\u{c}"] {
            let mut written = KeyFile::default();
            written.group_mut("A").set_list("a", [text]);
            let again = file(&written.to_string()).list("A", "a").unwrap();
            assert_eq!(again == [text], can_begin_value(text), "{text:?}");
        }
    }

    #[test]
    fn entries_and_groups_can_be_removed() {
        let mut read = file("[A]\na=1\nb=2\n[Policy x]\nc=3\n[Policy y]\nd=4");
        read.group_mut("A").remove("a");
        read.remove_groups(|name| name.starts_with("Policy "));
        assert_eq!(read.to_string(), "[A]\nb=2\n");
        read.group_mut("A").remove("b");
        assert!(read.group("A").unwrap().is_empty());
    }

    #[test]
    fn r19_keys_and_values() {
        let read = file("[A]\n  a b \t= x y \nk[de]=z\nk=1\nk=2\ne=");
        assert_eq!(read.string("A", "a b"), Ok(Some("x y ".into())));
        assert_eq!(read.string("A", "k[de]"), Ok(Some("z".into())));
        assert_eq!(read.string("A", "k"), Ok(Some("2".into())));
        assert_eq!(read.string("A", "e"), Ok(Some(String::new())));
        for key in ["=x", " =x", "a[=x", "a[]=x", "a]=x", "a[d e]=x"] {
            assert_eq!(fault(&format!("[A]\n{key}")), (2, Fault::Key), "{key}");
        }
    }

    #[test]
    fn r20_escapes() {
        let read = file("[A]\na=\\sx\\n\\t\\r\\\\\nb=\\x\nc=x\\\nd=\\;");
        assert_eq!(read.string("A", "a"), Ok(Some(" x\n\t\r\\".into())));
        for key in ["b", "c", "d"] {
            assert!(read.string("A", key).is_err(), "{key}");
        }
    }

    #[test]
    fn r21_lists() {
        let read = file("[A]\na=x;y\\;z;;\nb=x\nc=\nd=;\ne=\\q;f");
        let list = |key| read.list("A", key);
        assert_eq!(list("a").unwrap(), ["x", "y;z", ""]);
        assert_eq!(list("b").unwrap(), ["x"]);
        assert_eq!(list("c").unwrap(), [""; 0]);
        assert_eq!(list("d").unwrap(), [""]);
        assert!(list("e").is_err());
        assert_eq!(list("none").unwrap(), [""; 0]);
    }

    #[test]
    fn r22_truth_values_and_numbers() {
        let read = file("[A]\na=true\nb=0\nc=yes\nd=12 \ne=x");
        let group = read.group("A").unwrap();
        assert_eq!((group.boolean("a"), group.boolean("b")), (Ok(Some(true)), Ok(Some(false))));
        assert!(group.boolean("c").is_err());
        assert_eq!(group.boolean("none"), Ok(None));
        assert_eq!(group.integer("d"), Ok(Some(12)));
        assert!(group.integer("e").is_err());
    }

    #[test]
    fn r23_what_is_written_is_read_again() {
        let mut written = KeyFile::default();
        let odd = " \t x;\\\n\r ";
        written.group_mut("A").set_string("text", odd);
        written.group_mut("B").set_list("list", ["", odd, "plain"]);
        let text = written.to_string();
        assert_eq!(
            text,
            "[A]\ntext=\\s\\t\\sx;\\\\\\n\\r \n\n[B]\nlist=;\\s\\t\\sx\\;\\\\\\n\\r ;plain;\n"
        );
        let read = file(&text);
        assert_eq!(read, written);
        assert_eq!(read.string("A", "text"), Ok(Some(odd.into())));
        assert_eq!(read.list("B", "list").unwrap(), ["", odd, "plain"]);
    }
}
