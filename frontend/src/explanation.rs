// SPDX-License-Identifier: MIT OR Apache-2.0
//! Words for what the helper reports: what failed, on which object, why, what to do.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::io::Errno;
use stockade_protocol::Refusal;
use stockade_protocol::check::Rule;
use stockade_protocol::event::{
    Call, Failure, Hint, Missing, MissingKind, Mode, Namespace, Object, Stage,
};
use stockade_protocol::request::Operation;

use crate::helper_path;
use crate::message::shown;
use crate::sandbox::Sandbox;

/// One line on where the helper's rights come from.
#[must_use]
pub fn mode(mode: Mode) -> String {
    String::from(match mode {
        Mode::Root => "the caller is root: this sandbox is no boundary against a root program",
        Mode::SetuidRoot => "the helper is setuid root",
        Mode::FileCapabilities => "the helper has file capabilities",
        Mode::Unprivileged => "the helper has no privilege and uses a user namespace",
    })
}

/// One line on something optional that is not there.
#[must_use]
pub fn missing(missing: &Missing) -> String {
    let why = errno(missing.errno);
    match missing.what {
        MissingKind::Namespace(kind) => {
            format!("no new {} namespace: {why}", namespace(kind))
        }
        MissingKind::Loopback => {
            format!("the loopback interface is down: {why} (the helper lacks CAP_NET_ADMIN)")
        }
        MissingKind::Keyring => format!("no new session keyring: {why}"),
    }
}

/// Why a request was refused.
#[must_use]
pub fn refusal(refusal: &Refusal, sandbox: &Sandbox) -> String {
    let (rule, index) = match refusal {
        Refusal::Rule(rule, index) => (*rule, *index),
        Refusal::Header(_) | Refusal::Decode(_) | Refusal::Descriptors => {
            return String::from(
                "cannot make the helper understand the sandbox\nit is probably of another version\nupgrade both packages to the same release",
            );
        }
    };
    let place = usize::try_from(index).ok().map(|index| operation(index, sandbox));
    let place = place.unwrap_or_else(|| String::from("the sandbox"));
    match rule {
        Rule::OperationCount => format!(
            "cannot put so much into one sandbox\nat most {} mounts, files and links fit\nshare a common parent directory instead",
            stockade_protocol::limits::OPERATIONS
        ),
        Rule::Capabilities => String::from(
            "cannot give the command capabilities\nthe helper has privilege and lends none of it\nuse a helper without privilege, where users may have user namespaces",
        ),
        Rule::UserNamespace => String::from(
            "cannot change ids in the sandbox\nthat takes a user namespace, which with file capabilities would belong to the caller\nuse a setuid root helper, or one without privilege",
        ),
        Rule::Overlay => format!(
            "cannot mount {place}\nthe helper has privilege and mounts no overlay of its caller's making\nuse a helper without privilege, where users may have user namespaces"
        ),
        Rule::Arguments | Rule::Environment => String::from(
            "cannot pass so many or so long arguments\nthey are limited to 2 MiB\npass them in a file",
        ),
        Rule::FilterCount => String::from("cannot install more than 16 seccomp programs"),
        Rule::FilesystemCount => format!(
            "cannot make so many file systems for one sandbox\nat most {} tmpfs, procfs and the like are allowed, for all users share a supply of them\nuse directories of one tmpfs instead",
            stockade_protocol::limits::FILESYSTEMS
        ),
        Rule::ProcNeedsPid
        | Rule::MqueueNeedsIpc
        | Rule::HostnameNeedsUts
        | Rule::HoldingNeedsInit
        | Rule::SlaveReadOnly
        | Rule::DescriptorUse
        | Rule::Mode
        | Rule::Size
        | Rule::Root
        | Rule::ProgramCount
        | Rule::DirectoryCount
        | Rule::Limit
        | Rule::Target
        | Rule::Ids
        | Rule::Terminal
        | Rule::LockCount
        | Rule::GateCount
        | Rule::LayerCount
        | Rule::IgnoredSignals => format!("cannot build {place}\nthe helper refuses it ({rule:?})"),
    }
}

/// What failed, why, and what to do.
#[must_use]
pub fn failure(failure: &Failure, sandbox: &Sandbox) -> String {
    let Failure { stage, call, errno: number, object, hint } = *failure;
    let why = errno(number);
    let what = object_text(object, sandbox);
    if call == Call::Execve && stage == Stage::Start {
        return execution(object, number, sandbox);
    }
    let headline = match (stage, object) {
        (Stage::LockDown, _) => String::from("cannot start safely"),
        (Stage::Receive, _) => String::from("cannot hand the sandbox to the helper"),
        (Stage::Namespaces | Stage::Drop, Object::Namespace(kind)) => {
            format!("cannot make a new {} namespace", namespace(kind))
        }
        (Stage::Start, Object::Directory(_)) => format!("cannot enter {what}"),
        (Stage::Start, _) => format!("cannot start the command: {what}"),
        (Stage::Clone | Stage::Build | Stage::Namespaces | Stage::Drop, Object::None) => {
            String::from("cannot build the sandbox")
        }
        (Stage::Clone | Stage::Build | Stage::Namespaces | Stage::Drop, _) => {
            format!("cannot put {what} into the sandbox")
        }
    };
    let (reason, advice) = reason(hint, call, number);
    let reason = reason.unwrap_or_else(|| format!("{} said: {why}", call_name(call)));
    match advice {
        Some(advice) => format!("{headline}\n{reason}\n{advice}"),
        None => format!("{headline}\n{reason}"),
    }
}

/// The reason of a failure in one line, where more is known than its errno.
pub(crate) fn reason_of(failure: &Failure) -> Option<String> {
    let (reason, advice) = reason(failure.hint, failure.call, failure.errno);
    match (reason, advice) {
        (Some(reason), Some(advice)) => Some(format!("{reason}; {advice}")),
        (reason, _) => reason,
    }
}

/// The reason in words, and what to do, where more is known than an errno.
fn reason(hint: Hint, call: Call, number: u32) -> (Option<String>, Option<String>) {
    let known =
        |reason: &str, advice: &str| (Some(String::from(reason)), Some(String::from(advice)));
    match hint {
        Hint::OldKernel => known(
            "this kernel is too old: it lacks mount_setattr(2), which came with Linux 5.12",
            "upgrade the kernel",
        ),
        Hint::UserNamespaceRefused => {
            let (reason, setting) = refused_user_namespace();
            (Some(reason), Some(ways_out(setting)))
        }
        Hint::UserNamespacePowerless => (
            Some(String::from(
                "a user namespace can be made, but a security module takes all rights in it away (kernel.apparmor_restrict_unprivileged_userns on Ubuntu)",
            )),
            Some(ways_out(Some("kernel.apparmor_restrict_unprivileged_userns=0"))),
        ),
        Hint::NamespaceLimit if nobody_may() => {
            (Some(limited_namespaces()), Some(ways_out(Some("user.max_user_namespaces=10000"))))
        }
        Hint::NamespaceLimit => (
            Some(limited_namespaces()),
            Some(String::from("raise the limit, or end other sandboxes of this user")),
        ),
        Hint::MountLimit => known(
            "the limit on mounts is reached (sysctl fs.mount-max)",
            "share fewer places, or raise the limit",
        ),
        Hint::SourceIsSymlink => {
            known("it is a symlink that leads nowhere definite", "name the place it should lead to")
        }
        Hint::SourceIsNamespace => known(
            "it is a namespace file, which would keep that namespace alive or give access to it",
            "leave it out",
        ),
        Hint::SourceTooDeep => {
            known("its path is longer than 4095 bytes", "move it to a shorter path")
        }
        Hint::SourceElsewhere => known(
            "it is not mounted any more, or belongs to another mount namespace",
            "name a place that this process can see itself",
        ),
        Hint::SourceReplaced => {
            known("it was replaced while the sandbox was being built", "try again")
        }
        Hint::ContentTooLarge => {
            known("what it should hold is larger than 256 MiB", "share the file itself instead")
        }
        Hint::DestinationKind => known(
            "what is there is of another kind (file, directory or link)",
            "choose another place in the sandbox, or leave out what is in the way",
        ),
        Hint::NoProc => known(
            "/proc is not a procfs, or may not be used",
            "mount it: `sudo mount -t proc proc /proc`",
        ),
        Hint::NotTheDevice => known(
            "a device of the host's /dev is not the device it should be",
            "look at /dev/null, zero, full, random, urandom and tty",
        ),
        Hint::Unpivotable => known(
            "the root file system cannot be exchanged: it is an initramfs, covered by a mount, or this process is in a chroot",
            "run from an ordinary root file system",
        ),
        Hint::RestrictedProc => known(
            "parts of /proc are covered or left out here, as in a container or a confined service",
            "run from where /proc is whole, or without a /proc and without other ids in the sandbox",
        ),
        Hint::NotATerminal => known("it is not a terminal", "leave it out"),
        Hint::None => plain(call, number),
    }
}

/// Errnos that mean something definite whatever failed.
fn plain(call: Call, number: u32) -> (Option<String>, Option<String>) {
    let known =
        |reason: &str, advice: &str| (Some(String::from(reason)), Some(String::from(advice)));
    match (call, raw(number)) {
        (Call::Recvmsg, Errno::MFILE) | (_, Errno::MFILE) => known(
            "there are not enough descriptors for so many shared places (`ulimit -Hn`)",
            "raise the hard limit on open files, or share fewer places",
        ),
        (Call::Clone, Errno::AGAIN) => known(
            "this user may not start more processes (`ulimit -u`)",
            "end other processes, or raise the limit",
        ),
        (Call::Wait, Errno::TIMEDOUT) => known(
            "building it took longer than 30 seconds: a file system that it shares does not answer",
            "leave out shared places on network or FUSE file systems one by one",
        ),
        (Call::Wait, Errno::CANCELED) => known(
            "its first process was killed, or ran out of memory",
            "try again, or look at `ulimit -v`",
        ),
        (_, Errno::ROFS) => known(
            "the place it belongs in is read-only",
            "create it there beforehand, or share the place writable",
        ),
        (Call::Mkdir | Call::Mknod | Call::Open, Errno::ACCESS) => known(
            "the place it belongs in may not be changed by this user",
            "create it there beforehand",
        ),
        (Call::Open, Errno::LOOP) => known(
            "a part of that path is a symlink in the sandbox, which something in it may have made",
            "remove the symlink, or do not share that place",
        ),
        (_, Errno::NOSPC) => {
            known("there is no room left on the file system", "make room, or use another place")
        }
        _ => (None, None),
    }
}

/// Why the command was not executed.
fn execution(object: Object, number: u32, sandbox: &Sandbox) -> String {
    let payload = &sandbox.request.payload;
    let index = match object {
        Object::Program(index) => usize::try_from(index).unwrap_or_default(),
        Object::None
        | Object::Operation(_)
        | Object::Descriptor(_)
        | Object::Namespace(_)
        | Object::Limit(_)
        | Object::Filter(_)
        | Object::Directory(_)
        | Object::Lock(_) => 0,
    };
    let bytes = |text: &[u8]| shown(std::ffi::OsStr::from_bytes(text)).to_string();
    let typed = payload.arguments.first().map_or_else(String::new, |text| bytes(text.as_bytes()));
    let tried = payload.programs.get(index).map_or_else(String::new, |text| bytes(text.as_bytes()));
    match raw(number) {
        Errno::NOENT | Errno::NOTDIR if payload.programs.len() > 1 => format!(
            "cannot find the command {typed}\nit is in no directory of PATH that the sandbox shows\nshare the directory it is in with --filesystem, or set PATH with --env"
        ),
        Errno::NOENT | Errno::NOTDIR => format!(
            "cannot find the command {tried}\nthe sandbox does not show it, or what it needs to run is missing (its interpreter or loader)\nshare the directory it is in with --filesystem, or --project for the current one"
        ),
        Errno::ACCESS => format!(
            "cannot execute {tried}\nit is not an executable file, or lies where nothing may be executed\nmake it executable with `chmod +x`, or name another command"
        ),
        Errno::NOEXEC => {
            format!("cannot execute {tried}\nit is neither a program for this machine nor a script")
        }
        _ => format!("cannot execute {tried}\n{}", errno(number)),
    }
}

/// What a failure is about.
fn object_text(object: Object, sandbox: &Sandbox) -> String {
    let at = |index: u32| usize::try_from(index).unwrap_or(usize::MAX);
    match object {
        Object::None => String::from("the sandbox"),
        Object::Operation(index) => operation(at(index), sandbox),
        Object::Descriptor(index) => format!("descriptor {index} of the request"),
        Object::Namespace(kind) => format!("a new {} namespace", namespace(kind)),
        Object::Limit(index) => format!("resource limit {index}"),
        Object::Filter(index) => format!("seccomp program {index}"),
        Object::Program(index) => {
            let program = sandbox.request.payload.programs.get(at(index));
            program.map_or_else(String::new, |p| named(p.as_bytes()))
        }
        Object::Directory(index) => {
            let directory = sandbox.request.payload.directories.get(at(index));
            directory.map_or_else(String::new, |d| named(d.as_bytes()))
        }
        Object::Lock(index) => {
            let lock = sandbox.request.supervision.locks.get(at(index));
            lock.map_or_else(String::new, |path| named(path.as_bytes()))
        }
    }
}

/// What an operation does, in a few words.
fn operation(index: usize, sandbox: &Sandbox) -> String {
    let Some(operation) = sandbox.request.operations.get(index) else {
        return String::from("the sandbox");
    };
    match operation {
        Operation::Bind(bind) => {
            let place = named(bind.destination.path.as_bytes());
            match sandbox.source_of(index) {
                Some(source) if source != Path::new(&place) => {
                    format!("{} (as {place})", shown(source))
                }
                _ => place,
            }
        }
        Operation::Overlay { destination, .. } => {
            format!("the overlay {}", named(destination.path.as_bytes()))
        }
        Operation::Tmpfs { destination, .. } => {
            format!("an empty {}", named(destination.path.as_bytes()))
        }
        Operation::Proc { destination, .. }
        | Operation::Devices { destination, .. }
        | Operation::Mqueue { destination }
        | Operation::UserNamespace { destination } => named(destination.path.as_bytes()),
        Operation::Directory { destination, .. } => {
            format!("the directory {}", named(destination.path.as_bytes()))
        }
        Operation::File { destination, .. } | Operation::Data { destination, .. } => {
            format!("the file {}", named(destination.path.as_bytes()))
        }
        Operation::Symlink { destination, .. } => {
            format!("the link {}", named(destination.path.as_bytes()))
        }
        Operation::Chmod { path, .. } | Operation::RemountReadOnly { path } => {
            named(path.as_bytes())
        }
    }
}

fn named(path: &[u8]) -> String {
    shown(std::ffi::OsStr::from_bytes(path)).to_string()
}

fn namespace(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Cgroup => "cgroup",
        Namespace::Ipc => "IPC",
        Namespace::Mount => "mount",
        Namespace::Net => "network",
        Namespace::Pid => "pid",
        Namespace::User => "user",
        Namespace::Uts => "UTS",
    }
}

/// The name of a call as its manual page has it.
fn call_name(call: Call) -> String {
    let mut name = String::new();
    for c in format!("{call:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn raw(number: u32) -> Errno {
    Errno::from_raw_os_error(i32::try_from(number).unwrap_or_default())
}

fn errno(number: u32) -> String {
    // std's text without its "(os error N)".
    let error = std::io::Error::from(raw(number)).to_string();
    error.split(" (os error").next().map(str::to_lowercase).unwrap_or(error)
}

/// The three ways out where the helper has no privilege and may have no user namespace, with the
/// command for each; `setting` is the sysctl that allows user namespaces, if one is known.
fn ways_out(setting: Option<&str>) -> String {
    let helper = helper_path::find().unwrap_or_else(|_| helper_path::INSTALLED.into());
    let helper = shown(&helper);
    let allow = match setting {
        Some(setting) => format!("sudo sysctl -w {setting}"),
        None => String::from("see `stockade doctor`"),
    };
    format!(
        "give the helper file capabilities: sudo setcap cap_sys_admin,cap_mknod,cap_net_admin=p {helper}\n\
         or make it setuid root: sudo chown root {helper} && sudo chmod 4755 {helper}\n\
         or allow user namespaces: {allow}"
    )
}

/// Why a user namespace was refused: the first setting of this machine that explains it, and what
/// would allow one.
fn refused_user_namespace() -> (String, Option<&'static str>) {
    let is_off = |path: &str| std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "0");
    if is_off("/proc/sys/kernel/unprivileged_userns_clone") {
        return (
            String::from(
                "ordinary users may not make one here (sysctl kernel.unprivileged_userns_clone is 0), and the helper has no privilege",
            ),
            Some("kernel.unprivileged_userns_clone=1"),
        );
    }
    if nobody_may() {
        return (limited_namespaces(), Some("user.max_user_namespaces=10000"));
    }
    let reason = "this process may not make one (a container, a chroot or a security module forbids it), and the helper has no privilege";
    (String::from(reason), None)
}

fn limited_namespaces() -> String {
    if nobody_may() {
        return String::from("nobody may make one here (sysctl user.max_user_namespaces is 0)");
    }
    String::from("a limit on namespaces is reached (sysctls user.max_*_namespaces, or 32 levels)")
}

/// Whether user namespaces are switched off for everybody.
fn nobody_may() -> bool {
    let limit = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
    limit.is_ok_and(|limit| limit.trim() == "0")
}
