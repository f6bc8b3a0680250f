// SPDX-License-Identifier: MIT OR Apache-2.0
//! A process that is started for a caller on a bus: command, environment, directory, and descriptors at
//! the numbers that the caller chose (R248, R256).
//!
//! Nothing runs between fork and exec but the C library's own `posix_spawn(3)`, so other threads may
//! hold any lock meanwhile. The process has a session of its own, the signals' default dispositions,
//! and no descriptor but 0, 1, 2 and those it was given.

use std::ffi::{CString, NulError, OsString};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::libc;
use nix::sched::CloneFlags;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::SigSet;
use nix::sys::stat::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::bwrap::inherit;
use crate::message::shown;

/// The last of the standard descriptors.
const STANDARD: RawFd = 2;

/// What to start.
#[derive(Debug, Default)]
pub struct Order {
    /// The program, which is looked for in this process's own `PATH` if it has no slash, and its
    /// arguments.
    pub words: Vec<CString>,
    /// Where it starts, if not where this process is.
    pub directory: Option<PathBuf>,
    /// All of its environment, as `NAME=VALUE`.
    pub environment: Vec<CString>,
    /// Its descriptors and their numbers. Without a 0 it reads nothing; without a 1 or 2 it writes to
    /// this process's own.
    pub descriptors: Vec<(u32, OwnedFd)>,
}

/// Why nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no command.
    #[error("cannot start a process\nno command is given\nname one as the first argument")]
    NoCommand,
    /// A descriptor cannot have its number.
    #[error(
        "cannot give the file descriptor {number} to a process\n{errno}\n\
         choose a number below the limit on open files"
    )]
    Descriptor {
        /// The number.
        number: u32,
        /// Why not.
        errno: Errno,
    },
    /// It cannot start there.
    #[error(
        "cannot start a process in the directory {}\n{errno}\n\
         name a directory that exists on the host",
        shown(path)
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        errno: Errno,
    },
    /// It cannot be executed.
    #[error("cannot start {}\n{errno}\nname a program that exists on the host", text(word))]
    Program {
        /// As given.
        word: CString,
        /// Why not.
        errno: Errno,
    },
    /// There is no room for another process.
    #[error("cannot start a process\n{0}\nlet others end first")]
    Thread(std::io::Error),
}

impl From<StartError> for zbus::fdo::Error {
    fn from(error: StartError) -> Self {
        let text = error.to_string();
        match error {
            StartError::NoCommand | StartError::Descriptor { .. } => Self::InvalidArgs(text),
            StartError::Program { errno: Errno::NOENT, .. } => Self::FileNotFound(text),
            StartError::Program { errno: Errno::ACCESS, .. } => Self::AccessDenied(text),
            StartError::Program { .. } | StartError::Directory { .. } => Self::Failed(text),
            StartError::Thread(_) => Self::LimitsExceeded(text),
        }
    }
}

fn text(word: &CString) -> crate::message::Shown<'_> {
    use std::os::unix::ffi::OsStrExt as _;
    shown(std::ffi::OsStr::from_bytes(word.as_bytes()))
}

impl Order {
    /// Starts the process. It is a child of this process, in a session and a process group of its own
    /// that have its number. A terminal among 0 to 2 becomes its controlling one, unless another
    /// session has it.
    ///
    /// The working directory of this thread is no longer that of the others afterwards: call it in a
    /// thread for the purpose.
    ///
    /// # Errors
    /// [`StartError`].
    pub(super) fn start(self) -> Result<Pid, StartError> {
        let program = self.words.first().ok_or(StartError::NoCommand)?;
        let failed = |errno: nix::Error| StartError::Program {
            word: program.clone(),
            errno: Errno::from_raw_os_error(errno as i32),
        };
        nix::sched::unshare(CloneFlags::CLONE_FS).map_err(failed)?;
        if let Some(path) = &self.directory {
            rustix::process::chdir(path)
                .map_err(|errno| StartError::Directory { path: path.clone(), errno })?;
        }
        let held = hold(self.descriptors)?;
        let open = inherit::listed(&[])
            .map_err(|errno| failed(nix::Error::from_raw(errno.raw_os_error())))?;
        let actions = actions(&held, &open).map_err(failed)?;
        let mut attributes = PosixSpawnAttr::init().map_err(failed)?;
        attributes.set_sigmask(&SigSet::empty()).map_err(failed)?;
        attributes.set_sigdefault(&SigSet::all()).map_err(failed)?;
        let session = PosixSpawnFlags::from_bits_retain(libc::POSIX_SPAWN_SETSID.into());
        let flags = session
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        attributes.set_flags(flags).map_err(failed)?;
        let pid = posix_spawnp(program, &actions, &attributes, &self.words, &self.environment)
            .map_err(failed)?;
        Pid::from_raw(pid.as_raw()).ok_or_else(|| failed(nix::Error::ESRCH))
    }
}

/// Variables as an order has them.
///
/// # Errors
/// If one has a NUL in it.
pub fn environment(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<CString>, NulError> {
    let entries = variables.into_iter().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        CString::new(name.into_vec())
    });
    entries.collect()
}

/// A descriptor of this process, and the number that it will have there.
type Held = (OwnedFd, RawFd);

/// Moves descriptors above all numbers that are asked for, so that none is overwritten before it was
/// used.
fn hold(descriptors: Vec<(u32, OwnedFd)>) -> Result<Vec<Held>, StartError> {
    let highest = descriptors.iter().map(|(number, _)| *number).max();
    let highest = RawFd::try_from(highest.unwrap_or_default()).unwrap_or(RawFd::MAX);
    let above = highest.max(STANDARD).saturating_add(1);
    let held = descriptors.into_iter().map(|(number, descriptor)| {
        let moved = rustix::io::fcntl_dupfd_cloexec(&descriptor, above)
            .map_err(|errno| StartError::Descriptor { number, errno })?;
        let number = RawFd::try_from(number)
            .map_err(|_| StartError::Descriptor { number, errno: Errno::BADF })?;
        Ok((moved, number))
    });
    held.collect()
}

/// What is done with descriptors in the new process, where those with the numbers `open` are open as
/// well.
fn actions(held: &[Held], open: &[u32]) -> nix::Result<PosixSpawnFileActions> {
    let mut actions = PosixSpawnFileActions::init()?;
    for (descriptor, number) in held {
        actions.add_dup2(descriptor.as_raw_fd(), *number)?;
    }
    if held.iter().all(|(_, number)| *number != 0) {
        actions.add_open(0, c"/dev/null", OFlag::O_RDONLY, Mode::empty())?;
    }
    let terminal = held.iter().find(|(descriptor, number)| {
        *number <= STANDARD && rustix::termios::isatty(descriptor) && is_openable(descriptor)
    });
    if let Some((descriptor, number)) = terminal {
        // A session's first terminal is what its leader opens first, tty(4), and there is no other way
        // to have that done here. The number of ours is free by now.
        let path = format!("/proc/self/fd/{number}");
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK;
        actions.add_open(descriptor.as_raw_fd(), path.as_str(), flags, Mode::empty())?;
    }
    // zbus receives descriptors without O_CLOEXEC: those of another caller would come along. None
    // arrives from here to the exec, because what receives them waits for this.
    for number in open.iter().filter_map(|number| RawFd::try_from(*number).ok()) {
        if held.iter().all(|(_, given)| *given != number) {
            actions.add_close(number)?;
        }
    }
    Ok(actions)
}

/// Whether a terminal can be opened once more. One that hung up cannot.
fn is_openable(terminal: &OwnedFd) -> bool {
    let path = format!("/proc/self/fd/{}", terminal.as_fd().as_raw_fd());
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, rustix::fs::Mode::empty()).is_ok()
}
