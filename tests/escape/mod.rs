// SPDX-License-Identifier: MIT OR Apache-2.0
//! Ways out and ways up: entries of the threat catalogue that can be tried, each test named after
//! its entry. Those that are about one request or one option stand in the suites `hostile`, `helper`
//! and `exec`, and say which entry they try.

mod calls;
mod container;
mod ends;
mod filesystem;
mod inside;
mod kept_home;
mod mounts;
mod namespaces;
mod neighbours;
mod outside;
mod proc;
mod processes;
mod supplies;
mod surroundings;
mod traced;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    [
        supplies::CASES,
        mounts::CASES,
        inside::CASES,
        outside::CASES,
        ends::CASES,
        traced::CASES,
        calls::CASES,
        surroundings::CASES,
        namespaces::CASES,
        neighbours::CASES,
        proc::CASES,
        container::CASES,
        filesystem::CASES,
        kept_home::CASES,
        processes::CASES,
    ]
    .concat()
}
