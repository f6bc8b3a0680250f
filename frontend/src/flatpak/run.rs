// SPDX-License-Identifier: MIT OR Apache-2.0
//! An application in its sandbox: everything of an installation, the permissions and the session
//! brought together, in the order that the rules have (R75).

mod attached;
mod description;
mod documents;
mod error;
mod session;
mod shelf;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use stockade_protocol::request::Access;

use attached::Attached;
use description::{Facts, describe};
use documents::Portal;
pub use error::RunError;

use super::buses;
use super::choice::{self, Choice};
use super::context::Context;
use super::context::condition::Conditions;
use super::data::DataDirectory;
use super::dconf;
use super::deploy::{Deploy, DeployError};
use super::files::{self, PassedObject, Session, Wanted as WantedFiles};
use super::forward::{Documents, View, forward};
use super::gate::Gate;
use super::installation::{Defaults, Installations};
use super::instance::application::ApplicationDirectory;
use super::instance::{Instances, mount_info, shared_memory};
use super::layout::account::Account;
use super::layout::base::{Base, Substitute};
use super::layout::{self, Host};
use super::library_cache::configuration;
use super::metadata::Metadata;
use super::namespaces;
use super::parental_controls;
use super::permissions;
use super::plan::{DIRECTORY, PATH, Plan, Running, SHELL};
use super::reference::{Id, Kind, Wanted};
use super::tree::Tree;
use super::variables::{self, Inputs, Libraries};
use crate::caller::Caller;
use crate::command;
use crate::device;
use crate::message::Notice;
use crate::permission::{Device, Feature};
use crate::sandbox::Sandbox;
use crate::seccomp;
use crate::socket::{self, Wiring};
use crate::terminal;

/// What to run, and how.
#[derive(Debug, Default)]
pub struct Options {
    /// Versions and installations.
    pub choice: choice::Options,
    /// The permissions of the command line.
    pub context: Context,
    /// Keeps of the application's own permissions what it cannot run without (R50).
    pub sandbox: bool,
    /// Instead of the application's own command.
    pub command: Option<OsString>,
    /// What comes behind it.
    pub arguments: Vec<OsString>,
    /// Shows files that are named between markers (R228).
    pub file_forwarding: bool,
    /// Gives no access to the documents portal (R100).
    pub no_documents_portal: bool,
    /// Working directory.
    pub directory: Option<PathBuf>,
    /// Starts from an empty environment.
    pub clear_environment: bool,
    /// In the place of the application's files.
    pub app_instead: Option<Substitute>,
    /// In the place of the runtime's.
    pub usr_instead: Option<Tree>,
    /// Objects that are shown where they are (R104).
    pub passed: Vec<PassedObject>,
    /// Message buses.
    pub buses: buses::Options,
}

/// What is run, opened.
struct Opened {
    app: Option<Deploy>,
    runtime: Deploy,
    base: Base,
}

impl Opened {
    fn new(
        choice: Choice,
        app_instead: Option<Substitute>,
        usr_instead: Option<Tree>,
    ) -> Result<Self, RunError> {
        let Choice { app, runtime } = choice;
        let files = |deploy: &Deploy| -> Result<Tree, DeployError> {
            Ok(Tree::of(deploy.files()?, deploy.path.join("files")))
        };
        let base = Base {
            runtime: files(&runtime)?,
            app: app.as_ref().map(files).transpose()?,
            usr_instead,
            app_instead,
        };
        Ok(Self { app, runtime, base })
    }

    /// The application, or the runtime that is run by itself.
    fn main(&self) -> &Deploy {
        self.app.as_ref().unwrap_or(&self.runtime)
    }

    fn is_app(&self) -> bool {
        self.app.is_some()
    }
}

/// Describes the sandbox of an application, and makes what it needs on the host.
///
/// # Errors
/// [`RunError`]. Nothing runs then.
pub fn plan(
    wanted: &Wanted,
    options: Options,
    caller: &Caller,
    installations: &Installations,
    mut notices: Vec<Notice>,
) -> Result<Plan, RunError> {
    let choice = Choice::make(wanted, &options.choice, installations)?;
    if let Some(app) = &choice.app {
        parental_controls::check(app, caller)?;
    }
    let opened = Opened::new(choice, options.app_instead, options.usr_instead)?;
    let main = opened.main();
    let id = &main.reference.id;
    let context = permissions_of(
        &opened,
        &options.context,
        options.sandbox,
        installations.defaults(),
        &mut notices,
    )?;
    let conditions = Conditions { has_wayland: socket::has_wayland(caller), has_usb_portal: false };
    let resolved = context.resolve(&conditions);
    let previous = previous(&opened);
    let data = (opened.is_app() && !options.sandbox)
        .then(|| DataDirectory::prepare(id, &previous, caller, &mut notices))
        .transpose()?;

    let extensions = Attached::find(&opened, installations, caller, &mut notices);
    let cache = extensions.cache(&opened, data.as_ref(), caller, &mut notices)?;
    let libraries = match &cache {
        Some(_) => Libraries::Cached,
        None => extensions.searched(),
    };

    let mut sandbox = Sandbox::new();
    namespaces::share(&resolved, &mut sandbox);
    opened.base.mount(&mut sandbox)?;
    let mut without = Vec::new();
    extensions.mount(&opened, cache.is_some(), &mut sandbox)?;
    if let Some(cache) = cache {
        without.push("ld.so.cache");
        if configuration::generated(&opened.base.runtime).is_some() {
            without.push("ld.so.conf");
        }
        cache.mount(&mut sandbox)?;
    }

    let mut environment = variables::environment(&Inputs {
        caller,
        clear: options.clear_environment,
        context: &resolved.permissions.environment,
        id,
        is_app: opened.is_app(),
        data: data.as_ref().map(DataDirectory::path),
        libraries: &libraries,
    });
    let root = Path::new("/");
    let account = Account::of(caller, rustix::process::getgid().as_raw(), root);
    let provided = session::find(caller, &mut notices);
    let host = Host { caller, account: &account, root, session: provided.as_ref() };
    let base = &opened.base;
    let certificates =
        layout::prepare(base, &host, &without, &mut sandbox, &mut environment, &mut notices)?
            .pkcs11;

    if let Some(app) = &opened.app {
        dconf::prepare(id, &app.metadata, data.as_ref(), caller, &mut sandbox, &mut notices)?;
    }

    let instances = Instances::create(caller)?;
    let instance = instances.allocate()?;
    let shared =
        (!options.sandbox).then(|| ApplicationDirectory::create(&instances, id)).transpose()?;
    let info = describe(
        &opened,
        &extensions,
        &context,
        &options.context,
        &instance,
        Facts {
            sandbox: options.sandbox,
            devel: options.choice.devel || resolved.permissions.features.contains(&Feature::Devel),
            data: data.as_ref().map(DataDirectory::path),
            resolved: &resolved,
        },
    )?;
    instance.write_info(&info)?;
    instance.write_environment(caller)?;
    instance.write_pid(std::process::id())?;

    let wants_documents = !options.sandbox && !options.no_documents_portal;
    let mut portal = wants_documents.then(|| Portal::find(id, caller, &mut notices)).flatten();
    let hidden = context.filesystems.denied().cloned().collect();
    let wanted_files = WantedFiles {
        filesystems: &resolved.permissions.filesystems,
        hidden: &hidden,
        persist: &resolved.permissions.persist,
        previous: &previous,
        installation: &installations.defaults().user,
    };
    let files = files::collect(&wanted_files, data.as_ref(), caller, &mut notices)?;
    let arguments = if options.file_forwarding {
        let visible = files.visible();
        let view = View { directory: caller.directory.as_deref(), visible: &visible };
        let documents = portal.as_mut().map(|portal| portal as &mut dyn Documents);
        forward(options.arguments, view, documents, &mut notices)?
    } else {
        options.arguments
    };

    let mut session = Session { passed: options.passed, ..Session::default() };
    if let Some(shared) = &shared {
        session.temporary = Some(shared.temporary()?.0);
        session.runtime_directory = Some(shared.runtime()?.0);
    }
    if data.is_some() {
        session.meeting_place = Some((id.clone(), files::meeting_place(id, caller)?));
    }
    session.documents = portal.map(Portal::into_directory);
    let has_documents = session.documents.is_some();
    let mut members = files.mount(session, &mut sandbox)?;
    members.extend(has_documents.then(|| "doc".to_owned()));
    if let Some(shared) = &shared {
        shared.mount(&mut sandbox)?;
    }
    instance.mount(&mut sandbox)?;
    mount_info(&info, &mut sandbox)?;

    device::prepare(&resolved.permissions.devices, terminal::console(), &mut sandbox)?;
    let own_memory =
        resolved.per_app_dev_shm && !resolved.permissions.devices.contains(&Device::Shm);
    if let Some(shared) = shared.as_ref().filter(|_| own_memory) {
        let (memory, path) = shared.shared_memory(Path::new(shared_memory::HOST))?;
        let place = Path::new("/dev/shm");
        sandbox.bind_descriptor(memory, &path, place, Access::ReadWrite)?;
    }
    members.insert(".flatpak".to_owned());
    members.extend(data.is_some().then(|| "app".to_owned()));
    members.extend(certificates.then(|| "p11-kit".to_owned()));
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
    let proxy = buses::supply(&options.buses, id, options.sandbox, &resolved, info, &mut wiring)?;
    match &shared {
        Some(shared) => files::link_members(&shared.runtime()?.0, &members, &mut notices),
        None => {
            let directory = caller.sandbox_runtime_directory();
            files::make_members(&members, &directory, &mut sandbox)?;
        }
    }

    let mut policy = seccomp::Policy::of(&resolved.permissions.features);
    policy.devel |= options.choice.devel;
    let payload = &mut sandbox.request.payload;
    payload.filters = seccomp::programs(&policy)?;
    // No part of it is ever an option of anything (R233).
    let words: Vec<_> = [command(&opened, options.command)?].into_iter().chain(arguments).collect();
    command::describe(&words, PATH, &environment, &mut sandbox)?;
    let payload = &mut sandbox.request.payload;
    payload.environment = environment.variables()?;
    payload.umask = caller.umask;
    payload.directories = variables::starting_points(options.directory.as_deref(), caller)?;

    let gate = Gate::add(&mut sandbox)?;
    let instance = Running::new(instance, shared, gate);
    Ok(Plan { sandbox, instance, proxy, notices })
}

/// All layers in one (R45, R46).
fn permissions_of(
    opened: &Opened,
    typed: &Context,
    sandbox: bool,
    defaults: &Defaults,
    notices: &mut Vec<Notice>,
) -> Result<Context, RunError> {
    let runtime = permissions::of_the_metadata(&opened.runtime, notices)?;
    let mut context = runtime.without_permissions();
    if let Some(app) = &opened.app {
        context.merge(&permissions::overridden(app, defaults, notices)?);
    }
    if sandbox {
        context = context.sandboxed();
    }
    context.merge(typed);
    Ok(context)
}

/// Earlier names of the application, the newest first (R88).
fn previous(opened: &Opened) -> Vec<Id> {
    // What was put together by hand has no such file, and no earlier name.
    let data = opened.app.as_ref().and_then(|app| app.data().ok());
    let names = data.map(|data| data.previous_ids).unwrap_or_default();
    names.iter().rev().filter_map(|name| Id::new(name).ok()).collect()
}

/// The command, and who asked for it (R77).
fn command(opened: &Opened, named: Option<OsString>) -> Result<OsString, RunError> {
    if let Some(named) = named {
        return Ok(named);
    }
    let Some(app) = &opened.app else {
        return Ok(SHELL.into());
    };
    let own = Metadata::read(Kind::App, &app.metadata)?.command.filter(|text| !text.is_empty());
    own.map(OsString::from)
        .ok_or_else(|| RunError::NoCommand { application: Box::new(app.reference.clone()) })
}
