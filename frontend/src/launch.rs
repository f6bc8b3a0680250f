// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts the helper, hands it the sandbox, and stays until the payload has ended.

use std::cell::RefCell;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::WaitStatus;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use stockade_protocol::Event;
use stockade_protocol::event::{Call, Exit, Failure, Missing, Mode, NamespaceId, Stage};
use stockade_protocol::request::Group;

use crate::attendant::Attendant;
use crate::child::Child;
use crate::explanation;
use crate::helper_path;
use crate::sandbox::Sandbox;
use crate::terminal::{self, Job, Terminal};
use crate::wire::{self, Events};

/// Signals that are passed on to the payload.
const PASSED_ON: [Signal; 8] = [
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTSTP,
    Signal::SIGWINCH,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
];

/// How long a signal waits for a payload that is about to run.
const PATIENCE: Duration = Duration::from_secs(1);

/// `SI_KERNEL` of `sigaction(2)`: the signal is a key of the terminal, or a change of its size.
const FROM_TERMINAL: i32 = 0x80;

/// Is told the first process of a sandbox and the namespaces that were made.
pub type OnStart<'a> = dyn Fn(u32, &[NamespaceId]) + 'a;

/// How to launch.
#[derive(Default)]
pub struct Options<'a> {
    /// End when our own parent does.
    pub die_with_parent: bool,
    /// Where to write one JSON object per line about the start and the end.
    pub json_status: Option<OwnedFd>,
    /// Say what was left out.
    pub verbose: bool,
    /// What else is to be done when the sandbox is up: told its first process and the namespaces that
    /// were made. Payloads that must not run before that wait at a gate of the request's.
    pub on_start: Option<&'a OnStart<'a>>,
    /// What serves the payload, to be looked after.
    pub attendant: Option<&'a RefCell<Attendant>>,
}

/// How the payload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With this status.
    Exited(u8),
    /// By this signal.
    Killed(u8),
}

impl Outcome {
    /// The status to exit with: the payload's own, or 128 and the signal.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Exited(code) => *code,
            Self::Killed(signal) => signal.saturating_add(128),
        }
    }
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// No helper.
    #[error(transparent)]
    NoHelper(#[from] helper_path::HelperError),
    /// The helper could not be started.
    #[error("cannot start the helper {}: {errno}", crate::message::shown(path))]
    Start {
        /// Its path.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// A call of our own.
    #[error("cannot set up the connection to the helper: {0}")]
    Connection(Errno),
    /// The conversation failed.
    #[error(transparent)]
    Wire(#[from] wire::WireError),
    /// The helper is of another version.
    #[error(
        "cannot work with the helper {}\nit understands versions {oldest} to {newest} of the protocol, this program speaks version {}\nupgrade both packages to the same release",
        crate::message::shown(path),
        stockade_protocol::VERSION
    )]
    Version {
        /// Its path.
        path: PathBuf,
        /// Oldest version it reads.
        oldest: u16,
        /// Newest version it reads.
        newest: u16,
    },
    /// The helper refused or failed; the text explains it.
    #[error("{text}")]
    Failed {
        /// What, why, and what to do.
        text: String,
        /// What exit status to give.
        code: u8,
    },
    /// The parent that the sandbox was to end with has ended.
    #[error("the program that started this one has ended, and nothing is to run without it")]
    Orphaned,
    /// The helper ended without a word.
    #[error("cannot say what happened: the helper {how}\nnothing of the sandbox is left")]
    Silent {
        /// How it ended.
        how: String,
    },
    /// A signal came before the payload ran.
    #[error("interrupted before the sandbox was ready")]
    Interrupted(u8),
}

impl LaunchError {
    /// The status to exit with: 127 if the command does not exist, 126 if it cannot be executed,
    /// 125 for everything else that is not the command's doing.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Failed { code, .. } => *code,
            Self::Interrupted(signal) => signal.saturating_add(128),
            Self::NoHelper(_)
            | Self::Start { .. }
            | Self::Connection(_)
            | Self::Wire(_)
            | Self::Version { .. }
            | Self::Orphaned
            | Self::Silent { .. } => FAILED,
        }
    }
}

/// Exit status when Stockade itself failed.
pub const FAILED: u8 = 125;

/// Exit status when the command cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;

/// Exit status when there is no such command.
pub const NOT_FOUND: u8 = 127;

/// A helper that was started and waits for a sandbox.
///
/// Started early, so that its exec and the description of the sandbox overlap. Dropping it ends the
/// helper.
#[derive(Debug)]
pub struct Helper {
    path: PathBuf,
    /// Who started this process.
    parent: Option<rustix::process::Pid>,
    events: Events,
    signals: SignalFd,
    terminal: Option<Terminal>,
    /// The last to be dropped: it ends because the connection does.
    process: Child,
}

impl Helper {
    /// Starts the helper. From here on this process holds back the signals it passes on.
    ///
    /// # Errors
    /// If there is none, or it cannot be started.
    pub fn start() -> Result<Self, LaunchError> {
        let connection = |errno: nix::errno::Errno| {
            LaunchError::Connection(Errno::from_raw_os_error(errno as i32))
        };
        let parent = rustix::process::getppid();
        let path = helper_path::find()?;
        // Blocked before there is a helper, so that none is lost; the helper unblocks its own.
        let mut mask: SigSet = PASSED_ON.into_iter().collect();
        mask.add(Signal::SIGCONT);
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&mask, flags).map_err(connection)?;
        mask.add(Signal::SIGTTOU);
        let before = SigSet::thread_get_mask().map_err(connection)?;
        mask.thread_block().map_err(connection)?;

        let (process, ours) = connect(&path, &before)?;
        let events = Events::new(ours);
        Ok(Self { path, parent, events, signals, terminal: Terminal::find(), process })
    }

    /// Runs a sandbox to its end.
    ///
    /// # Errors
    /// If the payload was not run; see [`LaunchError`].
    pub fn run(self, sandbox: Sandbox, options: &Options<'_>) -> Result<Outcome, LaunchError> {
        Launch::start(self, sandbox, options)?.follow()
    }
}

/// Runs a sandbox to its end, to find out what the helper can do.
///
/// # Errors
/// If the payload was not run, or did not end with status 0.
pub fn probe(sandbox: Sandbox) -> Result<(Mode, Vec<Missing>), LaunchError> {
    let options = Options::default();
    let mut launch = Launch::start(Helper::start()?, sandbox, &options)?;
    match launch.pass_on()? {
        Outcome::Exited(0) => {}
        outcome @ (Outcome::Exited(_) | Outcome::Killed(_)) => {
            let how = format!("ran a command that ended with status {}", outcome.exit_code());
            return Err(LaunchError::Silent { how });
        }
    }
    match launch.mode {
        Some(mode) => Ok((mode, launch.missing)),
        None => Err(wire::WireError::Nonsense.into()),
    }
}

/// A helper at work.
struct Launch<'a> {
    options: &'a Options<'a>,
    sandbox: Sandbox,
    helper: Helper,
    mode: Option<Mode>,
    missing: Vec<Missing>,
    payload: Option<Running>,
    /// A signal that came before the payload was there to get it, and how long to wait for it.
    early: Option<(Signal, Instant)>,
    /// Whether the payload's group was made the terminal's foreground group.
    handed_over: bool,
}

/// A payload that was started.
struct Running {
    pid: u32,
    pidfd: Option<OwnedFd>,
}

impl<'a> Launch<'a> {
    fn start(
        mut helper: Helper,
        mut sandbox: Sandbox,
        options: &'a Options<'a>,
    ) -> Result<Self, LaunchError> {
        if options.die_with_parent {
            let signal = rustix::process::Signal::KILL;
            rustix::process::set_parent_process_death_signal(Some(signal))
                .map_err(LaunchError::Connection)?;
            // The signal is sent for an end that is still to come, prctl(2).
            if rustix::process::getppid() != helper.parent {
                return Err(LaunchError::Orphaned);
            }
        }
        let mut handed_over = false;
        match &mut sandbox.request.payload.group {
            Group::Own { terminal } => {
                let alone = helper.terminal.filter(Terminal::is_ours_alone);
                *terminal = alone.map(|terminal| terminal.number());
                handed_over = alone.is_some();
            }
            Group::Inherit | Group::Session => helper.terminal = None,
        }
        wire::send(helper.events.socket(), &sandbox)?;
        // Now, while the helper works, and not when the payload has ended and somebody waits for us.
        // It also lets go of the caller's file systems, which may be unmounted meanwhile.
        sandbox.close_descriptors();
        Ok(Self {
            options,
            sandbox,
            helper,
            mode: None,
            missing: Vec::new(),
            payload: None,
            early: None,
            handed_over,
        })
    }

    /// Passes signals and stops on until the end.
    fn follow(mut self) -> Result<Outcome, LaunchError> {
        let result = self.pass_on();
        self.take_back();
        let outcome = result?;
        self.status(&format!("{{ \"exit-code\": {} }}\n", outcome.exit_code()));
        let interrupted = Outcome::Killed(Signal::SIGINT as u8);
        let interactive = self.helper.terminal.is_some();
        drop(self);
        if outcome == interrupted && interactive {
            // A shell that runs a loop or a script asks whether its child died of Ctrl-C.
            die_of(Signal::SIGINT);
        }
        Ok(outcome)
    }

    fn pass_on(&mut self) -> Result<Outcome, LaunchError> {
        loop {
            while let Some(event) = self.helper.events.take()? {
                if let Some(outcome) = self.handle(event)? {
                    return Ok(outcome);
                }
            }
            let (events, signals) = self.wait()?;
            if events && !self.helper.events.read()? {
                return Err(self.silence());
            }
            if signals {
                self.pass_signals_on();
            }
        }
    }

    /// Waits for events or signals; tells which came.
    fn wait(&self) -> Result<(bool, bool), LaunchError> {
        let (events, signals, beside) = self.poll()?;
        if let Some(attendant) = self.options.attendant.filter(|_| beside) {
            attendant.borrow_mut().attend();
        }
        Ok((events, signals))
    }

    /// Waits for the helper, signals, or what serves the payload; tells who wants something.
    fn poll(&self) -> Result<(bool, bool, bool), LaunchError> {
        let (socket, signals) = (self.helper.events.socket(), self.helper.signals.as_fd());
        let attendant = self.options.attendant.map(RefCell::borrow);
        let beside = attendant.iter().flat_map(|attendant| attendant.sources());
        let all = [socket, signals].into_iter().chain(beside);
        let mut fds: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let until = self.early.map(|(_, until)| until.saturating_duration_since(Instant::now()));
        let until = until.and_then(|until| until.try_into().ok());
        match (rustix::event::poll(&mut fds, until.as_ref()), self.early) {
            // Nothing runs yet: there is nothing to end but ourselves, and the helper with us.
            (Ok(0), Some((signal, _))) => return Err(LaunchError::Interrupted(signal as u8)),
            (Ok(_) | Err(Errno::INTR), _) => {}
            (Err(errno), _) => return Err(LaunchError::Connection(errno)),
        }
        let mut came = fds.iter().map(|fd| !fd.revents().is_empty());
        let (events, signals) = (came.next() == Some(true), came.next() == Some(true));
        Ok((events, signals, came.any(|came| came)))
    }

    fn pass_signals_on(&mut self) {
        while let Ok(Some(info)) = self.helper.signals.read_signal() {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            let Ok(signal) = Signal::try_from(number) else { continue };
            let Some(payload) = &self.payload else {
                let ends = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];
                if ends.contains(&signal) {
                    let until = Instant::now().checked_add(PATIENCE);
                    self.early = until.map(|until| (signal, until));
                }
                continue;
            };
            if signal == Signal::SIGCONT {
                self.resume(payload.pid);
            } else if info.ssi_code == FROM_TERMINAL {
                // What the terminal sends is for every process of the job.
                terminal::signal_group(payload.pid, signal);
            } else {
                payload.signal(signal);
            }
        }
    }

    /// Continues the payload, with the terminal if it had it.
    fn resume(&self, payload: u32) {
        if let (true, Some(terminal)) = (self.handed_over, self.helper.terminal) {
            terminal.hand_over(payload);
        }
        terminal::signal_group(payload, Signal::SIGCONT);
    }

    fn take_back(&self) {
        let terminal = self.helper.terminal.filter(|_| self.handed_over);
        if let (Some(terminal), Some(payload)) = (terminal, &self.payload) {
            terminal.take_back(payload.pid);
        }
    }

    /// Handles an event. Gives the outcome with the last one.
    fn handle(&mut self, event: Event) -> Result<Option<Outcome>, LaunchError> {
        match event {
            Event::Unsupported { oldest, newest } => {
                return Err(LaunchError::Version {
                    path: self.helper.path.clone(),
                    oldest,
                    newest,
                });
            }
            Event::Refused(refusal) => {
                let text = explanation::refusal(&refusal, &self.sandbox);
                return Err(LaunchError::Failed { text, code: FAILED });
            }
            Event::Ready { mode } => {
                self.mode = Some(mode);
                if self.options.verbose {
                    crate::message::error(&explanation::mode(mode));
                }
            }
            Event::Missing(missing) => {
                if self.options.verbose {
                    crate::message::error(&explanation::missing(&missing));
                }
                self.missing.push(missing);
            }
            Event::Started { payload, init, namespaces } => {
                self.status(&started(init, payload, &namespaces));
                if let Some(on_start) = self.options.on_start {
                    on_start(init, &namespaces);
                }
                let pidfd = self.helper.events.take_pidfd();
                let running = Running { pid: payload, pidfd };
                if let Some((signal, _)) = self.early.take() {
                    running.signal(signal);
                }
                self.payload = Some(running);
            }
            Event::Failed(failure) => {
                let text = explanation::failure(&failure, &self.sandbox);
                return Err(LaunchError::Failed { text, code: code_of(&failure) });
            }
            Event::Stopped { signal } => self.stop(signal),
            Event::Exited(Exit::Code(code)) => return Ok(Some(Outcome::Exited(code))),
            Event::Exited(Exit::Signal(signal)) => return Ok(Some(Outcome::Killed(signal))),
            Event::Exited(Exit::Lost) => {
                let how = String::from("lost the first process of the sandbox");
                return Err(LaunchError::Silent { how });
            }
        }
        Ok(None)
    }

    /// The payload was stopped: so are we, until somebody continues us. Unless it only asks for a
    /// terminal that is ours to give.
    fn stop(&mut self, signal: u32) {
        let Some(payload) = &self.payload else { return };
        let pid = payload.pid;
        let ours = self.helper.terminal.is_some_and(|terminal| terminal.is_ours());
        if terminal::asks_for_terminal(signal) && ours {
            self.handed_over = true;
        } else {
            self.take_back();
            let job = if self.handed_over { Job::Group } else { Job::Process };
            terminal::stop_like(signal, job);
        }
        self.resume(pid);
    }

    /// The helper closed the socket without a last event.
    fn silence(&self) -> LaunchError {
        let how = match self.helper.process.wait() {
            Ok(WaitStatus::Exited(_, 2)) => String::from("did not find its socket"),
            Ok(WaitStatus::Exited(_, 3)) => String::from("ran out of memory (see `ulimit -v`)"),
            Ok(WaitStatus::Signaled(_, Signal::SIGALRM, _)) => String::from(
                "gave up after 30 seconds: a file system that is shared does not answer",
            ),
            Ok(WaitStatus::Exited(_, code)) => format!("ended with status {code}"),
            Ok(WaitStatus::Signaled(_, signal, _)) => format!("was killed by {signal}"),
            _ => String::from("closed the connection"),
        };
        LaunchError::Silent { how }
    }

    /// Writes to the status descriptor. Nobody reading it any more is not an error.
    fn status(&self, line: &str) {
        if let Some(fd) = &self.options.json_status
            && let Ok(copy) = fd.try_clone()
        {
            std::fs::File::from(copy).write_all(line.as_bytes()).ok();
        }
    }
}

impl Running {
    /// Sends a signal to the payload, and to nobody who might have got its pid since.
    fn signal(&self, signal: Signal) {
        let number = rustix::process::Signal::from_named_raw(signal as i32);
        if let (Some(pidfd), Some(signal)) = (&self.pidfd, number) {
            rustix::process::pidfd_send_signal(pidfd, signal).ok();
        }
    }
}

/// Starts the helper at this path with this signal mask; gives its process and our end of the socket.
pub(crate) fn connect(path: &Path, mask: &SigSet) -> Result<(Child, OwnedFd), LaunchError> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
    let (ours, theirs) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)
        .map_err(LaunchError::Connection)?;
    Ok((Child::start(path, &theirs, mask)?, ours))
}

/// What exit status a failure gives.
fn code_of(failure: &Failure) -> u8 {
    let errno = Errno::from_raw_os_error(i32::try_from(failure.errno).unwrap_or_default());
    match (failure.stage, failure.call, errno) {
        (Stage::Start, Call::Execve, Errno::NOENT | Errno::NOTDIR) => NOT_FOUND,
        (Stage::Start, Call::Execve, _) => NOT_EXECUTABLE,
        _ => FAILED,
    }
}

/// The line about the start, with bubblewrap's keys and one more for the payload.
fn started(init: u32, payload: u32, namespaces: &[NamespaceId]) -> String {
    let mut line = format!("{{ \"child-pid\": {init}, \"command-pid\": {payload}");
    for NamespaceId { kind, inode } in namespaces {
        let name = kind.name();
        line.push_str(&format!(", \"{name}-namespace\": {inode}"));
    }
    line.push_str(" }\n");
    line
}

/// Ends this process by a signal.
fn die_of(signal: Signal) {
    let mut set = SigSet::empty();
    set.add(signal);
    set.thread_unblock().ok();
    nix::sys::signal::raise(signal).ok();
}
