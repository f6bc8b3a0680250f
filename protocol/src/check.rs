// SPDX-License-Identifier: MIT OR Apache-2.0
//! The rules of a request that span fields.
//!
//! [`check`] is the only way to a [`Checked`] request, and the helper takes nothing else. Rules that
//! depend on where the helper's rights come from are in [`Checked::permits`].

use bincode::{Decode, Encode};

use crate::codec::DecodeFault;
use crate::event::Mode;
use crate::header::HeaderFault;
use crate::limits;
use crate::request::{
    Access, Content, Demand, Destination, FdIndex, Group, Init, Operation, Propagation, Request,
    Supervision, Upper, UserNamespace,
};

/// A request that follows every rule of this module.
#[derive(Debug)]
pub struct Checked(Request);

/// Why a request is refused. The answer to a frontend whose user could not have meant it, or to an
/// attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Refusal {
    /// The header is none.
    Header(HeaderFault),
    /// The bytes are no request.
    Decode(DecodeFault),
    /// The descriptors that came are not those that the header announced.
    Descriptors,
    /// A rule is broken, by the item with this index where the rule is about lists.
    Rule(Rule, u32),
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub enum Rule {
    /// At most [`limits::OPERATIONS`] operations.
    OperationCount,
    /// Each descriptor that came is named exactly once; the index is that of the descriptor.
    DescriptorUse,
    /// Permission bits are at most 07777, of a tmpfs 01777, a umask 0777.
    Mode,
    /// A tmpfs size is at least one byte and at most `i64::MAX`.
    Size,
    /// The root itself cannot be a file, a symlink, a procfs, a `/dev` or a message queue file system.
    Root,
    /// A new procfs needs a new pid namespace, else it would show more than the caller sees.
    ProcNeedsPid,
    /// A message queue file system needs a new IPC namespace.
    MqueueNeedsIpc,
    /// A host name needs a new UTS namespace.
    HostnameNeedsUts,
    /// Locks and held descriptors need an init that holds them.
    HoldingNeedsInit,
    /// Slave propagation is for binds that are not read-only: a mount that arrives later would be
    /// writable.
    SlaveReadOnly,
    /// There is at least one and at most [`limits::PROGRAMS`] programs.
    ProgramCount,
    /// The argument vector has at least one and at most [`limits::ARGUMENTS`] strings of together
    /// [`limits::ARGUMENT_BYTES`].
    Arguments,
    /// The environment has at most [`limits::ARGUMENTS`] strings of together
    /// [`limits::ARGUMENT_BYTES`].
    Environment,
    /// There is at least one and at most [`limits::DIRECTORIES`] working directories.
    DirectoryCount,
    /// A limit names a resource twice, one the kernel does not know, or a soft above a hard limit.
    Limit,
    /// A descriptor number of the payload is used twice or too high.
    Target,
    /// At most [`limits::FILTERS`] seccomp programs.
    FilterCount,
    /// Capabilities are refused where the helper has privilege: no one gains one through it (I12).
    Capabilities,
    /// Other ids need a setuid root helper or an unprivileged one; with file capabilities the
    /// namespace would belong to the caller, who would have every capability in it (I12). A given
    /// namespace needs an unprivileged one (T09), and cannot be limited.
    UserNamespace,
    /// An id of -1 is none.
    Ids,
    /// The terminal is descriptor 0, 1 or 2.
    Terminal,
    /// At most [`limits::LOCKS`] locks.
    LockCount,
    /// At most [`limits::GATES`] gates.
    GateCount,
    /// SIGKILL and SIGSTOP cannot be ignored.
    IgnoredSignals,
    /// Where the helper has privilege, at most [`limits::FILESYSTEMS`] file systems are made: one for
    /// each `Tmpfs`, `Proc` and `Mqueue`, two for `Devices`.
    FilesystemCount,
    /// An overlay has at least one and at most [`limits::LAYERS`] lower layers, two or more if it
    /// has no upper one.
    LayerCount,
    /// Overlays are refused where the helper lends privilege: layers of the caller's own making would
    /// be mounted in the host's user namespace.
    Overlay,
}

/// Checks the rules of `request`, with which `descriptors` descriptors came.
///
/// # Errors
/// The first rule that is broken.
pub fn check(request: Request, descriptors: usize) -> Result<Checked, Refusal> {
    namespaces(&request)?;
    operations(&request)?;
    payload(&request)?;
    supervision(&request)?;
    descriptor_use(&request, descriptors)?;
    Ok(Checked(request))
}

impl Checked {
    /// The request, which can be read but not changed any more.
    #[must_use]
    pub fn get(&self) -> &Request {
        &self.0
    }

    /// Checks the rules that depend on where the helper's rights come from (design section 5).
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn permits(&self, mode: Mode) -> Result<(), Refusal> {
        let user = self.0.namespaces.user;
        let mapped = user != UserNamespace::Default;
        let given = user.is_given();
        let capable = self.0.payload.capabilities != 0;
        let overlay = self.0.overlay();
        let limited = self.0.namespaces.limit_user_namespaces;
        rule(!given || mode == Mode::Unprivileged && !limited, Rule::UserNamespace, 0)?;
        match mode {
            Mode::SetuidRoot | Mode::FileCapabilities => {
                rule(!capable, Rule::Capabilities, 0)?;
                let able = mode == Mode::SetuidRoot;
                rule(able || !mapped, Rule::UserNamespace, 0)?;
                let made: usize = self.0.operations.iter().map(Operation::filesystems).sum();
                rule(made <= limits::FILESYSTEMS, Rule::FilesystemCount, 0)?;
                rule(overlay.is_none(), Rule::Overlay, overlay.unwrap_or_default())
            }
            Mode::Root | Mode::Unprivileged => Ok(()),
        }
    }
}

/// An error unless `kept`.
fn rule(kept: bool, rule: Rule, index: usize) -> Result<(), Refusal> {
    if kept { Ok(()) } else { Err(Refusal::Rule(rule, u32::try_from(index).unwrap_or(u32::MAX))) }
}

fn namespaces(request: &Request) -> Result<(), Refusal> {
    let wanted = &request.namespaces;
    rule(wanted.hostname.is_none() || wanted.uts == Demand::Required, Rule::HostnameNeedsUts, 0)?;
    if let UserNamespace::Mapped { uid, gid } = wanted.user {
        rule(uid != u32::MAX && gid != u32::MAX, Rule::Ids, 0)?;
    }
    Ok(())
}

fn supervision(request: &Request) -> Result<(), Refusal> {
    let Supervision { init, locks, held, gates, .. } = &request.supervision;
    let holding = !locks.is_empty() || !held.is_empty();
    rule(!holding || *init == Init::Reaper, Rule::HoldingNeedsInit, 0)?;
    rule(locks.len() <= limits::LOCKS, Rule::LockCount, 0)?;
    rule(gates.len() <= limits::GATES, Rule::GateCount, 0)
}

fn operations(request: &Request) -> Result<(), Refusal> {
    let list = &request.operations;
    rule(list.len() <= limits::OPERATIONS, Rule::OperationCount, 0)?;
    for (index, operation) in list.iter().enumerate() {
        let mode = |bits: u32, limit: u32| rule(bits <= limit, Rule::Mode, index);
        let place = |destination: &Destination| mode(destination.parents, 0o7777);
        let not_root = |place: &Destination| rule(place.path.as_bytes() != b"/", Rule::Root, index);
        match operation {
            Operation::Bind(bind) => {
                place(&bind.destination)?;
                let writable = match bind.access {
                    Access::ReadOnly => false,
                    Access::ReadWrite | Access::Device => true,
                };
                let quiet = bind.propagation == Propagation::Private;
                rule(writable || quiet, Rule::SlaveReadOnly, index)?;
            }
            Operation::Tmpfs { destination, mode: bits, size } => {
                place(destination)?;
                mode(*bits, 0o1777)?;
                let sane = size.is_none_or(|size| size > 0 && i64::try_from(size).is_ok());
                rule(sane, Rule::Size, index)?;
            }
            Operation::Proc { destination, protect: _ } => {
                place(destination)?;
                not_root(destination)?;
                let given = request.namespaces.user.is_given();
                let own = given || request.namespaces.pid == Demand::Required;
                rule(own, Rule::ProcNeedsPid, index)?;
            }
            Operation::Devices { destination, console: _ } => {
                place(destination)?;
                not_root(destination)?;
            }
            Operation::Mqueue { destination } => {
                place(destination)?;
                not_root(destination)?;
                let own = request.namespaces.ipc == Demand::Required;
                rule(own, Rule::MqueueNeedsIpc, index)?;
            }
            Operation::Directory { destination, mode: bits } => {
                place(destination)?;
                mode(*bits, 0o7777)?;
            }
            Operation::File { destination, mode: bits, content: _ } => {
                place(destination)?;
                mode(*bits, 0o7777)?;
                not_root(destination)?;
            }
            Operation::Symlink { destination, target: _ } => {
                place(destination)?;
                not_root(destination)?;
            }
            Operation::Data { destination, mode: bits, content: _, writable: _ } => {
                place(destination)?;
                mode(*bits, 0o7777)?;
                not_root(destination)?;
            }
            Operation::UserNamespace { destination } => {
                place(destination)?;
                not_root(destination)?;
            }
            Operation::Overlay { destination, lower, upper } => {
                place(destination)?;
                let least = if *upper == Upper::None { 2 } else { 1 };
                let sane = (least..=limits::LAYERS).contains(&lower.len());
                rule(sane, Rule::LayerCount, index)?;
            }
            Operation::Chmod { path: _, mode: bits } => mode(*bits, 0o7777)?,
            Operation::RemountReadOnly { path: _ } => {}
        }
    }
    Ok(())
}

fn payload(request: &Request) -> Result<(), Refusal> {
    let payload = &request.payload;
    let programs = (1..=limits::PROGRAMS).contains(&payload.programs.len());
    rule(programs, Rule::ProgramCount, 0)?;
    let arguments = payload.arguments.iter().map(|text| text.as_bytes().len());
    rule(!payload.arguments.is_empty(), Rule::Arguments, 0)?;
    rule(fits(arguments), Rule::Arguments, 0)?;
    let environment = payload.environment.iter().map(|text| text.as_bytes().len());
    rule(fits(environment), Rule::Environment, 0)?;
    let directories = (1..=limits::DIRECTORIES).contains(&payload.directories.len());
    rule(directories, Rule::DirectoryCount, 0)?;
    rule(payload.umask <= 0o777, Rule::Mode, 0)?;
    rule(payload.filters.len() <= limits::FILTERS, Rule::FilterCount, 0)?;
    rule(payload.ignored_signals & UNIGNORABLE == 0, Rule::IgnoredSignals, 0)?;

    if let Group::Own { terminal: Some(number) } = payload.group {
        rule(number <= 2, Rule::Terminal, 0)?;
    }

    for (index, limit) in payload.limits.iter().enumerate() {
        let known = limit.resource < limits::RESOURCES;
        let once = payload.limits.iter().take(index).all(|l| l.resource != limit.resource);
        rule(known && once && limit.soft <= limit.hard, Rule::Limit, index)?;
    }

    let mut targets: Vec<u32> = payload.pass.iter().map(|pass| pass.target).collect();
    targets.sort_unstable();
    let once = targets.windows(2).all(|pair| pair.first() != pair.last());
    let low = targets.last().is_none_or(|last| *last < limits::TARGET_DESCRIPTOR);
    rule(once && low, Rule::Target, 0)
}

/// SIGKILL and SIGSTOP in a mask of signals.
const UNIGNORABLE: u64 = (1 << 8) | (1 << 18);

/// Whether strings of these lengths fit the limits of `execve(2)`.
fn fits(lengths: impl ExactSizeIterator<Item = usize>) -> bool {
    lengths.len() <= limits::ARGUMENTS
        && lengths.fold(0_usize, |sum, length| sum.saturating_add(length).saturating_add(1))
            <= limits::ARGUMENT_BYTES
}

/// Every descriptor slot of the request.
fn slots(request: &Request) -> impl Iterator<Item = FdIndex> + '_ {
    let operations = request.operations.iter().filter_map(|operation| match operation {
        Operation::Bind(bind) => Some(bind.source),
        Operation::File { content: Content::Descriptor(fd), .. }
        | Operation::Data { content: Content::Descriptor(fd), .. } => Some(*fd),
        Operation::Devices { console, .. } => *console,
        Operation::File { content: Content::Bytes(_), .. }
        | Operation::Data { content: Content::Bytes(_), .. }
        | Operation::UserNamespace { .. }
        | Operation::Overlay { .. }
        | Operation::Tmpfs { .. }
        | Operation::Proc { .. }
        | Operation::Mqueue { .. }
        | Operation::Directory { .. }
        | Operation::Symlink { .. }
        | Operation::Chmod { .. }
        | Operation::RemountReadOnly { .. } => None,
    });
    let last = match request.namespaces.user {
        UserNamespace::Given { last } => last,
        UserNamespace::Default | UserNamespace::Mapped { .. } => None,
    };
    operations
        .chain(request.operations.iter().flat_map(Operation::layers))
        .chain(last)
        .chain(request.payload.landlock)
        .chain(request.payload.pass.iter().map(|pass| pass.source))
        .chain(request.supervision.held.iter().copied())
        .chain(request.supervision.gates.iter().map(|gate| gate.source))
}

/// Each descriptor is named exactly once: none is left over, none has two meanings.
fn descriptor_use(request: &Request, descriptors: usize) -> Result<(), Refusal> {
    let mut used = vec![false; descriptors];
    for FdIndex(index) in slots(request) {
        let slot = usize::try_from(index).ok().and_then(|at| used.get_mut(at));
        match slot {
            Some(used) if !*used => *used = true,
            Some(_) | None => return Err(Refusal::Rule(Rule::DescriptorUse, index)),
        }
    }
    match used.iter().position(|used| !used) {
        Some(index) => rule(false, Rule::DescriptorUse, index),
        None => Ok(()),
    }
}
