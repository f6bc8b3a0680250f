// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's version and its calls for mounts. The calls are made in a way that cannot change
//! anything; `ENOSYS` says that one is missing, and any other answer that it is there.

use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::mount::{FsOpenFlags, MoveMountFlags, OpenTreeFlags, fsopen, move_mount, open_tree};

use super::finding::{Finding, Remedy};
use super::root::Root;
use super::user_namespaces;

/// `mount_setattr(2)` came with it. There is no safe way to try that call without privilege; the
/// helper does.
const OLDEST: Version = Version(5, 12);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u32, pub(super) u32);

impl Version {
    /// The first two numbers of `uname -r`.
    pub(super) fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

/// The release of the running kernel.
pub(super) fn release(root: &Root) -> String {
    root.sysctl("kernel.osrelease").unwrap_or_default()
}

/// Whether the kernel is known to be too old.
pub(super) fn too_old(release: &str) -> bool {
    Version::parse(release).is_some_and(|version| version < OLDEST)
}

pub(super) fn judge(release: &str) -> Finding {
    const NAME: &str = "kernel";
    match Version::parse(release) {
        None => Finding::limited(
            NAME,
            format!("the version cannot be read from {release:?}"),
            "it is not known whether it is new enough; 5.12 is needed",
        ),
        Some(version) if version < OLDEST => Finding::bad(
            NAME,
            format!("Linux {release}, without mount_setattr"),
            "no sandbox can be built before Linux 5.12, in any mode",
        )
        .mend(Remedy::advice("start Linux 5.12 or newer")),
        Some(_) => Finding::good(NAME, format!("Linux {release}")),
    }
}

/// The calls, and what each answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trial(pub(super) Vec<(&'static str, Result<(), Errno>)>);

impl Trial {
    pub(super) fn make() -> Self {
        let how = rustix::fs::openat2(
            CWD,
            ".",
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        );
        let tree = open_tree(CWD, "/", OpenTreeFlags::OPEN_TREE_CLOEXEC);
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC);
        // An empty path without the flag that allows one: refused even to root.
        let attach = move_mount(CWD, "", CWD, "", MoveMountFlags::empty());
        let plain = |result: Result<_, rustix::io::Errno>| {
            result.map(drop).map_err(|errno| Errno::from_raw(errno.raw_os_error()))
        };
        Self(vec![
            ("openat2", plain(how)),
            ("open_tree", plain(tree)),
            ("fsopen", plain(context)),
            ("move_mount", attach.map_err(|errno| Errno::from_raw(errno.raw_os_error()))),
        ])
    }
}

pub(super) fn judge_mount_api(trial: &Trial, namespaces: &user_namespaces::Trial) -> Finding {
    const NAME: &str = "mount-api";
    let absent = |result: &Result<(), Errno>| *result == Err(Errno::ENOSYS);
    let missing: Vec<&str> =
        trial.0.iter().filter(|(_, result)| absent(result)).map(|(name, _)| *name).collect();
    // These two need no privilege: only a filter refuses them.
    let filtered: Vec<&str> = trial
        .0
        .iter()
        .filter(|(name, result)| {
            matches!(*name, "openat2" | "open_tree") && *result == Err(Errno::EPERM)
        })
        .map(|(name, _)| *name)
        .collect();
    let cost = "no sandbox can be built";
    if !missing.is_empty() {
        let detail = format!("{} not there: an old kernel, or a filter", listed(&missing));
        return Finding::bad(NAME, detail, cost)
            .mend(Remedy::advice("start Linux 5.12 or newer, outside of containers"));
    }
    if !filtered.is_empty() {
        let detail = format!("{} refused by a seccomp filter", listed(&filtered));
        return Finding::bad(NAME, detail, cost).mend(Remedy::advice(
            "start the container with --security-opt seccomp=unconfined (docker, podman)",
        ));
    }
    let names: Vec<&str> = trial.0.iter().map(|(name, _)| *name).collect();
    let attach = match namespaces {
        user_namespaces::Trial::Works { attaches_detached: true } => {
            "; trees can be attached before they are mounted (6.15)"
        }
        user_namespaces::Trial::Works { attaches_detached: false }
        | user_namespaces::Trial::Refused(..)
        | user_namespaces::Trial::Unknown(_) => "",
    };
    Finding::good(NAME, format!("{} there{attach}", listed(&names)))
}

/// "a is", "a and b are", "a, b and c are".
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => format!("{one} is"),
        [most @ .., last] => format!("{} and {last} are", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    const REFUSED: user_namespaces::Trial =
        user_namespaces::Trial::Refused(user_namespaces::Step::Unshare, Errno::EPERM);

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(Version::parse("6.18.44-fc-v657"), Some(Version(6, 18)));
        assert_eq!(Version::parse("5.9-rc1"), Some(Version(5, 9)));
        assert_eq!(Version::parse("linux"), None);
        assert!(too_old("5.10.0-46-amd64"));
        assert!(!too_old("5.12.0"));
        assert!(!too_old("6.1.0"));
    }

    #[test]
    fn only_enosys_means_missing() {
        let refused = Trial(vec![("openat2", Ok(())), ("fsopen", Err(Errno::EPERM))]);
        assert_eq!(judge_mount_api(&refused, &REFUSED).state, State::Good);
        let missing = Trial(vec![("openat2", Ok(())), ("fsopen", Err(Errno::ENOSYS))]);
        assert_eq!(judge_mount_api(&missing, &REFUSED).state, State::Bad);
        let filtered = Trial(vec![("openat2", Ok(())), ("open_tree", Err(Errno::EPERM))]);
        assert_eq!(judge_mount_api(&filtered, &REFUSED).state, State::Bad);
    }

    #[test]
    fn trying_the_calls_changes_nothing_and_answers_for_each() {
        let before = std::fs::read("/proc/self/mountinfo").unwrap();
        let trial = Trial::make();
        assert_eq!(trial.0.len(), 4);
        assert_eq!(std::fs::read("/proc/self/mountinfo").unwrap(), before);
    }
}
