// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seccomp filters: one is loaded in a throw-away process, and a call that it refuses is made.

use std::io;

use libseccomp::{ScmpAction, ScmpFilterContext, ScmpSyscall};
use nix::errno::Errno;

use super::finding::{Finding, Remedy};
use super::probe::{self, Answer, Lines};
use super::root::Root;

const NAME: &str = "seccomp";

/// Not what `getpgid(2)` ever answers by itself.
const ANSWER: Errno = Errno::EXDEV;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Works,
    /// The filter was not taken, or did not act.
    Fails,
    Unknown,
}

impl Trial {
    pub(super) fn make() -> Self {
        probe::ask("seccomp").map_or(Self::Unknown, |answer| Self::of(&answer))
    }

    fn of(answer: &Answer) -> Self {
        match (answer.step("load"), answer.number("acts")) {
            (Some(Ok(())), Some(1)) => Self::Works,
            (None, None) => Self::Unknown,
            (Some(_), _) | (None, Some(_)) => Self::Fails,
        }
    }
}

/// Runs in the throw-away process.
pub(super) fn probe(lines: &mut Lines<'_>) -> io::Result<()> {
    let loaded = load().map_err(|_| Errno::EINVAL);
    if lines.step("load", loaded)? {
        let refused = rustix::process::getpgid(None).err();
        let acts = refused.is_some_and(|errno| errno.raw_os_error() == ANSWER as i32);
        lines.number("acts", i32::from(acts))?;
    }
    Ok(())
}

fn load() -> Result<(), libseccomp::error::SeccompError> {
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    filter.add_rule(ScmpAction::Errno(ANSWER as i32), ScmpSyscall::from_name("getpgid")?)?;
    filter.load()
}

pub(super) fn judge(trial: Trial, root: &Root) -> Finding {
    let actions = root.sysctl("kernel.seccomp.actions_avail");
    match (trial, actions) {
        (Trial::Works, Some(actions)) => Finding::good(NAME, format!("filters work: {actions}")),
        (Trial::Works, None) => Finding::good(NAME, "filters work"),
        (Trial::Fails, actions) => Finding::bad(
            NAME,
            match actions {
                None => "the kernel has no filters (CONFIG_SECCOMP_FILTER)",
                Some(_) => "the kernel has filters, but refuses one",
            },
            "programs are always started with one, and so cannot be started",
        )
        .mend(Remedy::advice("start a kernel with CONFIG_SECCOMP_FILTER=y")),
        (Trial::Unknown, Some(_)) => {
            Finding::limited(NAME, "in the kernel, but could not be tried", "it may not work")
        }
        (Trial::Unknown, None) => Finding::limited(NAME, "could not be tried", "it may not work"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::root::fake::Machine;
    use super::*;

    #[test]
    fn a_filter_must_be_taken_and_act() {
        assert_eq!(Trial::of(&Answer::told(&[("load", 0), ("acts", 1)])), Trial::Works);
        assert_eq!(Trial::of(&Answer::told(&[("load", 0), ("acts", 0)])), Trial::Fails);
        assert_eq!(Trial::of(&Answer::told(&[("load", 22)])), Trial::Fails);
        assert_eq!(Trial::of(&Answer::told(&[])), Trial::Unknown);
    }

    #[test]
    fn a_kernel_without_filters_is_told() {
        let machine = Machine::new(&[]);
        assert_eq!(judge(Trial::Fails, &machine.root()).state, State::Bad);
        let path = "proc/sys/kernel/seccomp/actions_avail";
        machine.put(path, "kill_process trap errno allow\n");
        let good = judge(Trial::Works, &machine.root());
        assert_eq!(good.detail, "filters work: kill_process trap errno allow");
    }
}
