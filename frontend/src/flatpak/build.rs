// SPDX-License-Identifier: MIT OR Apache-2.0
//! A command that builds something, in a sandbox that has the SDK, and the directory of what is built for
//! writing (R263).
//!
//! It is made for being the same everywhere: of the session, of the host's files and of its fonts nothing
//! is there that was not asked for.

mod base;
mod bind;
mod description;
mod error;
mod personality;
mod point;
mod project;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use base::Base;
pub use bind::{BindError, BindMount};
use description::{Facts, describe};
pub use error::BuildError;
use project::Project;

use super::buses;
use super::context::Context;
use super::context::condition::Conditions;
use super::data::DataDirectory;
use super::extension::condition::Circumstances;
use super::extension::{Extensions, Parent};
use super::files::{self, Session, Wanted as WantedFiles};
use super::gate::Gate;
use super::installation::Installations;
use super::instance::{Instances, mount_info};
use super::layout::account::Account;
use super::layout::{self, Host};
use super::namespaces;
use super::permissions;
use super::plan::{DIRECTORY, PATH, Plan, Running, SHELL};
use super::reference::Kind;
use super::tree::Tree;
use super::variables::{self, BuildInputs, Libraries};
use crate::bus::kind as bus;
use crate::caller::Caller;
use crate::command;
use crate::device;
use crate::message::Notice;
use crate::sandbox::Sandbox;
use crate::seccomp;
use crate::socket::{self, Wiring};
use crate::terminal;
use stockade_protocol::request::Access;

/// Kept in the build directory, whatever the application keeps.
const TEMPORARY: &str = "/var/tmp";

/// What to build, and how.
#[derive(Debug, Default)]
pub struct Options {
    /// Buses of which every message is told.
    pub log: BTreeSet<bus::Kind>,
    /// The build directory.
    pub directory: PathBuf,
    /// The permissions of the command line.
    pub context: Context,
    /// On the runtime rather than the SDK.
    pub on_runtime: bool,
    /// What is built can only be read.
    pub read_only: bool,
    /// Which directory in it is an SDK of its own, `usr` by default.
    pub sdk_directory: Option<String>,
    /// Which file in it has the metadata, `metadata` by default.
    pub metadata: Option<String>,
    /// With the data directory that the application will have.
    pub with_data: bool,
    /// Working directory.
    pub start: Option<PathBuf>,
    /// What else of the host is mounted.
    pub binds: Vec<BindMount>,
    /// What is run and its arguments; a shell, if nothing.
    pub command: Vec<OsString>,
}

/// Describes the sandbox of a build, and makes what it needs on the host.
///
/// # Errors
/// [`BuildError`]. Nothing runs then.
pub fn plan(
    options: Options,
    caller: &Caller,
    installations: &Installations,
    mut notices: Vec<Notice>,
) -> Result<Plan, BuildError> {
    let metadata = options.metadata.as_deref();
    let project = Project::open(&options.directory, metadata, options.on_runtime, caller)?;
    let base = Base::open(&project, &options, installations, &mut notices)?;
    let context = permissions_of(&project, &base, &options.context, &mut notices)?;
    let conditions = Conditions { has_wayland: socket::has_wayland(caller), has_usb_portal: false };
    let resolved = context.resolve(&conditions);
    let typed = options.context.resolve(&conditions);
    let id = &project.reference.id;
    let with_data = options.with_data && project.reference.kind == Kind::App;
    let mut data =
        with_data.then(|| DataDirectory::prepare(id, &[], caller, &mut notices)).transpose()?;
    if let Some(data) = &mut data {
        data.yield_place(Path::new(TEMPORARY));
    }
    let data = data.as_ref();

    let (app_extensions, runtime_extensions) =
        extensions(&project, &base, installations, caller, &mut notices);
    let searched = |extensions: &Option<Extensions>| {
        extensions.as_ref().map(Extensions::library_directories).unwrap_or_default()
    };
    let mut environment = variables::of_build(&BuildInputs {
        caller,
        context: &resolved.permissions.environment,
        reference: &project.reference,
        place: base.place(project.reference.kind),
        data: data.map(DataDirectory::path),
        libraries: &Libraries::Searched {
            app: searched(&app_extensions),
            runtime: searched(&runtime_extensions),
        },
    });

    let mut sandbox = Sandbox::new();
    namespaces::share(&resolved, &mut sandbox);
    let root = Path::new("/");
    let account = Account::of(caller, rustix::process::getgid().as_raw(), root);
    let host = Host { caller, account: &account, root, session: None };
    let built = base.runtime.is_none();
    layout::prepare_for_build(&base.usr, built, &host, &mut sandbox, &mut environment)?;
    base.mount(&mut sandbox)?;
    for extensions in app_extensions.iter().chain(&runtime_extensions) {
        extensions.mount(&mut sandbox)?;
    }
    base.mount_extension(&mut sandbox)?;

    let instance = Instances::create(caller)?.allocate()?;
    let info = describe(
        &project,
        &base,
        &Facts {
            instance: instance.id(),
            data: data.map(DataDirectory::path),
            app_extensions: app_extensions.as_ref(),
            runtime_extensions: runtime_extensions.as_ref(),
            context: &context,
            typed: &options.context,
            resolved: &resolved,
        },
    )?;
    instance.write_info(&info)?;
    instance.write_environment(caller)?;
    instance.write_pid(std::process::id())?;

    let hidden = context.filesystems.denied().cloned().collect();
    let wanted_files = WantedFiles {
        filesystems: &resolved.permissions.filesystems,
        hidden: &hidden,
        persist: &resolved.permissions.persist,
        previous: &[],
        installation: &installations.defaults().user,
    };
    let files = files::collect(&wanted_files, data, caller, &mut notices)?;
    let meeting_place = data
        .map(|_| files::meeting_place(id, caller).map(|place| (id.clone(), place)))
        .transpose()?;
    let mut members = files.mount(Session { meeting_place, ..Session::default() }, &mut sandbox)?;
    instance.mount(&mut sandbox)?;
    mount_info(&info, &mut sandbox)?;

    device::prepare(&resolved.permissions.devices, terminal::console(), &mut sandbox)?;
    members.insert(".flatpak".to_owned());
    members.extend(data.map(|_| "app".to_owned()));
    let mut wiring = Wiring {
        caller,
        sandbox: &mut sandbox,
        environment: &mut environment,
        notices: &mut notices,
        temporary_is_shared: false,
        directory: Path::new(DIRECTORY),
        members: &mut members,
    };
    socket::prepare(&resolved.permissions, &mut wiring)?;
    let proxy = buses::supply_build(options.log, id, &typed, &resolved, info, &mut wiring)?;
    files::make_members(&members, &caller.sandbox_runtime_directory(), &mut sandbox)?;
    for bind in options.binds {
        bind.put(&mut sandbox)?;
    }

    // R178.
    let mut policy = seccomp::Policy::of(&resolved.permissions.features);
    policy.devel = true;
    policy.multiarch = true;
    sandbox.request.payload.filters = seccomp::programs(&policy)?;
    personality::adopt(&project.reference.arch).map_err(BuildError::Personality)?;
    let words =
        if options.command.is_empty() { vec![OsString::from(SHELL)] } else { options.command };
    command::describe(&words, PATH, &environment, &mut sandbox)?;
    // What is relative begins at the root of the sandbox.
    let start = options.start.map(|start| root.join(start));
    let payload = &mut sandbox.request.payload;
    payload.environment = environment.variables()?;
    payload.umask = caller.umask;
    payload.directories = variables::starting_points(start.as_deref(), caller)?;

    let gate = Gate::add(&mut sandbox)?;
    Ok(Plan { sandbox, instance: Running::new(instance, None, gate), proxy, notices })
}

/// What the metadata ask for and the command line adds. Nobody's overrides are meant for a build, and
/// since 1.17 the host's files are not given to one by itself.
fn permissions_of(
    project: &Project,
    base: &Base,
    typed: &Context,
    notices: &mut Vec<Notice>,
) -> Result<Context, BuildError> {
    let mut context = match &base.runtime {
        Some(runtime) => {
            let context = permissions::of_the_metadata(runtime, notices)?;
            context.without_permissions()
        }
        None => Context::default(),
    };
    let (own, told) = Context::read(&project.metadata)
        .map_err(|error| BuildError::Permissions { path: project.file.clone(), error })?;
    notices.extend(told);
    context.merge(&own);
    context.merge(typed);
    Ok(context)
}

/// The extensions of the application that is built, and of the runtime.
fn extensions(
    project: &Project,
    base: &Base,
    installations: &Installations,
    caller: &Caller,
    notices: &mut Vec<Notice>,
) -> (Option<Extensions>, Option<Extensions>) {
    let circumstances = Circumstances::new(caller, Path::new("/"));
    let app = base.app.as_ref().filter(|_| project.reference.kind == Kind::App);
    let app = app.map(|files| Parent {
        reference: &project.reference,
        metadata: &project.metadata,
        files: Tree::as_fd(files),
        prefix: Path::new("/app"),
        is_writable: base.app_access() == Access::ReadWrite,
    });
    let runtime = base.runtime.as_ref().map(|deploy| Parent {
        reference: &deploy.reference,
        metadata: &deploy.metadata,
        files: base.usr.as_fd(),
        prefix: Path::new("/usr"),
        is_writable: false,
    });
    let mut find = |parent| Extensions::find(parent, installations, &circumstances, notices);
    (app.map(&mut find), runtime.map(&mut find))
}
