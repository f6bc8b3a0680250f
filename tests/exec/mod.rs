// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade exec` from the outside: what an ordinary user sees of it, in each mode.

mod buses;
mod devices;
mod filesystem;
mod identity;
mod inheritance;
mod kept_home;
mod mistakes;
mod network;
mod no_user_namespaces;
mod old_kernel;
mod permissions;
mod restricted;
mod signals;
mod spec;
mod status;
mod terminal;
mod view;
mod wrong_helper;

use harness::Case;

pub(crate) fn cases() -> Vec<Case> {
    let parts = [
        identity::CASES,
        view::CASES,
        status::CASES,
        inheritance::CASES,
        signals::CASES,
        terminal::CASES,
        filesystem::CASES,
        kept_home::CASES,
        network::CASES,
        buses::CASES,
        devices::CASES,
        permissions::CASES,
        spec::CASES,
        mistakes::CASES,
        wrong_helper::CASES,
        no_user_namespaces::CASES,
        restricted::CASES,
        old_kernel::CASES,
    ];
    parts.concat()
}
