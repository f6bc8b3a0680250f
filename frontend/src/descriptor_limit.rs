// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit on open descriptors: raised for the frontend and the helper, which hold one for each
//! bind, and set back for the payload.

use rustix::process::{Resource, Rlimit};
use stockade_protocol::request::Limit;

/// `RLIMIT_NOFILE`, `getrlimit(2)`.
const NOFILE: u32 = 7;

/// Raises the soft limit to the hard one. Gives what it was, for the payload, if it changed.
#[must_use]
pub fn raise() -> Option<Limit> {
    let old = rustix::process::getrlimit(Resource::Nofile);
    let (soft, hard) = (old.current.unwrap_or(u64::MAX), old.maximum.unwrap_or(u64::MAX));
    let new = Rlimit { current: old.maximum, maximum: old.maximum };
    if soft == hard || rustix::process::setrlimit(Resource::Nofile, new).is_err() {
        return None;
    }
    Some(Limit { resource: NOFILE, soft, hard })
}
