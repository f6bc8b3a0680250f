// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line as meant: what every option left behind.

use std::ffi::{OsStr, OsString};

use stockade_protocol::request::Access;

use super::message::Voice;

/// A user namespace of the sandbox's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Not asked for.
    #[default]
    No,
    /// Where the kernel can.
    Try,
    /// Without fail.
    Yes,
}

/// A change of the capabilities, in the order typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapabilityChange {
    /// Adds these.
    Add(u64),
    /// Takes these away.
    Drop(u64),
}

/// What is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A path of the host.
    Path(OsString),
    /// The same, left out if there is nothing.
    Optional(OsString),
    /// An open descriptor.
    Descriptor(u32),
}

/// Where changes to an overlay go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changes {
    /// To a directory of the host; the kernel works in the other.
    Kept { upper: OsString, work: OsString },
    /// Nowhere that lasts.
    Forgotten,
    /// There are none.
    Refused,
}

impl Changes {
    /// The option that says so.
    pub(crate) fn option(&self) -> &'static str {
        match self {
            Self::Kept { .. } => "--overlay",
            Self::Forgotten => "--tmp-overlay",
            Self::Refused => "--ro-overlay",
        }
    }
}

/// One operation, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `--bind` and its relatives.
    Bind { source: Source, access: Access },
    /// `--overlay` and its relatives, with the layers of `--overlay-src`, the lowest first.
    Overlay { sources: Vec<OsString>, changes: Changes },
    /// `--remount-ro`
    RemountReadOnly,
    /// `--proc`
    Proc,
    /// `--dev`
    Devices,
    /// `--mqueue`
    Mqueue,
    /// `--tmpfs`
    Tmpfs { mode: Option<u32>, size: Option<u64> },
    /// `--dir`
    Directory { mode: Option<u32> },
    /// `--file`
    File { fd: u32, mode: Option<u32> },
    /// `--bind-data`, `--ro-bind-data`
    Data { fd: u32, mode: Option<u32>, writable: bool },
    /// `--symlink`
    Symlink { target: OsString },
    /// `--chmod`
    Chmod { mode: u32 },
}

/// An operation and where it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Action {
    pub(crate) step: Step,
    pub(crate) destination: OsString,
}

/// Everything that was typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) voice: Voice,
    pub(crate) actions: Vec<Action>,
    pub(crate) user: Wish,
    /// One to enter instead.
    pub(crate) user_namespace: Option<u32>,
    /// One below that to go on in once all is set up.
    pub(crate) last_user_namespace: Option<u32>,
    pub(crate) pid_namespace: Option<u32>,
    /// What says that the caller has written the id maps of the new user namespace.
    pub(crate) map_gate: Option<u32>,
    pub(crate) ipc: bool,
    pub(crate) pid: bool,
    pub(crate) net: bool,
    pub(crate) uts: bool,
    pub(crate) cgroup: Wish,
    pub(crate) disable_user_namespaces: bool,
    pub(crate) assert_user_namespaces_disabled: bool,
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
    pub(crate) hostname: Option<OsString>,
    pub(crate) directory: Option<OsString>,
    /// The environment, as edited so far.
    pub(crate) environment: Vec<(OsString, OsString)>,
    pub(crate) locks: Vec<OsString>,
    pub(crate) sync_fd: Option<u32>,
    pub(crate) block_fd: Option<u32>,
    pub(crate) info_fd: Option<u32>,
    pub(crate) status_fd: Option<u32>,
    pub(crate) seccomp: Option<u32>,
    /// What `--add-seccomp-fd` read.
    pub(crate) filters: Vec<Vec<u8>>,
    pub(crate) new_session: bool,
    pub(crate) forward_signals: bool,
    pub(crate) scope_abstract_sockets: bool,
    pub(crate) die_with_parent: bool,
    pub(crate) as_pid_one: bool,
    pub(crate) capabilities: Vec<CapabilityChange>,
    pub(crate) argv0: Option<OsString>,
    /// Descriptors that were read and are closed already.
    pub(crate) closed: Vec<u32>,
    pub(crate) command: Vec<OsString>,
}

impl Settings {
    /// Sets a variable where it stands, or behind the others.
    pub(crate) fn set_variable(&mut self, name: OsString, value: OsString) {
        match self.environment.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.environment.push((name, value)),
        }
    }

    /// Removes a variable.
    pub(crate) fn unset_variable(&mut self, name: &OsStr) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// A variable as it is now.
    pub(crate) fn variable(&self, name: &str) -> Option<&OsStr> {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_os_str())
    }
}
