// SPDX-License-Identifier: MIT OR Apache-2.0
//! The threat catalogue: known ways in which programs of this kind were broken, T01 to T84. Each
//! entry is tried by at least one case that is named after it or says so ([`Case::tries`]), or the
//! reason why none does stands here.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{Case, Mode};

/// An entry of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Threat {
    /// `T01` to `T84`.
    pub id: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// Where it is not tried, and why.
    pub untried: Untried,
    /// What the cases leave out, if they leave out anything.
    pub note: &'static str,
    /// Modes in which no weakening makes its cases fail, and what holds there without us.
    pub held: (&'static [Mode], &'static str),
}

/// Where an entry is not tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untried {
    /// It is tried in every mode.
    Never,
    /// Not in these modes, for this reason.
    In(&'static [Mode], &'static str),
    /// Not at all, for this reason.
    Anywhere(&'static str),
}

const fn threat(id: &'static str, title: &'static str) -> Threat {
    Threat { id, title, untried: Untried::Never, note: "", held: (&[], "") }
}

impl Threat {
    const fn but(mut self, modes: &'static [Mode], reason: &'static str) -> Self {
        self.untried = Untried::In(modes, reason);
        self
    }

    const fn left_out(mut self, reason: &'static str) -> Self {
        self.untried = Untried::Anywhere(reason);
        self
    }

    const fn note(mut self, note: &'static str) -> Self {
        self.note = note;
        self
    }

    const fn held(mut self, modes: &'static [Mode], by: &'static str) -> Self {
        self.held = (modes, by);
        self
    }

    /// Why there is nothing to try in this mode.
    #[must_use]
    pub fn reason(&self, mode: Mode) -> Option<&'static str> {
        match self.untried {
            Untried::Never => None,
            Untried::In(modes, reason) => modes.contains(&mode).then_some(reason),
            Untried::Anywhere(reason) => Some(reason),
        }
    }
}

const UNPRIVILEGED: &[Mode] = Mode::UNPRIVILEGED;
const FILE_CAPS: &[Mode] = &[Mode::FileCaps];
const ALL_BUT_SETUID: &[Mode] = &[Mode::FileCaps, Mode::Unprivileged];

/// Nothing to gain, so nothing to hide.
const NO_PRIVILEGE: &str = "there is no privilege to gain";

/// The catalogue.
pub const CATALOGUE: [Threat; 84] = [
    threat("T01", "the unprivileged half is not trusted"),
    threat("T02", "check as the user, use as root").but(UNPRIVILEGED, NO_PRIVILEGE),
    threat("T03", "mount points made through symlinks")
        .held(UNPRIVILEGED, "the kernel makes no user namespace below a root that is covered, and nothing starts"),
    threat("T04", "permissions overridden in the caller's directories")
        .held(UNPRIVILEGED, "to the kernel the helper is its caller"),
    threat("T05", "a descriptor opened again through /proc/self/fd"),
    threat("T06", "writing to descriptors the caller chose"),
    threat("T07", "shared or predictable work directories"),
    threat("T08", "finding things relative to the own binary"),
    threat("T09", "joining a sandbox; namespace descriptors from the caller"),
    threat("T10", "file system types and option strings"),
    threat("T11", "running programs with privilege"),
    threat("T12", "name services, locale, configuration while privileged")
        .note("there is no policy file"),
    threat("T13", "the caller is root").note("served as no boundary, without capabilities"),
    threat("T14", "authorisation by anything but the real uid")
        .but(UNPRIVILEGED, "the helper is a program of its caller's like any other")
        .held(FILE_CAPS, "without CAP_SETUID the helper can be nobody else"),
    threat("T15", "more privilege than needed"),
    threat("T16", "argc 0 and strange argv"),
    threat("T17", "variables of loader, libc and Rust runtime"),
    threat("T18", "the app's environment must not come from the helper"),
    threat("T19", "closed or odd standard descriptors")
        .held(Mode::PRIVILEGED, "the C library opens /dev/null for a set-id program"),
    threat("T20", "descriptors leaking; renumbering collisions"),
    threat("T21", "working directory and root"),
    threat("T22", "umask and resource limits"),
    threat("T23", "signal dispositions, masks, timers"),
    threat("T24", "stopped or killed at the worst moment"),
    threat("T25", "no_new_privs, seccomp or LSM state already in place")
        .note("no systemd here; its NoNewPrivileges= is the same flag"),
    threat("T26", "inherited capabilities and groups"),
    threat("T27", "crashes and core dumps").note("killed by signals; no build with panics yet")
        .held(UNPRIVILEGED, "a core is the caller's own"),
    threat("T28", "any dumpable moment"),
    threat("T29", "\"am I still root?\" asked the wrong way")
        .held(ALL_BUT_SETUID, "the exec of a user other than root takes every capability"),
    threat("T30", "waiting and identifying by pid")
        .note("every call that sends a signal is looked at; pids are not recycled"),
    threat("T31", "descriptors stolen at exit")
        .but(UNPRIVILEGED, NO_PRIVILEGE)
        .note("on this kernel, not on one with CVE-2026-46333"),
    threat("T32", "owner of the user namespace")
        .but(ALL_BUT_SETUID, "with file capabilities there is none, without privilege it is the caller's"),
    threat("T33", "id maps and setgroups")
        .but(FILE_CAPS, "there is never a user namespace"),
    threat("T34", "a reaper stronger than the app"),
    threat("T35", "parent-death signal silently lost"),
    threat("T36", "exit status and readiness forged by the app"),
    threat("T37", "shared pid namespace or the host's /proc")
        .held(UNPRIVILEGED, "the kernel mounts no procfs of a pid namespace above"),
    threat("T38", "an app the portals cannot identify")
        .held(ALL_BUT_SETUID, "no user namespace of root's can be made"),
    threat("T39", "odd objects as sources"),
    threat("T40", "very deep directories"),
    threat("T41", "reading the mount table"),
    threat("T42", "cloning from another mount namespace"),
    threat("T43", "mounts of ours travelling to the host")
        .held(UNPRIVILEGED, "the kernel makes slaves of the mounts of a user namespace above"),
    threat("T44", "mounts of the host arriving later"),
    threat("T45", "read-only that is not recursive"),
    threat("T46", "unhiding what the administrator covered")
        .held(UNPRIVILEGED, "the kernel clones no mount without those that cover something in it"),
    threat("T47", "clearing or missing mount flags"),
    threat("T48", "residue of the old root"),
    threat("T49", "fresh pseudo file systems reveal more than the host shows"),
    threat("T50", "being fooled about /proc")
        .held(Mode::PRIVILEGED, "the sandbox's procfs shows nobody who writes to /proc"),
    threat("T51", "writable corners of /proc inside"),
    threat("T52", "/dev"),
    threat("T53", "masks by over-mounting are not stable"),
    threat("T54", "read-only does not stop talking"),
    threat("T55", "namespaces requested but not new"),
    threat("T56", "quietly doing less")
        .held(FILE_CAPS, "the exec of a user other than root takes every capability"),
    threat("T57", "new user namespaces inside the sandbox"),
    threat("T58", "filter loaded too early"),
    threat("T59", "swallowing the filter program")
        .note("programs come in the request, not by descriptor"),
    threat("T60", "TIOCSTI, TIOCLINUX").note("on a pseudo terminal; there is no virtual console"),
    threat("T61", "comparing 64 bits where the kernel looks at 32"),
    threat("T62", "other binary interfaces"),
    threat("T63", "calls that a list of bad calls forgets")
        .note("Flatpak's list and whatever is newer than the list; the comparison with newer tables is a unit test"),
    threat("T64", "keyrings"),
    threat("T65", "signals through process groups"),
    threat("T66", "LSM labels").left_out(
        "labels cannot be asked for, and the test kernels have neither AppArmor nor SELinux",
    ),
    threat("T67", "words that become options"),
    threat("T68", "paths the app can rewrite"),
    threat("T69", "metadata as paths")
        .note("names of homes and places; metadata comes with `run`"),
    threat("T70", "what is shown is not what is granted")
        .note("messages and --print-spec; metadata comes with `run`"),
    threat("T71", "permission arithmetic")
        .note("the words of `exec`; overrides and conditions come with `run`"),
    threat("T72", "the app's environment reaching host programs"),
    threat("T73", "grants that equal escape"),
    threat("T74", "D-Bus filter").note("what is said to log in is in tests/flatpak/cases"),
    threat("T75", "root's namespace quota")
        .held(FILE_CAPS, "the helper has no user id but the caller's"),
    threat("T76", "descriptor floods and truncation"),
    threat("T77", "slow or dead file systems")
        .note("a pipe that stays silent; no FUSE server that keeps a request"),
    threat("T78", "mount and memory multiplication"),
    threat("T79", "leftovers and killability"),
    threat("T80", "decoder"),
    threat("T81", "bytes that change after checking")
        .note("there is no shared memory in the protocol"),
    threat("T82", "descriptor indexes"),
    threat("T83", "text fields"),
    threat("T84", "versions, errors, logs"),
];

/// What is wrong with these cases as an answer to the catalogue: entries that nobody tries and
/// nobody explains, explanations for what is tried, names of entries that do not exist.
#[must_use]
pub fn gaps(cases: &[Case]) -> Vec<String> {
    let mut gaps = Vec::new();
    for threat in &CATALOGUE {
        for mode in Mode::ALL {
            let tried = cases.iter().any(|c| c.tries(threat.id) && c.modes.contains(mode));
            match (tried, threat.reason(*mode)) {
                (true, None) | (false, Some(_)) => {}
                (false, None) => gaps.push(format!("{} [{mode}] is not tried", threat.id)),
                (true, Some(_)) => gaps.push(format!("{} [{mode}] is tried after all", threat.id)),
            }
        }
    }
    let known = |id: &str| CATALOGUE.iter().any(|threat| threat.id == id);
    for case in cases {
        for id in case.entries.iter().filter(|id| !known(id)) {
            gaps.push(format!("{}: there is no {id}", case.name));
        }
    }
    gaps
}

/// How a case went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Passed,
    /// Badly.
    Failed,
    /// Not at all, for this reason.
    Skipped(String),
}

/// The name of a case as people know it.
fn name(case: &Case) -> &'static str {
    case.name.strip_prefix("suite::").unwrap_or(case.name)
}

/// Which weakenings the cases of an entry noticed, and in which modes.
pub type Noticed = BTreeMap<String, BTreeMap<String, Vec<Mode>>>;

/// The last cell of a row: what is missing where its cases fail.
fn fails_without(threat: &Threat, noticed: &Noticed) -> String {
    let tried: Vec<&Mode> = Mode::ALL.iter().filter(|m| threat.reason(**m).is_none()).collect();
    let mut cell: Vec<String> = Vec::new();
    for (name, modes) in noticed.get(threat.id).into_iter().flatten() {
        let some: Vec<&str> =
            tried.iter().filter(|m| modes.contains(**m)).map(|m| m.name()).collect();
        let everywhere = some.len() == tried.len();
        let only = if everywhere { String::new() } else { format!(" ({})", some.join(", ")) };
        cell.push(format!("`{name}`{only}"));
    }
    if cell.is_empty() && !tried.is_empty() {
        cell.push("**nothing** here".to_owned());
    }
    let (modes, by) = threat.held;
    if !modes.is_empty() {
        let modes: Vec<&str> = modes.iter().map(|mode| mode.name()).collect();
        return format!("{}; not in {}: {by}", cell.join(", "), modes.join(" and "));
    }
    cell.join(", ")
}

/// The table of entries and modes, as Markdown.
#[must_use]
pub fn matrix(results: &[(&Case, Mode, Verdict)], noticed: &Noticed) -> String {
    let mut text = String::from(
        "<!-- SPDX-License-Identifier: MIT OR Apache-2.0 -->\n# Threat matrix\n\n\
         Which known ways of breaking such programs are tried, in which mode, with what result. Made by\n\
         `tests/run --matrix docs/threat-matrix.md`, as root; not to be edited. The entries and what is\n\
         not tried are in `tests/src/threats.rs`; a unit test holds that none is forgotten.\n\n\
         That the cases can fail is tried as well: each protection of `tests/weakened/` is taken out of\n\
         the programs in turn. The last column names those without which cases of the row failed, with\n\
         the modes if it was not in all of them, and what holds without us in the others.\n\n\
         | entry | | file capabilities | setuid root | no privilege | cases | fails without |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut reasons: Vec<&str> = Vec::new();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for threat in &CATALOGUE {
        let mut cells = Vec::new();
        for mode in Mode::ALL {
            let of: Vec<&Verdict> = results
                .iter()
                .filter(|(case, tried, _)| tried == mode && case.tries(threat.id))
                .map(|(_, _, verdict)| verdict)
                .collect();
            let cell = if of.contains(&&Verdict::Failed) {
                "**fail**"
            } else if of.contains(&&Verdict::Passed) {
                "pass"
            } else if !of.is_empty() {
                "skipped"
            } else {
                "n/a"
            };
            *counts.entry(cell).or_default() += 1;
            let mut cell = cell.to_owned();
            if let Some(reason) = threat.reason(*mode) {
                let number = reasons.iter().position(|known| *known == reason);
                let number = number.unwrap_or_else(|| {
                    reasons.push(reason);
                    reasons.len() - 1
                });
                write!(cell, " ({})", number + 1).expect("a string takes everything");
            }
            cells.push(cell);
        }
        let mut names: Vec<&str> = results
            .iter()
            .filter(|(case, _, _)| case.tries(threat.id))
            .map(|(case, _, _)| name(case))
            .collect();
        names.sort_unstable();
        names.dedup();
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let note = if threat.note.is_empty() { "" } else { "; " };
        writeln!(
            text,
            "| {} | {}{note}{} | {} | {} | {} |",
            threat.id,
            threat.title,
            threat.note,
            cells.join(" | "),
            names.join(", "),
            fails_without(threat, noticed)
        )
        .expect("a string takes everything");
    }
    text.push_str("\nNot applicable (n/a):\n\n");
    for (index, reason) in reasons.iter().enumerate() {
        writeln!(text, "{}. {reason}", index + 1).expect("a string takes everything");
    }
    let skipped: Vec<String> = results
        .iter()
        .filter_map(|(case, mode, verdict)| match verdict {
            Verdict::Skipped(reason) => Some(format!("* `{}` [{mode}]: {reason}\n", name(case))),
            Verdict::Passed | Verdict::Failed => None,
        })
        .collect();
    if !skipped.is_empty() {
        text.push_str("\nSkipped on the machine of this run:\n\n");
        text.push_str(&skipped.concat());
    }
    let count = |cell: &str| counts.get(cell).copied().unwrap_or(0);
    writeln!(
        text,
        "\n{} pass, {} fail, {} skipped, {} not applicable.",
        count("pass"),
        count("**fail**"),
        count("skipped"),
        count("n/a")
    )
    .expect("a string takes everything");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Fixture, Outcome};

    fn nothing(_: &Fixture) -> Outcome {
        Outcome::Passed
    }

    #[test]
    fn the_catalogue_is_numbered_without_a_gap() {
        for (number, threat) in (1..).zip(&CATALOGUE) {
            assert_eq!(threat.id, format!("T{number:02}"));
        }
    }

    #[test]
    fn what_nobody_tries_is_found() {
        let named = Case::new("suite::a::t01_b", nothing).modes(Mode::PRIVILEGED);
        let marked = Case::new("suite::a::b", nothing).entries(&["T03", "T66", "T99"]);
        let gaps = gaps(&[named, marked]);
        for gap in [
            "T01 [unprivileged] is not tried",
            "T04 [setuid] is not tried",
            "T66 [setuid] is tried after all",
            "suite::a::b: there is no T99",
        ] {
            assert!(gaps.iter().any(|have| have == gap), "{gap}");
        }
        for fine in ["T01 [setuid]", "T03 "] {
            assert!(!gaps.iter().any(|have| have.starts_with(fine)), "{fine}");
        }
        let of_nothing = super::gaps(&[]);
        assert!(of_nothing.iter().any(|have| have.starts_with("T03 ")));
        assert!(!of_nothing.iter().any(|have| have.starts_with("T66 ")));
    }

    #[test]
    fn one_failure_makes_a_row_fail_and_one_weakening_answers_it() {
        let case = Case::new("suite::a::t03_b", nothing);
        let results = [
            (&case, Mode::Setuid, Verdict::Failed),
            (&case, Mode::Setuid, Verdict::Passed),
            (&case, Mode::FileCaps, Verdict::Passed),
            (&case, Mode::Unprivileged, Verdict::Skipped("it rains".to_owned())),
        ];
        let noticed = crate::weakened::noticed("T03 failed setuid a-thing\nT04 failed setuid b\n");
        let text = matrix(&results, &noticed);
        assert!(text.contains("`a::t03_b` [unprivileged]: it rains"), "{text}");
        let row = text.lines().find(|line| line.starts_with("| T03 ")).unwrap();
        let cells =
            "| pass | **fail** | skipped | `a::t03_b` | `a-thing` (setuid); not in unprivileged: ";
        assert!(row.contains(cells), "{row}");
        let row = text.lines().find(|line| line.starts_with("| T05 ")).unwrap();
        assert!(row.ends_with(" | **nothing** here |"), "{row}");
        let row = text.lines().find(|line| line.starts_with("| T66 ")).unwrap();
        assert!(row.ends_with(" |  |"), "{row}");
    }
}
