// SPDX-License-Identifier: MIT OR Apache-2.0
//! Forks init. The child is the first process of the new pid namespace and builds the root from
//! inside it: a new procfs shows the pid namespace of the process that mounts it. The parent gives
//! up everything at once and becomes the monitor.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Pid, Signal};
use stockade_protocol::event::{Call, Failure, Mode, Namespace, Object, Stage};
use stockade_protocol::request::Init;

use crate::Status;
use crate::caps::{Cap, Caps, hide};
use crate::fault::{Problem, failed, unheard};
use crate::idmap::IdMap;
use crate::init;
use crate::monitor::Ready;
use crate::namespaces::Inside;
use crate::patience::{self, Deadline, First, wait_for};
use crate::procfs::Procfs;
use crate::relinquish::{become_caller, become_root, follow_parent};
use crate::report::Report;
use crate::request::Job;
use crate::sys::process::fork;
use crate::sys::signal;
use crate::sys::start::exit;

impl Inside {
    /// Never returns in init.
    pub(crate) fn fork_init(self, report: &mut Report) -> Result<Ready, Problem> {
        let fail = |call| failed(Stage::Drop, call, Object::None);
        let (ours, theirs) = channel().map_err(fail(Call::Socket))?;
        let Some(child) = fork().map_err(fail(Call::Clone))? else {
            drop(ours);
            report.abandon();
            init::begin(self, theirs)
        };
        drop(theirs);
        let Self { job, sources, procfs, init_namespace, made } = self;
        let Job { mode, identity, mut caps, request, descriptors, deadline } = job;
        // They are init's now; this process is to hold nothing worth stealing (T31).
        drop((descriptors, sources));
        // What hangs from here on hangs in init, for which this process waits until the deadline: its own
        // end comes after that.
        signal::alarm(patience::SECONDS.saturating_add(5));

        if let (Some(map), Mode::Root | Mode::SetuidRoot) = (init_namespace, mode) {
            // The one thing that still takes privilege here, and only when init says so: one byte, the
            // same action always (I9). Init is our own child and holds no foreign code.
            if wait_for_namespace(&ours, report.socket(), child, deadline)? {
                write_map(mode, &mut caps, map, child, &procfs)?;
                rustix::io::write(&ours, &[0]).map_err(fail(Call::Write))?;
            }
        }
        caps.empty_bounding_set(Cap::empty()).map_err(fail(Call::Prctl))?;
        caps.give_up().map_err(fail(Call::Capset))?;
        become_caller(mode, identity)?;
        hide().map_err(fail(Call::Prctl))?;
        let supervision = request.get().supervision.clone();
        // A payload that is pid 1 itself cannot be relied on to follow us: there the monitor has to
        // live until it has killed it, and goes by the socket alone.
        let follow = supervision.end_with_caller && supervision.init == Init::Reaper;
        follow_parent(follow, report.socket()).map_err(fail(Call::Prctl))?;
        if follow && rustix::process::getppid() != identity.parent {
            exit(Status::Failed);
        }
        let parent = identity.parent;
        // From here on it has no privilege and may wait.
        signal::alarm(0);
        Ok(Ready { init: child, parent, channel: ours, procfs, made, supervision, deadline })
    }
}

/// The socket pair between monitor and init. The kernel stamps what the payload sends on it with
/// the sender's pid, as seen by the monitor (T30).
fn channel() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_passcred(&ours, true)?;
    Ok((ours, theirs))
}

/// Waits until init is in its user namespace. False if it failed before; its message is left in the
/// channel for the monitor to pass on.
///
/// The caller may have gone, or a file system hang, meanwhile: then this ends, and init with it.
fn wait_for_namespace(
    channel: &OwnedFd,
    caller: &OwnedFd,
    init: Pid,
    deadline: Deadline,
) -> Result<bool, Failure> {
    let fail = failed(Stage::Drop, Call::Read, Object::None);
    match wait_for(channel.as_fd(), caller.as_fd(), Some(deadline)) {
        First::Message => {}
        First::CallerGone => exit(Status::Failed),
        First::Late => {
            unheard(rustix::process::kill_process(init, Signal::KILL));
            return Err(failed(Stage::Build, Call::Wait, Object::None)(Errno::TIMEDOUT));
        }
    }
    let peek = rustix::net::RecvFlags::PEEK;
    let peeked = retry_on_intr(|| rustix::net::recv(channel, &mut [0_u8; 2], peek));
    // One byte: init asks. Events are longer.
    if !matches!(peeked.map_err(&fail)?, (1, _)) {
        return Ok(false);
    }
    rustix::io::read(channel, &mut [0]).map(|_| true).map_err(fail)
}

/// Writes the id maps of init's namespace from outside.
fn write_map(
    mode: Mode,
    caps: &mut Caps,
    map: IdMap,
    init: Pid,
    procfs: &Procfs,
) -> Result<(), Failure> {
    let user = Object::Namespace(Namespace::User);
    if mode == Mode::SetuidRoot && become_root(caps).is_err() {
        exit(Status::Defect);
    }
    // SETFCAP counts where root maps its own id 0.
    let raised = Cap::SYS_ADMIN | Cap::SETUID | Cap::SETGID | Cap::SETFCAP;
    let fail = failed(Stage::Drop, Call::Write, user);
    map.write(procfs, &init.as_raw_nonzero().to_string(), caps, raised).map_err(fail)
}
