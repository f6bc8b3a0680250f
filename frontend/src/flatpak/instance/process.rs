// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes of sandboxes, by handles that are never another process's.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

use super::file;

/// Most bytes that are read of a file that says something of a process.
const STATUS_BYTES: u64 = 64 << 10;

/// Most bytes of an environment: the kernel's own limit on it, `execve(2)`, is a quarter of the stack's.
const ENVIRONMENT_BYTES: u64 = 16 << 20;

/// A process that lived when this was made.
#[derive(Debug)]
pub struct Process {
    pid: u32,
    handle: OwnedFd,
    /// Its directory in `/proc`, which is empty once it has ended, whoever has its number then.
    directory: OwnedFd,
}

impl Process {
    /// The process that has this number. None if there is none, or it has ended.
    ///
    /// # Errors
    /// The errno of what failed; `EACCES` if `/proc` hides it.
    pub fn open(number: u32) -> Result<Option<Self>, Errno> {
        let Some(pid) = i32::try_from(number).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            // Neither is the number of a thread.
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = format!("/proc/{number}");
        let directory = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
            // A /proc that hides processes, proc(5), says so too.
            Err(Errno::NOENT) if lives(&handle)? => return Err(Errno::ACCESS),
            Err(Errno::NOENT) => return Ok(None),
            opened => opened?,
        };
        let process = Self { pid: number, handle, directory };
        // It had the number all the time, so the directory is its own.
        Ok(process.lives()?.then_some(process))
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has not ended yet.
    ///
    /// # Errors
    /// The errno of `poll(2)`.
    pub fn lives(&self) -> Result<bool, Errno> {
        lives(&self.handle)
    }

    /// Ends it. That it has ended is fine.
    ///
    /// # Errors
    /// The errno of `pidfd_send_signal(2)`.
    pub fn kill(&self) -> Result<(), Errno> {
        match rustix::process::pidfd_send_signal(&self.handle, Signal::KILL) {
            Err(Errno::SRCH) => Ok(()),
            sent => sent,
        }
    }

    /// The number of a namespace that it is in, by its name in `/proc/PID/ns`.
    ///
    /// # Errors
    /// The errno of `readlinkat(2)`: `EACCES` if the caller may not look into it.
    pub fn namespace(&self, name: &str) -> Result<u64, Errno> {
        let link = rustix::fs::readlinkat(&self.directory, format!("ns/{name}"), Vec::new())?;
        number_in(link.to_str().unwrap_or_default()).ok_or(Errno::INVAL)
    }

    /// Opens something of it in `/proc/PID`, following the link that leads there.
    ///
    /// # Errors
    /// The errno of `openat(2)`.
    pub(crate) fn open_part(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        rustix::fs::openat(&self.directory, name, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// Its environment, as it was when its program began.
    ///
    /// # Errors
    /// The errno of what failed.
    pub(super) fn environment(&self) -> Result<Vec<u8>, Errno> {
        file::read_open(self.open_part("environ", OFlags::RDONLY)?, ENVIRONMENT_BYTES)
    }

    fn status(&self) -> Result<String, Errno> {
        let bytes = file::read_open(self.open_part("status", OFlags::RDONLY)?, STATUS_BYTES)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether it is pid 1 of a pid namespace below the caller's.
    ///
    /// # Errors
    /// The errno of what failed.
    pub fn is_first_of_namespace(&self) -> Result<bool, Errno> {
        let status = self.status()?;
        let numbers = field(&status, "NSpid:");
        Ok(numbers.len() > 1 && numbers.last() == Some(&1))
    }

    /// Its effective user and group id.
    ///
    /// # Errors
    /// The errno of what failed.
    pub fn ids(&self) -> Result<(u32, u32), Errno> {
        let status = self.status()?;
        let effective = |name| field(&status, name).get(1).copied().ok_or(Errno::INVAL);
        Ok((effective("Uid:")?, effective("Gid:")?))
    }
}

/// The variables of an environment as the kernel keeps it: what is no variable is left out.
pub(super) fn variables(block: &[u8]) -> impl Iterator<Item = (OsString, OsString)> {
    block.split(|byte| *byte == 0).filter_map(|entry| {
        let at = entry.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
        let (name, value) = (entry.get(..at)?, entry.get(at.saturating_add(1)..)?);
        let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((owned(name), owned(value)))
    })
}

fn lives(handle: &OwnedFd) -> Result<bool, Errno> {
    let mut fds = [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ended = rustix::io::retry_on_intr(|| rustix::event::poll(&mut fds, Some(&now)))?;
    Ok(ended == 0)
}

/// The numbers of a line of `/proc/PID/status`.
fn field(status: &str, name: &str) -> Vec<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_default().split_whitespace().map_while(|word| word.parse().ok()).collect()
}

/// The number in `pid:[4026531836]`.
fn number_in(link: &str) -> Option<u64> {
    link.split_once('[')?.1.strip_suffix(']')?.parse().ok()
}

/// The processes in a pid namespace that the caller may look into, the one with the lowest number first.
#[must_use]
pub fn in_pid_namespace(namespace: u64) -> Vec<Process> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let entries = rustix::fs::openat(CWD, c"/proc", flags, Mode::empty()).and_then(Dir::new);
    let Ok(entries) = entries else { return Vec::new() };
    let number = |entry: rustix::fs::DirEntry| entry.file_name().to_str().ok()?.parse().ok();
    let mut numbers: Vec<u32> = entries.filter_map(Result::ok).filter_map(number).collect();
    numbers.sort_unstable();
    let processes = numbers.into_iter().filter_map(|number| Process::open(number).ok()?);
    processes.filter(|process| process.namespace("pid") == Ok(namespace)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r258_a_handle_is_not_that_of_a_later_process() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id()).unwrap().unwrap();
        assert!(process.lives().unwrap());
        assert!(process.namespace("pid").is_ok());
        let own = Process::open(std::process::id()).unwrap().unwrap();
        assert_eq!(process.ids().unwrap(), own.ids().unwrap());
        assert_eq!(process.ids().unwrap().0, rustix::process::geteuid().as_raw());
        process.kill().unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!process.lives().unwrap());
        assert!(process.namespace("pid").is_err());
        process.kill().unwrap();
        assert!(Process::open(child.id()).unwrap().is_none());
        for number in [0, u32::MAX] {
            assert!(Process::open(number).unwrap().is_none());
        }
    }

    #[test]
    fn what_the_kernel_says_is_read() {
        let status = "Name:\tx\nUid:\t1\t2\t3\t4\nNSpid:\t900\t7\t1\n";
        assert_eq!(field(status, "NSpid:"), [900, 7, 1]);
        assert_eq!(field(status, "Uid:").get(1), Some(&2));
        assert_eq!(field(status, "Gid:"), [0; 0]);
        assert_eq!(number_in("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!(number_in("pid:4026531836"), None);
    }

    #[test]
    fn processes_are_found_by_their_namespace() {
        let own = Process::open(std::process::id()).unwrap().unwrap();
        let found = in_pid_namespace(own.namespace("pid").unwrap());
        assert!(found.iter().any(|process| process.pid() == own.pid()));
        assert!(in_pid_namespace(1).is_empty());
    }
}
