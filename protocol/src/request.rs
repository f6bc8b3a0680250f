// SPDX-License-Identifier: MIT OR Apache-2.0
//! The spec of one sandbox, as it travels.
//!
//! Nothing in here names a host object by path: host objects are descriptors that the frontend
//! opened with the user's own rights (I1). Paths are paths of the sandbox.

use bincode::{Decode, Encode};

use crate::text::{Argument, Filter, Hostname, Program, SandboxPath, SymlinkTarget, Variable};

/// Everything the helper is told about one sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Request {
    /// Which namespaces are made.
    pub namespaces: Namespaces,
    /// What is done below the new, empty root, in this order.
    pub operations: Vec<Operation>,
    /// The program to run.
    pub payload: Payload,
    /// How the processes of the sandbox belong together.
    pub supervision: Supervision,
    /// Whether destinations may lead through symlinks that lie in the sandbox. They never lead out of it,
    /// but who can write to what is bound decides where they lead in it (T68).
    pub follow_links: bool,
}

impl Request {
    /// The index of the first overlay.
    #[must_use]
    pub fn overlay(&self) -> Option<usize> {
        self.operations.iter().position(|one| matches!(one, Operation::Overlay { .. }))
    }
}

/// The position of a descriptor among those that came with the request. Each is named exactly
/// once, by the slot that says what it is for.
#[derive(Clone, Copy, PartialOrd, Ord, Hash, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct FdIndex(pub u32);

/// Whether a namespace is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Demand {
    /// The caller's is kept.
    Share,
    /// A new one, or the caller's where that fails; an event says so.
    Optional,
    /// A new one, or no sandbox.
    Required,
}

/// The namespaces of the sandbox. A mount namespace is always made.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Namespaces {
    /// User namespace.
    pub user: UserNamespace,
    /// Makes every further user namespace impossible for the payload by the namespace's own
    /// limit. Acts where the helper makes the user namespace; elsewhere a seccomp program is
    /// what holds.
    pub limit_user_namespaces: bool,
    /// Process ids.
    pub pid: Demand,
    /// System V IPC and POSIX message queues.
    pub ipc: Demand,
    /// Network. In a new one the loopback interface is brought up.
    pub net: Demand,
    /// Host and domain name.
    pub uts: Demand,
    /// Root of the cgroup hierarchies.
    pub cgroup: Demand,
    /// Host name in the new UTS namespace.
    pub hostname: Option<Hostname>,
}

/// Which user namespace the payload lives in (design section 5, I12).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum UserNamespace {
    /// None where the helper has privilege; otherwise one that maps the caller's ids to
    /// themselves.
    Default,
    /// One in which the caller's ids appear as these. Owned by root where the helper is setuid
    /// root, refused with file capabilities, owned by the caller without privilege.
    Mapped {
        /// User id inside.
        uid: u32,
        /// Group id inside.
        gid: u32,
    },
    /// The one that the helper was started in, with ambient capabilities of its caller's that count
    /// there. Refused in every mode but that without privilege.
    Given {
        /// A user namespace below that one, for the payload to go on in once the root is built.
        last: Option<FdIndex>,
    },
}

impl UserNamespace {
    /// Whether it was there before, and others may live in it.
    #[must_use]
    pub fn is_given(self) -> bool {
        matches!(self, Self::Given { .. })
    }
}

/// A place in the sandbox that an operation fills.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Destination {
    /// Where.
    pub path: SandboxPath,
    /// Permission bits of parent directories that are missing.
    pub parents: u32,
}

/// One step of building the root.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Operation {
    /// Attaches a recursive clone of a host tree, file, socket or device.
    Bind(Bind),
    /// Mounts an empty tmpfs (`nosuid`, `nodev`).
    Tmpfs {
        /// Mount point; made if missing.
        destination: Destination,
        /// Permission bits of its root directory.
        mode: u32,
        /// Largest size in bytes; the kernel's default (half of memory) if absent.
        size: Option<u64>,
    },
    /// Mounts a new procfs for the new pid namespace (`nosuid`, `nodev`, `noexec`).
    Proc {
        /// Mount point; made if missing.
        destination: Destination,
        /// Covers `sys`, `sysrq-trigger`, `irq`, `bus`, `acpi`, `scsi` and `fs` read-only.
        protect: bool,
    },
    /// Mounts a private `/dev`: `null zero full random urandom tty`, links, `shm`, a new devpts.
    Devices {
        /// Mount point; made if missing.
        destination: Destination,
        /// A terminal to appear as `console`.
        console: Option<FdIndex>,
    },
    /// Mounts the message queue file system of the new IPC namespace.
    Mqueue {
        /// Mount point; made if missing.
        destination: Destination,
    },
    /// Makes a directory; an existing one is left as it is.
    Directory {
        /// Where.
        destination: Destination,
        /// Permission bits.
        mode: u32,
    },
    /// Makes a regular file, or empties an existing one, and fills it.
    File {
        /// Where.
        destination: Destination,
        /// Permission bits of a new file.
        mode: u32,
        /// What it holds.
        content: Content,
    },
    /// Makes a symlink; one with the same target may exist.
    Symlink {
        /// Where.
        destination: Destination,
        /// What it says.
        target: SymlinkTarget,
    },
    /// Changes the permission bits of something that exists.
    Chmod {
        /// What.
        path: SandboxPath,
        /// Permission bits.
        mode: u32,
    },
    /// Makes the mount at this path read-only, without those below it.
    RemountReadOnly {
        /// A mount point of the sandbox.
        path: SandboxPath,
    },
    /// Binds a new file that belongs to the sandbox alone (`nosuid`, `nodev`).
    Data {
        /// Mount point; made if missing.
        destination: Destination,
        /// Permission bits of the file.
        mode: u32,
        /// What it holds.
        content: Content,
        /// Whether it can be written to.
        writable: bool,
    },
    /// Binds the namespace file of the user namespace that the sandbox was built in, read-only.
    /// Nothing where the helper has privilege: the sandbox is built in the caller's.
    UserNamespace {
        /// Mount point; made if missing.
        destination: Destination,
    },
    /// Mounts directories of the host on top of one another (overlayfs, `nosuid`, `nodev`). Refused
    /// where the helper lends privilege.
    Overlay {
        /// Mount point; made if missing.
        destination: Destination,
        /// `O_PATH` descriptors of the directories that are only read, the topmost first.
        lower: Vec<FdIndex>,
        /// What is on top of these.
        upper: Upper,
    },
}

impl Operation {
    /// Where this operation mounts something, and on what; none if it does not.
    #[must_use]
    pub fn mount_point(&self) -> Option<(&Destination, SourceKind)> {
        match self {
            Self::Bind(bind) => Some((&bind.destination, bind.kind)),
            Self::Tmpfs { destination, .. }
            | Self::Proc { destination, .. }
            | Self::Devices { destination, .. }
            | Self::Mqueue { destination }
            | Self::Overlay { destination, .. } => Some((destination, SourceKind::Directory)),
            Self::Data { destination, .. } | Self::UserNamespace { destination } => {
                Some((destination, SourceKind::File))
            }
            Self::Directory { .. }
            | Self::File { .. }
            | Self::Symlink { .. }
            | Self::Chmod { .. }
            | Self::RemountReadOnly { .. } => None,
        }
    }

    /// How many file systems this operation makes: for a `/dev`, its tmpfs and its devpts.
    #[must_use]
    pub fn filesystems(&self) -> usize {
        match self {
            Self::Tmpfs { .. } | Self::Proc { .. } | Self::Mqueue { .. } => 1,
            Self::Devices { .. } => 2,
            Self::Overlay { .. }
            | Self::Bind(_)
            | Self::Data { .. }
            | Self::UserNamespace { .. }
            | Self::Directory { .. }
            | Self::File { .. }
            | Self::Symlink { .. }
            | Self::Chmod { .. }
            | Self::RemountReadOnly { .. } => 0,
        }
    }

    /// The directories of the host that an overlay is made of: the lower layers, the topmost first,
    /// then the upper one and its work directory if they are given. Nothing for other operations.
    pub fn layers(&self) -> impl Iterator<Item = FdIndex> + '_ {
        let (lower, given) = match self {
            Self::Overlay { lower, upper: Upper::Directories { upper, work }, .. } => {
                (lower.as_slice(), [Some(*upper), Some(*work)])
            }
            Self::Overlay { lower, upper: Upper::None | Upper::Temporary, .. } => {
                (lower.as_slice(), [None, None])
            }
            Self::Bind(_)
            | Self::Tmpfs { .. }
            | Self::Proc { .. }
            | Self::Devices { .. }
            | Self::Mqueue { .. }
            | Self::Directory { .. }
            | Self::File { .. }
            | Self::Symlink { .. }
            | Self::Chmod { .. }
            | Self::RemountReadOnly { .. }
            | Self::Data { .. }
            | Self::UserNamespace { .. } => (&[][..], [None, None]),
        };
        lower.iter().copied().chain(given.into_iter().flatten())
    }
}

/// The layer of an overlay that changes go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Upper {
    /// There is none: the mount is read-only.
    None,
    /// One that goes with the sandbox.
    Temporary,
    /// A directory of the host.
    Directories {
        /// An `O_PATH` descriptor of it.
        upper: FdIndex,
        /// The same of an empty directory on the same file system, for the kernel to work in.
        work: FdIndex,
    },
}

/// See [`Operation::Bind`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Bind {
    /// An `O_PATH` descriptor of the object, opened in the caller's mount namespace.
    pub source: FdIndex,
    /// What a missing mount point is made as; the kernel refuses a mismatch with the source.
    pub kind: SourceKind,
    /// Mount point; made if missing.
    pub destination: Destination,
    /// What the payload may do through it.
    pub access: Access,
    /// What happens to mounts that the host makes below the source later.
    pub propagation: Propagation,
}

/// Directory or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum SourceKind {
    /// A directory.
    Directory,
    /// Anything else: regular file, socket, FIFO, device.
    File,
}

/// Mount flags of a bind; those that the source has stay (I5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Access {
    /// `ro`, `nosuid`, `nodev`, on every mount of the tree.
    ReadOnly,
    /// `nosuid`, `nodev`.
    ReadWrite,
    /// `nosuid`: device nodes work.
    Device,
}

/// Mount propagation of a bind, `mount_namespaces(7)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Propagation {
    /// Later mounts of the host do not appear.
    Private,
    /// They do, with the host's flags; only for binds that are not read-only.
    Slave,
}

/// What a file of the sandbox holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// What is read from this descriptor until its end.
    Descriptor(FdIndex),
}

/// The program to run and the state it starts in.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Payload {
    /// Candidates, tried in order as `execvp(3)` would.
    pub programs: Vec<Program>,
    /// What runs a candidate that the kernel refuses with `ENOEXEC`: a script without `#!`.
    pub interpreter: Option<Program>,
    /// The argument vector, its first element included.
    pub arguments: Vec<Argument>,
    /// The whole environment.
    pub environment: Vec<Variable>,
    /// Working directories, the first that can be entered is used.
    pub directories: Vec<SandboxPath>,
    /// Adds `PWD` for that directory to the environment.
    pub set_pwd: bool,
    /// File mode creation mask.
    pub umask: u32,
    /// Resource limits to set; the others are the helper's own, that is the caller's.
    pub limits: Vec<Limit>,
    /// Descriptors it inherits besides the helper's 0, 1 and 2.
    pub pass: Vec<Pass>,
    /// Seccomp programs, installed in this order.
    pub filters: Vec<Filter>,
    /// A Landlock ruleset, enforced before the filters.
    pub landlock: Option<FdIndex>,
    /// Process group and session.
    pub group: Group,
    /// Capabilities as a mask (bit N is capability number N), in all sets of the payload. Only
    /// without privilege (they count in its own user namespace) or for a caller who is root.
    pub capabilities: u64,
    /// Gives it a new, empty session keyring.
    pub new_keyring: bool,
    /// Signals it starts with blocked, as a mask (bit N-1 is signal N).
    pub blocked_signals: u64,
    /// Signals it starts with ignored, as such a mask. All others have their default disposition.
    pub ignored_signals: u64,
}

/// A resource limit, `setrlimit(2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Limit {
    /// The number of the resource, `RLIMIT_*`.
    pub resource: u32,
    /// Soft limit; `u64::MAX` is none.
    pub soft: u64,
    /// Hard limit; `u64::MAX` is none.
    pub hard: u64,
}

/// A descriptor that the payload inherits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Pass {
    /// Which.
    pub source: FdIndex,
    /// Its number in the payload.
    pub target: u32,
}

/// Process group and session of the payload (I14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Group {
    /// The caller's.
    Inherit,
    /// One of its own.
    Own {
        /// The number (0 to 2) of a descriptor of the helper's that is the controlling terminal, if
        /// the new group is to be its foreground group.
        terminal: Option<u32>,
    },
    /// A session of its own, without a terminal.
    Session,
}

/// How the processes of the sandbox belong together.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Supervision {
    /// Whether the payload has an init above it.
    pub init: Init,
    /// Init ends with the payload, and with it everything in the pid namespace. Otherwise init
    /// stays until its last child is gone.
    pub end_with_payload: bool,
    /// The sandbox ends when the helper's caller does.
    pub end_with_caller: bool,
    /// Files of the finished sandbox that init holds a read lock on, `fcntl(2)`, as long as it runs.
    pub locks: Vec<SandboxPath>,
    /// Descriptors that init keeps open as long as it runs.
    pub held: Vec<FdIndex>,
    /// What the payload's process waits for, in this order, once it was reported and before it takes
    /// the last step and runs the program. Nothing that a payload has to be protected from: whoever
    /// holds the other end decides when it starts, and nothing else.
    pub gates: Vec<Gate>,
}

/// A descriptor on which the start of the payload waits for one byte. A failure to read it is one
/// to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub struct Gate {
    /// Which.
    pub source: FdIndex,
    /// Whether the end of the file opens it as well. Otherwise that is a failure.
    pub end_opens: bool,
}

/// The first process of the sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Init {
    /// The helper's own init, which reaps; the payload is its child.
    Reaper,
    /// The payload itself.
    Payload,
}
