// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many sandboxes, at once and one after the other. Minutes of work: run when asked for by name.

mod crowd;
mod kernel_objects;
mod succession;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [crowd::CASES, succession::CASES].concat()
}
