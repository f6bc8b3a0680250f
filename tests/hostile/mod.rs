// SPDX-License-Identifier: MIT OR Apache-2.0
//! The helper called directly, by a caller who wants it to do wrong.
//!
//! Whatever it is given, it answers with a typed refusal or failure or just goes: no panic, no
//! core, nothing left, not a byte on any descriptor but its socket (I16).

mod bytes;
mod channel;
mod descriptors;
pub(crate) mod dice;
pub(crate) mod entry;
mod limits;
mod rules;
mod signals;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let parts = [
        entry::CASES,
        signals::CASES,
        limits::CASES,
        channel::CASES,
        bytes::CASES,
        descriptors::CASES,
        rules::CASES,
    ];
    parts.concat()
}
