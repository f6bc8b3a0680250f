// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trial that counts: a small sandbox is built by the helper and a program runs in it.

use std::path::Path;

use stockade_protocol::event::{Missing, MissingKind, Mode};
use stockade_protocol::request::{Access, Group, Operation};
use stockade_protocol::text::{Argument, Program};

use super::finding::{Finding, Remedy};
use crate::explanation;
use crate::launch;
use crate::sandbox::{Sandbox, SandboxError, place, sandbox_path};

const NAME: &str = "sandbox";

/// Where `true` is; the last is NixOS's place.
const TRUE: [&str; 3] = ["/usr/bin/true", "/bin/true", "/run/current-system/sw/bin/true"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Works(Mode, Vec<Missing>),
    Fails(String),
    /// There is no helper to try.
    NotTried,
}

impl Trial {
    pub(super) fn make() -> Self {
        match sandbox() {
            Err(error) => Self::Fails(chain(&error)),
            Ok(sandbox) => match launch::probe(sandbox) {
                Ok((mode, missing)) => Self::Works(mode, missing),
                Err(error) => Self::Fails(chain(&error)),
            },
        }
    }
}

/// Everything read-only, a new `/proc`, a new `/dev`, every namespace.
fn sandbox() -> Result<Sandbox, SandboxError> {
    let mut sandbox = Sandbox::new();
    sandbox.bind(Path::new("/"), Path::new("/"), Access::ReadOnly)?;
    sandbox.push(Operation::Proc { destination: place(Path::new("/proc"))?, protect: true });
    sandbox.push(Operation::Devices { destination: place(Path::new("/dev"))?, console: None });
    let payload = &mut sandbox.request.payload;
    payload.programs = TRUE.iter().filter_map(|path| Program::new(*path).ok()).collect();
    payload.arguments = Argument::new("true").into_iter().collect();
    payload.directories = vec![sandbox_path(Path::new("/"))?];
    // The trial must not touch the caller's terminal.
    payload.group = Group::Inherit;
    Ok(sandbox)
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}\n{error}");
        cause = error.source();
    }
    text.lines().collect::<Vec<_>>().join("; ")
}

/// A mode's name, for people.
pub(super) fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Root => "root",
        Mode::SetuidRoot => "setuid root",
        Mode::FileCapabilities => "file capabilities",
        Mode::Unprivileged => "unprivileged",
    }
}

/// Judges the trial; `None` if there was none.
pub(super) fn judge(trial: &Trial) -> Option<Finding> {
    match trial {
        Trial::NotTried => None,
        Trial::Fails(why) => Some(Finding::bad(
            NAME,
            format!("none could be built: {why}"),
            "nothing can be started",
        )),
        Trial::Works(mode, missing) => {
            let detail = format!("one was built and ran, in mode {}", word(*mode));
            // The cgroup namespace is a nicety that some kernels lack; loopback is not.
            let lacks: Vec<String> = missing.iter().map(explanation::missing).collect();
            if lacks.is_empty() {
                return Some(Finding::good(NAME, detail));
            }
            let loopback = missing.iter().any(|missing| missing.what == MissingKind::Loopback);
            let finding = Finding::limited(NAME, detail, lacks.join("; "));
            Some(if loopback {
                finding.mend(Remedy::advice("give the helper cap_net_admin, see helper"))
            } else {
                finding
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn the_trial_sandbox_follows_the_rules_in_every_mode() {
        let sandbox = sandbox().unwrap();
        let count = sandbox.descriptors().len();
        let checked = stockade_protocol::check(sandbox.request, count).unwrap();
        for mode in [Mode::Root, Mode::SetuidRoot, Mode::FileCapabilities, Mode::Unprivileged] {
            assert_eq!(checked.permits(mode), Ok(()));
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        let missing = vec![Missing { what: MissingKind::Loopback, errno: 1 }];
        let finding = judge(&Trial::Works(Mode::FileCapabilities, missing)).unwrap();
        assert_eq!(finding.state, State::Limited);
        assert!(finding.cost.unwrap().contains("loopback"));
    }
}
