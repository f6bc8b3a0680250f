// SPDX-License-Identifier: MIT OR Apache-2.0
//! From settings to a sandbox.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, MemfdFlags, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, retry_on_intr};
use stockade_protocol::limits;
use stockade_protocol::request::{
    Access, Content, Demand, FdIndex, Gate, Group, Init, Operation, Propagation, Upper,
    UserNamespace,
};
use stockade_protocol::text::{
    Argument, Filter, Hostname, Program, SandboxPath, SymlinkTarget, Variable,
};

use super::check::Ids;
use super::descriptors::read_all;
use super::destination::{destination, path};
use super::filter::no_user_namespaces;
use super::hidden;
use super::inherit::{close, duplicate, open_numbers};
use super::message::Fault;
use super::settings::{Action, CapabilityChange, Changes, Settings, Source, Step, Wish};
use super::signals::Inherited;
use super::status;
use crate::lookup::candidates;
use crate::message::shown;
use crate::object::Object;
use crate::sandbox::Sandbox;
use crate::scope;
use crate::terminal;

/// Where programs are looked for if the environment does not say, `confstr(3)`.
const PATH: &str = "/bin:/usr/bin";

/// What runs a script without `#!`.
const SHELL: &str = "/bin/sh";

/// What the kernel would say of an empty or much too long program.
pub(crate) const INVALID_FILTER: &str = "Unable to set up system call filtering as requested: \
     prctl(PR_SET_SECCOMP) reported EINVAL";

/// What a failure to enter the namespace of `--userns2` is called.
pub(crate) const LAST_NAMESPACE: &str = "Setting userns2 failed";

/// By this name COMMAND means the program that it was started by.
const SELF: &str = "/proc/self/exe";

/// The source that stands for the sandbox's own user namespace: it exists only once that is made.
const USER_NAMESPACE: &str = "/proc/self/ns/user";

/// What below a procfs uid 0 could reach the host through.
const DANGEROUS: [&str; 4] = ["sys", "sysrq-trigger", "irq", "bus"];

/// What the plan depends on besides the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Circumstances {
    pub(crate) ids: Ids,
    /// Whether the helper may find itself with privilege, so without a user namespace.
    pub(crate) privileged: bool,
    /// The capabilities of this process, as a mask.
    pub(crate) capabilities: u64,
    pub(crate) umask: u32,
    pub(crate) signals: Inherited,
}

/// A sandbox and what remains to be done about it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) sandbox: Sandbox,
    /// Closed once COMMAND may run: it waits for that.
    pub(crate) gate: Option<OwnedFd>,
    /// What says that the caller has written the id maps.
    map_gate: Option<OwnedFd>,
    pub(crate) info: Option<OwnedFd>,
    pub(crate) status: Option<OwnedFd>,
    /// Numbers that are open here for somebody else.
    pub(crate) foreign: Vec<u32>,
}

impl Plan {
    /// Tells the caller which process is in the new user namespace, and waits for its id maps: for one
    /// byte, or the end.
    pub(crate) fn wait_for_map(&mut self, child: u32) {
        if let Some(info) = self.info.take() {
            status::tell(&info, &status::info(child, &[]));
        }
        if let Some(gate) = self.map_gate.take() {
            retry_on_intr(|| rustix::io::read(&gate, &mut [0])).ok();
        }
    }
}

/// Describes the sandbox.
pub(crate) fn plan(settings: &Settings, circumstances: Circumstances) -> Result<Plan, Fault> {
    hidden::check(&settings.actions)?;
    let foreign = open_numbers();
    let mut sandbox = Sandbox::new();
    // Callers bind whole trees of the host, and mount below what are links there.
    sandbox.request.follow_links = true;
    namespaces(settings, circumstances, &mut sandbox)?;
    let mut builder = Builder::new(settings, circumstances, &mut sandbox);
    for action in &settings.actions {
        builder.act(action)?;
    }
    let mut consumed = builder.consumed;
    consumed.extend(&settings.closed);
    consumed.extend(settings.seccomp);
    consumed.extend(settings.user_namespace);
    consumed.extend(settings.last_user_namespace);
    consumed.extend(settings.pid_namespace);
    consumed.extend(settings.map_gate);

    payload(settings, circumstances, &mut sandbox)?;
    if settings.scope_abstract_sockets {
        let ruleset = scope::abstract_sockets().map_err(|error| {
            Fault::new(format!("--scope-abstract-af-unix needs Landlock of Linux 6.12: {error}"))
        })?;
        sandbox.request.payload.landlock = Some(add(&mut sandbox, ruleset)?);
    }
    // One that is not open keeps nobody waiting.
    let map_gate = settings.map_gate.and_then(|number| duplicate(number).ok());
    let mut plan = Plan { sandbox, gate: None, map_gate, info: None, status: None, foreign };
    supervise(settings, &mut plan, &mut consumed)?;
    // Whoever waits for the end of what was used up does not wait for this process.
    let (used, left) = plan.foreign.iter().partition(|number| consumed.contains(number));
    plan.foreign = left;
    Vec::into_iter(used).for_each(close);
    pass(settings, &mut plan)?;
    Ok(plan)
}

fn namespaces(
    settings: &Settings,
    circumstances: Circumstances,
    sandbox: &mut Sandbox,
) -> Result<(), Fault> {
    let required = |wanted| if wanted { Demand::Required } else { Demand::Share };
    let last = settings.last_user_namespace.map(|number| {
        let fd = duplicate(number).map_err(|errno| Fault::errno(LAST_NAMESPACE, errno))?;
        add(sandbox, fd)
    });
    let last = last.transpose()?;
    let namespaces = &mut sandbox.request.namespaces;
    namespaces.pid = required(settings.pid);
    namespaces.ipc = required(settings.ipc);
    namespaces.net = required(settings.net);
    namespaces.uts = required(settings.uts);
    namespaces.cgroup = match settings.cgroup {
        Wish::No => Demand::Share,
        Wish::Try => Demand::Optional,
        Wish::Yes => Demand::Required,
    };
    let Ids { uid, gid } = circumstances.ids;
    let wanted = (settings.uid.unwrap_or(uid), settings.gid.unwrap_or(gid));
    // For root a user namespace is a wish of its own; for others it is how the rest is done.
    let own = wanted != (uid, gid) || (uid == 0 && settings.user == Wish::Yes);
    namespaces.user = if settings.user_namespace.is_some() || settings.map_gate.is_some() {
        UserNamespace::Given { last }
    } else if own {
        UserNamespace::Mapped { uid: wanted.0, gid: wanted.1 }
    } else {
        UserNamespace::Default
    };
    namespaces.limit_user_namespaces = settings.disable_user_namespaces;
    namespaces.hostname = settings
        .hostname
        .as_ref()
        .map(|name| {
            Hostname::new(name.as_bytes()).map_err(|fault| {
                Fault::new(format!("Can't set hostname to {}: {fault}", shown(name)))
            })
        })
        .transpose()?;
    Ok(())
}

/// Puts the operations together.
struct Builder<'a> {
    settings: &'a Settings,
    circumstances: Circumstances,
    sandbox: &'a mut Sandbox,
    /// Descriptors that were used up.
    consumed: Vec<u32>,
    /// What descriptors held that several operations copy.
    copies: Vec<(u32, OwnedFd)>,
}

impl<'a> Builder<'a> {
    fn new(settings: &'a Settings, circumstances: Circumstances, sandbox: &'a mut Sandbox) -> Self {
        Self { settings, circumstances, sandbox, consumed: Vec::new(), copies: Vec::new() }
    }

    fn act(&mut self, action: &Action) -> Result<(), Fault> {
        let Action { step, destination: typed } = action;
        match step {
            Step::Bind { source, access } => return self.bind(source, *access, typed),
            Step::Overlay { sources, changes } => return self.overlay(sources, changes, typed),
            Step::Proc => return self.proc(typed),
            Step::RemountReadOnly => {
                self.sandbox.push(Operation::RemountReadOnly { path: path(typed)? });
            }
            Step::Devices => {
                let console = terminal::console().map(|fd| self.add(fd)).transpose()?;
                self.sandbox
                    .push(Operation::Devices { destination: destination(typed, 0)?, console });
            }
            Step::Mqueue => {
                if !self.settings.ipc {
                    return Err(Fault::new(format!(
                        "Can't mount mqueue on /newroot{}: it needs --unshare-ipc",
                        shown(typed)
                    )));
                }
                self.sandbox.push(Operation::Mqueue { destination: destination(typed, 0)? });
            }
            Step::Tmpfs { mode, size } => {
                let mode = mode.unwrap_or(0o755);
                let destination = destination(typed, mode)?;
                self.sandbox.push(Operation::Tmpfs { destination, mode, size: *size });
            }
            Step::Directory { mode } => {
                let mode = mode.unwrap_or(0o755);
                let destination = destination(typed, mode)?;
                self.sandbox.push(Operation::Directory { destination, mode });
            }
            Step::File { fd, mode } => {
                let mode = mode.unwrap_or(0o666);
                let (destination, content) = (destination(typed, mode)?, self.content(*fd)?);
                self.sandbox.push(Operation::File { destination, mode, content });
            }
            Step::Data { fd, mode, writable } => {
                let (mode, writable) = (mode.unwrap_or(0o600), *writable);
                let (destination, content) = (destination(typed, mode)?, self.content(*fd)?);
                self.sandbox.push(Operation::Data { destination, mode, content, writable });
            }
            Step::Symlink { target } => {
                let destination = destination(typed, 0)?;
                let target = SymlinkTarget::new(target.as_bytes()).map_err(|fault| {
                    Fault::new(format!("Can't make symlink at {}: {fault}", shown(typed)))
                })?;
                self.sandbox.push(Operation::Symlink { destination, target });
            }
            Step::Chmod { mode } => {
                self.sandbox.push(Operation::Chmod { path: path(typed)?, mode: *mode });
            }
        }
        Ok(())
    }

    fn add(&mut self, fd: OwnedFd) -> Result<FdIndex, Fault> {
        self.sandbox.add_descriptor(fd).map_err(|error| Fault::other(&error))
    }

    fn bind(&mut self, source: &Source, access: Access, typed: &OsStr) -> Result<(), Fault> {
        let destination = destination(typed, 0)?;
        let (object, name) = match source {
            Source::Descriptor(number) => {
                self.consumed.push(*number);
                let object = duplicate(*number)
                    .map_err(|errno| Fault::errno(&format!("Can't bind fd {number}"), errno))?;
                (object, PathBuf::from(format!("/proc/self/fd/{number}")))
            }
            Source::Optional(path) if path == USER_NAMESPACE => {
                self.sandbox.push(Operation::UserNamespace { destination });
                return Ok(());
            }
            Source::Path(path) | Source::Optional(path) => {
                let optional = matches!(source, Source::Optional(_));
                match open_source(path) {
                    Ok(object) => (object, PathBuf::from(path)),
                    Err(Errno::NOENT) if optional && !path.is_empty() => return Ok(()),
                    Err(errno) => {
                        let text = format!("Can't find source path {}", shown(path));
                        return Err(Fault::errno(&text, errno));
                    }
                }
            }
        };
        // What the host mounts below a writable bind later appears there; below a read-only one it
        // would be writable.
        let propagation = match access {
            Access::ReadOnly => Propagation::Private,
            Access::ReadWrite | Access::Device => Propagation::Slave,
        };
        let object = Object::new(object).map_err(|errno| {
            Fault::errno(&format!("Can't find source path {}", shown(name.as_os_str())), errno)
        })?;
        let bound = self.sandbox.bind_at(object, name, destination, access, propagation);
        bound.map_err(|error| Fault::other(&error))
    }

    fn overlay(
        &mut self,
        sources: &[OsString],
        changes: &Changes,
        typed: &OsStr,
    ) -> Result<(), Fault> {
        let destination = destination(typed, 0)?;
        if sources.len() > limits::LAYERS {
            let (option, most) = (changes.option(), limits::LAYERS);
            return Err(Fault::new(format!("{option} takes at most {most} --overlay-src")));
        }
        let mut add = |path: &OsString| {
            let opened = open_source(path).map_err(|errno| {
                Fault::errno(&format!("Can't find source path {}", shown(path)), errno)
            });
            self.add(opened?)
        };
        // The topmost was named last.
        let lower = sources.iter().rev().map(&mut add).collect::<Result<_, _>>()?;
        let upper = match changes {
            Changes::Kept { upper, work } => {
                Upper::Directories { upper: add(upper)?, work: add(work)? }
            }
            Changes::Forgotten => Upper::Temporary,
            Changes::Refused => Upper::None,
        };
        self.sandbox.push(Operation::Overlay { destination, lower, upper });
        Ok(())
    }

    /// A new procfs where there is a pid namespace for it, else the host's.
    fn proc(&mut self, typed: &OsStr) -> Result<(), Fault> {
        let root = self.circumstances.ids.uid == 0;
        let Settings { pid, pid_namespace, user_namespace, .. } = self.settings;
        if !pid && pid_namespace.is_some() && user_namespace.is_none() {
            return Err(Fault::new("--proc needs --unshare-pid, or --userns beside --pidns"));
        }
        if *pid || pid_namespace.is_some() {
            let destination = destination(typed, 0)?;
            // Nobody but uid 0 could write to what would be covered.
            self.sandbox.push(Operation::Proc { destination, protect: root });
            return Ok(());
        }
        self.bind(&Source::Path("/proc".into()), Access::ReadWrite, typed)?;
        for name in DANGEROUS.into_iter().filter(|_| root) {
            let source = Source::Optional(Path::new("/proc").join(name).into_os_string());
            let place = Path::new(typed).join(name);
            self.bind(&source, Access::ReadOnly, place.as_os_str())?;
        }
        Ok(())
    }

    /// What a descriptor holds, for an operation that copies it. One that several operations name
    /// is read once and given to each.
    fn content(&mut self, number: u32) -> Result<Content, Fault> {
        let fault = |errno| Fault::errno(&format!("Can't read data from fd {number}"), errno);
        let copies = |step: &Step| matches!(step, Step::File { fd, .. } | Step::Data { fd, .. } if *fd == number);
        let uses = self.settings.actions.iter().filter(|action| copies(&action.step));
        let shared = uses.take(2).count() == 2;
        self.consumed.push(number);
        let known = self.copies.iter().position(|(known, _)| *known == number);
        let fd = match known.and_then(|at| self.copies.get(at)) {
            Some((_, copy)) => reopen(copy).map_err(fault)?,
            None => {
                let fd = duplicate(number).map_err(fault)?;
                let stat = rustix::fs::fstat(&fd).map_err(fault)?;
                let plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                if plain && !shared {
                    fd
                } else {
                    // A pipe is read here, where nobody minds waiting for it.
                    let copy = copy(&fd).map_err(fault)?;
                    let opened = reopen(&copy).map_err(fault)?;
                    self.copies.push((number, copy));
                    opened
                }
            }
        };
        Ok(Content::Descriptor(self.add(fd)?))
    }
}

/// Opens what a path of the host leads to. Magic links count as the text they show, as they do for
/// `realpath(3)`.
fn open_source(path: &OsStr) -> Result<OwnedFd, Errno> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let within = ResolveFlags::NO_MAGICLINKS;
    let opened = rustix::fs::openat2(CWD, path, flags, Mode::empty(), within);
    if opened.as_ref().err() != Some(&Errno::LOOP) {
        return opened;
    }
    let real = std::fs::canonicalize(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    rustix::fs::openat(CWD, &real, flags | OFlags::NOFOLLOW, Mode::empty())
}

/// A file in memory with everything that `fd` yields.
fn copy(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let bytes = read_all(fd)?;
    let memory = rustix::fs::memfd_create(c"data", MemfdFlags::CLOEXEC)?;
    let mut file = std::fs::File::from(memory);
    file.write_all(&bytes).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(file.into())
}

/// The same file with a position of its own, at the beginning.
pub(crate) fn reopen(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    use std::os::fd::AsRawFd as _;
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::openat(CWD, link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

fn payload(
    settings: &Settings,
    circumstances: Circumstances,
    sandbox: &mut Sandbox,
) -> Result<(), Fault> {
    let name = settings.command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let fault =
        |reason: &dyn std::fmt::Display| Fault::new(format!("execvp {}: {reason}", shown(name)));
    let program = |path: &OsStr| Program::new(path.as_bytes()).map_err(|e| fault(&e));
    if name.is_empty() {
        return Err(Fault::errno("execvp ", Errno::NOENT));
    }
    let programs = if name.as_bytes().contains(&b'/') {
        vec![program(name)?]
    } else {
        let path = settings.variable("PATH").unwrap_or(OsStr::new(PATH));
        let found = candidates(name, path);
        if found.len() > limits::PROGRAMS {
            return Err(fault(&"PATH has too many directories"));
        }
        found.iter().map(|path| program(path.as_os_str())).collect::<Result<_, _>>()?
    };

    let argument = |text: &OsString| Argument::new(text.as_bytes()).map_err(|e| fault(&e));
    let arguments = settings.argv0.iter().chain(settings.command.iter().take(1)).take(1);
    let arguments = arguments.chain(settings.command.iter().skip(1));
    let payload = &mut sandbox.request.payload;
    payload.arguments = arguments.map(argument).collect::<Result<_, _>>()?;
    payload.programs = programs;
    payload.interpreter = Some(program(OsStr::new(SHELL))?);
    payload.umask = circumstances.umask;
    payload.group = if settings.new_session { Group::Session } else { Group::Inherit };
    payload.new_keyring = false;
    payload.blocked_signals = circumstances.signals.blocked;
    payload.ignored_signals = circumstances.signals.ignored;
    payload.capabilities = capabilities(settings, circumstances);
    payload.filters = filters(settings, circumstances)?;
    directories(settings, sandbox)
}

/// The capabilities of COMMAND: an ordinary user's start from none, root's from those there are.
fn capabilities(settings: &Settings, circumstances: Circumstances) -> u64 {
    let root = circumstances.ids.uid == 0;
    if root && settings.uid.is_some_and(|uid| uid != 0) {
        return 0;
    }
    let start = if root { circumstances.capabilities } else { 0 };
    settings.capabilities.iter().fold(start, |held, change| match change {
        CapabilityChange::Add(mask) => held | mask,
        CapabilityChange::Drop(mask) => held & !mask,
    })
}

fn filters(settings: &Settings, circumstances: Circumstances) -> Result<Vec<Filter>, Fault> {
    let mut programs = settings.filters.clone();
    if let Some(number) = settings.seccomp {
        let read = duplicate(number).and_then(|fd| read_all(&fd));
        programs.push(read.map_err(|errno| Fault::errno("Can't read seccomp data", errno))?);
    }
    let size = limits::FILTER_INSTRUCTION_BYTES;
    if programs.iter().any(|program| program.len() % size != 0) {
        return Err(Fault::new("Invalid seccomp data, must be multiple of 8"));
    }
    // What was tried before the sandbox was made, and with one of the ways there are, is so for certain then.
    if settings.assert_user_namespaces_disabled
        || settings.disable_user_namespaces && circumstances.privileged
    {
        programs.insert(0, no_user_namespaces());
    }
    if programs.len() > limits::FILTERS {
        return Err(Fault::new(format!("Can't install more than {} programs", limits::FILTERS)));
    }
    let filter = |program| Filter::new(program).map_err(|_| Fault::new(INVALID_FILTER));
    programs.into_iter().map(filter).collect()
}

/// The working directory, and with it the environment, which names it.
fn directories(settings: &Settings, sandbox: &mut Sandbox) -> Result<(), Fault> {
    let mut environment: Vec<(&OsStr, &OsStr)> = settings
        .environment
        .iter()
        .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
        .filter(|(name, _)| *name != "PWD")
        .collect();
    let payload = &mut sandbox.request.payload;
    if let Some(directory) = &settings.directory {
        payload.directories = vec![path(directory)?];
        payload.set_pwd = false;
        environment.push((OsStr::new("PWD"), directory));
    } else {
        let current = std::env::current_dir().ok();
        let home = settings.variable("HOME").map(Path::new).filter(|home| home.is_absolute());
        let places = [current.as_deref(), home].into_iter().flatten();
        payload.directories = places.filter_map(|place| path(place.as_os_str()).ok()).collect();
        payload.directories.push(SandboxPath::root());
        payload.set_pwd = true;
    }
    let variable = |(name, value): (&OsStr, &OsStr)| {
        let entry = [name.as_bytes(), b"=", value.as_bytes()].concat();
        Variable::new(entry).map_err(|fault| {
            Fault::new(format!("Can't pass the variable {}: {fault}", shown(name)))
        })
    };
    payload.environment = environment.into_iter().map(variable).collect::<Result<_, _>>()?;
    Ok(())
}

/// How the processes belong together, and what COMMAND waits for.
fn supervise(settings: &Settings, plan: &mut Plan, consumed: &mut Vec<u32>) -> Result<(), Fault> {
    let open = |number: u32, option: &str| {
        duplicate(number)
            .map_err(|errno| Fault::errno(&format!("Can't use {option} {number}"), errno))
    };
    let holds = settings.sync_fd.is_some() || !settings.locks.is_empty();
    let reaper = !settings.as_pid_one && (settings.pid || holds);
    let locks: Result<Vec<SandboxPath>, Fault> =
        settings.locks.iter().map(|typed| path(typed)).collect();
    let supervision = &mut plan.sandbox.request.supervision;
    supervision.init = if reaper { Init::Reaper } else { Init::Payload };
    supervision.end_with_payload = settings.die_with_parent;
    supervision.end_with_caller = settings.die_with_parent;
    supervision.locks = locks?;

    // Without a reaper COMMAND inherits it like any other.
    if let Some(number) = settings.sync_fd.filter(|_| reaper) {
        consumed.push(number);
        // One that is not open keeps nobody waiting.
        if let Ok(fd) = duplicate(number) {
            let index = add(&mut plan.sandbox, fd)?;
            plan.sandbox.request.supervision.held.push(index);
        }
    }
    if let Some(number) = settings.info_fd {
        plan.info = Some(open(number, "--info-fd")?);
        consumed.push(number);
    }
    if let Some(number) = settings.status_fd {
        plan.status = Some(open(number, "--json-status-fd")?);
        consumed.push(number);
    }
    if plan.info.is_some() || plan.status.is_some() {
        let flags = rustix::pipe::PipeFlags::CLOEXEC;
        let (gate, ours) = rustix::pipe::pipe_with(flags)
            .map_err(|errno| Fault::errno("Can't make a pipe", errno))?;
        let source = add(&mut plan.sandbox, gate)?;
        plan.sandbox.request.supervision.gates.push(Gate { source, end_opens: false });
        plan.gate = Some(ours);
    }
    if let Some(number) = settings.block_fd {
        consumed.push(number);
        if let Ok(fd) = duplicate(number) {
            let source = add(&mut plan.sandbox, fd)?;
            plan.sandbox.request.supervision.gates.push(Gate { source, end_opens: true });
        }
    }
    Ok(())
}

/// Has COMMAND inherit every descriptor that nothing used up.
fn pass(settings: &Settings, plan: &mut Plan) -> Result<(), Fault> {
    for number in &plan.foreign {
        let fault = |errno| Fault::errno(&format!("Can't pass fd {number} on"), errno);
        let fd = duplicate(*number).map_err(fault)?;
        plan.sandbox.pass(fd, *number).map_err(|error| Fault::other(&error))?;
    }
    if settings.command.first().is_some_and(|name| name == SELF) {
        // The helper is what runs COMMAND; by this name the caller means us.
        let free = (3..).find(|number| !plan.foreign.contains(number)).unwrap_or_default();
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let exe = rustix::fs::openat(CWD, SELF, flags, Mode::empty())
            .map_err(|errno| Fault::errno(&format!("execvp {SELF}"), errno))?;
        plan.sandbox.pass(exe, free).map_err(|error| Fault::other(&error))?;
        let program = Program::new(format!("/proc/self/fd/{free}"));
        plan.sandbox.request.payload.programs = program.into_iter().collect();
    }
    Ok(())
}

fn add(sandbox: &mut Sandbox, fd: OwnedFd) -> Result<FdIndex, Fault> {
    sandbox.add_descriptor(fd).map_err(|error| Fault::other(&error))
}
