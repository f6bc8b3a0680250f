// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filtering proxy at work: one process for all buses of a sandbox, in a sandbox of its own
//! (R203, R206, R207).
//!
//! Peers on a bus see the process of the proxy as that of the application, and look at the file
//! `/.flatpak-info` of its root (R331). So that file is there, in a root that nobody can change, and
//! besides it only what the proxy needs: the system's programs, the sockets of the buses, and the
//! directory of its own. Upstream shows it the whole host instead (R207); nothing that identifies
//! applications looks for more, and this way no mount of the host is kept busy. Its environment has
//! nothing of anybody's (R159, T72).

use std::cell::RefCell;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::pipe::PipeFlags;
use rustix::rand::{GetRandomFlags, getrandom};
use stockade_protocol::request::{Access, Demand, Operation};
use stockade_protocol::text::{Argument, Program as Executable, TextFault, Variable};

use super::address::Address;
use super::filter::Filter;
use super::kind::Kind;
use super::program::{self, Program, Question, WANTED};
use crate::attendant::{Attendant, AttendantError, Role};
use crate::caller::Caller;
use crate::flatpak::instance::{self, InstanceError, mount_info};
use crate::message::{Notice, shown};
use crate::object::Object;
use crate::runtime;
use crate::sandbox::{Sandbox, SandboxError, open_path, sandbox_path};
use crate::scope::{self, ScopeError};
use crate::seccomp::{self, Policy, SeccompError};

/// Where the proxy finds the buses, in its sandbox.
const BUSES: &str = "/run/buses";

/// Where it makes its sockets there.
const SOCKETS: &str = "/run/proxy";

/// The number of the descriptor that it reads its options from.
const OPTIONS: u32 = 3;

/// The number of the one on which it says that it is ready.
const READY: u32 = 4;

/// What a pipe holds by itself, `pipe(7)`.
const PIPE: usize = 65536;

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyError {
    /// There is no directory for its sockets.
    #[error(transparent)]
    Directory(#[from] InstanceError),
    /// Its sandbox cannot be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// There is no filter for its system calls.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// There is no Landlock ruleset for it.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// It does not run.
    #[error(transparent)]
    Attendant(#[from] AttendantError),
    /// It cannot be told what to do.
    #[error("cannot tell the D-Bus proxy its rules\n{0}\nthere may be too many names in them")]
    Rules(Errno),
    /// It has not made a socket.
    #[error(
        "cannot share the {} with the sandbox\nthe D-Bus proxy made no socket at {}: {errno}",
        kind.word(),
        shown(path)
    )]
    Socket {
        /// Of which bus.
        kind: Kind,
        /// Where it should be.
        path: PathBuf,
        /// Why it cannot be used.
        errno: Errno,
    },
}

/// A bus that the proxy connects to.
#[derive(Debug)]
pub(super) enum Upstream {
    /// A socket of the file system, with its path.
    Socket(Object, PathBuf),
    /// An address that is none of a file: its socket is in the network namespace.
    Address(OsString),
}

impl Upstream {
    /// Opens a bus. An error if there is nothing that could be one.
    pub(super) fn open(address: &Address) -> Result<Self, Errno> {
        let Some(path) = address.path() else {
            return Ok(Self::Address(address.text().to_owned()));
        };
        let object = open_path(path).map_err(|error| match error {
            SandboxError::Open { errno, .. } => errno,
            SandboxError::Path { .. } | SandboxError::TooMany => Errno::INVAL,
        })?;
        Ok(Self::Socket(socket(object)?, path.to_owned()))
    }
}

/// An object that was opened, if it is a socket.
fn socket(descriptor: OwnedFd) -> Result<Object, Errno> {
    let object = Object::new(descriptor)?;
    if object.kind() == FileType::Socket { Ok(object) } else { Err(Errno::NOTSOCK) }
}

/// A bus with what is let through.
#[derive(Debug)]
pub(super) struct Proxied {
    pub(super) kind: Kind,
    pub(super) upstream: Upstream,
    pub(super) filter: Filter,
    /// Where the application finds it.
    pub(super) place: PathBuf,
}

/// A proxy that is to be started.
#[derive(Debug)]
pub struct Pending {
    pub(super) program: Program,
    pub(super) proxied: Vec<Proxied>,
    /// The text of `/.flatpak-info` for those who look at the proxy.
    pub(super) info: Vec<u8>,
    /// What is asked for its version, and whether what comes of it is told in any case.
    pub(super) question: Option<Question>,
    pub(super) grants: bool,
}

impl Pending {
    /// Starts the proxy; [`Proxy::mount`] waits for it.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn start(self, caller: &Caller, notices: &mut Vec<Notice>) -> Result<Proxy, ProxyError> {
        let (directory, path) = instance::proxy_directory(caller)?;
        let log = self.proxied.iter().any(|bus| bus.filter.log);
        let mut sockets = Vec::new();
        let mut options = vec![OsString::from(format!("--fd={READY}"))];
        let mut upstreams = Vec::new();
        for Proxied { kind, upstream, filter, place } in self.proxied {
            let name = socket_name(kind).map_err(ProxyError::Rules)?;
            options.push(match &upstream {
                Upstream::Socket(..) => Address::at(&inside(kind)).text().to_owned(),
                Upstream::Address(text) => text.clone(),
            });
            options.push(Path::new(SOCKETS).join(&name).into());
            options.extend(filter.options().map(OsString::from));
            upstreams.push((kind, upstream));
            sockets.push(Made { kind, name, place });
        }
        let shared = fcntl_dupfd_cloexec(&directory, 0).map_err(ProxyError::Rules)?;
        let mut sandbox = describe(self.program.path(), &self.info, upstreams)?;
        sandbox.bind_descriptor(shared, &path, Path::new(SOCKETS), Access::ReadWrite)?;
        // Nothing else is written to, and the file that says what it is least of all (T38).
        sandbox.push(Operation::RemountReadOnly { path: sandbox_path(Path::new("/"))? });
        sandbox.pass(pipe_of(&options).map_err(ProxyError::Rules)?, OPTIONS)?;
        let role = Role {
            name: "the D-Bus proxy",
            loss: "goes on without message buses, and so without portals; start it again to have them",
            log,
        };
        let attendant = RefCell::new(Attendant::start(sandbox, READY, role)?);
        if let Some(question) = self.question {
            notices.extend(judge(question, self.grants));
        }
        Ok(Proxy { attendant, directory, path, sockets })
    }
}

/// What there is to say about the version of the proxy. Where no name is granted, nothing but what
/// every application may have can leak, and the doctor says it too.
fn judge(question: Question, grants: bool) -> Option<Notice> {
    let version = question.answer().filter(|version| *version < WANTED)?;
    let text = format!(
        "{} is of version {version}, and {WANTED} is wanted\n\
         unless the distribution has mended it, it lets some broadcasts through that the sandbox should not see",
        program::NAME
    );
    Some(if grants { Notice::Warning(text) } else { Notice::Detail(text) })
}

/// A socket that the proxy makes.
#[derive(Debug)]
struct Made {
    kind: Kind,
    /// In the directory of proxies.
    name: String,
    /// In the sandbox of the application.
    place: PathBuf,
}

/// The proxy of a sandbox. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    attendant: RefCell<Attendant>,
    directory: OwnedFd,
    path: PathBuf,
    sockets: Vec<Made>,
}

impl Proxy {
    /// Waits until the proxy is ready (R206) and puts its sockets into the sandbox of the application.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn mount(&self, sandbox: &mut Sandbox) -> Result<(), ProxyError> {
        self.attendant.borrow_mut().wait()?;
        for Made { kind, name, place } in &self.sockets {
            let path = self.path.join(name);
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let object = rustix::fs::openat(&self.directory, name.as_str(), flags, Mode::empty())
                .and_then(socket)
                .map_err(|errno| ProxyError::Socket { kind: *kind, path: path.clone(), errno })?;
            sandbox.bind_object(object, path, place, Access::ReadOnly)?;
        }
        Ok(())
    }

    /// Takes the names of the sockets away, once the sandbox has them: nobody else is to find them, and
    /// none stays behind, however all this ends (I13).
    pub fn hide(&self) {
        for Made { name, .. } in &self.sockets {
            rustix::fs::unlinkat(&self.directory, name.as_str(), AtFlags::empty()).ok();
        }
    }

    /// The process, to be looked after.
    #[must_use]
    pub fn attendant(&self) -> &RefCell<Attendant> {
        &self.attendant
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.hide();
    }
}

/// Where the proxy finds a bus.
fn inside(kind: Kind) -> PathBuf {
    Path::new(BUSES).join(match kind {
        Kind::Session => "session",
        Kind::System => "system",
        Kind::Accessibility => "accessibility",
    })
}

/// The name of a socket, as Flatpak's begin (R203).
fn socket_name(kind: Kind) -> Result<String, Errno> {
    const CHARACTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0; 6];
    getrandom(&mut bytes, GetRandomFlags::empty())?;
    let random = bytes.iter().filter_map(|byte| {
        let at = usize::from(*byte).checked_rem(CHARACTERS.len())?;
        CHARACTERS.get(at).copied().map(char::from)
    });
    let bus = match kind {
        Kind::Session => "session",
        Kind::System => "system",
        Kind::Accessibility => "a11y",
    };
    Ok(format!("{bus}-bus-proxy-{}", random.collect::<String>()))
}

/// The sandbox of the proxy, but for what it writes to.
fn describe(
    program: &Path,
    info: &[u8],
    upstreams: Vec<(Kind, Upstream)>,
) -> Result<Sandbox, ProxyError> {
    let mut sandbox = Sandbox::new();
    let shown = runtime::show_system(&mut sandbox)?;
    if !shown.iter().any(|directory| program.starts_with(directory)) {
        sandbox.bind(program, program, Access::ReadOnly)?;
    }
    mount_info(info, &mut sandbox)?;
    let mut network = false;
    for (kind, upstream) in upstreams {
        match upstream {
            Upstream::Socket(object, path) => {
                sandbox.bind_object(object, path, &inside(kind), Access::ReadOnly)?;
            }
            // Reached through the network namespace, and no other way.
            Upstream::Address(_) => network = true,
        }
    }
    if network {
        sandbox.request.namespaces.net = Demand::Share;
    }
    let policy = scope::Policy { abstract_sockets: network, ..scope::Policy::default() };
    if let Some(ruleset) = scope::ruleset(&policy, network)? {
        let index = sandbox.add_descriptor(ruleset)?;
        sandbox.request.payload.landlock = Some(index);
    }

    let wrong = |fault: TextFault| SandboxError::Path { path: program.to_owned(), fault };
    let words = [program::NAME.to_owned(), format!("--args={OPTIONS}")];
    let variables = ["PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8"];
    let payload = &mut sandbox.request.payload;
    payload.programs = vec![Executable::new(program.as_os_str().as_bytes()).map_err(wrong)?];
    let arguments = words.iter().map(|word| Argument::new(word.as_bytes()));
    payload.arguments = arguments.collect::<Result<_, _>>().map_err(wrong)?;
    let environment = variables.into_iter().map(Variable::new);
    payload.environment = environment.collect::<Result<_, _>>().map_err(wrong)?;
    payload.directories = vec![sandbox_path(Path::new("/"))?];
    payload.filters = seccomp::programs(&Policy { only_local: true, ..Policy::default() })?;
    Ok(sandbox)
}

/// A pipe that holds these options, each with a zero byte behind it. (A file would count for
/// `RLIMIT_FSIZE`.)
fn pipe_of(options: &[OsString]) -> Result<OwnedFd, Errno> {
    let mut bytes = Vec::new();
    for option in options {
        bytes.extend_from_slice(option.as_bytes());
        bytes.push(0);
    }
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    if bytes.len() > PIPE {
        rustix::pipe::fcntl_setpipe_size(&write, bytes.len())?;
    }
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let count = rustix::io::write(&write, rest)?;
        rest = rest.get(count..).unwrap_or_default();
    }
    // Both ends have flags of their own.
    rustix::fs::fcntl_setfl(&read, OFlags::empty())?;
    Ok(read)
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests;
