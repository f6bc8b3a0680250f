// SPDX-License-Identifier: MIT OR Apache-2.0
//! The type of a value of which only the text is known: `1` may be any number, `[]` a list of anything.

use zbus::wire::signature::Signature;

use super::{Node, TextFormError};

/// What is known of a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// Nothing.
    Any,
    /// A number.
    Number,
    /// A text, an object path or a signature.
    Text,
    /// All: it has no parts.
    Simple(Signature),
    List(Box<Pattern>),
    Dictionary(Box<Pattern>, Box<Pattern>),
    Tuple(Vec<Pattern>),
}

impl Pattern {
    /// What a text says of its type.
    pub(super) fn of(node: &Node) -> Result<Self, TextFormError> {
        Ok(match node {
            Node::Bool(_) => Self::Simple(Signature::Bool),
            Node::Number(text) => {
                let hexadecimal = text.starts_with("0x");
                let float = text.contains('.') || (!hexadecimal && text.contains('e'));
                if float || text.contains("inf") || text.contains("nan") {
                    Self::Simple(Signature::F64)
                } else {
                    Self::Number
                }
            }
            Node::Text(_) => Self::Text,
            Node::Bytes(_) => Self::List(Box::new(Self::Simple(Signature::U8))),
            Node::List(nodes) => Self::List(Box::new(Self::common(nodes.iter())?)),
            Node::Dictionary(entries) => {
                let keys = Self::common(entries.iter().map(|(key, _)| key))?;
                let values = Self::common(entries.iter().map(|(_, value)| value))?;
                if !keys.is_basic() {
                    return Err(TextFormError::Impossible(
                        "a dictionary with keys that have parts",
                    ));
                }
                Self::Dictionary(Box::new(keys), Box::new(values))
            }
            Node::Tuple(nodes) if nodes.is_empty() => {
                return Err(TextFormError::Impossible("a tuple of nothing"));
            }
            Node::Tuple(nodes) => {
                Self::Tuple(nodes.iter().map(Self::of).collect::<Result<_, _>>()?)
            }
            Node::Variant(_) => Self::Simple(Signature::Variant),
            Node::Typed(signature, _) => {
                Self::from(signature).ok_or(TextFormError::Impossible("a value of that type"))?
            }
        })
    }

    /// What is known of the type of all of them.
    fn common<'a>(nodes: impl Iterator<Item = &'a Node>) -> Result<Self, TextFormError> {
        let mut common = Self::Any;
        for node in nodes {
            common = common.with(Self::of(node)?).ok_or(TextFormError::Mixed)?;
        }
        Ok(common)
    }

    /// What is known of a type that is both.
    fn with(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, other) | (other, Self::Any) => Some(other),
            (Self::Number, Self::Number) => Some(Self::Number),
            (Self::Text, Self::Text) => Some(Self::Text),
            (Self::Number, Self::Simple(one)) | (Self::Simple(one), Self::Number) => {
                is_number(&one).then_some(Self::Simple(one))
            }
            (Self::Text, Self::Simple(one)) | (Self::Simple(one), Self::Text) => {
                is_text(&one).then_some(Self::Simple(one))
            }
            (Self::Simple(one), Self::Simple(other)) => (one == other).then_some(Self::Simple(one)),
            (Self::List(one), Self::List(other)) => Some(Self::List(Box::new(one.with(*other)?))),
            // A list of nothing is a dictionary of nothing too.
            (Self::List(one), Self::Dictionary(key, value))
            | (Self::Dictionary(key, value), Self::List(one)) => {
                (*one == Self::Any).then_some(Self::Dictionary(key, value))
            }
            (Self::Dictionary(key, value), Self::Dictionary(other_key, other_value)) => {
                let key = key.with(*other_key)?;
                let value = value.with(*other_value)?;
                Some(Self::Dictionary(Box::new(key), Box::new(value)))
            }
            (Self::Tuple(one), Self::Tuple(other)) if one.len() == other.len() => {
                let both = one.into_iter().zip(other).map(|(one, other)| one.with(other));
                both.collect::<Option<_>>().map(Self::Tuple)
            }
            (
                Self::Number
                | Self::Text
                | Self::Simple(_)
                | Self::List(_)
                | Self::Dictionary(..)
                | Self::Tuple(_),
                _,
            ) => None,
        }
    }

    /// The type, with the usual one where there is a choice.
    pub(super) fn signature(&self) -> Result<Signature, TextFormError> {
        Ok(match self {
            Self::Any => return Err(TextFormError::Unknown),
            Self::Number => Signature::I32,
            Self::Text => Signature::Str,
            Self::Simple(signature) => signature.clone(),
            Self::List(element) => Signature::array(element.signature()?),
            Self::Dictionary(key, value) => Signature::dict(key.signature()?, value.signature()?),
            Self::Tuple(fields) => {
                let fields = fields.iter().map(Self::signature).collect::<Result<Vec<_>, _>>()?;
                Signature::structure(fields)
            }
        })
    }

    /// A type that is known; none if no value of it can be written and sent.
    pub(super) fn from(signature: &Signature) -> Option<Self> {
        Some(match signature {
            Signature::Unit | Signature::Fd => return None,
            Signature::U8
            | Signature::Bool
            | Signature::I16
            | Signature::U16
            | Signature::I32
            | Signature::U32
            | Signature::I64
            | Signature::U64
            | Signature::F64
            | Signature::Str
            | Signature::Signature
            | Signature::ObjectPath
            | Signature::Variant => Self::Simple(signature.clone()),
            Signature::Array(element) => Self::List(Box::new(Self::from(element.signature())?)),
            Signature::Dict { key, value } => {
                let key = Self::from(key.signature()).filter(Self::is_basic)?;
                Self::Dictionary(Box::new(key), Box::new(Self::from(value.signature())?))
            }
            Signature::Structure(fields) => {
                let fields = fields.iter().map(Self::from).collect::<Option<Vec<_>>>()?;
                Self::Tuple(Some(fields).filter(|fields| !fields.is_empty())?)
            }
        })
    }

    /// Whether it may be the key of a dictionary.
    fn is_basic(&self) -> bool {
        match self {
            Self::Any | Self::Number | Self::Text => true,
            Self::Simple(signature) => *signature != Signature::Variant,
            Self::List(_) | Self::Dictionary(..) | Self::Tuple(_) => false,
        }
    }
}

fn is_number(signature: &Signature) -> bool {
    [
        Signature::U8,
        Signature::I16,
        Signature::U16,
        Signature::I32,
        Signature::U32,
        Signature::I64,
        Signature::U64,
        Signature::F64,
    ]
    .contains(signature)
}

fn is_text(signature: &Signature) -> bool {
    [Signature::Str, Signature::ObjectPath, Signature::Signature].contains(signature)
}
