// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives everything up, for good: in the monitor as soon as init is forked, in init once the root is
//! built and before there is a payload.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Signal};
use rustix::thread::{CapabilitySet, Gid, Uid};
use stockade_protocol::Event;
use stockade_protocol::event::{
    Call, Failure, Hint, Missing, MissingKind, Mode, Namespace, NamespaceId, Object, Stage,
};

use crate::Status;
use crate::caps::Caps;
use crate::fault::{because, failed, number};
use crate::idmap::IdMap;
use crate::init::{Seat, tell};
use crate::lockdown::Identity;
use crate::namespaces::InitNamespace;
use crate::procfs::Procfs;
use crate::report::is_deserted;
use crate::root::Built;
use crate::sys::process::join_new_keyring;
use crate::sys::start::exit;

impl Built {
    /// Gives up everything that building took, keyring included, and enters the user namespace that
    /// the payload is to live in.
    pub(crate) fn relinquish(self, channel: &OwnedFd) -> Result<Seat, Failure> {
        let Self { mode, identity, mut caps, request, descriptors, procfs, init_namespace } = self;
        let fail = |call| failed(Stage::Drop, call, Object::None);
        let payload = CapabilitySet::from_bits_retain(request.get().payload.capabilities);

        let missing = if request.get().payload.new_keyring { keyring()? } else { None };
        match init_namespace {
            InitNamespace::Same => {
                caps.empty_bounding_set(payload).map_err(fail(Call::Prctl))?;
                caps.limit(payload).map_err(fail(Call::Capset))?;
                become_caller(mode, identity).map_err(|(call, errno)| fail(call)(errno))?;
            }
            InitNamespace::New(map) => {
                let limit = request.get().namespaces.limit_user_namespaces;
                let raised = enter_user_namespace(mode, &mut caps, map, payload, channel, &procfs)?;
                caps = settle_in(mode, raised, map, payload, limit, &procfs)?;
            }
        }
        // Said only now: until the id maps are written, the channel is for that alone.
        if let Some(missing) = missing {
            tell(channel.as_fd(), &Event::Missing(missing));
        }
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(fail(Call::Prctl))?;
        // Where the sandbox is to outlive its caller, it does so from here on.
        let follow = request.get().supervision.end_with_caller;
        follow_parent(follow, channel).map_err(fail(Call::Prctl))?;
        let own = mode == Mode::Unprivileged || matches!(init_namespace, InitNamespace::New(_));
        let inode = if own { procfs.inode(c"self/ns/user").ok() } else { None };
        let user_namespace = inode.map(|inode| NamespaceId { kind: Namespace::User, inode });
        Ok(Seat { caps, request, user_namespace, descriptors })
    }
}

/// Has the kernel kill this process when its parent ends, or not. Changes of credentials reset it
/// (T35). `parent` is a socket whose other end the parent holds, alone.
pub(crate) fn follow_parent(follow: bool, parent: &OwnedFd) -> Result<(), Errno> {
    let signal = if follow { Some(Signal::KILL) } else { None };
    rustix::process::set_parent_process_death_signal(signal)?;
    // The parent may have gone before that took effect.
    if follow && is_deserted(parent.as_fd()) {
        exit(Status::Failed);
    }
    Ok(())
}

/// A new session keyring, so that the payload finds none of the caller's keys (T64). Gives what to
/// report where there is none.
fn keyring() -> Result<Option<Missing>, Failure> {
    match join_new_keyring() {
        Ok(()) => Ok(None),
        // A kernel without keyrings has nothing to protect.
        Err(errno @ Errno::NOSYS) => {
            Ok(Some(Missing { what: MissingKind::Keyring, errno: number(errno) }))
        }
        Err(errno) => Err(failed(Stage::Drop, Call::Keyctl, Object::None)(errno)),
    }
}

/// Makes all three uids and gids the caller's, for good.
pub(crate) fn become_caller(mode: Mode, identity: Identity) -> Result<(), (Call, Errno)> {
    if mode == Mode::Unprivileged {
        // They always were; inside a user namespace they would have to be named as seen there.
        return Ok(());
    }
    let Identity { uid, gid, parent: _ } = identity;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|errno| (Call::Setresgid, errno))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|errno| (Call::Setresuid, errno))?;
    // T29: a way back must not exist.
    if !uid.is_root() && rustix::thread::set_thread_res_uid(None, Uid::ROOT, None).is_ok() {
        exit(Status::Defect);
    }
    Ok(())
}

/// Moves this process into a new user namespace. Where there is privilege the namespace is made by effective uid 0 and so belongs to
/// root (I12), and the monitor writes its id maps.
fn enter_user_namespace(
    mode: Mode,
    caps: &mut Caps,
    map: IdMap,
    payload: CapabilitySet,
    channel: &OwnedFd,
    procfs: &Procfs,
) -> Result<Caps, Failure> {
    let user = Object::Namespace(Namespace::User);
    let fail = |call| failed(Stage::Drop, call, user);
    if mode == Mode::SetuidRoot {
        become_root(caps).map_err(|(call, errno)| fail(call)(errno))?;
    }
    let wanted = CapabilitySet::SYS_ADMIN
        | CapabilitySet::SETUID
        | CapabilitySet::SETGID
        | CapabilitySet::SETPCAP
        | CapabilitySet::SYS_RESOURCE
        | payload;
    // SYS_ADMIN where ordinary users may make no namespace; SETFCAP because the kernel asks for it at
    // this moment if id 0 is to be mapped, user_namespaces(7), Linux 5.12.
    let raised = CapabilitySet::SYS_ADMIN | CapabilitySet::SETFCAP;
    let caps = caps.unshare_user(raised, wanted).map_err(|errno| {
        let hint = match errno {
            Errno::NOSPC | Errno::USERS => Hint::NamespaceLimit,
            _ => Hint::UserNamespaceRefused,
        };
        because(Stage::Drop, Call::Unshare, user, hint)(errno)
    })?;
    if mode == Mode::Unprivileged {
        map.write(procfs, "self", &caps, CapabilitySet::SYS_ADMIN).map_err(fail(Call::Write))?;
    } else {
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
            .map_err(fail(Call::Prctl))?;
        ask_for_map(channel).map_err(fail(Call::Read))?;
    }
    Ok(caps)
}

/// Takes the ids that the new namespace maps, and gives up the rights in it.
fn settle_in(
    mode: Mode,
    mut caps: Caps,
    map: IdMap,
    payload: CapabilitySet,
    limit: bool,
    procfs: &Procfs,
) -> Result<Caps, Failure> {
    let fail = |call| failed(Stage::Drop, call, Object::Namespace(Namespace::User));
    if limit && mode != Mode::Unprivileged {
        // Without privilege the namespace above, which this process made too, holds the limit.
        caps.with(CapabilitySet::SYS_RESOURCE, || procfs.limit_user_namespaces(c"0"))
            .map_err(fail(Call::Write))?;
    }
    let (uid, gid) = map.inside;
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    caps.with(CapabilitySet::SETGID, || rustix::thread::set_thread_res_gid(gid, gid, gid))
        .map_err(fail(Call::Setresgid))?;
    caps.with(CapabilitySet::SETUID, || rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(fail(Call::Setresuid))?;
    caps.empty_bounding_set(payload).map_err(fail(Call::Prctl))?;
    caps.limit(payload).map_err(fail(Call::Capset))?;
    Ok(caps)
}

/// Makes the effective uid of a setuid helper root's again.
pub(crate) fn become_root(caps: &mut Caps) -> Result<(), (Call, Errno)> {
    rustix::thread::set_thread_res_uid(None, Uid::ROOT, None)
        .map_err(|errno| (Call::Setresuid, errno))?;
    // That raised everything permitted: lower it again (I3), and hide again (T28).
    caps.limit(CapabilitySet::all()).map_err(|errno| (Call::Capset, errno))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(|errno| (Call::Prctl, errno))
}

/// Has the monitor write the id maps, and waits until it has.
fn ask_for_map(channel: &OwnedFd) -> Result<(), Errno> {
    rustix::io::write(channel, &[0])?;
    loop {
        match rustix::io::read(channel, &mut [0]) {
            Ok(1) => return Ok(()),
            Err(Errno::INTR) => {}
            // The monitor could not write them, and has said why.
            Ok(_) | Err(_) => exit(Status::Failed),
        }
    }
}
