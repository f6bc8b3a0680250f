// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the protocol promises, asked of the helper directly: each operation, each option of the
//! payload, and what happens where the kernel says no.

mod caller;
mod faults;
mod namespaces;
mod operations;
mod patience;
pub(crate) mod payload;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        operations::CASES,
        namespaces::CASES,
        payload::CASES,
        caller::CASES,
        faults::CASES,
        patience::CASES,
    ]
    .concat()
}
