// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages between Stockade's frontend and its privileged helper.
//!
//! The frontend is not trusted: everything here is read as if an attacker had written it. [`codec`]
//! turns bytes into a [`Request`] (bounded, total), [`check`] turns a [`Request`] into a [`Checked`]
//! one (rules that span fields). The helper accepts nothing but [`Checked`]. The normative
//! description, enough for a second implementation, is `docs/protocol.md`.
#![forbid(unsafe_code)]

pub mod check;
pub mod codec;
pub mod event;
pub mod header;
pub mod limits;
pub mod request;
pub mod text;

pub use check::{Checked, Refusal, check};
pub use event::Event;
pub use header::Header;
pub use request::Request;

/// The protocol version written by this crate, and the only one it reads.
///
/// A frontend puts the version of its request into the [`Header`]; a helper that cannot read it
/// answers [`Event::Unsupported`] with the range it can, so that the two packages may be upgraded
/// apart.
pub const VERSION: u16 = 3;
