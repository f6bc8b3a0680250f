// SPDX-License-Identifier: MIT OR Apache-2.0
//! The helper's process.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::PidfdFlags;

use crate::launch::LaunchError;

/// What the helper is called.
pub(crate) const HELPER: &CStr = c"stockade-helper";

/// The number under which the helper finds its socket.
const SOCKET: i32 = 3;

/// How long a helper is waited for that is about to end.
const PATIENCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// A helper that was started. Dropping it waits for its end, which comes when the connection is closed
/// or the last event was sent: not every pid 1 takes care of processes that others leave behind.
#[derive(Debug)]
pub(crate) struct Child(Pid);

impl Child {
    /// Starts the helper at `path` with this end of a socket pair, this signal mask, and nothing else.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub(crate) fn start(path: &Path, socket: &OwnedFd, mask: &SigSet) -> Result<Self, LaunchError> {
        Self::run(path, &[HELPER], &[socket.as_fd()], mask)
    }

    /// Starts a program with these words as its arguments, its name first, and these descriptors as 3
    /// and so on. More than one have to have higher numbers here.
    ///
    /// # Errors
    /// If it cannot be executed.
    pub(crate) fn run(
        path: &Path,
        words: &[&CStr],
        descriptors: &[BorrowedFd<'_>],
        mask: &SigSet,
    ) -> Result<Self, LaunchError> {
        let failed = |errno: Errno| LaunchError::Start {
            path: path.to_owned(),
            errno: rustix::io::Errno::from_raw_os_error(errno as i32),
        };
        let mut actions = PosixSpawnFileActions::init().map_err(failed)?;
        for (number, fd) in (SOCKET..).zip(descriptors) {
            actions.add_dup2(fd.as_raw_fd(), number).map_err(failed)?;
        }
        let mut attributes = PosixSpawnAttr::init().map_err(failed)?;
        attributes.set_sigmask(mask).map_err(failed)?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK).map_err(failed)?;
        let program =
            CString::new(path.as_os_str().as_bytes()).map_err(|_| failed(Errno::EINVAL))?;
        let environment: [&CStr; 0] = [];
        posix_spawn(program.as_c_str(), &actions, &attributes, words, &environment)
            .map(Self)
            .map_err(failed)
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.as_raw().unsigned_abs()
    }

    /// Kills it. It is not waited for before it is dropped, so that nobody else has its number.
    pub(crate) fn kill(&self) {
        nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL).ok();
    }

    /// Waits for its end, and leaves the process to be dropped.
    pub(crate) fn wait(&self) -> nix::Result<WaitStatus> {
        waitid(Id::Pid(self.0), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.0.as_raw());
        let Some(Ok(pidfd)) = pid.map(|pid| rustix::process::pidfd_open(pid, PidfdFlags::empty()))
        else {
            return;
        };
        let mut fds = [PollFd::from_borrowed_fd(pidfd.as_fd(), PollFlags::IN)];
        // No longer than that: it may hang in a call to a file system.
        rustix::event::poll(&mut fds, Some(&PATIENCE)).ok();
        waitpid(self.0, Some(WaitPidFlag::WNOHANG)).ok();
    }
}
