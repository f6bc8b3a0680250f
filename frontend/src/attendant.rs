// SPDX-License-Identifier: MIT OR Apache-2.0
//! A program that serves the payload of another sandbox, in a sandbox of its own: started before it,
//! looked after while it runs, and ended with it.
//!
//! It says that it is ready by a byte on a pipe and ends when the other end of that is closed (R206). Only
//! this process has that end, and the helper's socket: whatever happens to it, the attendant does not
//! stay behind (I13). What it writes may repeat what a payload sent, so it is read here, and escaped
//! before people see it.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::PipeFlags;
use stockade_protocol::Event;
use stockade_protocol::event::Exit;
use stockade_protocol::request::Group;

use crate::child::Child;
use crate::explanation;
use crate::helper_path;
use crate::launch::{LaunchError, connect};
use crate::message::{self, shown};
use crate::sandbox::{Sandbox, SandboxError};
use crate::wire::{self, Events};

/// How long it may take to be ready.
const START: Duration = Duration::from_secs(10);

/// How long it may take to end by itself.
const END: Duration = Duration::from_secs(1);

/// The longest line of what it writes that is kept.
const LINE: usize = 4096;

/// Why there is no attendant.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttendantError {
    /// Its sandbox cannot be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// Its sandbox was not built.
    #[error("cannot start {name}\n{reason}")]
    Launch {
        /// What it is.
        name: &'static str,
        /// Why.
        reason: Box<LaunchError>,
    },
    /// A call of our own.
    #[error("cannot start {name}\n{errno}")]
    Pipe {
        /// What it is.
        name: &'static str,
        /// Why.
        errno: Errno,
    },
    /// It ended, or did not get ready in time.
    #[error("cannot start {name}\nit {how}{}", said(words))]
    Unready {
        /// What it is.
        name: &'static str,
        /// What it did.
        how: String,
        /// The last that it wrote.
        words: String,
    },
}

/// The last line that a program wrote, as a part of a message.
fn said(words: &str) -> String {
    let line = words.lines().rfind(|line| !line.trim().is_empty());
    line.map(|line| format!(": {}", shown(line))).unwrap_or_default()
}

/// What is said about it, and what it is for.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// What it is, as the object of a sentence.
    pub name: &'static str,
    /// What the payload does without it, as the end of a sentence that begins with 'the program'.
    pub loss: &'static str,
    /// Whether people want to read what it writes.
    pub log: bool,
}

/// A program that serves a payload. Dropping it ends it.
#[derive(Debug)]
pub struct Attendant {
    role: Role,
    /// The first to be dropped: it ends because this is closed.
    ready: Option<OwnedFd>,
    /// Nothing once it has ended.
    events: Option<Events>,
    words: Option<OwnedFd>,
    heard: Vec<u8>,
    sandbox: Sandbox,
    /// The last: the helper ends because the connection does.
    _process: Child,
}

impl Attendant {
    /// Starts the payload of `sandbox`, which gets nothing to read, the pipe for what it writes, and the
    /// descriptor `number` to say that it is ready.
    ///
    /// # Errors
    /// [`AttendantError`].
    pub fn start(mut sandbox: Sandbox, number: u32, role: Role) -> Result<Self, AttendantError> {
        let failed = |errno| AttendantError::Pipe { name: role.name, errno };
        let (ready, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        let (words, written) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        rustix::fs::fcntl_setfl(&words, OFlags::NONBLOCK).map_err(failed)?;
        let errors = fcntl_dupfd_cloexec(&written, 0).map_err(failed)?;
        let null = OFlags::RDWR | OFlags::CLOEXEC;
        let null = rustix::fs::open("/dev/null", null, Mode::empty()).map_err(failed)?;
        for (descriptor, target) in [(null, 0), (written, 1), (errors, 2), (theirs, number)] {
            sandbox.pass(descriptor, target)?;
        }
        // Nothing can be typed into it, and no key of the terminal ends it before its payload.
        sandbox.request.payload.group = Group::Session;

        let launch = |reason: LaunchError| AttendantError::Launch {
            name: role.name,
            reason: Box::new(reason),
        };
        let path = helper_path::find().map_err(|error| launch(error.into()))?;
        let (process, socket) = connect(&path, &SigSet::empty()).map_err(launch)?;
        wire::send(socket.as_fd(), &sandbox).map_err(|error| launch(error.into()))?;
        sandbox.close_descriptors();
        let (ready, words) = (Some(ready), Some(words));
        let (events, heard) = (Some(Events::new(socket)), Vec::new());
        Ok(Self { role, ready, events, words, heard, sandbox, _process: process })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// [`AttendantError`].
    pub fn wait(&mut self) -> Result<(), AttendantError> {
        let name = self.role.name;
        let failed = |errno| AttendantError::Pipe { name, errno };
        let until = Instant::now().checked_add(START);
        let mut silent = false;
        loop {
            let ready = self.ready.as_ref().filter(|_| !silent).map(|ready| ready.as_fd());
            let all = ready.into_iter().chain(self.sources());
            let mut fds: Vec<_> =
                all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| left.try_into().ok());
            match rustix::event::poll(&mut fds, left.as_ref()) {
                Ok(0) => return Err(self.unready("did not get ready in time".to_owned())),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
            let spoke = fds.first().is_some_and(|fd| !fd.revents().is_empty());
            if let Some(ready) = ready.filter(|_| spoke) {
                match rustix::io::read(ready, &mut [0]) {
                    Ok(1) => return Ok(()),
                    Err(Errno::INTR) => {}
                    // It closes its end by ending, which will be heard of.
                    Ok(_) => silent = true,
                    Err(errno) => return Err(failed(errno)),
                }
            }
            self.hear();
            if let Some(how) = self.ended()? {
                self.hear();
                return Err(self.unready(how));
            }
        }
    }

    fn unready(&self, how: String) -> AttendantError {
        let words = String::from_utf8_lossy(&self.heard).into_owned();
        AttendantError::Unready { name: self.role.name, how, words }
    }

    /// What is to be waited on, besides the payload's own helper.
    pub(crate) fn sources(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let events = self.events.as_ref().map(Events::socket);
        events.into_iter().chain(self.words.as_ref().map(|words| words.as_fd()))
    }

    /// Takes note of what has come, while the payload runs.
    pub(crate) fn attend(&mut self) {
        self.hear();
        let how = match self.ended() {
            Ok(None) => return,
            Ok(Some(how)) => how,
            Err(error) => error.to_string(),
        };
        self.hear();
        self.ready = None;
        let Role { name, loss, .. } = self.role;
        message::error(&format!("{name} {how}\nthe program {loss}"));
    }

    /// Reads what it has written.
    fn hear(&mut self) {
        let mut bytes = [0; LINE];
        while let Some(words) = &self.words {
            match rustix::io::read(words, &mut bytes) {
                Ok(0) => self.words = None,
                Ok(count) => self.heard.extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
            self.tell();
        }
    }

    /// Tells the lines that are complete, if anybody wants to know; otherwise keeps the last of them.
    fn tell(&mut self) {
        if !self.role.log {
            let surplus = self.heard.len().saturating_sub(LINE);
            self.heard.drain(..surplus);
            return;
        }
        let end = self.heard.iter().rposition(|byte| *byte == b'\n');
        let long = self.heard.len() >= LINE;
        let end = end.map(|at| at.saturating_add(1)).or(long.then_some(self.heard.len()));
        let lines: Vec<u8> = self.heard.drain(..end.unwrap_or_default()).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            message::error(&shown(line));
        }
    }

    /// How it ended, if it has.
    fn ended(&mut self) -> Result<Option<String>, AttendantError> {
        let Some(events) = &mut self.events else { return Ok(None) };
        if !is_readable(events.socket()) {
            return Ok(None);
        }
        let name = self.role.name;
        let launch =
            |reason: LaunchError| AttendantError::Launch { name, reason: Box::new(reason) };
        let more = events.read().map_err(|error| launch(error.into()))?;
        while let Some(event) = events.take().map_err(|error| launch(error.into()))? {
            let how = match event {
                Event::Ready { .. } | Event::Missing(_) | Event::Started { .. } => continue,
                Event::Stopped { .. } => continue,
                Event::Exited(Exit::Code(code)) => format!("ended with status {code}"),
                Event::Exited(Exit::Signal(signal)) => format!("was killed by signal {signal}"),
                Event::Exited(Exit::Lost) => "was lost".to_owned(),
                Event::Failed(failure) => {
                    format!("does not run: {}", explanation::failure(&failure, &self.sandbox))
                }
                Event::Refused(refusal) => {
                    format!("does not run: {}", explanation::refusal(&refusal, &self.sandbox))
                }
                Event::Unsupported { .. } => {
                    "does not run: the helper is of another version".into()
                }
            };
            self.events = None;
            return Ok(Some(how));
        }
        if more {
            return Ok(None);
        }
        self.events = None;
        Ok(Some("has ended, and the helper with it".to_owned()))
    }
}

impl Drop for Attendant {
    /// Lets it end by itself, so that it takes away what it has made.
    fn drop(&mut self) {
        self.ready = None;
        let until = Instant::now().checked_add(END);
        while let Some(events) = &mut self.events {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let left = left.and_then(|left| left.try_into().ok());
            let mut fds = [PollFd::from_borrowed_fd(events.socket(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, left.as_ref()) {
                Ok(0) => return,
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if !matches!(self.ended(), Ok(None)) {
                return;
            }
        }
    }
}

fn is_readable(socket: BorrowedFd<'_>) -> bool {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&now)).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_explain_a_failure() {
        let unready = |words: &str| {
            let how = "ended with status 1".to_owned();
            AttendantError::Unready { name: "the proxy", how, words: words.to_owned() }.to_string()
        };
        assert_eq!(unready(""), "cannot start the proxy\nit ended with status 1");
        let text = unready("a warning\nno such \x1b[2Kbus\n\n");
        assert_eq!(text, "cannot start the proxy\nit ended with status 1: no such \\u{1b}[2Kbus");
    }
}
