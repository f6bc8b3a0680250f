// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages of D-Bus as bytes: the header is written and looked through here, values are zbus's.
//!
//! zbus can do all of it, but not without its asynchronous connections, whose runtime may start a
//! thread. This program must not have one: it decides by itself which signals it takes.
//! The format: <https://dbus.freedesktop.org/doc/dbus-specification.html#message-protocol>.

use serde::{Deserialize, Serialize};
use zbus::wire::serialized::{Context, Data};
use zbus::wire::{Endian, to_bytes};
use zbus::{DynamicType, Type, Variant};

/// The bytes of which the length of the rest can be told.
pub(crate) const PREFIX: usize = 16;
/// The longest message that is read: a document portal's list of some ten thousand documents. The format
/// itself would allow 128 MiB.
const MOST: usize = 1 << 24;
const VERSION: u8 = 1;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Call,
    Return,
    Error,
    Signal,
    /// A later version's, to be ignored.
    Other,
}

/// What is said about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) serial: u32,
    pub(crate) path: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) member: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) reply_to: Option<u32>,
    pub(crate) destination: Option<String>,
    /// Whom it is from, which the bus says and no peer.
    pub(crate) sender: Option<String>,
    /// How many descriptors come with it.
    pub(crate) descriptors: u32,
}

/// A message as it came.
#[derive(Debug)]
pub struct Message {
    pub(crate) header: Header,
    signature: String,
    body: Data<'static, 'static>,
}

/// Why there is no message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// It is longer than any message that is expected.
    #[error("it sent a message of {0} bytes")]
    Long(u64),
    /// It is not in the format of D-Bus.
    #[error("it sent what is no message of D-Bus")]
    Format,
    /// Its values are not those that belong to it.
    #[error("it sent a message with the values '{found}' where '{expected}' belong")]
    Signature {
        /// The types that came.
        found: String,
        /// The types that are documented.
        expected: String,
    },
    /// A value is wrong, or cannot be sent.
    #[error("a value is wrong: {0}")]
    Value(#[from] zbus::Error),
}

impl Header {
    /// A header that says nothing more.
    pub(crate) fn new(kind: Kind, serial: u32) -> Self {
        Self {
            kind,
            serial,
            path: None,
            interface: None,
            member: None,
            error: None,
            reply_to: None,
            destination: None,
            sender: None,
            descriptors: 0,
        }
    }

    /// The message with this header and the values of `body`, which is a tuple or `()`.
    ///
    /// # Errors
    /// [`MessageError`], where a value cannot be sent.
    pub(crate) fn encode<B: Serialize + DynamicType>(
        &self,
        body: &B,
    ) -> Result<Vec<u8>, MessageError> {
        let signature = body.signature().to_string_no_parens();
        let body = to_bytes(Context::new(Endian::Little, 0), body)?;
        let body = body.bytes();

        let mut fields = Vec::new();
        let texts = [
            (1, b'o', &self.path),
            (2, b's', &self.interface),
            (3, b's', &self.member),
            (4, b's', &self.error),
            (6, b's', &self.destination),
            (7, b's', &self.sender),
        ];
        for (code, kind, text) in texts {
            if let Some(text) = text {
                field(&mut fields, code, kind);
                number(&mut fields, length(text.len())?);
                fields.extend(text.as_bytes());
                fields.push(0);
            }
        }
        if let Some(serial) = self.reply_to {
            field(&mut fields, 5, b'u');
            number(&mut fields, serial);
        }
        if self.descriptors > 0 {
            field(&mut fields, 9, b'u');
            number(&mut fields, self.descriptors);
        }
        if !signature.is_empty() {
            field(&mut fields, 8, b'g');
            fields.push(u8::try_from(signature.len()).map_err(|_| MessageError::Format)?);
            fields.extend(signature.as_bytes());
            fields.push(0);
        }

        let mut message = vec![b'l', self.kind.code(), 0, VERSION];
        number(&mut message, length(body.len())?);
        number(&mut message, self.serial);
        number(&mut message, length(fields.len())?);
        // The prefix has sixteen bytes, so the fields are aligned here as they were by themselves.
        message.extend(fields);
        align(&mut message, 8);
        message.extend(body);
        Ok(message)
    }
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Call => 1,
            Self::Return => 2,
            Self::Error => 3,
            Self::Signal => 4,
            Self::Other => 0,
        }
    }
}

impl Message {
    /// How many bytes follow the first sixteen.
    ///
    /// # Errors
    /// [`MessageError::Format`], [`MessageError::Long`].
    pub(crate) fn rest(prefix: &[u8; PREFIX]) -> Result<usize, MessageError> {
        let context = context(prefix)?;
        let (parts, _): (Prefix, usize) = Data::new(&prefix[..], context).deserialize()?;
        let (_, _, _, _, body, _, fields) = parts;
        let rest = u64::from(fields).next_multiple_of(8).saturating_add(body.into());
        usize::try_from(rest).ok().filter(|rest| *rest <= MOST).ok_or(MessageError::Long(rest))
    }

    /// Takes a whole message apart.
    ///
    /// # Errors
    /// [`MessageError`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let context = context(bytes)?;
        let data = Data::new(bytes, context);
        let (parts, used): (Parts<'_>, usize) = data.deserialize()?;
        let (_, kind, _, version, length, serial, fields) = parts;
        let body = bytes.get(used.next_multiple_of(8)..).ok_or(MessageError::Format)?;
        if version != VERSION || usize::try_from(length).ok() != Some(body.len()) {
            return Err(MessageError::Format);
        }
        let kinds = [Kind::Call, Kind::Return, Kind::Error, Kind::Signal];
        let kind = kinds.into_iter().find(|known| known.code() == kind).unwrap_or(Kind::Other);
        let mut header = Header::new(kind, serial);
        let mut signature = String::new();
        for (code, value) in fields {
            match code {
                1 => header.path = Some(text(value)?),
                2 => header.interface = Some(text(value)?),
                3 => header.member = Some(text(value)?),
                4 => header.error = Some(text(value)?),
                5 => header.reply_to = Some(u32::try_from(value)?),
                6 => header.destination = Some(text(value)?),
                7 => header.sender = Some(text(value)?),
                8 => signature = zbus::Signature::try_from(value)?.to_string_no_parens(),
                9 => header.descriptors = u32::try_from(value)?,
                _ => {}
            }
        }
        Ok(Self { header, signature, body: Data::new(body.to_vec(), context) })
    }

    /// The values of a message that has those of `B`.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn body<'a, B: Deserialize<'a> + Type>(&'a self) -> Result<B, MessageError> {
        let expected = B::SIGNATURE.to_string_no_parens();
        if self.signature != expected {
            return Err(MessageError::Signature { found: self.signature.clone(), expected });
        }
        let (body, _) = self.body.deserialize()?;
        Ok(body)
    }

    /// The types of the values, and these with the numbers of descriptors in place of descriptors.
    #[cfg(test)]
    pub(crate) fn numbered<'a, B: Deserialize<'a> + Type>(&'a self) -> (&'a str, B) {
        let (body, _) = self.body.deserialize().unwrap();
        (&self.signature, body)
    }

    /// The name of an error and what it says, which need not be anything.
    pub(crate) fn refusal(&self) -> (String, String) {
        let text = self.body().map(|(text,): (String,)| text).unwrap_or_default();
        (self.header.error.clone().unwrap_or_default(), text)
    }
}

type Prefix = (u8, u8, u8, u8, u32, u32, u32);
type Parts<'a> = (u8, u8, u8, u8, u32, u32, Vec<(u8, Variant<'a>)>);

fn context(bytes: &[u8]) -> Result<Context, MessageError> {
    match bytes.first() {
        Some(b'l') => Ok(Context::new(Endian::Little, 0)),
        Some(b'B') => Ok(Context::new(Endian::Big, 0)),
        Some(_) | None => Err(MessageError::Format),
    }
}

fn text(value: Variant<'_>) -> Result<String, MessageError> {
    if let Variant::ObjectPath(path) = value {
        return Ok(path.to_string());
    }
    Ok(String::try_from(value)?)
}

/// The beginning of a field: its code and the type of its value.
fn field(fields: &mut Vec<u8>, code: u8, kind: u8) {
    align(fields, 8);
    fields.extend([code, 1, kind, 0]);
}

fn number(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend(number.to_le_bytes());
}

fn align(bytes: &mut Vec<u8>, boundary: usize) {
    bytes.resize(bytes.len().next_multiple_of(boundary), 0);
}

fn length(length: usize) -> Result<u32, MessageError> {
    u32::try_from(length).map_err(|_| MessageError::Format)
}

#[cfg(test)]
mod tests;
