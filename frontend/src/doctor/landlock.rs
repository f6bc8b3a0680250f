// SPDX-License-Identifier: MIT OR Apache-2.0
//! Landlock: which of its features the kernel has. Found out by restricting a throw-away process
//! through the same library that makes the rulesets of sandboxes.

use std::io;

use landlock::{
    Access, AccessFs, CompatLevel, Compatible, LandlockStatus, Ruleset, RulesetAttr, Scope,
};

use super::distribution::Distribution;
use super::finding::Finding;
use super::probe::{self, Answer, Lines};
use super::root::Root;

const NAME: &str = "landlock";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// This version of its interface works.
    Works(i32),
    /// It is in the kernel, but not among the security modules that were started.
    NotEnabled,
    NotBuilt,
    Unknown,
}

const NOT_ENABLED: i32 = -1;
const NOT_BUILT: i32 = -2;

impl Trial {
    pub(super) fn make() -> Self {
        probe::ask("landlock").map_or(Self::Unknown, |answer| Self::of(&answer))
    }

    fn of(answer: &Answer) -> Self {
        match answer.number("abi") {
            Some(NOT_ENABLED) => Self::NotEnabled,
            Some(NOT_BUILT) => Self::NotBuilt,
            Some(abi) if abi > 0 => Self::Works(abi),
            Some(_) | None => Self::Unknown,
        }
    }
}

/// Runs in the throw-away process.
pub(super) fn probe(lines: &mut Lines<'_>) -> io::Result<()> {
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(landlock::ABI::V1))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(landlock::ABI::V6)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    match status.map(|status| status.landlock) {
        Ok(LandlockStatus::Available { effective_abi, kernel_abi }) => {
            lines.number("abi", kernel_abi.unwrap_or(effective_abi as i32))
        }
        Ok(LandlockStatus::NotEnabled) => lines.number("abi", NOT_ENABLED),
        Ok(LandlockStatus::NotImplemented) => lines.number("abi", NOT_BUILT),
        Err(_) => lines.number("abi", 0),
    }
}

/// Features by the version of the interface that brought them, with the kernel that did.
const FEATURES: [(i32, &str, &str); 3] = [
    (1, "file rules", "5.13"),
    (4, "TCP rules", "6.7"),
    (6, "scopes of abstract sockets and signals", "6.12"),
];

const COST: &str = "a sandbox that shares the host's network can reach every abstract socket of the \
                    session (X11, some D-Bus set-ups)";

pub(super) fn judge(trial: Trial, root: &Root, distribution: Distribution) -> Finding {
    match trial {
        Trial::Works(abi) => {
            let there: Vec<String> = FEATURES
                .iter()
                .filter(|(since, ..)| *since <= abi)
                .map(|(_, what, _)| (*what).to_owned())
                .collect();
            let absent: Vec<String> = FEATURES
                .iter()
                .filter(|(since, ..)| *since > abi)
                .map(|(_, what, kernel)| format!("{what} (Linux {kernel})"))
                .collect();
            let detail = format!("version {abi}: {}", there.join(", "));
            if absent.is_empty() {
                Finding::good(NAME, detail)
            } else {
                Finding::limited(NAME, format!("{detail}; without {}", absent.join(", ")), COST)
            }
        }
        Trial::NotEnabled => {
            let running = root.word("sys/kernel/security/lsm").filter(|list| {
                !list.is_empty()
                    && list.chars().all(|c| c.is_ascii_alphanumeric() || "_,-".contains(c))
            });
            let list = running.map_or("landlock".to_owned(), |list| format!("landlock,{list}"));
            Finding::limited(NAME, "in the kernel, but not switched on", COST)
                .mend(distribution.boot_argument(&format!("lsm={list}")))
        }
        Trial::NotBuilt => Finding::limited(
            NAME,
            "not in this kernel (Linux 5.13, CONFIG_SECURITY_LANDLOCK)",
            COST,
        ),
        Trial::Unknown => Finding::limited(NAME, "could not be tried", COST),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::root::fake::Machine;
    use super::*;

    fn judged(trial: Trial) -> Finding {
        let machine = Machine::new(&[("sys/kernel/security/lsm", "capability,yama,apparmor")]);
        judge(trial, &machine.root(), Distribution::Dnf)
    }

    #[test]
    fn answers_become_trials() {
        assert_eq!(Trial::of(&Answer::told(&[("abi", 7)])), Trial::Works(7));
        assert_eq!(Trial::of(&Answer::told(&[("abi", -1)])), Trial::NotEnabled);
        assert_eq!(Trial::of(&Answer::told(&[("abi", -2)])), Trial::NotBuilt);
        assert_eq!(Trial::of(&Answer::told(&[])), Trial::Unknown);
    }

    #[test]
    fn features_follow_from_the_version() {
        assert_eq!(judged(Trial::Works(6)).state, State::Good);
        let old = judged(Trial::Works(3));
        assert_eq!(old.state, State::Limited);
        assert_eq!(
            old.detail,
            "version 3: file rules; without TCP rules (Linux 6.7), \
             scopes of abstract sockets and signals (Linux 6.12)"
        );
    }

    #[test]
    fn switching_it_on_keeps_the_other_modules() {
        assert_eq!(
            judged(Trial::NotEnabled).remedy[0].commands,
            ["sudo grubby --update-kernel=ALL --args=lsm=landlock,capability,yama,apparmor"]
        );
    }
}
