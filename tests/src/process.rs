// SPDX-License-Identifier: MIT OR Apache-2.0
//! A started process, its end, and what it wrote.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::sys;

/// How many times slower than usual this machine is: 1, or what `STOCKADE_TEST_SLOWNESS` says, for
/// emulators. Waiting times grow with it, and the number of repetitions shrinks.
#[must_use]
pub fn slowness() -> u32 {
    let text = std::env::var("STOCKADE_TEST_SLOWNESS").unwrap_or_default();
    text.parse().unwrap_or(1).max(1)
}

/// What a program may take before the harness loses patience.
#[must_use]
pub fn patience() -> Duration {
    Duration::from_secs(20) * slowness()
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(Signal),
    /// By this signal, leaving a core file.
    Dumped(Signal),
}

/// A child of this process. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    pid: i32,
    pidfd: OwnedFd,
    ending: Option<Ending>,
}

impl Process {
    /// Takes over the child `pid`.
    ///
    /// # Errors
    /// The errno of `pidfd_open(2)`.
    pub fn adopt(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, pidfd: sys::pidfd_open(pid)?, ending: None })
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        // A process that is gone is as good as one that got the signal.
        drop(sys::pidfd_send_signal(&self.pidfd, signal as i32));
    }

    /// Notes an end that somebody else has waited for.
    pub fn has_ended(&mut self, ending: Ending) {
        self.ending = Some(ending);
    }

    /// Waits for the end.
    pub fn wait(&mut self, patience: Duration) -> Option<Ending> {
        if self.ending.is_none() && readable(&[self.pidfd.as_fd()], patience).is_some() {
            self.ending = match waitpid(Pid::from_raw(self.pid), None) {
                Ok(WaitStatus::Exited(_, code)) => Some(Ending::Exited(code)),
                Ok(WaitStatus::Signaled(_, signal, true)) => Some(Ending::Dumped(signal)),
                Ok(WaitStatus::Signaled(_, signal, false)) => Some(Ending::Killed(signal)),
                other => panic!("process {} ended strangely: {other:?}", self.pid),
            };
        }
        self.ending
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ending.is_none() {
            self.signal(Signal::SIGKILL);
            self.wait(patience());
        }
    }
}

/// What a finished program left.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts that it exited with `code`, and shows what it wrote if not.
    #[track_caller]
    pub fn assert_code(&self, code: i32) -> &Self {
        assert_eq!(
            self.ending,
            Ending::Exited(code),
            "\nstdout: {}\nstderr: {}",
            self.text(),
            self.errors()
        );
        self
    }
}

/// A running program with the harness's ends of its output.
#[derive(Debug)]
pub struct Running {
    /// The program.
    pub process: Process,
    /// What it writes to standard output, if that is a pipe of the harness.
    pub stdout: Option<File>,
    /// The same for standard error.
    pub stderr: Option<File>,
}

impl Running {
    /// Waits until it ended and nobody holds its output any more.
    ///
    /// # Panics
    /// If that takes too long; it is killed then.
    #[track_caller]
    pub fn finish(self) -> Output {
        self.finish_within(patience())
    }

    /// The same with another patience.
    ///
    /// # Panics
    /// If it takes longer.
    #[track_caller]
    pub fn finish_within(mut self, patience: Duration) -> Output {
        let deadline = Instant::now() + patience;
        let mut pipes = [(self.stdout.take(), Vec::new()), (self.stderr.take(), Vec::new())];
        while let Some(left) = remaining(deadline) {
            let open: Vec<usize> =
                (0..pipes.len()).filter(|index| pipes[*index].0.is_some()).collect();
            if open.is_empty() {
                break;
            }
            let fds: Vec<BorrowedFd<'_>> =
                open.iter().filter_map(|index| pipes[*index].0.as_ref().map(AsFd::as_fd)).collect();
            let Some(ready) = readable(&fds, left) else { break };
            let (pipe, bytes) = &mut pipes[open[ready]];
            let mut buffer = [0_u8; 65536];
            match pipe.as_mut().map(|pipe| pipe.read(&mut buffer)) {
                Some(Ok(count)) if count > 0 => bytes.extend_from_slice(&buffer[..count]),
                _ => *pipe = None,
            }
        }
        let held = pipes.iter().any(|(pipe, _)| pipe.is_some());
        let ending = self.process.wait(remaining(deadline).unwrap_or_default());
        let [(_, stdout), (_, stderr)] = pipes;
        let Some(ending) = ending.filter(|_| !held) else {
            let text = String::from_utf8_lossy(&stdout).into_owned();
            let errors = String::from_utf8_lossy(&stderr).into_owned();
            panic!(
                "not over after {patience:?} (ended: {ending:?}, output still open: {held})\n\
                 stdout: {text}\nstderr: {errors}"
            );
        };
        Output { ending, stdout, stderr }
    }

    /// Reads standard output until `enough` says so.
    ///
    /// # Panics
    /// If the output ends or nothing comes for too long before that.
    #[track_caller]
    pub fn read_until(&mut self, enough: impl Fn(&str) -> bool) -> String {
        let pipe = self.stdout.as_mut().expect("standard output is a pipe");
        let mut text = String::new();
        while !enough(&text) {
            let mut buffer = [0_u8; 4096];
            let ready = readable(&[pipe.as_fd()], patience());
            assert!(ready.is_some(), "no more output after {text:?}");
            let count = pipe.read(&mut buffer).expect("a pipe can be read");
            if count == 0 {
                let mut errors = String::new();
                if let Some(pipe) = &mut self.stderr {
                    drop(pipe.read_to_string(&mut errors));
                }
                panic!("output ended after {text:?}\nstderr: {errors}");
            }
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
        text
    }

    /// Reads standard output up to the end of a line.
    #[track_caller]
    pub fn read_line(&mut self) -> String {
        self.read_until(|text| text.ends_with('\n'))
    }
}

/// Time until `deadline`, if it has not passed.
#[must_use]
pub fn remaining(deadline: Instant) -> Option<Duration> {
    deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
}

/// Waits until one of `fds` can be read or is at its end, and gives its position.
#[must_use]
pub fn readable(fds: &[BorrowedFd<'_>], patience: Duration) -> Option<usize> {
    let deadline = Instant::now() + patience;
    let mut polled: Vec<PollFd<'_>> =
        fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        let left = remaining(deadline).unwrap_or_default();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(0) if remaining(deadline).is_none() => return None,
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => return polled.iter().position(|fd| fd.any().unwrap_or(true)),
            Err(error) => panic!("poll: {error}"),
        }
    }
}

/// Tries until `done` gives something or patience ends.
#[must_use]
pub fn eventually<T>(patience: Duration, mut done: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = done() {
            return Some(value);
        }
        remaining(deadline)?;
        std::thread::sleep(Duration::from_millis(5));
    }
}
