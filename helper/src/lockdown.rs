// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first stage: makes whatever state the caller started us in a known one.
//!
//! Everything inherited is hostile: descriptors, signals, timers, the working directory, the umask.
//! Limits are left alone because they are the payload's too; what fails because of them is reported.

use rustix::fs::Mode as Bits;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, sockopt};
use rustix::process::{DumpableBehavior, Pid};
use rustix::thread::{CapabilitiesSecureBits, Gid, Uid};
use stockade_protocol::event::{Call, Failure, Mode, Object, Stage};

use crate::Status;
use crate::caps::{Cap, Caps, hide};
use crate::fault::failed;
use crate::report::Report;
use crate::sys::signal::Disposition;
use crate::sys::{fd, signal};

/// The number of the socket; 0 to 2 are the payload's.
const SOCKET: i32 = 3;

/// What building a sandbox takes.
pub(crate) const BUILD: Cap = Cap::SYS_ADMIN.union(Cap::MKNOD).union(Cap::NET_ADMIN);

/// What a private user namespace takes besides (design section 5).
pub(crate) const MAP: Cap = Cap::SETUID.union(Cap::SETGID);

/// The caller's ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// The process that started us, to find out later whether it still lives.
    pub(crate) parent: Option<Pid>,
}

impl Identity {
    /// Both ids as numbers.
    pub(crate) fn raw(self) -> (u32, u32) {
        (self.uid.as_raw(), self.gid.as_raw())
    }
}

/// A process in a known state, which has read nothing yet.
pub(crate) struct Entry {
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
    pub(crate) caps: Caps,
}

/// Locks this process down. Nothing is raised and nobody's ids but the caller's are effective when
/// the first thing of the caller's is touched (I3).
pub(crate) fn lock_down() -> Result<(Entry, Report), Status> {
    let entry = credentials();
    let report = Report::new(socket().map_err(|_| Status::Channel)?);
    match entry.and_then(|entry| tidy().map(|()| entry)) {
        Ok(entry) => Ok((entry, report)),
        Err(failure) => Err(report.end(&failure.into())),
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

/// The failure of a call during this stage.
fn fail(call: Call) -> impl Fn(Errno) -> Failure {
    failed(Stage::LockDown, call, Object::None)
}

/// Descriptors, signals, timers, working directory, umask.
fn tidy() -> Result<(), Failure> {
    // A descriptor opened later must not become the payload's stdin, stdout or stderr (T19).
    for number in 0..SOCKET {
        fd::is_open(number).map_err(fail(Call::Dup))?;
    }
    let first = SOCKET.unsigned_abs().saturating_add(1);
    fd::close_range(first, u32::MAX).map_err(fail(Call::CloseRange))?;

    signal::reset_dispositions().map_err(fail(Call::Sigaction))?;
    signal::set_mask(0).map_err(fail(Call::Sigaction))?;
    signal::stop_timers().map_err(fail(Call::Setitimer))?;
    // With a tiny RLIMIT_FSIZE a write then fails instead of killing us (T22).
    signal::set_disposition(libc::SIGXFSZ, Disposition::Ignore).map_err(fail(Call::Sigaction))?;

    // The caller's directory may be unreadable, deleted or on a file system that hangs (T21).
    rustix::process::chdir(c"/").map_err(fail(Call::Chdir))?;
    rustix::process::umask(Bits::empty());
    Ok(())
}

/// Finds the mode from our own credentials, and keeps of them what that mode needs.
fn credentials() -> Result<Entry, Failure> {
    // I9; said again after every change of credentials, which resets it (T28).
    hide().map_err(fail(Call::Prctl))?;
    let (uid, euid) = (rustix::process::getuid(), rustix::process::geteuid());
    let gid = rustix::process::getgid();
    let parent = rustix::process::getppid();
    let held = rustix::thread::capabilities(None).map_err(fail(Call::Capset))?;
    // Under SECBIT_NOROOT, capabilities(7), root has no more than the file lends it.
    let bits = rustix::thread::capabilities_secure_bits().map_err(fail(Call::Prctl))?;
    let root = uid.is_root() && !bits.contains(CapabilitiesSecureBits::NO_ROOT);
    // Ambient ones are the caller's own as well: a file that lends any empties that set.
    let ambient = rustix::thread::capability_is_in_ambient_set(Cap::SYS_ADMIN);
    let own = root || ambient.map_err(fail(Call::Prctl))?;
    let able = held.permitted.contains(Cap::SYS_ADMIN)
        && (!own || may_mount(held.permitted).map_err(fail(Call::Capset))?);
    let mode = match (able, root, euid.is_root() && !uid.is_root()) {
        (true, true, _) => Mode::Root,
        (true, false, true) => Mode::SetuidRoot,
        (true, false, false) => Mode::FileCapabilities,
        (false, _, _) => Mode::Unprivileged,
    };
    // The caller's own are kept until the request says which are needed.
    let keep = match mode {
        Mode::Root | Mode::Unprivileged if own => Cap::all(),
        // None, or less than a file was to lend: with the ids of setuid root everything goes.
        Mode::Root | Mode::Unprivileged => Cap::empty(),
        Mode::SetuidRoot => BUILD.union(MAP).union(Cap::SETPCAP),
        Mode::FileCapabilities => BUILD.union(Cap::SETPCAP),
    };
    let mut caps = Caps::keep(keep).map_err(fail(Call::Capset))?;
    if mode == Mode::SetuidRoot || mode == Mode::FileCapabilities {
        caps.empty_bounding_set(Cap::empty()).map_err(fail(Call::Prctl))?;
        caps.limit(BUILD.union(MAP)).map_err(fail(Call::Capset))?;
    }

    // The effective and file-system ids become the caller's now (I8, I17). The saved uid of a setuid
    // helper stays 0 until there is nothing left to steal (T31); everything else drops it here.
    let saved = if mode == Mode::SetuidRoot { euid } else { uid };
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(fail(Call::Setresgid))?;
    rustix::thread::set_thread_res_uid(uid, uid, saved).map_err(fail(Call::Setresuid))?;
    // Leaving euid 0 emptied the effective set but let the kernel decide about the rest: say it again.
    caps.limit(Cap::all()).map_err(fail(Call::Capset))?;

    // I9. Without privilege the process must be able to write its own id map, which belongs to root
    // while it is not dumpable; there is nothing to steal yet.
    let dumpable = match mode {
        Mode::Root | Mode::SetuidRoot | Mode::FileCapabilities => DumpableBehavior::NotDumpable,
        Mode::Unprivileged => DumpableBehavior::Dumpable,
    };
    rustix::process::set_dumpable_behavior(dumpable).map_err(fail(Call::Prctl))?;
    Ok(Entry { mode, identity: Identity { uid, gid, parent }, caps })
}

/// Whether capabilities of the caller's own count for the mount namespace too. In a user namespace
/// without a mount namespace of its own they do not; the kernel's first answer to fsopen(2) says so.
fn may_mount(held: Cap) -> Result<bool, Errno> {
    let flags = rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC;
    let trial = Caps::keep(held)?.admin(|| rustix::mount::fsopen(c"tmpfs", flags));
    Ok(trial.err() != Some(Errno::PERM))
}
