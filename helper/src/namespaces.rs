// SPDX-License-Identifier: MIT OR Apache-2.0
//! Enters the namespaces of the sandbox.
//!
//! They are made with the caller's effective uid, so that they count against the caller's quota
//! (I17). With privilege there is no user namespace here: one that the caller owned would give the
//! caller every capability in it from outside (I12). One that was asked for is made by root,
//! when the root is built (`relinquish`).

use std::os::fd::AsFd;

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::thread::UnshareFlags;
use stockade_protocol::Event;
use stockade_protocol::event::{
    Call, Failure, Hint, Missing, MissingKind, Mode, Namespace, Object, Stage,
};
use stockade_protocol::request::{Demand, Namespaces, Operation, UserNamespace};

use crate::caps::{Cap, Caps, hide};
use crate::fault::{Problem, because, failed, number};
use crate::filesystems::attributes;
use crate::idmap::IdMap;
use crate::procfs::Procfs;
use crate::report::Report;
use crate::request::{Job, for_overlays};
use crate::sources::{Source, Taken, clone_places};
use crate::sys::mount::{Depth, Propagation, mount_setattr};
use crate::sys::{net, process};

/// A process in the namespaces of the sandbox, the old root still in view.
pub(crate) struct Inside {
    pub(crate) job: Job,
    pub(crate) sources: Vec<Source>,
    pub(crate) procfs: Procfs,
    /// The user namespace that init makes and enters when the root is built, if there is to be one.
    pub(crate) init_namespace: Option<IdMap>,
    /// What was made, for the frontend.
    pub(crate) made: Vec<Namespace>,
}

impl Taken {
    pub(crate) fn enter_namespaces(self, report: &mut Report) -> Result<Inside, Problem> {
        let Self { mut job, mut sources, procfs } = self;
        let wanted = &job.request.get().namespaces;

        let fail = failed(Stage::Namespaces, Call::Prctl, Object::None);
        let init_namespace = match (job.mode, wanted.user) {
            // Whoever else is there must not look into what comes of this process (I9, T28).
            (_, UserNamespace::Given { .. }) => hide().map(|()| None).map_err(fail)?,
            (Mode::Unprivileged, _) => {
                let (own, nested) = enter_user_namespace(&job, &procfs)?;
                job.caps = own;
                nested
            }
            (_, UserNamespace::Default) => None,
            (_, UserNamespace::Mapped { uid, gid }) => {
                Some(IdMap { inside: (uid, gid), outside: job.identity.raw() })
            }
        };

        let made = unshare(wanted, job.mode, &job.caps, report)?;
        // Before the host's propagation ends here, for binds that are to keep it.
        clone_places(&mut sources, &job.request, &job.caps)?;
        // T43: nothing that happens to the old root from here on travels to the host.
        let private = Propagation::Private;
        job.caps
            .admin(|| mount_setattr(CWD, c"/", Depth::Recursive, attributes::NONE, private))
            .map_err(failed(Stage::Namespaces, Call::MountSetattr, Object::None))?;

        if let Some(name) = &wanted.hostname {
            let object = Object::Namespace(Namespace::Uts);
            let set = job.caps.admin(|| rustix::system::sethostname(name.as_bytes()));
            set.map_err(failed(Stage::Namespaces, Call::Sethostname, object))?;
        }
        if made.contains(&Namespace::Net) {
            loopback(&job.caps, report)?;
        }
        Ok(Inside { job, sources, procfs, init_namespace, made })
    }
}

/// Without privilege: makes a user namespace of the caller's, in which this process can go on.
///
/// devpts wants id 0 to exist, and a limit on user namespaces has to be set from above. Both take a
/// second namespace in the end, in which the ids are what they should be.
fn enter_user_namespace(job: &Job, procfs: &Procfs) -> Result<(Caps, Option<IdMap>), Failure> {
    let request = job.request.get();
    let wanted = &request.namespaces;
    let user = Object::Namespace(Namespace::User);
    let payload = Cap::from_bits_retain(request.payload.capabilities);
    let build = Cap::SYS_ADMIN | Cap::NET_ADMIN | Cap::SYS_RESOURCE | Cap::SETFCAP | Cap::SETPCAP;
    // About SETFCAP see `lockdown`; ordinary callers have nothing to raise.
    let keep = build | payload | for_overlays(&job.request);
    let new = || process::unshare(UnshareFlags::NEWUSER);
    let caps =
        job.caps.move_by(Cap::SETFCAP, keep, new).map_err(no_user_namespace(Stage::Namespaces))?;

    let outside = job.identity.raw();
    let seen = match wanted.user {
        UserNamespace::Default | UserNamespace::Given { .. } => outside,
        UserNamespace::Mapped { uid, gid } => (uid, gid),
    };
    let devices = |operation: &Operation| matches!(operation, Operation::Devices { .. });
    let nested = wanted.limit_user_namespaces || request.operations.iter().any(devices);
    let inside = if nested { (0, 0) } else { seen };
    let powerless = because(Stage::Namespaces, Call::Write, user, Hint::UserNamespacePowerless);
    let map = IdMap { inside, outside };
    map.write(procfs, "self", &caps, Cap::SYS_ADMIN).map_err(powerless)?;
    if wanted.limit_user_namespaces {
        // One more is init's own; it counts here, and so would every one below it.
        let limited = caps.with(Cap::SYS_RESOURCE, || procfs.limit_user_namespaces(c"1"));
        limited.map_err(failed(Stage::Namespaces, Call::Write, user))?;
    }
    let init = IdMap { inside: seen, outside: (0, 0) };
    Ok((caps, nested.then_some(init)))
}

/// Why there is no new user namespace.
pub(crate) fn no_user_namespace(stage: Stage) -> impl Fn(Errno) -> Failure {
    move |errno| {
        let hint = match errno {
            Errno::NOSPC | Errno::USERS => Hint::NamespaceLimit,
            _ => Hint::UserNamespaceRefused,
        };
        because(stage, Call::Unshare, Object::Namespace(Namespace::User), hint)(errno)
    }
}

/// Makes the other namespaces and says which.
fn unshare(
    wanted: &Namespaces,
    mode: Mode,
    caps: &Caps,
    report: &mut Report,
) -> Result<Vec<Namespace>, Failure> {
    let asked = [
        (wanted.cgroup, Namespace::Cgroup, UnshareFlags::NEWCGROUP),
        (wanted.ipc, Namespace::Ipc, UnshareFlags::NEWIPC),
        (Demand::Required, Namespace::Mount, UnshareFlags::NEWNS),
        (wanted.net, Namespace::Net, UnshareFlags::NEWNET),
        (wanted.pid, Namespace::Pid, UnshareFlags::NEWPID),
        (wanted.uts, Namespace::Uts, UnshareFlags::NEWUTS),
    ];
    let new = |flags| caps.admin(|| process::unshare(flags));
    let (mut made, mut required) = (Vec::new(), UnshareFlags::empty());
    for (demand, kind, flag) in asked {
        match demand {
            Demand::Share => continue,
            Demand::Required => required |= flag,
            Demand::Optional => {
                if let Err(errno) = new(flag) {
                    let what = MissingKind::Namespace(kind);
                    report.note(&Event::Missing(Missing { what, errno: number(errno) }));
                    continue;
                }
            }
        }
        made.push(kind);
    }
    new(required).map_err(|errno| {
        let object = Object::Namespace(Namespace::Mount);
        match (mode, errno) {
            // A user namespace without rights in it: Ubuntu's AppArmor restriction.
            (Mode::Unprivileged, Errno::PERM | Errno::ACCESS) => {
                let hint = Hint::UserNamespacePowerless;
                because(Stage::Namespaces, Call::Unshare, object, hint)(errno)
            }
            _ => failed(Stage::Namespaces, Call::Unshare, object)(errno),
        }
    })?;
    Ok(made)
}

/// Brings `lo` up. Without `CAP_NET_ADMIN`, which the administrator may have left out, it stays
/// down and an event says so.
fn loopback(caps: &Caps, report: &mut Report) -> Result<(), Failure> {
    if !caps.has(Cap::NET_ADMIN) {
        let errno = number(Errno::PERM);
        report.note(&Event::Missing(Missing { what: MissingKind::Loopback, errno }));
        return Ok(());
    }
    let object = Object::Namespace(Namespace::Net);
    let fail = |call| failed(Stage::Namespaces, call, object);
    let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)
        .map_err(fail(Call::Socket))?;
    caps.with(Cap::NET_ADMIN, || net::bring_up_loopback(socket.as_fd())).map_err(fail(Call::Ioctl))
}
