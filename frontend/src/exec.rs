// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade exec`: from options to the complete description of a sandbox.
//!
//! A function of the options, the caller and the files of the host; it starts nothing and changes
//! nothing but what `:create`, `--name` and `--persist` ask to be made.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use stockade_protocol::limits;
use stockade_protocol::request::{Demand, Group};
use stockade_protocol::text::{Argument, Hostname, Program, SandboxPath, TextFault};

use crate::caller::Caller;
use crate::descriptor::{self, DescriptorError};
use crate::device;
use crate::environment::{Environment, EnvironmentError};
use crate::filesystem::export::{ExportError, Exports};
use crate::filesystem::grant::{self, GrantError};
use crate::filesystem::locate::tidy;
use crate::filesystem::token::Access;
use crate::home::{self, HomeError, Name};
use crate::message::{Notice, shown};
use crate::permission::{Feature, Permissions, Share};
use crate::runtime;
use crate::sandbox::{Sandbox, SandboxError};
use crate::scope::{self, ScopeError};
use crate::seccomp::{self, SeccompError};
use crate::socket::{self, Wiring};

/// Where programs are looked for if the environment does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

/// What runs a script without `#!`, as `execvp(3)` would.
const SHELL: &str = "/bin/sh";

/// The value of `container`, by which programs notice that they are in one.
const CONTAINER: &str = "stockade";

/// What the user wants to run, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the sandbox may reach.
    pub permissions: Permissions,
    /// The name under which its home is kept.
    pub name: Option<Name>,
    /// A directory to work in, shared as it is.
    pub project: Option<PathBuf>,
    /// Starts from an empty environment.
    pub clear_environment: bool,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// Host name.
    pub hostname: Option<OsString>,
    /// Descriptors the command inherits under their own numbers.
    pub pass: Vec<u32>,
    /// Runs the command in a session of its own, without a terminal.
    pub new_session: bool,
    /// TCP ports that may be connected to.
    pub tcp_connect: Vec<u16>,
    /// TCP ports that may be listened on.
    pub tcp_bind: Vec<u16>,
    /// The command and its arguments.
    pub command: Vec<OsString>,
}

/// A sandbox ready to be launched.
#[derive(Debug)]
pub struct Plan {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// No command, or one without a name.
    #[error("cannot run the command\nits name is empty\nname a program")]
    NoCommand,
    /// An argument that `execve(2)` does not take.
    #[error("cannot pass the argument '{}' to the command\n{fault}", shown(argument))]
    Argument {
        /// As given.
        argument: OsString,
        /// What is wrong.
        fault: TextFault,
    },
    /// The host name breaks a rule.
    #[error(
        "cannot use '{}' as the host name\n{fault}\nuse 1 to 63 of A-Z, a-z, 0-9, '.' and '-'",
        shown(hostname)
    )]
    Hostname {
        /// As given.
        hostname: OsString,
        /// What is wrong.
        fault: TextFault,
    },
    /// The project would be the whole home or more.
    #[error(
        "cannot use {} as the project\n\
         that would share {} with the sandbox\n\
         go into the directory of the project, or share the rest by name with --filesystem",
        shown(path),
        what
    )]
    Project {
        /// As resolved.
        path: PathBuf,
        /// What would be shared.
        what: &'static str,
    },
    /// The project is no directory.
    #[error("cannot use {} as the project\nit is not a directory", shown(path))]
    ProjectKind {
        /// As given.
        path: PathBuf,
    },
    /// A relative path where there is no directory it could be relative to.
    #[error(
        "cannot find {}\nthe current directory does not exist any more\ngive an absolute path",
        shown(path)
    )]
    Nowhere {
        /// As given.
        path: PathBuf,
    },
    /// A path that is to be resolved on the host cannot be.
    #[error("cannot find {}\n{reason}", shown(path))]
    Path {
        /// As given.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The standard descriptors are passed anyway.
    #[error(
        "cannot pass the file descriptor {number} separately\n\
         0, 1 and 2 are always passed\nleave the option out"
    )]
    Standard {
        /// As given.
        number: u32,
    },
    /// A descriptor was given twice.
    #[error("cannot pass the file descriptor {number} twice\nname it once")]
    Twice {
        /// As given.
        number: u32,
    },
    /// A descriptor cannot be passed.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A place cannot be shared.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The project cannot be shared.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// There is no home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A variable cannot be passed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// There is no system call filter.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// There is no Landlock ruleset.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The description cannot be made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Describes the sandbox for these options, and these descriptors of the caller's.
///
/// # Errors
/// [`ExecError`], before anything is started.
pub fn plan(options: &Options, caller: &Caller, passed: Vec<Passed>) -> Result<Plan, ExecError> {
    let permissions = &options.permissions;
    let network = permissions.network();
    let mut sandbox = Sandbox::new();
    let mut notices = Vec::new();

    namespaces(options, &mut sandbox)?;
    let mut exports = runtime::prepare(caller, network, &mut sandbox)?;
    let project = options
        .project
        .as_deref()
        .map(|directory| share_project(directory, caller, &mut exports))
        .transpose()?;
    grant::grant(&permissions.filesystems, caller, &mut exports, &mut notices)?;
    // R60: with the home granted there is nothing to persist.
    let persist = permissions.persist.iter().filter(|_| !permissions.home_access());
    home::prepare(options.name.as_ref(), persist, caller, &mut exports, &mut notices)?;

    let temporary_is_shared = exports.covers(Path::new("/tmp"));
    let runtime_directory_is_shared = exports.covers(&caller.sandbox_runtime_directory());
    exports.mount(&mut sandbox)?;
    device::prepare(&permissions.devices, runtime::console(), &mut sandbox)?;

    let mut environment = environment(options, caller);
    let mut wiring = Wiring {
        caller,
        sandbox: &mut sandbox,
        environment: &mut environment,
        notices: &mut notices,
        temporary_is_shared,
        runtime_directory_is_shared,
    };
    let sockets = socket::prepare(permissions, &mut wiring)?;

    confine(options, sockets.abstract_display, &mut sandbox)?;
    command(options, &environment, &mut sandbox)?;
    let payload = &mut sandbox.request.payload;
    payload.environment = environment.variables()?;
    payload.umask = caller.umask;
    payload.directories = directories(options, project, caller)?;
    if options.new_session {
        payload.group = Group::Session;
    }
    for Passed { number, descriptor } in passed {
        sandbox.pass(descriptor, number)?;
    }
    Ok(Plan { sandbox, notices })
}

fn namespaces(options: &Options, sandbox: &mut Sandbox) -> Result<(), ExecError> {
    let namespaces = &mut sandbox.request.namespaces;
    for share in &options.permissions.shares {
        match share {
            Share::Network => namespaces.net = Demand::Share,
            Share::Ipc => namespaces.ipc = Demand::Share,
        }
    }
    namespaces.hostname = options
        .hostname
        .as_ref()
        .map(|hostname| {
            Hostname::new(hostname.as_bytes())
                .map_err(|fault| ExecError::Hostname { hostname: hostname.clone(), fault })
        })
        .transpose()?;
    Ok(())
}

/// Shares the project and gives its path in the sandbox.
fn share_project(
    directory: &Path,
    caller: &Caller,
    exports: &mut Exports,
) -> Result<PathBuf, ExecError> {
    let absolute = absolute(directory, caller)?;
    // `..` cannot be shared as it is written; what it leads to can.
    let path = if absolute.components().any(|component| component == Component::ParentDir) {
        std::fs::canonicalize(&absolute)
            .map_err(|reason| ExecError::Path { path: absolute.clone(), reason })?
    } else {
        tidy(&absolute)
    };
    if path == Path::new("/") {
        return Err(ExecError::Project { path, what: "the whole system" });
    }
    match std::fs::metadata(&path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(ExecError::ProjectKind { path }),
        Err(reason) => return Err(ExecError::Path { path, reason }),
    }
    let real = exports.share(&path, Access::ReadWrite)?;
    let home = grant::real_home(&caller.home).unwrap_or_else(|_| caller.home.clone());
    if home.starts_with(&real) {
        return Err(ExecError::Project { path: real, what: "your whole home" });
    }
    Ok(real)
}

/// `path` as seen from the caller's directory.
fn absolute(path: &Path, caller: &Caller) -> Result<PathBuf, ExecError> {
    match &caller.directory {
        _ if path.is_absolute() => Ok(path.to_owned()),
        Some(directory) => Ok(directory.join(path)),
        None => Err(ExecError::Nowhere { path: path.to_owned() }),
    }
}

/// The environment before the sockets change it (R152).
fn environment(options: &Options, caller: &Caller) -> Environment {
    let mut environment = if options.clear_environment {
        Environment::default()
    } else {
        Environment::inherited(&caller.environment)
    };
    environment.set_default("HOME", &caller.home);
    environment.set_default("PATH", PATH);
    for (name, value) in &options.permissions.environment {
        match value {
            Some(value) => environment.set(name, value),
            None => environment.unset(name),
        }
    }
    environment.set("XDG_RUNTIME_DIR", caller.sandbox_runtime_directory());
    environment.set("container", CONTAINER);
    environment
}

/// System call filter and Landlock ruleset.
fn confine(
    options: &Options,
    abstract_sockets: bool,
    sandbox: &mut Sandbox,
) -> Result<(), ExecError> {
    let allowed = |feature| options.permissions.features.contains(&feature);
    let policy = seccomp::Policy {
        devel: allowed(Feature::Devel),
        multiarch: allowed(Feature::Multiarch),
        canbus: allowed(Feature::Canbus),
        bluetooth: allowed(Feature::Bluetooth),
    };
    sandbox.request.payload.filters = seccomp::programs(&policy)?;

    let policy = scope::Policy {
        abstract_sockets,
        connect: options.tcp_connect.clone(),
        bind: options.tcp_bind.clone(),
    };
    if let Some(ruleset) = scope::ruleset(&policy, options.permissions.network())? {
        let index = sandbox.add_descriptor(ruleset)?;
        sandbox.request.payload.landlock = Some(index);
    }
    Ok(())
}

/// The command: where it is looked for, and its arguments.
fn command(
    options: &Options,
    environment: &Environment,
    sandbox: &mut Sandbox,
) -> Result<(), ExecError> {
    let payload = &mut sandbox.request.payload;
    let name = options.command.first().filter(|name| !name.is_empty());
    let name = name.ok_or(ExecError::NoCommand)?;
    let failed = |fault| ExecError::Argument { argument: name.clone(), fault };
    if name.as_bytes().contains(&b'/') {
        payload.programs = vec![Program::new(name.as_bytes()).map_err(failed)?];
    } else {
        // A directory of PATH whose name is too long has no programs.
        let path = environment.get("PATH").unwrap_or(OsStr::new(PATH));
        let candidates = runtime::candidates(name, path);
        let programs = candidates.iter().map(|path| Program::new(path.as_os_str().as_bytes()));
        payload.programs = programs.filter_map(Result::ok).take(limits::PROGRAMS).collect();
        if payload.programs.is_empty() {
            return Err(failed(TextFault::TooLong));
        }
    }
    payload.interpreter = Program::new(SHELL).ok();
    payload.arguments = options
        .command
        .iter()
        .map(|argument| {
            Argument::new(argument.as_bytes())
                .map_err(|fault| ExecError::Argument { argument: argument.clone(), fault })
        })
        .collect::<Result<_, _>>()?;
    Ok(())
}

/// Where the command may start (R158). What was named must be there; otherwise the first of the
/// usual places that exists inside.
fn directories(
    options: &Options,
    project: Option<PathBuf>,
    caller: &Caller,
) -> Result<Vec<SandboxPath>, ExecError> {
    if let Some(directory) = &options.directory {
        let path = match &project {
            Some(project) => project.join(directory),
            None => absolute(directory, caller)?,
        };
        return Ok(vec![crate::sandbox::sandbox_path(&tidy(&path))?]);
    }
    if let Some(project) = project {
        return Ok(vec![crate::sandbox::sandbox_path(&project)?]);
    }
    let usual = caller.directory.iter().chain([&caller.home]);
    let paths = usual.filter_map(|path| crate::sandbox::sandbox_path(&tidy(path)).ok());
    let mut paths: Vec<_> = paths.chain([SandboxPath::root()]).collect();
    paths.dedup();
    Ok(paths)
}

/// A descriptor for the command, under its own number.
#[derive(Debug)]
pub struct Passed {
    number: u32,
    descriptor: OwnedFd,
}

/// Takes the descriptors that the command is to inherit. To be called before this process opens
/// any of its own, which would look like one of the caller's.
///
/// # Errors
/// If one is not open, or cannot be passed.
pub fn inherit(numbers: &[u32]) -> Result<Vec<Passed>, ExecError> {
    let mut passed: Vec<Passed> = Vec::with_capacity(numbers.len());
    for number in numbers.iter().copied() {
        if number <= 2 {
            return Err(ExecError::Standard { number });
        }
        if passed.iter().any(|earlier| earlier.number == number) {
            return Err(ExecError::Twice { number });
        }
        passed.push(Passed { number, descriptor: descriptor::inherited(number)? });
    }
    Ok(passed)
}

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::filesystem::token::Place;
    use crate::permission::Change;
    use std::os::unix::fs::symlink;
    use stockade_protocol::request::{self, Operation};

    fn options(changes: &[Change]) -> Options {
        let mut options = Options { command: vec!["ls".into()], ..Options::default() };
        changes.iter().cloned().for_each(|change| options.permissions.apply(change));
        options
    }

    fn planned(options: &Options, caller: &Caller) -> Sandbox {
        plan(options, caller, Vec::new()).unwrap().sandbox
    }

    fn text(path: &SandboxPath) -> &str {
        path.as_c_str().to_str().unwrap()
    }

    /// The binds that are not read-only.
    fn writable(sandbox: &Sandbox) -> Vec<String> {
        let bind = |operation: &Operation| match operation {
            Operation::Bind(bind) if bind.access == request::Access::ReadWrite => {
                Some(text(&bind.destination.path).to_owned())
            }
            _ => None,
        };
        sandbox.request.operations.iter().filter_map(bind).collect()
    }

    fn variable(sandbox: &Sandbox, name: &str) -> Option<String> {
        sandbox.request.payload.environment.iter().find_map(|variable| {
            let text = variable.as_c_str().to_str().unwrap();
            Some(text.strip_prefix(name)?.strip_prefix('=')?.to_owned())
        })
    }

    #[test]
    fn the_helper_takes_what_is_planned() {
        let scratch = Scratch::new();
        for all in [false, true] {
            let mut options = options(&[]);
            if all {
                let permissions = &mut options.permissions;
                permissions.devices = crate::permission::Device::ALL.iter().copied().collect();
                permissions.features = Feature::ALL.iter().copied().collect();
                permissions.shares = Share::ALL.iter().copied().collect();
                permissions.apply(Change::Filesystem(Place::Host, Access::ReadOnly));
                permissions.apply(Change::Filesystem(Place::HostRoot, Access::ReadOnly));
            }
            let sandbox = planned(&options, &caller(&scratch.0, &[]));
            let count = sandbox.descriptors().len();
            stockade_protocol::check(sandbox.request, count).unwrap();
        }
    }

    #[test]
    fn by_default_nothing_of_the_host_is_writable_and_there_is_no_network() {
        let scratch = Scratch::new();
        let sandbox = planned(&options(&[]), &caller(&scratch.0, &[]));
        assert_eq!(writable(&sandbox), Vec::<String>::new());
        let namespaces = &sandbox.request.namespaces;
        assert_eq!(namespaces.net, Demand::Required);
        assert_eq!(namespaces.ipc, Demand::Required);
        assert_eq!(sandbox.request.payload.filters.len(), 2);
    }

    #[test]
    fn every_mount_has_its_parents_before_it() {
        let scratch = Scratch::new();
        let project = scratch.directory("home/src/project");
        let mut options = options(&[]);
        options.project = Some(project.clone());
        let sandbox = planned(&options, &caller(&scratch.join("home"), &[]));
        let position = |wanted: &Path| {
            sandbox.request.operations.iter().position(|operation| match operation {
                Operation::Bind(bind) => Path::new(text(&bind.destination.path)) == wanted,
                Operation::Tmpfs { destination, .. } => {
                    Path::new(text(&destination.path)) == wanted
                }
                _ => false,
            })
        };
        assert!(position(&scratch.join("home")).unwrap() < position(&project).unwrap());
        assert_eq!(writable(&sandbox), [project.to_str().unwrap()]);
    }

    #[test]
    fn a_project_is_shared_and_worked_in() {
        let scratch = Scratch::new();
        let real = scratch.directory("home/real");
        symlink("real", scratch.join("home/link")).unwrap();
        let mut caller = caller(&scratch.join("home"), &[]);
        caller.directory = Some(scratch.join("home/link"));
        for (given, expected) in [(".", &real), ("../real", &real)] {
            let mut options = options(&[]);
            options.project = Some(given.into());
            let sandbox = planned(&options, &caller);
            assert_eq!(writable(&sandbox), [expected.to_str().unwrap()], "{given}");
            let directories = &sandbox.request.payload.directories;
            let directories: Vec<_> = directories.iter().map(text).collect();
            assert_eq!(directories, [expected.to_str().unwrap()], "{given}");
        }
    }

    #[test]
    fn a_project_is_neither_the_home_nor_the_root() {
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        let file = scratch.file("home/file", "");
        let caller = caller(&home, &[]);
        for given in [Path::new("/"), &home, &scratch.0, &file, Path::new("/usr/share")] {
            let mut options = options(&[]);
            options.project = Some(given.to_owned());
            let error = inherit(&options.pass)
                .and_then(|passed| plan(&options, &caller, passed))
                .unwrap_err();
            assert!(error.to_string().starts_with("cannot "), "{error}");
        }
    }

    #[test]
    fn r60_a_granted_home_is_the_real_one() {
        let scratch = Scratch::new();
        let changes = [
            Change::Filesystem(Place::Home(String::new()), Access::ReadWrite),
            Change::Persist(".config".into()),
        ];
        let mut options = options(&changes);
        options.name = Some(Name::new(OsStr::new("n")).unwrap());
        let plan = plan(&options, &caller(&scratch.0, &[]), Vec::new()).unwrap();
        assert_eq!(writable(&plan.sandbox), [scratch.0.to_str().unwrap()]);
        assert!(matches!(plan.notices.as_slice(), [Notice::Warning(_)]));
    }

    #[test]
    fn r152_options_decide_after_the_callers_environment() {
        let scratch = Scratch::new();
        let variables = [("LANG", "C"), ("A", "caller"), ("LD_PRELOAD", "x"), ("PATH", "/p")];
        let caller = caller(&scratch.0, &variables);
        let changes = [
            Change::Variable("A".into(), Some("option".into())),
            Change::Variable("LANG".into(), None),
            Change::Variable("XDG_RUNTIME_DIR".into(), Some("/x".into())),
        ];
        let sandbox = planned(&options(&changes), &caller);
        assert_eq!(variable(&sandbox, "A").as_deref(), Some("option"));
        assert_eq!(variable(&sandbox, "LANG"), None);
        assert_eq!(variable(&sandbox, "LD_PRELOAD"), None);
        assert_eq!(variable(&sandbox, "XDG_RUNTIME_DIR").as_deref(), Some("/run/user/1000"));
        assert_eq!(variable(&sandbox, "container").as_deref(), Some("stockade"));
        assert_eq!(variable(&sandbox, "PATH").as_deref(), Some("/p"));
    }

    #[test]
    fn r160_a_cleared_environment_has_nothing_of_the_callers() {
        let scratch = Scratch::new();
        let mut options = options(&[Change::Variable("A".into(), Some("b".into()))]);
        options.clear_environment = true;
        let sandbox = planned(&options, &caller(&scratch.0, &[("LANG", "C"), ("PATH", "/p")]));
        assert_eq!(variable(&sandbox, "LANG"), None);
        assert_eq!(variable(&sandbox, "PATH").as_deref(), Some(PATH));
        assert_eq!(variable(&sandbox, "A").as_deref(), Some("b"));
        assert_eq!(variable(&sandbox, "HOME").as_deref(), scratch.0.to_str());
        assert_eq!(sandbox.request.payload.environment.len(), 5);
    }

    #[test]
    fn a_command_with_a_slash_is_its_own_place() {
        let scratch = Scratch::new();
        let caller = caller(&scratch.0, &[("PATH", "/a::/b")]);
        let programs = |name: &str| {
            let mut options = options(&[]);
            options.command = vec![name.into(), "-x".into()];
            let payload = planned(&options, &caller).request.payload;
            assert_eq!(payload.arguments.len(), 2);
            let texts = payload.programs.iter().map(|p| p.as_c_str().to_str().unwrap().to_owned());
            texts.collect::<Vec<_>>()
        };
        assert_eq!(programs("./x"), ["./x"]);
        assert_eq!(programs("x"), ["/a/x", "./x", "/b/x"]);
    }

    #[test]
    fn r158_the_command_starts_where_it_was_called_or_at_home() {
        let scratch = Scratch::new();
        let mut caller = caller(&scratch.0, &[]);
        caller.directory = Some("/srv".into());
        let directories = |options: &Options| {
            let payload = planned(options, &caller).request.payload;
            payload.directories.iter().map(|path| text(path).to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(directories(&options(&[])), ["/srv", scratch.0.to_str().unwrap(), "/"]);
        let mut named = options(&[]);
        named.directory = Some("sub/".into());
        assert_eq!(directories(&named), ["/srv/sub"]);
    }

    #[test]
    fn passed_descriptors_are_open_and_not_standard() {
        for numbers in [&[1][..], &[1_000_000], &[1_000_000, 1_000_000]] {
            assert!(inherit(numbers).is_err(), "{numbers:?}");
        }
    }

    #[test]
    fn r97_the_x_sockets_of_a_granted_tmp_are_covered() {
        let scratch = Scratch::new();
        let home = scratch.directory("home");
        let changes = [Change::Filesystem(Place::Path("tmp".into()), Access::ReadWrite)];
        let sandbox = planned(&options(&changes), &caller(&home, &[]));
        let covered = sandbox.request.operations.iter().any(|operation| match operation {
            Operation::Tmpfs { destination, .. } => text(&destination.path) == "/tmp/.X11-unix",
            _ => false,
        });
        // Where the host has none there is nothing to cover, and nothing must be made.
        assert_eq!(covered, Path::new("/tmp/.X11-unix").is_dir());
    }
}
