// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the helper tells the frontend: numbers and closed lists, never words (I16).

use bincode::{Decode, Encode};

use crate::check::Refusal;

/// One message from the helper.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Event {
    /// The helper does not read the version of this request; nothing was done.
    Unsupported {
        /// Oldest version it reads.
        oldest: u16,
        /// Newest version it reads.
        newest: u16,
    },
    /// The request does not follow the rules; nothing was done.
    Refused(Refusal),
    /// The request is accepted.
    Ready {
        /// Where the helper's rights come from.
        mode: Mode,
    },
    /// Something the request marked optional, or that design.md allows to be missing, is.
    Missing(Missing),
    /// The payload is about to run, or waits at its gates. A pidfd of it comes with this message.
    Started {
        /// The payload, in the pid namespace of the helper.
        payload: u32,
        /// Init, or the payload where that is pid 1.
        init: u32,
        /// Inode numbers of the namespaces that were made.
        namespaces: Vec<NamespaceId>,
    },
    /// The sandbox could not be built, or the program not be executed. The last event.
    Failed(Failure),
    /// The payload was stopped by this signal.
    Stopped {
        /// Signal number.
        signal: u32,
    },
    /// The payload ended. The last event.
    Exited(Exit),
}

/// Where the helper's rights come from, found from its own credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Mode {
    /// The caller is root.
    Root,
    /// The helper is setuid root.
    SetuidRoot,
    /// The helper has file capabilities.
    FileCapabilities,
    /// The helper has no privilege and makes a user namespace.
    Unprivileged,
}

/// How the payload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Exit {
    /// With this status.
    Code(u8),
    /// By this signal.
    Signal(u8),
    /// Init ended without a report, and not by a signal (which would have been the payload's too).
    Lost,
}

/// A namespace that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct NamespaceId {
    /// Which.
    pub kind: Namespace,
    /// Its inode number, as in `/proc/PID/ns`.
    pub inode: u64,
}

/// The kinds of namespaces, `namespaces(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Namespace {
    /// Control groups.
    Cgroup,
    /// System V IPC and message queues.
    Ipc,
    /// Mounts.
    Mount,
    /// Network.
    Net,
    /// Process ids.
    Pid,
    /// User and group ids.
    User,
    /// Host name.
    Uts,
}

impl Namespace {
    /// Its name in `/proc/PID/ns`, `namespaces(7)`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mount => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

/// What the sandbox lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Missing {
    /// What.
    pub what: MissingKind,
    /// Why, as an errno.
    pub errno: u32,
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum MissingKind {
    /// An optional namespace.
    Namespace(Namespace),
    /// `lo` is down, because the helper was installed without `CAP_NET_ADMIN`.
    Loopback,
    /// The kernel has no keyrings, so there was none to replace.
    Keyring,
}

/// A call that failed, with enough to make a sentence of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Failure {
    /// When.
    pub stage: Stage,
    /// Which call.
    pub call: Call,
    /// Its errno.
    pub errno: u32,
    /// On what.
    pub object: Object,
    /// What is known about the reason.
    pub hint: Hint,
}

/// The stages of the helper, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Stage {
    /// Giving up what is not needed.
    LockDown,
    /// Reading the request.
    Receive,
    /// Cloning the sources.
    Clone,
    /// Making namespaces.
    Namespaces,
    /// Building the root.
    Build,
    /// Giving up everything.
    Drop,
    /// Starting the payload.
    Start,
}

/// What a failed call worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Object {
    /// Nothing in particular.
    None,
    /// This operation of the request.
    Operation(u32),
    /// This descriptor of the request.
    Descriptor(u32),
    /// This namespace.
    Namespace(Namespace),
    /// This resource limit of the request.
    Limit(u32),
    /// This seccomp program of the request.
    Filter(u32),
    /// This candidate program of the request.
    Program(u32),
    /// This working directory of the request.
    Directory(u32),
    /// This lock of the request.
    Lock(u32),
}

/// What is known about the reason of a failure beyond its errno.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Hint {
    /// Nothing.
    None,
    /// The kernel lacks the call; 5.12 is needed.
    OldKernel,
    /// The kernel refuses a user namespace to this caller.
    UserNamespaceRefused,
    /// A user namespace was made, but without the rights one normally has in it: a security
    /// module, as on Ubuntu.
    UserNamespacePowerless,
    /// A limit on namespaces was reached (`user.max_*_namespaces`, or 32 levels).
    NamespaceLimit,
    /// A limit on mounts was reached (`fs.mount-max`).
    MountLimit,
    /// The source is a symlink.
    SourceIsSymlink,
    /// The source is a namespace file.
    SourceIsNamespace,
    /// The source's own path is longer than 4095 bytes.
    SourceTooDeep,
    /// The source belongs to another mount namespace, or is not mounted any more.
    SourceElsewhere,
    /// The source was replaced while the sandbox was built.
    SourceReplaced,
    /// The content is larger than the limit of the protocol.
    ContentTooLarge,
    /// What stands at the destination is of another kind.
    DestinationKind,
    /// `/proc` is not a procfs, or cannot be used.
    NoProc,
    /// A device node of the host is not the device it should be.
    NotTheDevice,
    /// The root file system cannot be pivoted (an initramfs), or is covered by a mount.
    Unpivotable,
    /// The console is not a terminal.
    NotATerminal,
    /// A part of `/proc` is covered or left out where the caller is; a new procfs would bare it.
    RestrictedProc,
}

/// The calls that can fail, by the names of their manual pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Call {
    /// `capset(2)`
    Capset,
    /// `clone(2)`, `fork(2)`
    Clone,
    /// `close_range(2)`
    CloseRange,
    /// `dup(2)`, `fcntl(2)`
    Dup,
    /// `execve(2)`
    Execve,
    /// `chdir(2)`, `fchdir(2)`
    Chdir,
    /// `chmod(2)`
    Chmod,
    /// `fsconfig(2)`
    Fsconfig,
    /// `fsmount(2)`
    Fsmount,
    /// `fsopen(2)`
    Fsopen,
    /// `fstat(2)`, `statx(2)`
    Stat,
    /// `fstatfs(2)`
    Statfs,
    /// `ioctl(2)`
    Ioctl,
    /// `keyctl(2)`
    Keyctl,
    /// `landlock_restrict_self(2)`
    LandlockRestrictSelf,
    /// `mkdirat(2)`
    Mkdir,
    /// `mknodat(2)`
    Mknod,
    /// `mount_setattr(2)`
    MountSetattr,
    /// `move_mount(2)`
    MoveMount,
    /// `open_tree(2)`
    OpenTree,
    /// `openat2(2)`
    Open,
    /// `pidfd_open(2)`
    PidfdOpen,
    /// `pivot_root(2)`
    PivotRoot,
    /// `poll(2)`
    Poll,
    /// `prctl(2)`
    Prctl,
    /// `read(2)`
    Read,
    /// `readlinkat(2)`
    Readlink,
    /// `recvmsg(2)`
    Recvmsg,
    /// `seccomp(2)`
    Seccomp,
    /// `sendmsg(2)`
    Sendmsg,
    /// `sethostname(2)`
    Sethostname,
    /// `setpgid(2)`, `setsid(2)`
    Setpgid,
    /// `setresgid(2)`
    Setresgid,
    /// `setresuid(2)`
    Setresuid,
    /// `setrlimit(2)`
    Setrlimit,
    /// `setitimer(2)`
    Setitimer,
    /// `sigaction(2)`, `sigprocmask(2)`
    Sigaction,
    /// `socket(2)`, `socketpair(2)`
    Socket,
    /// `symlinkat(2)`
    Symlink,
    /// `umount2(2)`
    Umount,
    /// `unshare(2)`
    Unshare,
    /// `wait(2)`
    Wait,
    /// `write(2)`
    Write,
    /// `setns(2)`
    Setns,
}
