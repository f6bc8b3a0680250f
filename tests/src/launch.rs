// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts a program in any state that a caller can put it in.

use std::ffi::{CString, OsStr, OsString, c_int};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::sys::stat::{Mode as Bits, umask};
use nix::unistd::{self, Gid, Pid, Uid};

use crate::account::Account;
use crate::process::{Output, Process, Running};
use crate::sys;

/// Lowest number of the descriptors that the new process uses for itself before it execs.
const HIGH: RawFd = 600;

/// A program to start. Standard input is `/dev/null`, the other two are pipes, every other
/// descriptor is closed, the environment is empty, unless said otherwise.
#[derive(Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<OsString>,
    account: Option<Account>,
    directory: Option<PathBuf>,
    umask: u32,
    limits: Vec<(Resource, u64, u64)>,
    ignored: Vec<Signal>,
    blocked: SigSet,
    timers: Vec<(c_int, Duration)>,
    descriptors: Vec<(RawFd, OwnedFd)>,
    closed: Vec<RawFd>,
    session: Session,
    no_new_privileges: bool,
    traced: bool,
    filter: Vec<libc::sock_filter>,
}

/// To which session and group the new process belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Session {
    /// A group of its own in the session of the harness.
    Group,
    /// A session of its own.
    Own,
    /// A session of its own whose terminal is descriptor 0.
    Terminal,
}

impl Launch {
    /// Starts `program` with itself as argument zero.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let program = program.as_ref().to_owned();
        Self {
            arguments: vec![program.clone().into_os_string()],
            program,
            environment: Vec::new(),
            account: None,
            directory: None,
            umask: 0o022,
            limits: Vec::new(),
            ignored: Vec::new(),
            blocked: SigSet::empty(),
            timers: Vec::new(),
            descriptors: Vec::new(),
            closed: Vec::new(),
            session: Session::Group,
            no_new_privileges: false,
            traced: false,
            filter: Vec::new(),
        }
    }

    /// Starts another program instead; arguments stay.
    #[must_use]
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        self.program = program.as_ref().to_owned();
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Replaces the whole argument vector, its first element included.
    #[must_use]
    pub fn argv<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.clear();
        self.args(arguments)
    }

    /// Adds `NAME=VALUE`.
    #[must_use]
    pub fn env(self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let mut entry = OsString::from(format!("{name}="));
        entry.push(value);
        self.raw_env(entry)
    }

    /// Adds an entry to the environment, whatever it says.
    #[must_use]
    pub fn raw_env(mut self, entry: impl AsRef<OsStr>) -> Self {
        self.environment.push(entry.as_ref().to_owned());
        self
    }

    /// Takes a variable out of the environment.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        let start = format!("{name}=");
        self.environment.retain(|entry| !entry.as_bytes().starts_with(start.as_bytes()));
        self
    }

    /// Runs it as this account; only a harness that is root can choose.
    #[must_use]
    pub fn account(mut self, account: &Account) -> Self {
        self.account = unistd::geteuid().is_root().then(|| account.clone());
        self
    }

    /// Runs it as whoever runs the suite.
    #[must_use]
    pub fn as_runner(mut self) -> Self {
        self.account = None;
        self
    }

    /// Working directory.
    #[must_use]
    pub fn directory(mut self, directory: impl AsRef<Path>) -> Self {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// File mode creation mask.
    #[must_use]
    pub fn umask(mut self, umask: u32) -> Self {
        self.umask = umask;
        self
    }

    /// A resource limit.
    #[must_use]
    pub fn limit(mut self, resource: Resource, soft: u64, hard: u64) -> Self {
        self.limits.push((resource, soft, hard));
        self
    }

    /// Starts it with this signal ignored.
    #[must_use]
    pub fn ignore(mut self, signal: Signal) -> Self {
        self.ignored.push(signal);
        self
    }

    /// Starts it with this signal blocked.
    #[must_use]
    pub fn block(mut self, signal: Signal) -> Self {
        self.blocked.add(signal);
        self
    }

    /// Starts it with this timer (`ITIMER_*`) running.
    #[must_use]
    pub fn timer(mut self, which: c_int, period: Duration) -> Self {
        self.timers.push((which, period));
        self
    }

    /// Gives it `fd` as number `number`.
    #[must_use]
    pub fn descriptor(mut self, number: RawFd, fd: OwnedFd) -> Self {
        self.descriptors.push((number, fd));
        self
    }

    /// Leaves a standard descriptor closed.
    #[must_use]
    pub fn close(mut self, number: RawFd) -> Self {
        self.closed.push(number);
        self
    }

    /// Puts it into a session of its own, without a terminal.
    #[must_use]
    pub fn own_session(mut self) -> Self {
        self.session = Session::Own;
        self
    }

    /// Puts it into a session of its own on this terminal, which also becomes its 0, 1 and 2.
    #[must_use]
    pub fn terminal(mut self, terminal: &OwnedFd) -> Self {
        self.session = Session::Terminal;
        for number in 0..3 {
            self.descriptors.push((number, sys::duplicate(terminal)));
        }
        self
    }

    /// Starts it under no_new_privs.
    #[must_use]
    pub fn no_new_privileges(mut self) -> Self {
        self.no_new_privileges = true;
        self
    }

    /// Starts it stopped, as a tracee of this process ([`crate::trace`]). Set-id bits count only if the
    /// harness is root.
    #[must_use]
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Starts it under a seccomp program; without no_new_privs only if the harness is root.
    #[must_use]
    pub fn filter(mut self, program: Vec<libc::sock_filter>) -> Self {
        self.filter = program;
        self
    }

    /// Starts it and waits for its end.
    ///
    /// # Panics
    /// If it cannot be started or does not end.
    #[track_caller]
    pub fn run(self) -> Output {
        self.start().finish()
    }

    /// Starts it.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn start(self) -> Running {
        let program = self.program.clone();
        self.try_start()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()))
    }

    /// Starts it.
    ///
    /// # Errors
    /// The errno of the step that failed, `execve(2)` included.
    pub fn try_start(mut self) -> io::Result<Running> {
        let taken = |launch: &Self, number: RawFd| {
            launch.closed.contains(&number) || launch.descriptors.iter().any(|d| d.0 == number)
        };
        if !taken(&self, 0) {
            self.descriptors.push((0, File::open("/dev/null")?.into()));
        }
        let mut outputs = [None, None];
        for (number, output) in [1, 2].into_iter().zip(&mut outputs) {
            if !taken(&self, number) {
                let (read, write) = unistd::pipe2(OFlag::O_CLOEXEC)?;
                if let Some(account) = &self.account {
                    // As a pipe of the account's own, which it may open again by /dev/stdout.
                    std::os::unix::fs::fchown(&write, Some(account.uid), Some(account.gid))?;
                }
                self.descriptors.push((number, write));
                *output = Some(File::from(read));
            }
        }
        let text = |text: &OsString| CString::new(text.as_bytes()).map_err(io::Error::other);
        let program = text(&self.program.clone().into_os_string())?;
        let arguments = self.arguments.iter().map(text).collect::<io::Result<Vec<_>>>()?;
        let environment = self.environment.iter().map(text).collect::<io::Result<Vec<_>>>()?;
        let (failed, low) = unistd::pipe2(OFlag::O_CLOEXEC)?;
        let report = sys::dup_above(low.as_fd(), HIGH)?;
        drop(low);

        let Some(pid) = sys::fork()? else {
            let error = match self.prepare() {
                Ok(()) => match unistd::execve(&program, &arguments, &environment) {
                    Ok(never) => match never {},
                    Err(errno) => io::Error::from(errno),
                },
                Err(error) => error,
            };
            let errno = error.raw_os_error().unwrap_or(0);
            drop(File::from(report).write_all(&errno.to_le_bytes()));
            sys::exit(127);
        };
        drop((report, std::mem::take(&mut self.descriptors)));
        let mut process = Process::adopt(pid)?;
        let mut errno = [0; 4];
        if File::from(failed).read_exact(&mut errno).is_ok() {
            process.wait(crate::process::patience());
            return Err(io::Error::from_raw_os_error(i32::from_le_bytes(errno)));
        }
        let [stdout, stderr] = outputs;
        Ok(Running { process, stdout, stderr })
    }

    /// Brings the freshly forked child into the state that was asked for.
    fn prepare(&self) -> io::Result<()> {
        if self.traced {
            // While this is still the harness: the kernel asks who was the tracer at this moment.
            nix::sys::ptrace::traceme()?;
        }
        match self.session {
            Session::Group => unistd::setpgid(Pid::from_raw(0), Pid::from_raw(0))?,
            Session::Own | Session::Terminal => drop(unistd::setsid()?),
        }
        // Sources are moved out of the way before any of them is put into its place.
        let moved = self
            .descriptors
            .iter()
            .map(|(number, fd)| Ok((*number, sys::dup_above(fd.as_fd(), HIGH)?)))
            .collect::<io::Result<Vec<_>>>()?;
        for number in 0..HIGH {
            match moved.iter().find(|(target, _)| *target == number) {
                Some((target, fd)) => sys::dup2(fd.as_raw_fd(), *target)?,
                None => sys::close(number),
            }
        }
        sys::close_on_exec_from(HIGH)?;
        for (_, fd) in moved {
            // They are closed by exec; dropping them here would do as well, but not after limits.
            let _number = std::os::fd::IntoRawFd::into_raw_fd(fd);
        }
        if self.session == Session::Terminal {
            sys::take_terminal(io::stdin().as_fd())?;
        }
        if let Some(account) = &self.account {
            let groups: Vec<Gid> = account.groups.iter().copied().map(Gid::from_raw).collect();
            unistd::setgroups(&groups)?;
            let (uid, gid) = (Uid::from_raw(account.uid), Gid::from_raw(account.gid));
            if self.is_filtered_by_root() {
                sys::keep_capabilities()?;
            }
            unistd::setresgid(gid, gid, gid)?;
            unistd::setresuid(uid, uid, uid)?;
        }
        if let Some(directory) = &self.directory {
            unistd::chdir(directory)?;
        }
        umask(Bits::from_bits_truncate(self.umask));
        if self.no_new_privileges {
            sys::no_new_privileges()?;
        }
        for one in Signal::iterator() {
            if !matches!(one, Signal::SIGKILL | Signal::SIGSTOP) {
                let handler = if self.ignored.contains(&one) {
                    SigHandler::SigIgn
                } else {
                    SigHandler::SigDfl
                };
                set_disposition(one, handler)?;
            }
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&self.blocked), None)?;
        for (which, period) in &self.timers {
            sys::set_timer(*which, *period)?;
        }
        for (resource, soft, hard) in &self.limits {
            setrlimit(*resource, *soft, *hard)?;
        }
        if self.is_filtered_by_root() && self.account.is_some() {
            // It ends with the exec at the latest.
            sys::keep_only_sys_admin()?;
        }
        if !self.filter.is_empty() {
            sys::seccomp(&self.filter)?;
        }
        Ok(())
    }

    /// Whether a seccomp program is to be installed that leaves set-id programs their privilege.
    fn is_filtered_by_root(&self) -> bool {
        !self.filter.is_empty() && !self.no_new_privileges
    }
}

fn set_disposition(one: Signal, handler: SigHandler) -> io::Result<()> {
    // SAFETY: neither SIG_DFL nor SIG_IGN runs code of this process.
    unsafe { signal(one, handler) }?;
    Ok(())
}
