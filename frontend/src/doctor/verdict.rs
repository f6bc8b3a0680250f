// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it all amounts to: whether sandboxes work, in which mode, and if not, what would make them
//! work.

use stockade_protocol::event::Mode;

use super::caller::Caller;
use super::finding::{Finding, Remedy, State};
use super::helper::{Helper, elsewhere, with_capabilities, with_setuid};
use super::trial::Trial;
use super::{kernel, user_namespaces};

/// Everything that was found out, and the conclusion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The mode sandboxes work in, if they do.
    pub(super) mode: Option<Mode>,
    pub(super) helper: Option<String>,
    /// What has to be done before any of the ways; one of these is enough.
    pub(super) first: Vec<Remedy>,
    /// Ways out; each is enough.
    pub(super) ways: Vec<Remedy>,
    pub(super) findings: Vec<Finding>,
}

impl Verdict {
    pub(super) fn works(&self) -> bool {
        self.mode.is_some()
    }

    /// The names of what alone keeps sandboxes from working.
    pub(super) fn culprits(&self) -> Vec<&'static str> {
        let bad = self.findings.iter().filter(|finding| finding.state == State::Bad);
        bad.map(|finding| finding.name).collect()
    }
}

/// How much user namespaces matter, given the rest.
pub(super) fn need(trial: &Trial, helper: &Helper, caller: &Caller) -> user_namespaces::Need {
    use user_namespaces::Need;
    match (trial, helper) {
        (Trial::Works(Mode::Unprivileged, _), _) => Need::HelperHasThem,
        (Trial::Works(..), _) => Need::Spare,
        (Trial::Fails(_), Helper::Found(installed))
            if installed.expected(caller) == Mode::Unprivileged =>
        {
            Need::Vital
        }
        (Trial::Fails(_) | Trial::NotTried, _) => Need::Open,
    }
}

/// What to do first, and the ways out.
pub(super) fn ways_out(
    helper: &Helper,
    caller: &Caller,
    release: &str,
    namespaces: &Finding,
    install: &[Remedy],
) -> (Vec<Remedy>, Vec<Remedy>) {
    // No mode works on such a kernel.
    if kernel::too_old(release) {
        return (vec![Remedy::advice("start Linux 5.12 or newer")], Vec::new());
    }
    let installed = match helper {
        Helper::Missing(_) => return (install.to_vec(), Vec::new()),
        // It has its privilege already: the findings name something else.
        Helper::Found(installed) if installed.expected(caller) != Mode::Unprivileged => {
            return (Vec::new(), Vec::new());
        }
        Helper::Found(installed) => installed,
    };
    let mut ways = Vec::new();
    if !caller.is_powerless() {
        if installed.nosuid {
            ways.push(elsewhere(&installed.path));
        } else {
            ways.extend([with_capabilities(&installed.path), with_setuid(&installed.path)]);
        }
    }
    match namespaces.remedy.as_slice() {
        [] if namespaces.state == State::Good => {}
        [] => ways.push(Remedy::advice("allow user namespaces to this user")),
        [remedy, ..] => ways.push(Remedy {
            what: format!("allow user namespaces: {}", remedy.what),
            commands: remedy.commands.clone(),
        }),
    }
    (Vec::new(), ways)
}
