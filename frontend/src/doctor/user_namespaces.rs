// SPDX-License-Identifier: MIT OR Apache-2.0
//! User namespaces for an ordinary program: made, mapped and used in a throw-away process. Only
//! when something is refused are settings read, to tell why: what counts is what works.

use std::io;
use std::process::Command;

use nix::errno::Errno;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, Mode};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsmount, fsopen, move_mount, open_tree,
};

use super::caller::Caller;
use super::finding::{Finding, Remedy, quoted};
use super::probe::{self, Answer, COMMAND, Lines, OURSELVES};
use super::root::Root;

const NAME: &str = "user-namespaces";

const CLONE: &str = "kernel.unprivileged_userns_clone";
const APPARMOR: &str = "kernel.apparmor_restrict_unprivileged_userns";
const LIMIT: &str = "user.max_user_namespaces";

/// How far a sandbox without privilege gets, and at which step it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The namespace itself.
    Unshare,
    /// Its id maps.
    Maps,
    /// A mount namespace in it.
    MountNamespace,
    /// A new tmpfs, a clone of the host's tree, and attaching.
    Mounts,
    /// A procfs for a new pid namespace.
    Proc,
}

const STEPS: [(Step, &str); 7] = [
    (Step::Unshare, "unshare"),
    (Step::Maps, "maps"),
    (Step::MountNamespace, "mount-namespace"),
    (Step::Mounts, "tmpfs"),
    (Step::Mounts, "clone"),
    (Step::Mounts, "attach"),
    (Step::Proc, "proc"),
];

/// What trying gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    Works {
        /// Whether trees can be attached to a tree that is still detached (Linux 6.15).
        attaches_detached: bool,
    },
    Refused(Step, Errno),
    /// The process that should tell did not, for this reason.
    Unknown(String),
}

impl Trial {
    pub(super) fn make() -> Self {
        match probe::ask("user-namespace") {
            Ok(answer) => Self::of(&answer),
            Err(error) => Self::Unknown(format!("could not be started: {error}")),
        }
    }

    fn of(answer: &Answer) -> Self {
        for (step, name) in STEPS {
            match answer.step(name) {
                Some(Ok(())) => {}
                Some(Err(errno)) => return Self::Refused(step, errno),
                None => {
                    return Self::Unknown(match answer.signal {
                        Some(signal) => format!("was killed by signal {signal}"),
                        None => "said nothing".to_owned(),
                    });
                }
            }
        }
        Self::Works { attaches_detached: answer.step("attach-detached") == Some(Ok(())) }
    }
}

/// Runs in the throw-away process.
pub(super) fn probe(lines: &mut Lines<'_>) -> io::Result<()> {
    let (uid, gid) = (rustix::process::getuid(), rustix::process::getgid());
    if !lines.step("unshare", unshare(CloneFlags::CLONE_NEWUSER))? {
        return Ok(());
    }
    // Root inside, because the procfs below is mounted after another exec, which only root's
    // capabilities survive.
    let maps = write("/proc/self/setgroups", "deny")
        .and_then(|()| write("/proc/self/uid_map", &format!("0 {uid} 1")))
        .and_then(|()| write("/proc/self/gid_map", &format!("0 {gid} 1")));
    if !lines.step("maps", maps)?
        || !lines.step("mount-namespace", unshare(CloneFlags::CLONE_NEWNS))?
    {
        return Ok(());
    }
    // What is mounted from here on stays here: the host's mounts became slaves, because the new
    // mount namespace belongs to another user namespace.
    let tmpfs = new_mount("tmpfs");
    lines.step("tmpfs", tmpfs.as_ref().map(|_| ()).map_err(|errno| *errno))?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = open_tree(CWD, "/", flags).map_err(errno);
    lines.step("clone", tree.as_ref().map(|_| ()).map_err(|errno| *errno))?;
    let (Ok(tmpfs), Ok(tree)) = (tmpfs, tree) else { return Ok(()) };
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    let detached = rustix::fs::mkdirat(&tmpfs, "root", Mode::RWXU)
        .and_then(|()| move_mount(&tree, "", &tmpfs, "root", empty))
        .map_err(errno);
    lines.step("attach-detached", detached)?;
    if !lines.step("attach", move_mount(&tmpfs, "", CWD, "/", empty).map_err(errno))? {
        return Ok(());
    }
    let child = unshare(CloneFlags::CLONE_NEWPID)
        .and_then(|()| Command::new(OURSELVES).args([COMMAND, "proc"]).status().map_err(of_io));
    match child {
        Ok(_) => Ok(()),
        Err(errno) => lines.step("proc", Err(errno)).map(|_| ()),
    }
}

/// Runs as pid 1 of a new pid namespace.
pub(super) fn probe_proc(lines: &mut Lines<'_>) -> io::Result<()> {
    lines.step("proc", new_mount("proc").map(|_| ())).map(|_| ())
}

/// A new file system, mounted but attached nowhere.
fn new_mount(name: &str) -> Result<rustix::fd::OwnedFd, Errno> {
    let context = fsopen(name, FsOpenFlags::FSOPEN_CLOEXEC).map_err(errno)?;
    fsconfig_create(&context).map_err(errno)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).map_err(errno)
}

fn write(path: &str, text: &str) -> Result<(), Errno> {
    std::fs::write(path, text).map_err(of_io)
}

fn errno(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

fn of_io(error: io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// What keeps the caller from user namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocker {
    /// The kernel was built without them.
    NotBuilt,
    /// `kernel.unprivileged_userns_clone` is 0.
    CloneSetting,
    /// `user.max_user_namespaces` is 0.
    NoneAllowed,
    /// Its quota is used up, here or further out, or namespaces are 32 deep.
    LimitReached,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1.
    AppArmorSetting,
    /// The program is confined by this AppArmor profile.
    AppArmorProfile(String),
    /// Another security module, such as SELinux.
    SecurityModule,
    /// A root directory changed by `chroot(2)`.
    Chroot,
    /// A seccomp filter, such as a container's.
    Filter,
    /// Files in the host's `/proc` are covered, as containers do; a new procfs would bare them.
    CoveredProc,
    /// None of what is known here.
    Unknown,
}

/// Why `step` failed with `errno`.
pub(super) fn blocker(step: Step, errno: Errno, root: &Root, caller: &Caller) -> Blocker {
    let off = |name: &str| root.sysctl(name).as_deref() == Some("0");
    let restricted = || root.sysctl(APPARMOR).is_some_and(|value| value != "0");
    let refused = matches!(errno, Errno::EPERM | Errno::EACCES);
    if !root.exists("proc/self/ns/user") {
        Blocker::NotBuilt
    } else if off(LIMIT) && step == Step::Unshare {
        Blocker::NoneAllowed
    } else if matches!(errno, Errno::ENOSPC | Errno::EUSERS) {
        Blocker::LimitReached
    } else if step == Step::Unshare && errno == Errno::EPERM && caller.uid != 0 && off(CLONE) {
        Blocker::CloneSetting
    } else if step == Step::Unshare && errno == Errno::EPERM && caller.chrooted {
        Blocker::Chroot
    } else if step == Step::Proc && refused {
        Blocker::CoveredProc
    } else if let (true, Some(profile)) = (refused, &caller.profile) {
        Blocker::AppArmorProfile(profile.clone())
    } else if refused && caller.uid != 0 && restricted() {
        Blocker::AppArmorSetting
    } else if caller.filtered && (refused || errno == Errno::ENOSYS) {
        Blocker::Filter
    } else if step == Step::Unshare && errno == Errno::EINVAL {
        Blocker::NotBuilt
    } else if errno == Errno::EACCES {
        Blocker::SecurityModule
    } else {
        Blocker::Unknown
    }
}

impl Blocker {
    fn words(&self) -> String {
        match self {
            Self::NotBuilt => "the kernel was built without them (CONFIG_USER_NS)".to_owned(),
            Self::CloneSetting => format!("{CLONE} is 0"),
            Self::NoneAllowed => format!("{LIMIT} is 0"),
            Self::LimitReached => {
                format!("{LIMIT} is used up, here or outside, or namespaces are 32 levels deep")
            }
            Self::AppArmorSetting => format!("{APPARMOR} is on"),
            Self::AppArmorProfile(profile) => {
                format!("this program is confined by the AppArmor profile {profile}")
            }
            Self::SecurityModule => "a security module refuses them".to_owned(),
            Self::Chroot => "this program runs in a chroot".to_owned(),
            Self::Filter => "a seccomp filter is in force, as in a container".to_owned(),
            Self::CoveredProc => {
                "parts of /proc are covered, as in a container, so that no new one may be mounted"
                    .to_owned()
            }
            Self::Unknown => "the reason is not known".to_owned(),
        }
    }

    /// What lets `helper` have user namespaces.
    pub(super) fn remedies(&self, helper: Option<&str>) -> Vec<Remedy> {
        let container = |option: &str| {
            vec![Remedy::advice(format!(
                "start the container with --security-opt {option} (docker, podman)"
            ))]
        };
        match self {
            Self::CloneSetting => {
                vec![Remedy::sysctl("allow them to every user", &format!("{CLONE}=1"))]
            }
            Self::NoneAllowed => {
                vec![Remedy::sysctl("allow them to every user", &format!("{LIMIT}=15000"))]
            }
            Self::LimitReached => {
                vec![Remedy::sysctl("raise the limit", &format!("{LIMIT}=65536"))]
            }
            Self::AppArmorSetting => {
                let everyone =
                    Remedy::sysctl("allow them to every program", &format!("{APPARMOR}=0"));
                helper.map(profile_for).into_iter().chain([everyone]).collect()
            }
            Self::AppArmorProfile(profile) => vec![Remedy::advice(format!(
                "allow user namespaces (userns,) in the AppArmor profile {profile}"
            ))],
            Self::Filter => container("seccomp=unconfined"),
            Self::CoveredProc => container("systempaths=unconfined"),
            Self::NotBuilt | Self::SecurityModule | Self::Chroot | Self::Unknown => Vec::new(),
        }
    }
}

/// An AppArmor profile that allows user namespaces to this program only.
fn profile_for(helper: &str) -> Remedy {
    // A quoted attachment may hold blanks; quotes and globs in it would mean something else.
    let odd = |c: char| c.is_control() || "\"*?[]{}^\\@%".contains(c);
    if helper.contains(odd) {
        return Remedy::advice(format!("allow them to {helper} in an AppArmor profile"));
    }
    let text = format!(
        "abi <abi/4.0>,\\nprofile stockade-helper \"{helper}\" flags=(unconfined) {{\\n  userns,\\n}}\\n"
    );
    Remedy::new(
        "allow them to the helper only",
        [
            format!("printf {} | sudo tee /etc/apparmor.d/stockade-helper", quoted(&text)),
            "sudo apparmor_parser -r /etc/apparmor.d/stockade-helper".to_owned(),
        ],
    )
}

/// How the sandbox trial bears on what a refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Sandboxes work without them.
    Spare,
    /// The helper, unlike this program, gets them.
    HelperHasThem,
    /// The helper has nothing else.
    Vital,
    /// There is no helper yet, or it fails for a reason of its own.
    Open,
}

pub(super) fn judge(
    trial: &Trial,
    need: Need,
    root: &Root,
    caller: &Caller,
    helper: Option<&str>,
) -> Finding {
    let (step, errno) = match trial {
        Trial::Works { .. } => {
            let whom = if caller.uid == 0 { "root; users were not tried" } else { "this user" };
            return Finding::good(NAME, format!("a sandbox's steps work for {whom}"));
        }
        Trial::Unknown(why) => {
            return Finding::limited(
                NAME,
                format!("the process that should try them {why}"),
                "it is not known whether they work",
            );
        }
        Trial::Refused(step, errno) => (*step, *errno),
    };
    let blocker = blocker(step, errno, root, caller);
    let what = match step {
        Step::Unshare => "cannot be made",
        Step::Maps => "can be made, but not given ids",
        Step::MountNamespace => "can be made, but no mount namespace in one",
        Step::Mounts => "can be made, but nothing can be mounted in one",
        Step::Proc => "can be made, but no procfs can be mounted in one",
    };
    let detail = format!("{what} ({errno:?}): {}", blocker.words());
    match need {
        Need::HelperHasThem => {
            Finding::good(NAME, format!("{detail}; the helper is allowed to make them"))
        }
        Need::Spare => Finding::limited(
            NAME,
            detail,
            "overlays, capabilities in the sandbox and joining namespaces are refused; \
             sandboxes work without them",
        )
        .mend_all(blocker.remedies(helper)),
        Need::Vital => Finding::bad(NAME, detail, "the helper has no privilege and needs them")
            .mend_all(blocker.remedies(helper)),
        Need::Open => Finding::limited(NAME, detail, "the helper needs privilege of its own")
            .mend_all(blocker.remedies(helper)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::caller;
    use super::super::root::fake::Machine;
    use super::*;

    const REFUSED: Trial = Trial::Refused(Step::Unshare, Errno::EPERM);

    fn machine(files: &[(&str, &str)]) -> Machine {
        let machine = Machine::new(files);
        machine.put("proc/self/ns/user", "");
        machine
    }

    fn caller_on(machine: &Machine) -> caller::Caller {
        Caller::find(&machine.root(), 1000)
    }

    fn blocked_by(files: &[(&str, &str)], step: Step, errno: Errno) -> Blocker {
        let machine = machine(files);
        blocker(step, errno, &machine.root(), &caller_on(&machine))
    }

    #[test]
    fn each_step_is_recognised() {
        let all = [
            ("unshare", 0),
            ("maps", 0),
            ("mount-namespace", 0),
            ("tmpfs", 0),
            ("clone", 0),
            ("attach-detached", 22),
            ("attach", 0),
            ("proc", 0),
        ];
        assert_eq!(Trial::of(&Answer::told(&all)), Trial::Works { attaches_detached: false });
        assert_eq!(Trial::of(&Answer::told(&[("unshare", 1)])), REFUSED);
        assert_eq!(
            Trial::of(&Answer::told(&[("unshare", 0), ("maps", 13)])),
            Trial::Refused(Step::Maps, Errno::EACCES)
        );
        assert_eq!(
            Trial::of(&Answer::told(&[("unshare", 0)])),
            Trial::Unknown("said nothing".to_owned())
        );
    }

    #[test]
    fn settings_explain_a_refusal() {
        let clone = ("proc/sys/kernel/unprivileged_userns_clone", "0\n");
        let apparmor = ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
        let none = ("proc/sys/user/max_user_namespaces", "0\n");
        let some = ("proc/sys/user/max_user_namespaces", "100\n");
        for (file, step, errno, expected) in [
            (clone, Step::Unshare, Errno::EPERM, Blocker::CloneSetting),
            (apparmor, Step::Maps, Errno::EPERM, Blocker::AppArmorSetting),
            (apparmor, Step::Unshare, Errno::EACCES, Blocker::AppArmorSetting),
            (none, Step::Unshare, Errno::ENOSPC, Blocker::NoneAllowed),
            (some, Step::Unshare, Errno::ENOSPC, Blocker::LimitReached),
            (some, Step::Unshare, Errno::EACCES, Blocker::SecurityModule),
            (some, Step::Unshare, Errno::EPERM, Blocker::Unknown),
            (some, Step::Unshare, Errno::EINVAL, Blocker::NotBuilt),
            (some, Step::Proc, Errno::EPERM, Blocker::CoveredProc),
            (("proc/self/status", "Seccomp:\t2\n"), Step::Unshare, Errno::EPERM, Blocker::Filter),
            (
                ("proc/self/mountinfo", "1 0 8:1 / /a rw\n"),
                Step::Unshare,
                Errno::EPERM,
                Blocker::Chroot,
            ),
        ] {
            assert_eq!(blocked_by(&[file], step, errno), expected, "{file:?}");
        }
    }

    #[test]
    fn a_setting_that_is_fine_is_not_blamed() {
        let clone = ("proc/sys/kernel/unprivileged_userns_clone", "1\n");
        let apparmor = ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "0\n");
        assert_eq!(blocked_by(&[clone, apparmor], Step::Unshare, Errno::EPERM), Blocker::Unknown);
    }

    #[test]
    fn given_a_profile_then_it_is_named() {
        let files = [
            ("sys/module/apparmor/parameters/enabled", "Y\n"),
            ("proc/self/attr/apparmor/current", "stockade (enforce)\n"),
        ];
        assert_eq!(
            blocked_by(&files, Step::Maps, Errno::EACCES),
            Blocker::AppArmorProfile("stockade (enforce)".to_owned())
        );
    }

    #[test]
    fn what_a_refusal_means_depends_on_the_helper() {
        use super::super::finding::State;
        let machine = machine(&[("proc/sys/kernel/unprivileged_userns_clone", "0\n")]);
        let caller = caller_on(&machine);
        let judged = |need| judge(&REFUSED, need, &machine.root(), &caller, Some("/h"));
        assert_eq!(judged(Need::Spare).state, State::Limited);
        assert_eq!(judged(Need::Vital).state, State::Bad);
        assert_eq!(judged(Need::HelperHasThem).state, State::Good);
        assert_eq!(
            judged(Need::Vital).remedy[0].commands,
            [
                "sudo sysctl -w kernel.unprivileged_userns_clone=1",
                "echo kernel.unprivileged_userns_clone=1 | \
                 sudo tee -a /etc/sysctl.d/60-stockade.conf",
            ]
        );
    }

    #[test]
    fn a_profile_is_only_made_for_paths_that_mean_themselves() {
        assert_eq!(profile_for("/usr/libexec/h").commands.len(), 2);
        assert_eq!(profile_for("/home/*/h").commands.len(), 0);
    }
}
