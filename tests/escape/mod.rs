// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways out and ways up: entries of the threat catalogue that can be tried, each test named after
//! its entry. Those that are about one request or one option stand in the suites `hostile` (T05,
//! T06, T16 to T20, T22, T23, T27, T49, T76, T80 to T82) and `exec` (T18, T20, T51, T52, T67, T68,
//! T70).

mod ends;
mod inside;
mod mounts;
mod outside;
mod supplies;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [supplies::CASES, mounts::CASES, inside::CASES, outside::CASES, ends::CASES].concat()
}
