// SPDX-License-Identifier: MIT OR Apache-2.0
//! The service on the bus (R244, R245, R248, R251).

mod monitors;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use zbus::fdo::{self, DBusProxy};
use zbus::message::Header;
use zbus::names::UniqueName;
use zbus::object_server::{ResponseDispatchNotifier, SignalEmitter};
use zbus::{Connection, ObjectServer, OwnedObjectPath, OwnedVariant, interface};

pub use monitors::{Monitor, Monitors};

use super::bits::Flag;
use super::monitor::{Update, Watched};
use super::options::Options;
use super::order::{Launch, Objects};
use super::parent::Parent;
use super::request::Request;
use super::{NAME, OBJECT};
use crate::caller::Caller;
use crate::flatpak::installation::Installations;
use crate::flatpak::instance::Instances;
use crate::flatpak::instance::identity::Identity;
use crate::message::{self, Notice};
use crate::service::apart::apart;
use crate::service::children::{Children, Owner};

/// The version of the interface whose flags and options are known here.
const VERSION: u32 = 8;

/// What is supported beyond it: 1 would be that processes can be shared (R244).
const SUPPORTS: u32 = 0;

/// The service.
#[derive(Clone, Debug)]
pub struct Portal {
    caller: Caller,
    launcher: PathBuf,
    children: Children,
    monitors: Monitors,
}

/// Who calls.
struct Asking {
    parent: Parent,
    /// As its launcher was called.
    caller: Caller,
}

impl Portal {
    /// The service of a user, which starts commands with this launcher.
    #[must_use]
    pub fn new(caller: Caller, launcher: PathBuf, children: Children) -> Self {
        Self { caller, launcher, children, monitors: Monitors::default() }
    }

    /// The monitors of its callers.
    #[must_use]
    pub fn monitors(&self) -> Monitors {
        self.monitors.clone()
    }

    /// Finds out who calls (R331, R332).
    async fn asking(
        &self,
        connection: &Connection,
        sender: &UniqueName<'_>,
    ) -> fdo::Result<Asking> {
        let bus = DBusProxy::new(connection).await?;
        let credentials = bus.get_connection_credentials(sender.as_ref().into()).await?;
        let own = credentials.unix_user_id() == Some(self.caller.uid);
        let pid = credentials.process_id().filter(|_| own);
        let pid = pid.ok_or_else(|| fdo::Error::AccessDenied("nobody knows who calls".into()))?;
        let caller = self.caller.clone();
        let asking = apart(move || identify(caller, pid)).await??;
        // As long as it is connected, its number was not given to another.
        if bus.name_has_owner(sender.as_ref().into()).await? {
            Ok(asking)
        } else {
            Err(fdo::Error::AccessDenied("the caller has left".into()))
        }
    }
}

/// The instance of a process.
fn identify(caller: Caller, pid: u32) -> fdo::Result<Asking> {
    let denied = |error: &dyn std::fmt::Display| fdo::Error::AccessDenied(error.to_string());
    let outside = || fdo::Error::InvalidArgs(format!("{NAME} only works in a flatpak"));
    let instances =
        Instances::open(&caller).map_err(|error| denied(&error))?.ok_or_else(outside)?;
    let found = Identity::of_process(&instances, pid).map_err(|error| denied(&error))?;
    let identity = found.ok_or_else(outside)?;
    let parent = Parent::read(&identity.running.info).map_err(|error| denied(&error))?;
    let caller = match identity.environment {
        // Flatpak before 1.16 does not say.
        None => caller,
        Some(environment) => {
            let caller = Caller { environment, ..caller };
            let home = caller.path_variable("HOME").map(Path::to_owned);
            Caller { home: home.unwrap_or(caller.home.clone()), ..caller }
        }
    };
    Ok(Asking { parent, caller })
}

fn invalid(error: impl std::fmt::Display) -> fdo::Error {
    fdo::Error::InvalidArgs(error.to_string())
}

fn sender<'a>(header: &Header<'a>) -> fdo::Result<UniqueName<'a>> {
    let sender = header.sender().cloned();
    sender.ok_or_else(|| fdo::Error::AccessDenied("a call of nobody".into()))
}

/// Says for the log of the session what became of a call.
fn tell(text: String) {
    message::notices(&[Notice::Warning(text)], true);
}

#[interface(name = "org.freedesktop.portal.Flatpak")]
impl Portal {
    /// Starts a command in another sandbox of the caller's application.
    #[zbus(out_args("pid"))]
    #[expect(clippy::too_many_arguments, reason = "R245 has them, and zbus two more")]
    async fn spawn(
        &self,
        cwd_path: Vec<u8>,
        argv: Vec<Vec<u8>>,
        fds: HashMap<u32, zbus::OwnedFd>,
        envs: BTreeMap<String, String>,
        flags: u32,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
    ) -> fdo::Result<ResponseDispatchNotifier<u32>> {
        let sender = sender(&header)?;
        let asking = self.asking(connection, &sender).await?;
        let mut request = Request::new(cwd_path, argv, envs, flags).map_err(invalid)?;
        let descriptors = fds.into_iter().map(|(number, fd)| (number, fd.into())).collect();
        let mut objects = Objects { descriptors, ..Objects::default() };
        let id = asking.parent.reference.id.as_str();
        Options(options).apply(id, &mut request, &mut objects).map_err(invalid)?;
        let flags = request.flags;
        let launcher = self.launcher.clone();
        let launch = apart(move || {
            Launch::new(&launcher, &asking.caller, &asking.parent, &request, objects)
        });
        let launch = launch.await?.map_err(invalid)?;
        for error in launch.left_out {
            tell(format!("a sandbox does not get all that it should\n{error}"));
        }

        let owner = Owner { name: sender.as_str(), is_watched: flags.has(Flag::WatchBus) };
        let emitter = SignalEmitter::new(connection, OBJECT)?
            .set_destination(sender.to_owned().into())
            .into_owned();
        // What is told of a process comes after the answer that gives its number, and its end last.
        let (before, told) = mpsc::channel::<()>();
        let of_the_end = emitter.clone();
        let ended = move |pid, status| {
            told.recv().ok();
            // Whoever has left does not want to know.
            zbus::block_on(Self::spawn_exited(&of_the_end, pid, status)).ok();
        };
        let pid = self.children.start(launch.order, owner, ended)?;
        if owner.is_watched {
            // It may have left before there was anything to end.
            let bus = DBusProxy::new(connection).await?;
            if !bus.name_has_owner(sender.as_ref().into()).await? {
                self.children.owner_left(sender.as_str());
            }
        }
        let (answer, answered) = ResponseDispatchNotifier::new(pid);
        let up = launch.started;
        let follow = move || {
            zbus::block_on(answered);
            if up.is_some_and(is_up) {
                // There is no namespace of processes that the caller could see it in.
                zbus::block_on(Self::spawn_started(&emitter, pid, 0)).ok();
            }
            drop(before);
        };
        let thread = thread::Builder::new().name("answer".to_owned()).spawn(follow);
        thread.map_err(|error| fdo::Error::Failed(error.to_string()))?;
        Ok(answer)
    }

    /// Sends a signal to a process that the caller has started, or to its process group.
    async fn spawn_signal(
        &self,
        pid: u32,
        signal: u32,
        to_process_group: bool,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        let sender = sender(&header)?;
        Ok(self.children.signal(sender.as_str(), pid, signal, to_process_group)?)
    }

    /// Tells the caller of other versions of its application.
    #[zbus(out_args("handle"))]
    async fn create_update_monitor(
        &self,
        options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
        #[zbus(connection)] connection: &Connection,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> fdo::Result<ResponseDispatchNotifier<OwnedObjectPath>> {
        let sender = sender(&header)?;
        let asking = self.asking(connection, &sender).await?;
        let token = Options(options).text("handle_token").map_err(invalid)?;
        let path = monitors::handle(&sender, token)?;
        let watched = apart(move || {
            let (installations, _) = Installations::discover(&asking.caller);
            Watched::new(&asking.parent, &installations)
        });
        let watched = watched.await?;
        let (ended, end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
            .map_err(|errno| fdo::Error::Failed(errno.to_string()))?;
        self.monitors.add(&path, &sender, end)?;
        let monitor = Monitor::new(&sender, &self.monitors);
        if !server.at(path.clone(), monitor).await.is_ok_and(|replaced| replaced.is_none()) {
            self.monitors.end(&path);
            return Err(fdo::Error::Failed("there is such a monitor already".into()));
        }
        let emitter = SignalEmitter::new(connection, path.clone())?
            .set_destination(sender.to_owned().into())
            .into_owned();
        let (answer, answered) = ResponseDispatchNotifier::new(path);
        let follow = move || {
            zbus::block_on(answered);
            let tell = |update: Update| {
                zbus::block_on(Monitor::update_available(&emitter, monitors::facts(update))).ok();
            };
            if let Some(Err(errno)) = watched.map(|watched| watched.watch(&ended, tell)) {
                self::tell(format!("an application is not told of updates\n{errno}"));
            }
        };
        let thread = thread::Builder::new().name("monitor".to_owned()).spawn(follow);
        thread.map_err(|error| fdo::Error::Failed(error.to_string()))?;
        Ok(answer)
    }

    /// The sandbox of a command is up.
    #[zbus(signal)]
    async fn spawn_started(emitter: &SignalEmitter<'_>, pid: u32, relpid: u32) -> zbus::Result<()>;

    /// A command has ended, with a status as `wait(2)` has it.
    #[zbus(signal)]
    async fn spawn_exited(
        emitter: &SignalEmitter<'_>,
        pid: u32,
        exit_status: u32,
    ) -> zbus::Result<()>;

    /// The version of this interface.
    #[zbus(property(emits_changed_signal = "const"), name = "version")]
    fn version(&self) -> u32 {
        VERSION
    }

    /// What is supported beyond it.
    #[zbus(property(emits_changed_signal = "const"), name = "supports")]
    fn supports(&self) -> u32 {
        SUPPORTS
    }
}

/// Waits until a launcher has told that its sandbox is up. False if it ends without.
fn is_up(started: OwnedFd) -> bool {
    let mut first = [0];
    rustix::io::retry_on_intr(|| rustix::io::read(&started, &mut first)).is_ok_and(|read| read > 0)
}
