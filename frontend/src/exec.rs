// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade exec`: from options to the complete description of a sandbox.
//!
//! A function of the options, the caller and the files of the host; it starts nothing and changes
//! nothing but what `:create`, `--name` and `--persist` ask to be made.

mod buses;
mod directory;
mod error;
mod passed;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use stockade_protocol::request::{Demand, Group};
use stockade_protocol::text::Hostname;

pub use error::ExecError;
pub use passed::{Passed, inherit};

use crate::bus::proxy::Pending;
use crate::bus::supply;
use crate::caller::Caller;
use crate::command;
use crate::device;
use crate::environment::Environment;
use crate::filesystem::grant;
use crate::home::{self, Name};
use crate::message::Notice;
use crate::permission::{Permissions, Share};
use crate::runtime;
use crate::sandbox::Sandbox;
use crate::scope;
use crate::seccomp;
use crate::socket::{self, Wiring};
use crate::terminal;

/// The value of `container`, by which programs notice that they are in one.
const CONTAINER: &str = "stockade";

/// Where programs are looked for if the environment does not say.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

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
    /// What filters its message buses, to be started.
    pub proxy: Option<Pending>,
    /// What the user should know.
    pub notices: Vec<Notice>,
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
        .map(|directory| directory::share_project(directory, caller, &mut exports))
        .transpose()?;
    grant::grant(&permissions.filesystems, caller, &mut exports, &mut notices)?;
    // R60: with the home granted there is nothing to persist.
    let persist = permissions.persist.iter().filter(|_| !permissions.home_access());
    home::prepare(options.name.as_ref(), persist, caller, &mut exports, &mut notices)?;

    let temporary_is_shared = exports.covers(Path::new("/tmp"));
    let runtime_directory_is_shared = exports.covers(&caller.sandbox_runtime_directory());
    exports.mount(&mut sandbox)?;
    device::prepare(&permissions.devices, terminal::console(), &mut sandbox)?;

    let mut environment = environment(options, caller);
    let mut members = BTreeSet::new();
    let mut wiring = Wiring {
        caller,
        sandbox: &mut sandbox,
        environment: &mut environment,
        notices: &mut notices,
        temporary_is_shared,
        directory: Path::new(socket::DIRECTORY),
        members: &mut members,
    };
    let sockets = socket::prepare(permissions, &mut wiring)?;
    wiring.notices.extend(buses::warning(permissions));
    let proxy = supply::prepare(buses::wanted(permissions)?, &mut wiring)?;
    if !runtime_directory_is_shared {
        socket::link(&members, caller, &mut sandbox)?;
    }

    confine(options, sockets.abstract_display, &mut sandbox)?;
    command::describe(&options.command, PATH, &environment, &mut sandbox)?;
    let payload = &mut sandbox.request.payload;
    payload.environment = environment.variables()?;
    payload.umask = caller.umask;
    payload.directories = directory::starting_points(options, project, caller)?;
    if options.new_session {
        payload.group = Group::Session;
    }
    for Passed { number, descriptor } in passed {
        sandbox.pass(descriptor, number)?;
    }
    Ok(Plan { sandbox, proxy, notices })
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
    let policy = seccomp::Policy::of(&options.permissions.features);
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

#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "tests look for one kind of operation")]
pub(crate) mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::filesystem::token::{Access, Place};
    use crate::permission::{Change, Feature};
    use std::ffi::OsStr;
    use stockade_protocol::request::{self, Operation};
    use stockade_protocol::text::SandboxPath;

    pub(crate) fn options(changes: &[Change]) -> Options {
        let mut options = Options { command: vec!["ls".into()], ..Options::default() };
        changes.iter().cloned().for_each(|change| options.permissions.apply(change));
        options
    }

    pub(crate) fn planned(options: &Options, caller: &Caller) -> Sandbox {
        plan(options, caller, Vec::new()).unwrap().sandbox
    }

    pub(super) fn text(path: &SandboxPath) -> &str {
        path.as_c_str().to_str().unwrap()
    }

    /// The binds that are not read-only.
    pub(super) fn writable(sandbox: &Sandbox) -> Vec<String> {
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
