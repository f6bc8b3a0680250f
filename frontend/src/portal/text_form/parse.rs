// SPDX-License-Identifier: MIT OR Apache-2.0
//! From characters to what they say, without regard to types.

use zbus::wire::signature::Signature;

use super::types::Pattern;
use super::{Node, SIGNATURE, TextFormError};

/// How deep brackets may stand in one another: as deep as in a message.
const DEPTH: usize = 64;

/// Words that give the type of what follows. `handle` is a descriptor, of which there are none here.
const TYPES: [(&str, Signature); 12] = [
    ("boolean", Signature::Bool),
    ("byte", Signature::U8),
    ("int16", Signature::I16),
    ("uint16", Signature::U16),
    ("int32", Signature::I32),
    ("uint32", Signature::U32),
    ("int64", Signature::I64),
    ("uint64", Signature::U64),
    ("double", Signature::F64),
    ("string", Signature::Str),
    ("objectpath", Signature::ObjectPath),
    ("signature", Signature::Signature),
];

/// Reads one value, and nothing else.
pub(super) fn node(text: &str) -> Result<Node, TextFormError> {
    let mut reader = Reader { rest: text.chars().collect::<Vec<_>>().into_iter(), read: 0 };
    let node = reader.node(0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.missing("the end")),
    }
}

/// What is left to read, and how much was.
struct Reader {
    rest: std::vec::IntoIter<char>,
    read: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.as_slice().first().copied()
    }

    fn next(&mut self) -> Option<char> {
        self.read = self.read.saturating_add(1);
        self.rest.next()
    }

    fn missing(&self, expected: &'static str) -> TextFormError {
        TextFormError::Missing { at: self.read, expected }
    }

    fn skip_space(&mut self) {
        self.take_while(|c| c.is_ascii_whitespace() || c == '\u{b}');
    }

    fn take_while(&mut self, is_meant: impl Fn(char) -> bool) -> String {
        let mut taken = String::new();
        while let Some(c) = self.peek().filter(|c| is_meant(*c)) {
            taken.push(c);
            self.next();
        }
        taken
    }

    /// Whether this character comes next, which is then read.
    fn takes(&mut self, wanted: char) -> bool {
        self.skip_space();
        let comes = self.peek() == Some(wanted);
        if comes {
            self.next();
        }
        comes
    }

    fn require(&mut self, wanted: char, expected: &'static str) -> Result<(), TextFormError> {
        if self.takes(wanted) { Ok(()) } else { Err(self.missing(expected)) }
    }

    /// A value in so many brackets.
    fn node(&mut self, depth: usize) -> Result<Node, TextFormError> {
        self.skip_space();
        let at = self.read;
        if depth > DEPTH {
            return Err(TextFormError::Deep { at });
        }
        let deeper = depth.saturating_add(1);
        let Some(first) = self.peek() else { return Err(self.missing("a value")) };
        match first {
            '[' => self.list(deeper),
            '(' => self.tuple(deeper),
            '{' => self.dictionary(deeper),
            '<' => {
                self.next();
                let node = self.node(deeper)?;
                self.require('>', "'>'")?;
                Ok(Node::Variant(Box::new(node)))
            }
            '\'' | '"' => self.text(first).map(Node::Text),
            '@' => {
                self.next();
                let signature = self.signature().ok_or(TextFormError::Type { at })?;
                Ok(Node::Typed(signature, Box::new(self.node(deeper)?)))
            }
            '-' | '+' | '.' | '0'..='9' => {
                let is_part = |c: char| c.is_ascii_alphanumeric() || "-+.".contains(c);
                Ok(Node::Number(self.take_while(is_part)))
            }
            'b' if matches!(self.rest.as_slice(), [_, '\'' | '"', ..]) => {
                self.next();
                self.bytes().map(Node::Bytes)
            }
            _ => {
                let word = self.take_while(|c| c.is_ascii_alphanumeric());
                match word.as_str() {
                    "true" => Ok(Node::Bool(true)),
                    "false" => Ok(Node::Bool(false)),
                    "inf" | "nan" => Ok(Node::Number(word)),
                    "just" | "nothing" => {
                        Err(TextFormError::Impossible("a value that may be missing"))
                    }
                    "handle" => Err(TextFormError::Impossible("a descriptor")),
                    word => {
                        let known = TYPES.into_iter().find(|(name, _)| *name == word);
                        let (_, signature) = known.ok_or(TextFormError::Word { at })?;
                        Ok(Node::Typed(signature, Box::new(self.node(deeper)?)))
                    }
                }
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, TextFormError> {
        self.next();
        let mut nodes = Vec::new();
        while !self.takes(']') {
            if !nodes.is_empty() {
                self.require(',', "',' or ']'")?;
            }
            nodes.push(self.node(depth)?);
        }
        Ok(Node::List(nodes))
    }

    /// Of one value, with a comma behind it; or of more.
    fn tuple(&mut self, depth: usize) -> Result<Node, TextFormError> {
        self.next();
        let mut nodes = Vec::new();
        while !self.takes(')') {
            if nodes.len() > 1 {
                self.require(',', "',' or ')'")?;
            }
            nodes.push(self.node(depth)?);
            if nodes.len() == 1 {
                self.require(',', "',' behind the first of a tuple")?;
            }
        }
        Ok(Node::Tuple(nodes))
    }

    fn dictionary(&mut self, depth: usize) -> Result<Node, TextFormError> {
        self.next();
        let mut entries = Vec::new();
        while !self.takes('}') {
            if !entries.is_empty() {
                self.require(',', "',' or '}'")?;
            }
            let key = self.node(depth)?;
            self.require(':', "':' behind the key")?;
            entries.push((key, self.node(depth)?));
        }
        Ok(Node::Dictionary(entries))
    }

    /// The one type that is written here, if a value of it can be sent.
    fn signature(&mut self) -> Option<Signature> {
        let text = self.take_while(|c| c.is_ascii_alphabetic() || "(){}".contains(c));
        let parsed = Signature::from_bytes(text.as_bytes()).ok()?;
        // It also reads more than one, as the fields of a tuple.
        (parsed.to_string() == text && text.len() <= SIGNATURE && Pattern::from(&parsed).is_some())
            .then_some(parsed)
    }

    /// A text between quotation marks.
    fn text(&mut self, quote: char) -> Result<String, TextFormError> {
        self.next();
        let mut text = String::new();
        loop {
            let at = self.read;
            let unfinished = TextFormError::Missing { at, expected: "the closing quotation mark" };
            match self.next().ok_or(unfinished.clone())? {
                '\\' => {}
                c if c == quote => return Ok(text),
                c => {
                    text.push(c);
                    continue;
                }
            }
            match self.next().ok_or(unfinished)? {
                'u' => text.push(self.numbered(4).ok_or(TextFormError::Character { at })?),
                'U' => text.push(self.numbered(8).ok_or(TextFormError::Character { at })?),
                // The line goes on.
                '\n' => {}
                c => text.push(escaped(c)),
            }
        }
    }

    /// A character of which the number follows.
    fn numbered(&mut self, digits: usize) -> Option<char> {
        let mut number = 0_u32;
        for _ in 0..digits {
            let digit = self.next()?.to_digit(16)?;
            number = number.checked_mul(16)?.checked_add(digit)?;
        }
        char::from_u32(number).filter(|c| *c != '\0')
    }

    /// Bytes between quotation marks, as in C: a zero follows the last, and nothing follows a zero.
    fn bytes(&mut self) -> Result<Vec<u8>, TextFormError> {
        let quote = self.next();
        let mut bytes = Vec::new();
        let mut place = [0; 4];
        loop {
            let missing = self.missing("the closing quotation mark");
            let mut c = self.next().ok_or(missing.clone())?;
            if Some(c) == quote {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                bytes.truncate(end);
                bytes.push(0);
                return Ok(bytes);
            }
            if c == '\\' {
                c = self.next().ok_or(missing)?;
                if let Some(first) = c.to_digit(8) {
                    bytes.push(self.octal(first));
                    continue;
                }
                if c == '\n' {
                    continue;
                }
                c = escaped(c);
            }
            bytes.extend(c.encode_utf8(&mut place).bytes());
        }
    }

    /// Up to three octal digits, of which the first was read.
    fn octal(&mut self, first: u32) -> u8 {
        let mut number = first;
        for _ in 0..2 {
            let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else { break };
            self.next();
            number = number << 3 | digit;
        }
        // Of nine bits, as in C, the highest is dropped.
        let [low, ..] = number.to_le_bytes();
        low
    }
}

/// What stands behind a backslash.
fn escaped(c: char) -> char {
    match c {
        'a' => '\u{7}',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        c => c,
    }
}
