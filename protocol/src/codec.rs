// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bytes to messages and back. The only module that knows the format.
//!
//! bincode 2.0.1 with fixed-width little-endian integers. Its project has ended
//! (RUSTSEC-2025-0141); the golden files under `tests/golden/` define the format, so that this
//! module can be rewritten without it.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::error::DecodeError;

use crate::event::Event;
use crate::limits;
use crate::request::Request;
use crate::text::TextFault;

type Format<const N: usize> = Configuration<LittleEndian, Fixint, Limit<N>>;

const REQUEST: Format<{ limits::DECODED_BYTES }> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<{ limits::DECODED_BYTES }>();

const EVENT: Format<{ limits::EVENT_BYTES }> =
    bincode::config::standard().with_fixed_int_encoding().with_limit::<{ limits::EVENT_BYTES }>();

/// Why bytes were not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum DecodeFault {
    /// Longer than the limit, or more memory would be needed than the limit allows.
    TooLarge,
    /// They end too early.
    Truncated,
    /// They are not a message: an unknown tag, a bad boolean.
    Malformed,
    /// There is more behind the message.
    Trailing,
    /// A string in them breaks its rule.
    Text(TextFault),
}

/// A message that is too large to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl From<DecodeError> for DecodeFault {
    fn from(error: DecodeError) -> Self {
        if let Some(fault) = TextFault::of(&error) {
            return Self::Text(fault);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "the error type belongs to bincode")]
        match error {
            DecodeError::UnexpectedEnd { .. } => Self::Truncated,
            DecodeError::LimitExceeded | DecodeError::OutsideUsizeRange(_) => Self::TooLarge,
            _ => Self::Malformed,
        }
    }
}

/// Encodes a request.
///
/// # Errors
/// [`TooLarge`] above [`limits::REQUEST_BYTES`].
pub fn encode_request(request: &Request) -> Result<Vec<u8>, TooLarge> {
    let bytes = bincode::encode_to_vec(request, REQUEST).map_err(|_| TooLarge)?;
    if bytes.len() > limits::REQUEST_BYTES { Err(TooLarge) } else { Ok(bytes) }
}

/// Decodes a request: total, and with bounded memory whatever the bytes are (I10).
///
/// # Errors
/// The first fault that was met.
pub fn decode_request(bytes: &[u8]) -> Result<Request, DecodeFault> {
    if bytes.len() > limits::REQUEST_BYTES {
        return Err(DecodeFault::TooLarge);
    }
    let (request, consumed) = bincode::decode_from_slice::<Request, _>(bytes, REQUEST)?;
    if consumed != bytes.len() {
        return Err(DecodeFault::Trailing);
    }
    Ok(request)
}

/// Encodes an event.
///
/// # Errors
/// [`TooLarge`] above [`limits::EVENT_BYTES`], which no event reaches.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, TooLarge> {
    let bytes = bincode::encode_to_vec(event, EVENT).map_err(|_| TooLarge)?;
    if bytes.len() > limits::EVENT_BYTES { Err(TooLarge) } else { Ok(bytes) }
}

/// Decodes an event.
///
/// # Errors
/// The first fault that was met.
pub fn decode_event(bytes: &[u8]) -> Result<Event, DecodeFault> {
    if bytes.len() > limits::EVENT_BYTES {
        return Err(DecodeFault::TooLarge);
    }
    let (event, consumed) = bincode::decode_from_slice::<Event, _>(bytes, EVENT)?;
    if consumed != bytes.len() {
        return Err(DecodeFault::Trailing);
    }
    Ok(event)
}
