// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of D-Bus as text for people, and back: what GLib calls the text format of GVariant
//! (<https://docs.gtk.org/glib/gvariant-text-format.html>), as far as a message can carry it.

mod parse;
mod print;
mod types;
pub(crate) mod word;

use std::num::ParseFloatError;

pub use print::print;
use types::Pattern;
use zbus::wire::serialized::Context;
use zbus::wire::signature::Signature;
use zbus::wire::{Endian, to_bytes};
use zbus::{Array, Dict, ObjectPath, OwnedVariant, Structure, Variant};

/// The longest type that a message can name.
const SIGNATURE: usize = 255;

/// Why a text is no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextFormError {
    /// Something else belongs there.
    #[error("at character {at}: {expected} is missing")]
    Missing {
        /// How many characters stand before.
        at: usize,
        /// What belongs there.
        expected: &'static str,
    },
    /// A word that means nothing.
    #[error("at character {at}: no value begins like that; texts stand between quotation marks")]
    Word {
        /// How many characters stand before.
        at: usize,
    },
    /// A type that is none.
    #[error("at character {at}: what follows '@' is no type that a message can have")]
    Type {
        /// How many characters stand before.
        at: usize,
    },
    /// A character by its number, which has none.
    #[error("at character {at}: there is no such character")]
    Character {
        /// How many characters stand before.
        at: usize,
    },
    /// More brackets than anybody needs.
    #[error("at character {at}: it is nested too deeply")]
    Deep {
        /// How many characters stand before.
        at: usize,
    },
    /// A list of nothing could be one of anything.
    #[error("its type cannot be told; write it in front, as in '@as []'")]
    Unknown,
    /// Members of one list that have nothing in common.
    #[error("what stands in one list or dictionary has to be of one type")]
    Mixed,
    /// A value that is not one of its type.
    #[error("{text} is no value of the type '{wanted}'")]
    Value {
        /// The value.
        text: String,
        /// The type.
        wanted: String,
    },
    /// A value that no message carries.
    #[error("{0} cannot be sent")]
    Impossible(&'static str),
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Bool(bool),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Node>),
    Dictionary(Vec<(Node, Node)>),
    Tuple(Vec<Node>),
    Variant(Box<Node>),
    Typed(Signature, Box<Node>),
}

/// Reads a value.
///
/// # Errors
/// [`TextFormError`].
pub fn parse(text: &str) -> Result<OwnedVariant, TextFormError> {
    let value = value(&parse::node(text)?)?;
    // Messages have limits of their own to how values may lie in one another.
    let deep = |_: zbus::Error| TextFormError::Impossible("a value that is nested so deeply");
    to_bytes(Context::new(Endian::Little, 0), &value).map_err(deep)?;
    value.try_into_owned().map_err(deep)
}

/// A value of the type that its text suggests.
fn value(node: &Node) -> Result<Variant<'static>, TextFormError> {
    let signature = Pattern::of(node)?.signature()?;
    let text = signature.to_string();
    // It has limits that are found out by reading it.
    if text.len() > SIGNATURE || Signature::from_bytes(text.as_bytes()).is_err() {
        return Err(TextFormError::Impossible("a value of such a type"));
    }
    build(node, &signature)
}

/// A value of this type.
fn build(node: &Node, wanted: &Signature) -> Result<Variant<'static>, TextFormError> {
    let wrong = || TextFormError::Value { text: node.describe(), wanted: wanted.to_string() };
    let impossible = |_: zbus::Error| wrong();
    match (node, wanted) {
        (Node::Typed(signature, node), _) if signature == wanted => build(node, wanted),
        (Node::Bool(value), Signature::Bool) => Ok(Variant::Bool(*value)),
        (Node::Number(text), _) => number(text, wanted).ok_or_else(wrong),
        (Node::Text(text), Signature::Str) => Ok(Variant::from(text.clone())),
        (Node::Text(text), Signature::ObjectPath) => {
            ObjectPath::try_from(text.clone()).map(Variant::from).map_err(|_| wrong())
        }
        (Node::Text(text), Signature::Signature) => {
            let signature = Signature::from_bytes(text.as_bytes()).ok();
            // Of several types it makes those of a tuple, which are others.
            let is_same = |read: &Signature| text.len() <= SIGNATURE && read.to_string() == *text;
            let signature = signature.filter(is_same);
            signature.map(Variant::Signature).ok_or_else(wrong)
        }
        (Node::Bytes(bytes), Signature::Array(element))
            if *element.signature() == Signature::U8 =>
        {
            Ok(Variant::from(bytes.clone()))
        }
        (Node::List(nodes), Signature::Array(element)) => {
            let mut array = Array::new(element.signature());
            for node in nodes {
                array.append(build(node, element.signature())?).map_err(impossible)?;
            }
            Ok(Variant::Array(array))
        }
        (Node::List(nodes), Signature::Dict { key, value }) if nodes.is_empty() => {
            Ok(Variant::Dict(Dict::new(key.signature(), value.signature())))
        }
        (Node::Dictionary(entries), Signature::Dict { key, value }) => {
            let mut dictionary = Dict::new(key.signature(), value.signature());
            for (one, other) in entries {
                let one = build(one, key.signature())?;
                let other = build(other, value.signature())?;
                dictionary.append(one, other).map_err(impossible)?;
            }
            Ok(Variant::Dict(dictionary))
        }
        (Node::Tuple(nodes), Signature::Structure(fields)) if nodes.len() == fields.len() => {
            let mut structure = Structure::builder();
            for (node, field) in nodes.iter().zip(fields.iter()) {
                structure.push_value(build(node, field)?);
            }
            structure.build().map(Variant::Structure).map_err(impossible)
        }
        (Node::Variant(node), Signature::Variant) => Ok(Variant::Variant(Box::new(value(node)?))),
        (
            Node::Bool(_)
            | Node::Text(_)
            | Node::Bytes(_)
            | Node::List(_)
            | Node::Dictionary(_)
            | Node::Tuple(_)
            | Node::Variant(_)
            | Node::Typed(..),
            _,
        ) => Err(wrong()),
    }
}

/// A number of this type. As in C, `0x` stands before hexadecimal and `0` before octal digits.
fn number(text: &str, wanted: &Signature) -> Option<Variant<'static>> {
    if *wanted == Signature::F64 {
        let parsed: Result<f64, ParseFloatError> = text.parse();
        let fits =
            |number: &f64| number.is_finite() || text.contains("inf") || text.contains("nan");
        return parsed.ok().filter(fits).map(Variant::F64);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = if let Some(digits) = digits.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = digits.strip_prefix("0X") {
        (digits, 16)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (digits, 8)
    } else {
        (digits, 10)
    };
    // A sign of its own is none here.
    if !digits.starts_with(|digit: char| digit.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let number = if negative { number.checked_neg()? } else { number };
    match wanted {
        Signature::U8 => u8::try_from(number).ok().map(Variant::U8),
        Signature::I16 => i16::try_from(number).ok().map(Variant::I16),
        Signature::U16 => u16::try_from(number).ok().map(Variant::U16),
        Signature::I32 => i32::try_from(number).ok().map(Variant::I32),
        Signature::U32 => u32::try_from(number).ok().map(Variant::U32),
        Signature::I64 => i64::try_from(number).ok().map(Variant::I64),
        Signature::U64 => u64::try_from(number).ok().map(Variant::U64),
        Signature::Unit
        | Signature::Bool
        | Signature::F64
        | Signature::Str
        | Signature::Signature
        | Signature::ObjectPath
        | Signature::Variant
        | Signature::Fd
        | Signature::Array(_)
        | Signature::Dict { .. }
        | Signature::Structure(_) => None,
    }
}

impl Node {
    /// As messages call it.
    fn describe(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => format!("'{text}'"),
            Self::Bytes(_) => "a list of bytes".into(),
            Self::List(_) => "a list".into(),
            Self::Dictionary(_) => "a dictionary".into(),
            Self::Tuple(_) => "a tuple".into(),
            Self::Variant(_) => "a variant".into(),
            Self::Typed(signature, _) => format!("a value of the type '{signature}'"),
        }
    }
}

#[cfg(test)]
mod tests;
