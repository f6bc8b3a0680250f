// SPDX-License-Identifier: MIT OR Apache-2.0
//! Binds that a later `--dev`, `--proc` or `--mqueue` hides: there is no use for one, and what the
//! caller finds is that a device or a socket is not there.
//!
//! A bind or a tmpfs over an earlier bind is left alone. That is how callers take something away.

use super::destination::path;
use super::message::Fault;
use super::settings::{Action, Source, Step};
use crate::message::shown;

/// Refuses a list of operations in which a bind cannot be seen.
pub(crate) fn check(actions: &[Action]) -> Result<(), Fault> {
    for (at, cover) in actions.iter().enumerate() {
        let option = match cover.step {
            Step::Devices => "--dev",
            Step::Proc => "--proc",
            Step::Mqueue => "--mqueue",
            Step::Bind { .. }
            | Step::Overlay { .. }
            | Step::RemountReadOnly
            | Step::Tmpfs { .. }
            | Step::Directory { .. }
            | Step::File { .. }
            | Step::Data { .. }
            | Step::Symlink { .. }
            | Step::Chmod { .. } => continue,
        };
        let place = path(&cover.destination)?;
        let behind = actions.get(at..).unwrap_or_default();
        for bind in actions.iter().take(at).filter(|action| is_bind(action)) {
            let hidden = path(&bind.destination)?;
            let below = hidden.as_bytes().strip_prefix(place.as_bytes());
            let below = below.is_some_and(|rest| rest.starts_with(b"/"));
            let again =
                || behind.iter().any(|action| path(&action.destination) == Ok(hidden.clone()));
            if below && !again() {
                return Err(Fault::new(format!(
                    "{} is hidden by {option} {}, which comes later; put it behind that",
                    shown(&bind.destination),
                    shown(&cover.destination)
                )));
            }
        }
    }
    Ok(())
}

/// Whether this binds something that is meant to be there.
fn is_bind(action: &Action) -> bool {
    matches!(&action.step, Step::Bind { source: Source::Path(_) | Source::Descriptor(_), .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;
    use stockade_protocol::request::Access;

    fn action(word: &str, place: &str) -> Action {
        let access = Access::Device;
        let step = match word {
            "bind" => Step::Bind { source: Source::Path("/x".into()), access },
            "try" => Step::Bind { source: Source::Optional("/x".into()), access },
            "dev" => Step::Devices,
            "proc" => Step::Proc,
            _ => Step::Tmpfs { mode: None, size: None },
        };
        Action { step, destination: OsString::from(place) }
    }

    fn accepted(list: &[(&str, &str)]) -> bool {
        let actions: Vec<_> = list.iter().map(|(word, place)| action(word, place)).collect();
        check(&actions).is_ok()
    }

    #[test]
    fn a_bind_that_nobody_could_see_is_refused() {
        assert!(!accepted(&[("bind", "/dev/dri"), ("dev", "/dev")]));
        assert!(!accepted(&[("bind", "proc/x/"), ("proc", "//proc")]));
    }

    #[test]
    fn what_takes_something_away_is_left_alone() {
        assert!(accepted(&[("dev", "/dev"), ("bind", "/dev/dri")]));
        assert!(accepted(&[("bind", "/dev/dri"), ("dev", "/dev"), ("bind", "/dev/dri")]));
        assert!(accepted(&[("bind", "/"), ("bind", "/dev"), ("dev", "/dev"), ("proc", "/proc")]));
        assert!(accepted(&[("bind", "/home/u"), ("tmpfs", "/home")]));
        assert!(accepted(&[("try", "/dev/dri"), ("dev", "/dev")]));
        assert!(accepted(&[("bind", "/devices/x"), ("dev", "/dev")]));
    }
}
