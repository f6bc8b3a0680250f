// SPDX-License-Identifier: MIT OR Apache-2.0
//! The fixed part in front of a request and of an event.

use crate::limits;

/// First bytes of every request.
pub const MAGIC: [u8; 8] = *b"stockade";

/// What precedes a request on the socket. 20 bytes, little-endian:
/// magic (8), version (2), reserved zero (2), length of the request (4), number of descriptors (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version of the request that follows.
    pub version: u16,
    /// Bytes that follow the header.
    pub length: u32,
    /// Descriptors that follow the request.
    pub descriptors: u32,
}

/// Why a header was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, bincode::Encode, bincode::Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum HeaderFault {
    /// Not a request at all.
    Magic,
    /// The reserved field is not zero.
    Reserved,
    /// The request is empty or longer than [`limits::REQUEST_BYTES`].
    Length,
    /// More descriptors than [`limits::DESCRIPTORS`].
    Descriptors,
}

impl Header {
    /// Size of an encoded header, in bytes.
    pub const BYTES: usize = 20;

    /// The header as it travels.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(self.version.to_le_bytes())
            .chain([0, 0])
            .chain(self.length.to_le_bytes())
            .chain(self.descriptors.to_le_bytes());
        for (place, byte) in bytes.iter_mut().zip(fields) {
            *place = byte;
        }
        bytes
    }

    /// Reads a header. The version is not judged here: the rest of the layout is the same in all.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Result<Self, HeaderFault> {
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, r0, r1, l0, l1, l2, l3, d0, d1, d2, d3] =
            *bytes;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        if [r0, r1] != [0, 0] {
            return Err(HeaderFault::Reserved);
        }
        let header = Self {
            version: u16::from_le_bytes([v0, v1]),
            length: u32::from_le_bytes([l0, l1, l2, l3]),
            descriptors: u32::from_le_bytes([d0, d1, d2, d3]),
        };
        let within = |value: u32, limit: usize| usize::try_from(value).is_ok_and(|v| v <= limit);
        if header.length == 0 || !within(header.length, limits::REQUEST_BYTES) {
            return Err(HeaderFault::Length);
        }
        if !within(header.descriptors, limits::DESCRIPTORS) {
            return Err(HeaderFault::Descriptors);
        }
        Ok(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Header = Header { version: 7, length: 9, descriptors: 3 };

    #[test]
    fn header_survives_the_wire() {
        assert_eq!(Header::from_bytes(&GOOD.to_bytes()), Ok(GOOD));
    }

    #[test]
    fn headers_outside_the_rules_are_refused() {
        let broken = |at: usize, value: u8| {
            let mut bytes = GOOD.to_bytes();
            bytes[at] = value;
            Header::from_bytes(&bytes)
        };
        assert_eq!(broken(0, b'S'), Err(HeaderFault::Magic));
        assert_eq!(broken(10, 1), Err(HeaderFault::Reserved));
        assert_eq!(broken(12, 0), Err(HeaderFault::Length));
        assert_eq!(broken(15, 1), Err(HeaderFault::Length));
        assert_eq!(broken(18, 1), Err(HeaderFault::Descriptors));
    }
}
