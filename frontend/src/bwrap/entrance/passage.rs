// SPDX-License-Identifier: MIT OR Apache-2.0
//! The way into namespaces, as the process under [`NAME`](super::NAME) goes it.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::wait::WaitStatus;
use rustix::fs::MemfdFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::super::launch::has_file_capabilities;
use super::super::{FAILED, inherit};
use super::{GIVEN, NEW, STEPS, Step, higher, raw, reopen};
use crate::child::Child;
use crate::launch::LaunchError;

/// The numbers of what is found: the socket of the program to become, the line to whoever started
/// this, and namespaces behind them.
const SOCKET: u32 = 3;
const LINE: u32 = 4;

/// What came of it.
enum Arrival {
    /// The program runs, as a child.
    Child(Child),
    /// Another user namespace was tried there.
    Tried,
}

/// Goes it, as the words behind the name say: the user namespace, the ids there, the pid namespace, the
/// program and its name. Without a program it only tries to make another user namespace there, or in the
/// one that then stands in the place of the pid namespace. Gives the status to exit with if this process
/// has not become that program.
pub(crate) fn enter(words: &[OsString]) -> u8 {
    inherit::note(&[]);
    let [user, uid, gid, second, path, name] = words else { return FAILED };
    let namespaces = [user, second].iter().filter(|word| **word == GIVEN).count();
    let last = LINE.saturating_add(u32::try_from(namespaces).unwrap_or_default());
    // Whoever waits for the end of what the caller left open does not wait for this process.
    inherit::open_numbers().into_iter().filter(|number| *number > last).for_each(inherit::close);
    let mut numbers = LINE..;
    let mut take = || {
        let number = numbers.next().unwrap_or_default();
        let taken = inherit::duplicate(number).and_then(higher);
        inherit::close(number);
        taken
    };
    let Ok(line) = take() else { return FAILED };
    let at = |step| move |errno| (step, errno);
    let mut pass = || -> Result<Arrival, (Step, Errno)> {
        // It has the root of the caller, and soon a user namespace that others live in or own. Only the
        // caller writes the id maps of a new one, and they belong to root while this process hides.
        if user != NEW {
            hide().map_err(at(Step::User))?;
        }
        let (uid, gid) = (id(uid).map(Uid::from_raw), id(gid).map(Gid::from_raw));
        let changed = match user.to_str() {
            Some(GIVEN) => {
                if uid.is_some() || gid.is_some() {
                    leave_groups().map_err(at(Step::Ids))?;
                }
                let namespace = take().map_err(at(Step::User))?;
                join(&namespace, CloneFlags::CLONE_NEWUSER).map_err(at(Step::User))?;
                hide().map_err(at(Step::User))?;
                true
            }
            Some(NEW) => {
                unshare(CloneFlags::CLONE_NEWUSER).map_err(raw).map_err(at(Step::New))?;
                wait_for_map(&line).map_err(at(Step::User))?;
                true
            }
            _ => false,
        };
        rustix::thread::set_keep_capabilities(true).map_err(at(Step::Ids))?;
        stay(uid.is_none(), gid.is_none()).map_err(at(Step::Unmapped))?;
        switch(uid, gid).map_err(at(Step::Ids))?;
        if changed {
            raise().map_err(at(Step::Ids))?;
        }
        // Every change of credentials may undo it, prctl(2).
        hide().map_err(at(Step::Ids))?;
        if path.is_empty() {
            if second == GIVEN {
                let namespace = take().map_err(at(Step::User))?;
                join(&namespace, CloneFlags::CLONE_NEWUSER).map_err(at(Step::User))?;
                hide().map_err(at(Step::User))?;
            }
            // What it has open is nothing for those who see it end there (CVE-2026-46333).
            (0..=SOCKET).for_each(inherit::close);
            let made = try_another().map_err(at(Step::Try))?;
            // Whoever started this waits for the answer, and takes nothing else for one.
            rustix::io::write(&line, &[u8::from(made), 0]).map_err(at(Step::Try))?;
            return Ok(Arrival::Tried);
        }
        let joined = second == GIVEN;
        if joined {
            let namespace = take().map_err(at(Step::Pids))?;
            join(&namespace, CloneFlags::CLONE_NEWPID).map_err(at(Step::Pids))?;
        }
        if changed {
            keep().map_err(at(Step::Keep))?;
            rustix::thread::set_no_new_privs(true).map_err(at(Step::Keep))?;
        }
        let image = Image::of(path, name).map_err(at(Step::Execute))?;
        if joined {
            // What is left of this process is to wait, and nobody waits for that.
            let signal = rustix::process::Signal::KILL;
            rustix::process::set_parent_process_death_signal(Some(signal))
                .map_err(at(Step::Execute))?;
            // From when the caller goes on, what ends its process group is for others to hear.
            let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(raw);
            let mask = mask.map_err(at(Step::Execute))?;
            return image.start(&mask).map(Arrival::Child).map_err(at(Step::Execute));
        }
        match image.become_it().map_err(at(Step::Execute))? {}
    };
    match pass() {
        Ok(Arrival::Child(child)) => {
            drop(line);
            stand_by(&child)
        }
        Ok(Arrival::Tried) => 0,
        Err((step, errno)) => {
            let step = STEPS.iter().position(|one| *one == step);
            let step = step.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
            let word = [&[step][..], &errno.raw_os_error().to_le_bytes()].concat();
            rustix::io::write(&line, &word).ok();
            FAILED
        }
    }
}

/// Whether a process here can make a user namespace. This one is in it then.
fn try_another() -> Result<bool, Errno> {
    match unshare(CloneFlags::CLONE_NEWUSER).map_err(raw) {
        Ok(()) => Ok(true),
        // Limits, filters, and kernels without any. What else fails, such as a lack of memory, does not
        // fail for COMMAND.
        Err(
            Errno::PERM | Errno::NOSPC | Errno::USERS | Errno::ACCESS | Errno::NOSYS | Errno::INVAL,
        ) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Keeps others of the same user id from looking into this process.
fn hide() -> Result<(), Errno> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

fn join(namespace: &OwnedFd, kind: CloneFlags) -> Result<(), Errno> {
    setns(namespace, kind).map_err(raw)
}

/// Says that the id maps can be written, and waits until they are.
fn wait_for_map(line: &OwnedFd) -> Result<(), Errno> {
    rustix::io::write(line, &[0])?;
    match retry_on_intr(|| rustix::io::read(line, &mut [0]))? {
        0 => Err(Errno::CANCELED),
        _ => Ok(()),
    }
}

/// Makes sure that the ids that are not to be changed have numbers there. One that has none looks like
/// the overflow id, which may be somebody else's.
fn stay(uid: bool, gid: bool) -> Result<(), Errno> {
    let held = rustix::thread::capabilities(None)?;
    let none = CapabilitySets { effective: CapabilitySet::empty(), ..held };
    rustix::thread::set_capabilities(None, none)?;
    // Nobody needs a right to stay who he is.
    let (own_uid, own_gid) = (rustix::process::getuid(), rustix::process::getgid());
    switch(uid.then_some(own_uid), gid.then_some(own_gid))?;
    rustix::thread::set_capabilities(None, held)
}

/// Leaves the supplementary groups behind, where that is this process's to do: whoever has its new ids could
/// use them with it. Later, in the other namespace, it may not be.
fn leave_groups() -> Result<(), Errno> {
    if rustix::thread::capabilities(None)?.effective.contains(CapabilitySet::SETGID) {
        nix::unistd::setgroups(&[]).map_err(raw)?;
    }
    Ok(())
}

/// Changes ids that are not the same.
fn switch(uid: Option<Uid>, gid: Option<Gid>) -> Result<(), Errno> {
    if let Some(gid) = gid {
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    }
    if let Some(uid) = uid {
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    }
    Ok(())
}

/// Raises what it may raise: a change from user id 0 to another has lowered all of it, capabilities(7).
fn raise() -> Result<(), Errno> {
    let held = rustix::thread::capabilities(None)?;
    rustix::thread::set_capabilities(None, CapabilitySets { effective: held.permitted, ..held })
}

/// Makes what this process may raise survive the exec.
fn keep() -> Result<(), Errno> {
    let all = rustix::thread::capabilities(None)?.permitted;
    let sets = CapabilitySets { effective: all, permitted: all, inheritable: all };
    rustix::thread::set_capabilities(None, sets)?;
    for bit in 0..u64::BITS {
        let one = CapabilitySet::from_bits_retain(1_u64.checked_shl(bit).unwrap_or_default());
        if all.contains(one) {
            rustix::thread::configure_capability_in_ambient_set(one, true)?;
        }
    }
    Ok(())
}

/// Waits for the program that runs in the pid namespace, with nothing left to do; exits as it does.
fn stand_by(child: &Child) -> u8 {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
    // Less is never refused, capset(2).
    rustix::thread::set_capabilities(None, sets).ok();
    // Its end of the connection is what shows that it has gone.
    (0..=SOCKET).for_each(inherit::close);
    match child.wait() {
        Ok(WaitStatus::Exited(_, status)) => u8::try_from(status).unwrap_or(u8::MAX),
        Ok(_) | Err(_) => super::super::FAILED,
    }
}

/// The program to become, and its name.
struct Image {
    path: CString,
    name: CString,
    /// Where it is if it has no capabilities there.
    copy: Option<OwnedFd>,
}

impl Image {
    /// One with file capabilities is copied to where it has none: they would take the place of the
    /// ambient ones.
    fn of(path: &OsStr, name: &OsStr) -> Result<Self, Errno> {
        use std::os::fd::AsRawFd as _;
        let text = |bytes: &[u8]| CString::new(bytes).map_err(|_| Errno::INVAL);
        let name = text(name.as_bytes())?;
        if !has_file_capabilities(Path::new(path)) {
            return Ok(Self { path: text(path.as_bytes())?, name, copy: None });
        }
        let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        // Where `vm.memfd_noexec` is set it has to be said, where the kernel is older than that, not.
        let create = |flags| rustix::fs::memfd_create(c"stockade-helper", flags);
        let memory = match create(MemfdFlags::CLOEXEC | MemfdFlags::EXEC) {
            Err(Errno::INVAL) => create(MemfdFlags::CLOEXEC)?,
            created => created?,
        };
        let mut file = std::fs::File::from(memory);
        std::io::copy(&mut std::fs::File::open(path).map_err(io)?, &mut file).map_err(io)?;
        // What is open for writing is not executed.
        let copy = reopen(&file.into())?;
        let path = text(format!("/proc/self/fd/{}", copy.as_raw_fd()).as_bytes())?;
        Ok(Self { path, name, copy: Some(copy) })
    }

    fn become_it(self) -> Result<Infallible, Errno> {
        let environment: [&CStr; 0] = [];
        nix::unistd::execve(&self.path, &[&self.name], &environment).map_err(raw)
    }

    /// Starts it as a child: only such are in a pid namespace that was entered.
    fn start(self, mask: &SigSet) -> Result<Child, Errno> {
        let socket = inherit::duplicate(SOCKET).and_then(higher)?;
        let path = Path::new(OsStr::from_bytes(self.path.as_bytes()));
        let child = Child::run(path, &[&self.name], &[socket.as_fd()], mask);
        drop(self.copy);
        child.map_err(|error| {
            if let LaunchError::Start { errno, .. } = error { errno } else { Errno::CHILD }
        })
    }
}

fn id(text: &OsStr) -> Option<u32> {
    text.to_str().and_then(|text| text.parse().ok())
}
