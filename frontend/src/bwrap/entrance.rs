// SPDX-License-Identifier: MIT OR Apache-2.0
//! A helper in a user namespace of the caller's choice.
//!
//! Whoever enters a user namespace has other ids and rights afterwards, so this process does not. It
//! starts its own program under another name; that enters the namespace, makes the capabilities that
//! this gives it ambient, `capabilities(7)`, and becomes the helper, which finds that they are its
//! caller's own.

use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::SigSet;
use nix::sys::wait::WaitStatus;
use rustix::fs::MemfdFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::inherit;
use super::launch::has_file_capabilities;
use super::message::Fault;
use super::plan::reopen;
use crate::child::Child;

/// The name under which this program becomes another one in a user namespace.
pub(crate) const NAME: &str = "stockade-user-namespace-entrance";

/// The numbers of what it finds behind the socket: the namespace, and where it says what failed.
const NAMESPACE: u32 = 4;
const TROUBLE: u32 = 5;

/// Above all numbers that a started program finds something under.
const HIGHER: i32 = 16;

/// This program.
const SELF: &str = "/proc/self/exe";

/// What can fail on the way in.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Enter,
    Ids,
    Keep,
    Execute,
}

/// All of them, by the number that stands for each.
const STEPS: [Step; 4] = [Step::Enter, Step::Ids, Step::Keep, Step::Execute];

/// A user namespace to enter, with the ids to have in it where they are not the same.
pub(crate) struct Entrance {
    namespace: OwnedFd,
    uid: Option<u32>,
    gid: Option<u32>,
}

impl Entrance {
    /// Takes the namespace that a descriptor of the caller's is.
    pub(crate) fn new(number: u32, uid: Option<u32>, gid: Option<u32>) -> Result<Self, Fault> {
        let fault = |errno| said(Step::Enter, errno);
        let namespace = inherit::duplicate(number).map_err(fault)?;
        Ok(Self { namespace: higher(namespace).map_err(fault)?, uid, gid })
    }

    /// Starts the program at `path` in the namespace, under this name; gives our end of its socket.
    pub(crate) fn start(
        &self,
        path: &Path,
        name: &CStr,
        mask: &SigSet,
    ) -> Result<(Child, OwnedFd), Fault> {
        let fault = |errno| Fault::errno("Can't start the helper", errno);
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let (ours, theirs) =
            rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None).map_err(fault)?;
        let (trouble, their_trouble) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(fault)?;
        let (theirs, their_trouble) =
            (higher(theirs).map_err(fault)?, higher(their_trouble).map_err(fault)?);
        let id = |id: Option<u32>| id.map_or(String::new(), |id| id.to_string());
        let words = [NAME.into(), path.as_os_str().as_bytes().to_vec(), name.to_bytes().to_vec()];
        let words = words.into_iter().chain([id(self.uid).into(), id(self.gid).into()]);
        let words = words.map(CString::new).collect::<Result<Vec<_>, _>>();
        let words = words.map_err(|_| fault(Errno::INVAL))?;
        let words: Vec<&CStr> = words.iter().map(CString::as_c_str).collect();
        let descriptors = [theirs.as_fd(), self.namespace.as_fd(), their_trouble.as_fd()];
        let child = Child::run(Path::new(SELF), &words, &descriptors, mask)
            .map_err(|error| Fault::other(&error))?;
        drop((theirs, their_trouble));
        // Nothing comes, and the end, once it has become the other program.
        let mut answer = Vec::new();
        std::fs::File::from(trouble).read_to_end(&mut answer).ok();
        let [step, errno @ ..] = answer.as_slice() else { return Ok((child, ours)) };
        let errno = errno.try_into().map_or(0, i32::from_le_bytes);
        let step = STEPS.get(usize::from(*step)).copied().unwrap_or(Step::Execute);
        Err(said(step, Errno::from_raw_os_error(errno)))
    }

    /// Whether a process in there can make another one; `trial` is the name of the program that tries.
    pub(crate) fn can_make_another(&self, trial: &CStr) -> Result<bool, Fault> {
        let (child, _socket) = self.start(Path::new(SELF), trial, &SigSet::empty())?;
        let status = child.wait().map_err(|errno| said(Step::Execute, raw(errno)))?;
        Ok(matches!(status, WaitStatus::Exited(_, 0)))
    }
}

/// A descriptor, with a number out of the way.
fn higher(fd: OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(&fd, HIGHER)
}

fn said(step: Step, errno: Errno) -> Fault {
    match step {
        Step::Enter if errno == Errno::INVAL => Fault::new(
            "Joining the specified user namespace failed, it might not be a descendant of the \
             current user namespace.",
        ),
        Step::Enter => Fault::errno("Joining specified user namespace failed", errno),
        Step::Ids => Fault::errno("unable to switch to the ids of --uid and --gid", errno),
        Step::Keep => Fault::errno("Can't keep capabilities in the user namespace", errno),
        Step::Execute => Fault::errno("Can't start the helper in the user namespace", errno),
    }
}

/// What the process under [`NAME`] does with the words behind that name. It comes back only if
/// something failed.
pub(crate) fn enter(words: &[OsString]) {
    inherit::note(&[]);
    let taken = [NAMESPACE, TROUBLE].map(inherit::duplicate);
    [NAMESPACE, TROUBLE].into_iter().for_each(inherit::close);
    let [Ok(namespace), Ok(trouble)] = taken else { return };
    let Err((step, errno)) = pass(words, namespace);
    let step = STEPS.iter().position(|one| *one == step);
    let step = step.and_then(|at| u8::try_from(at).ok()).unwrap_or_default();
    let answer = [&[step][..], &errno.raw_os_error().to_le_bytes()].concat();
    std::fs::File::from(trouble).write_all(&answer).ok();
}

fn pass(words: &[OsString], namespace: OwnedFd) -> Result<Infallible, (Step, Errno)> {
    let at = |step| move |errno| (step, errno);
    let [path, name, uid, gid] = words else { return Err((Step::Execute, Errno::INVAL)) };
    setns(&namespace, CloneFlags::CLONE_NEWUSER).map_err(raw).map_err(at(Step::Enter))?;
    drop(namespace);

    rustix::thread::set_keep_capabilities(true).map_err(at(Step::Ids))?;
    if let Some(gid) = id(gid) {
        let gid = Gid::from_raw(gid);
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(at(Step::Ids))?;
    }
    if let Some(uid) = id(uid) {
        let uid = Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(at(Step::Ids))?;
    }
    keep().map_err(at(Step::Keep))?;
    rustix::thread::set_no_new_privs(true).map_err(at(Step::Keep))?;
    execute(path, name).map_err(at(Step::Execute))
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

/// Becomes the program. One with file capabilities is copied to where it has none: they would take the
/// place of the ambient ones.
fn execute(path: &OsStr, name: &OsStr) -> Result<Infallible, Errno> {
    let text = |text: &OsStr| CString::new(text.as_bytes()).map_err(|_| Errno::INVAL);
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let (name, environment): ([CString; 1], [CString; 0]) = ([text(name)?], []);
    if !has_file_capabilities(Path::new(path)) {
        return nix::unistd::execve(&text(path)?, &name, &environment).map_err(raw);
    }
    let copy = rustix::fs::memfd_create(c"stockade-helper", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(copy);
    std::io::copy(&mut std::fs::File::open(path).map_err(io)?, &mut file).map_err(io)?;
    // What is open for writing is not executed.
    let image = reopen(&file.into())?;
    nix::unistd::fexecve(&image, &name, &environment).map_err(raw)
}

fn id(text: &OsStr) -> Option<u32> {
    text.to_str().and_then(|text| text.parse().ok())
}

fn raw(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}
