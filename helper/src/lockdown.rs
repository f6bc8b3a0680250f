// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first stage: makes whatever state the caller started us in a known one.
//!
//! Everything inherited is hostile: descriptors, signals, timers, the working directory, the umask.
//! Limits are left alone because they are the payload's too; what fails because of them is reported.

use rustix::fs::Mode as Bits;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{DumpableBehavior, Pid};
use rustix::thread::{CapabilitySet, Gid, Uid};
use stockade_protocol::event::{Call, Mode, Object, Stage};

use crate::Status;
use crate::caps::Caps;
use crate::fault::{Problem, failed, unheard};
use crate::report::Report;
use crate::sys::signal::Disposition;
use crate::sys::{fd, signal};

/// The number of the socket; 0 to 2 are the payload's.
const SOCKET: i32 = 3;

/// What building a sandbox takes.
const BUILD: CapabilitySet =
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::MKNOD).union(CapabilitySet::NET_ADMIN);

/// What a private user namespace takes besides (design section 5).
const MAP: CapabilitySet = CapabilitySet::SETUID.union(CapabilitySet::SETGID);

/// The caller's ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// The process that started us, to find out later whether it still lives.
    pub(crate) parent: Option<Pid>,
}

/// A process in a known state, which has read nothing yet.
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
    pub(crate) caps: Caps,
}

/// Locks this process down. The socket comes first: without it there is nobody to tell anything.
pub(crate) fn lock_down() -> Result<(Entry, Report), Status> {
    let mut report = Report::new(socket().map_err(|_| Status::Channel)?);
    match tidy().and_then(|()| credentials()) {
        Ok(entry) => Ok((entry, report)),
        Err((call, errno)) => {
            let failure = failed(Stage::LockDown, call, Object::None)(errno);
            let event = Problem::from(failure).event();
            if let Some(event) = event {
                // As in `Report::end`: nobody else to tell.
                unheard(report.send(&event, None));
            }
            Err(Status::Failed)
        }
    }
}

/// Descriptor 3, if it is what the frontend makes: a connected Unix stream socket (T06).
fn socket() -> Result<std::os::fd::OwnedFd, Errno> {
    let socket = fd::take(SOCKET)?;
    let unix = sockopt::socket_domain(&socket)? == AddressFamily::UNIX;
    let stream = sockopt::socket_type(&socket)? == SocketType::STREAM;
    if !unix || !stream || sockopt::socket_acceptconn(&socket)? {
        return Err(Errno::NOTSOCK);
    }
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    Ok(socket)
}

type Step<T> = Result<T, (Call, Errno)>;

/// Descriptors, signals, timers, working directory, umask.
fn tidy() -> Step<()> {
    // I9; said again after every change of credentials, which resets it (T28).
    let hidden = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
    hidden.map_err(|errno| (Call::Prctl, errno))?;
    // A descriptor opened later must not become the payload's stdin, stdout or stderr (T19).
    for number in 0..SOCKET {
        fd::is_open(number).map_err(|errno| (Call::Dup, errno))?;
    }
    let first = SOCKET.unsigned_abs().saturating_add(1);
    fd::close_range(first, u32::MAX).map_err(|errno| (Call::CloseRange, errno))?;

    signal::reset_dispositions().map_err(|errno| (Call::Sigaction, errno))?;
    signal::set_mask(0).map_err(|errno| (Call::Sigaction, errno))?;
    signal::stop_timers().map_err(|errno| (Call::Setitimer, errno))?;
    // With a tiny RLIMIT_FSIZE a write then fails instead of killing us (T22).
    signal::set_disposition(libc::SIGXFSZ, Disposition::Ignore)
        .map_err(|errno| (Call::Sigaction, errno))?;

    // The caller's directory may be unreadable, deleted or on a file system that hangs (T21).
    rustix::process::chdir(c"/").map_err(|errno| (Call::Chdir, errno))?;
    rustix::process::umask(Bits::empty());
    Ok(())
}

/// Finds the mode from our own credentials, and keeps of them what that mode needs.
fn credentials() -> Step<Entry> {
    let (uid, euid) = (rustix::process::getuid(), rustix::process::geteuid());
    let gid = rustix::process::getgid();
    let parent = rustix::process::getppid();
    let held = rustix::thread::capabilities(None).map_err(|errno| (Call::Capset, errno))?;
    let able = held.permitted.contains(CapabilitySet::SYS_ADMIN);
    let mode = match (able, uid.is_root(), euid.is_root()) {
        (true, true, _) if may_mount(held.permitted).map_err(|errno| (Call::Capset, errno))? => {
            Mode::Root
        }
        (true, true, _) => Mode::Unprivileged,
        (true, false, true) => Mode::SetuidRoot,
        (true, false, false) => Mode::FileCapabilities,
        (false, _, _) => Mode::Unprivileged,
    };
    // Root's own are kept until the request says which the payload is to have.
    let keep = match mode {
        Mode::Root => CapabilitySet::all(),
        Mode::SetuidRoot => BUILD.union(MAP).union(CapabilitySet::SETPCAP),
        Mode::FileCapabilities => BUILD.union(CapabilitySet::SETPCAP),
        // Only root in a user namespace has it: to have its own id 0 mapped again below.
        Mode::Unprivileged => CapabilitySet::SETFCAP,
    };
    let mut caps = Caps::keep(keep).map_err(|errno| (Call::Capset, errno))?;
    if mode == Mode::SetuidRoot || mode == Mode::FileCapabilities {
        caps.empty_bounding_set(CapabilitySet::empty()).map_err(|errno| (Call::Prctl, errno))?;
        caps.limit(BUILD.union(MAP)).map_err(|errno| (Call::Capset, errno))?;
    }

    // The effective and file-system ids become the caller's now (I8, I17). The saved uid of a setuid
    // helper stays 0 until there is nothing left to steal (T31); everything else drops it here.
    let saved = if mode == Mode::SetuidRoot { euid } else { uid };
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|errno| (Call::Setresgid, errno))?;
    rustix::thread::set_thread_res_uid(uid, uid, saved)
        .map_err(|errno| (Call::Setresuid, errno))?;
    // Leaving euid 0 emptied the effective set but let the kernel decide about the rest: say it again.
    let all = CapabilitySet::all();
    caps.limit(all).map_err(|errno| (Call::Capset, errno))?;

    // I9. Without privilege the process must be able to write its own id map, which belongs to root
    // while it is not dumpable; there is nothing to steal yet.
    let dumpable = match mode {
        Mode::Root | Mode::SetuidRoot | Mode::FileCapabilities => DumpableBehavior::NotDumpable,
        Mode::Unprivileged => DumpableBehavior::Dumpable,
    };
    rustix::process::set_dumpable_behavior(dumpable).map_err(|errno| (Call::Prctl, errno))?;
    Ok(Entry { mode, identity: Identity { uid, gid, parent }, caps })
}

/// Whether a caller who is root is so for the mount namespace too. In a user namespace without a
/// mount namespace of its own it is not; the kernel's answer to fsopen(2) says so.
fn may_mount(held: CapabilitySet) -> Result<bool, Errno> {
    let flags = rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC;
    let raised = CapabilitySet::SYS_ADMIN;
    let trial = Caps::keep(held)?.with(raised, || rustix::mount::fsopen(c"tmpfs", flags));
    Ok(trial.is_ok())
}
