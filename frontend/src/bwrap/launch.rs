// SPDX-License-Identifier: MIT OR Apache-2.0
//! Has the helper build the sandbox, and stays until COMMAND has ended.
//!
//! Signals are left as they are: what ends this process ends nothing else, unless the caller
//! asked for that, or to have them forwarded.

use std::ffi::{OsStr, OsString};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::sys::signal::SigSet;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capability_is_in_ambient_set};
use stockade_protocol::Event;
use stockade_protocol::event::{Exit, MissingKind};

use super::entrance::Entrance;
use super::explain;
use super::message::{Fault, Voice};
use super::plan::Plan;
use super::settings::Settings;
use super::signals::Forwarder;
use super::status;
use crate::child::Child;
use crate::launch::{LaunchError, connect};
use crate::wire::{self, Events};

/// Exit status for a wait status that says nothing.
const ODD: u8 = 255;

/// The number of SIGKILL, `signal(7)`.
const KILL: u8 = 9;

/// A helper that was started.
///
/// That is the first thing done: its exec and the reading of the command line overlap.
pub(crate) struct Helper {
    path: PathBuf,
    /// The signal mask of the caller.
    mask: SigSet,
    events: Events,
    forwarder: Option<Forwarder>,
    /// The last to be dropped: it ends because the connection does.
    #[expect(dead_code, reason = "it is waited for when it is dropped")]
    process: Child,
}

impl Helper {
    /// Starts it.
    pub(crate) fn start() -> Result<Self, Fault> {
        let path = crate::helper_path::find().map_err(|error| Fault::other(&error))?;
        let mask = SigSet::thread_get_mask().unwrap_or_else(|_| SigSet::empty());
        Self::start_at(path, mask)
    }

    fn start_at(path: PathBuf, mask: SigSet) -> Result<Self, Fault> {
        let (process, socket) = connect(&path, &mask).map_err(|error| Fault::other(&error))?;
        Ok(Self { path, mask, events: Events::new(socket), forwarder: None, process })
    }

    /// Puts one in its place to which the kernel gives no privilege.
    pub(crate) fn without_privilege(self) -> Result<Self, Fault> {
        let Self { path, mask, .. } = self;
        rustix::thread::set_no_new_privs(true)
            .map_err(|errno| Fault::errno("prctl(PR_SET_NO_NEW_PRIVS)", errno))?;
        rustix::thread::clear_ambient_capability_set()
            .map_err(|errno| Fault::errno("prctl(PR_CAP_AMBIENT)", errno))?;
        Self::start_at(path, mask)
    }

    /// Puts one in its place that is in other namespaces. For `map` see [`Entrance::start`].
    pub(crate) fn inside(self, entrance: &Entrance, map: impl FnOnce(u32)) -> Result<Self, Fault> {
        let Self { path, mask, .. } = self;
        let (process, socket) = entrance.start(&path, &mask, map)?;
        Ok(Self { path, mask, events: Events::new(socket), forwarder: None, process })
    }

    /// Has signals forwarded from here on, before there is a COMMAND that one might be for.
    pub(crate) fn forward_signals(&mut self, settings: &Settings) -> Result<(), Fault> {
        let forwarder = settings.forward_signals.then(|| Forwarder::start(!settings.new_session));
        self.forwarder = forwarder.transpose()?;
        Ok(())
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The connection.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.events.socket()
    }

    /// Runs a sandbox to its end and gives the status to exit with.
    pub(crate) fn run(mut self, settings: &Settings, mut plan: Plan) -> Result<u8, Fault> {
        let sent = wire::send(self.events.socket(), &plan.sandbox);
        sent.map_err(|error| Fault::other(&error))?;
        // Only COMMAND is to hold what it inherits: others wait for its end.
        plan.sandbox.close_descriptors();
        plan.foreign.iter().for_each(|number| super::inherit::close(*number));

        let (mut running, mut command) = (false, None);
        loop {
            while let Some(mut event) = self.events.take().map_err(|error| Fault::other(&error))? {
                if let Event::Started { payload, .. } = &mut event {
                    running = true;
                    command = self.events.take_pidfd();
                    // The helper knows it by the number that it has in that namespace. One that has
                    // gone has none any more.
                    if settings.pid_namespace.is_some() {
                        *payload = command.as_ref().and_then(pid).unwrap_or(0);
                    }
                }
                if let Some(code) = self.handle(event, settings, &mut plan)? {
                    return Ok(code);
                }
            }
            if let (Some(forwarder), Some(command)) = (&self.forwarder, &command) {
                self.forward(forwarder, command);
            }
            if !self.events.read().map_err(|error| Fault::other(&error))? {
                // In a pid namespace that was entered, others can end the helper, or everything.
                if let (Some(command), Some(_)) = (&command, settings.pid_namespace) {
                    let signal = rustix::process::Signal::KILL;
                    rustix::process::pidfd_send_signal(command, signal).ok();
                    let killed = Event::Exited(Exit::Signal(KILL));
                    return Ok(self.handle(killed, settings, &mut plan)?.unwrap_or(ODD));
                }
                let when = if running { "while the command ran" } else { "" };
                return Err(Fault::new(format!(
                    "The helper {} ended without a word {when}",
                    crate::message::shown(&self.path)
                )));
            }
        }
    }

    /// Forwards signals until there is an event to read.
    fn forward(&self, forwarder: &Forwarder, command: &OwnedFd) {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.events.socket(), PollFlags::IN),
                PollFd::from_borrowed_fd(forwarder.fd(), PollFlags::IN),
            ];
            match rustix::event::poll(&mut fds, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            let [events, signals] = fds;
            let (events, signals) = (!events.revents().is_empty(), !signals.revents().is_empty());
            if signals {
                forwarder.pass_on(command);
            }
            if events {
                return;
            }
        }
    }

    /// Handles an event. Gives the status with the last one.
    fn handle(
        &self,
        event: Event,
        settings: &Settings,
        plan: &mut Plan,
    ) -> Result<Option<u8>, Fault> {
        let command = settings.command.first().map_or(OsStr::new(""), OsString::as_os_str);
        match event {
            Event::Unsupported { oldest, newest } => {
                let path = self.path.clone();
                Err(Fault::other(&LaunchError::Version { path, oldest, newest }))
            }
            Event::Refused(refusal) => Err(explain::refusal(&refusal, &plan.sandbox)),
            Event::Failed(failure) => Err(explain::failure(&failure, command, &plan.sandbox)),
            Event::Missing(missing) => {
                if missing.what == MissingKind::Loopback {
                    let text = "loopback is down: the helper lacks CAP_NET_ADMIN";
                    settings.voice.warning(text);
                }
                Ok(None)
            }
            Event::Ready { .. } | Event::Stopped { .. } => Ok(None),
            Event::Started { payload, namespaces, .. } => {
                let known = payload != 0;
                if let Some(fd) = plan.info.take().filter(|_| known) {
                    status::tell(&fd, &status::info(payload, &namespaces));
                }
                if let Some(fd) = plan.status.as_ref().filter(|_| known) {
                    status::tell(fd, &status::started(payload, &namespaces));
                }
                // Everybody knows; COMMAND may go on. If it is not there any more, an event says so.
                if let Some(gate) = plan.gate.take() {
                    rustix::io::write(&gate, &[0]).ok();
                }
                Ok(None)
            }
            Event::Exited(exit) => {
                let code = match exit {
                    Exit::Code(code) => code,
                    Exit::Signal(signal) => signal.saturating_add(128),
                    Exit::Lost => ODD,
                };
                if let Some(fd) = &plan.status {
                    status::tell(fd, &status::exited(code));
                }
                Ok(Some(code))
            }
        }
    }
}

/// The number of a process in our own pid namespace, `proc_pid_fdinfo(5)`.
fn pid(pidfd: &OwnedFd) -> Option<u32> {
    use std::os::fd::AsRawFd as _;
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// Whether a helper at this path may find itself with privilege: what the kernel gives it there, or what its
/// caller leaves to all that he starts.
pub(crate) fn may_have_privilege(path: &Path) -> bool {
    let ambient = capability_is_in_ambient_set(CapabilitySet::SYS_ADMIN);
    if ambient.unwrap_or(true) {
        return true;
    }
    if rustix::thread::no_new_privs().unwrap_or(false) {
        return false;
    }
    let setuid = rustix::fs::stat(path).is_ok_and(|stat| stat.st_mode & 0o4000 != 0);
    setuid || has_file_capabilities(path)
}

/// Whether a file has capabilities of its own.
pub(crate) fn has_file_capabilities(path: &Path) -> bool {
    match rustix::fs::getxattr(path, c"security.capability", &mut [0_u8; 64][..]) {
        Ok(_) | Err(Errno::RANGE) => true,
        Err(_) => false,
    }
}

/// Ends this process, and with it the sandbox, when whoever started it does. `parent` is who that was
/// when this process began.
pub(crate) fn die_with_parent(
    voice: Voice,
    parent: Option<rustix::process::Pid>,
) -> Result<(), Fault> {
    let signal = rustix::process::Signal::KILL;
    if rustix::process::set_parent_process_death_signal(Some(signal)).is_err() {
        voice.warning("--die-with-parent cannot be kept: prctl(PR_SET_PDEATHSIG) failed");
    }
    // The signal is sent for an end that is still to come, prctl(2).
    if rustix::process::getppid() == parent {
        Ok(())
    } else {
        Err(Fault::other(&LaunchError::Orphaned))
    }
}
