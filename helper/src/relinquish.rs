// SPDX-License-Identifier: MIT OR Apache-2.0
//! Gives everything up, for good: in the monitor as soon as init is forked, in init once the root is
//! built and before there is a payload.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::process::Signal;
use rustix::thread::{Gid, LinkNameSpaceType, Uid, UnshareFlags, move_into_link_name_space};
use stockade_protocol::Event;
use stockade_protocol::event::{
    Call, Failure, Hint, Missing, MissingKind, Mode, Namespace, NamespaceId, Object, Stage,
};
use stockade_protocol::request::UserNamespace;

use crate::Status;
use crate::caps::{Cap, Caps, hide};
use crate::fault::{because, failed, number};
use crate::idmap::IdMap;
use crate::init::{Seat, tell};
use crate::lockdown::Identity;
use crate::namespaces::no_user_namespace;
use crate::patience::{Deadline, First, wait_for};
use crate::procfs::Procfs;
use crate::root::Built;
use crate::sys::process::{join_new_keyring, unshare};
use crate::sys::start::exit;

impl Built {
    /// Gives up everything that building took, keyring included, and enters the user namespace that
    /// the payload is to live in.
    pub(crate) fn relinquish(self, channel: &OwnedFd) -> Result<Seat, Failure> {
        let Self { mut job, procfs, init_namespace } = self;
        let (mode, request) = (job.mode, job.request.get());
        let fail = |call| failed(Stage::Drop, call, Object::None);
        let payload = Cap::from_bits_retain(request.payload.capabilities);

        let missing = if request.payload.new_keyring { keyring()? } else { None };
        if let UserNamespace::Given { last: Some(last) } = request.namespaces.user {
            let fail = failed(Stage::Drop, Call::Setns, Object::Namespace(Namespace::User));
            let last = job.descriptors.take(last).map_err(&fail)?;
            // The kernel asks for this in the namespace above, and for nothing else to be shared.
            let kind = Some(LinkNameSpaceType::User);
            // That may undo the hiding (T28).
            let enter = || move_into_link_name_space(last.as_fd(), kind).and_then(|()| hide());
            job.caps =
                job.caps.move_by(Cap::SYS_ADMIN, Cap::SETPCAP | payload, enter).map_err(fail)?;
        }
        match init_namespace {
            None => {
                job.caps.empty_bounding_set(payload).map_err(fail(Call::Prctl))?;
                job.caps.limit(payload).map_err(fail(Call::Capset))?;
                become_caller(mode, job.identity)?;
            }
            Some(map) => {
                let asked = request.namespaces.limit_user_namespaces && mode != Mode::Unprivileged;
                // What is below root's namespace counts against root's quotas, of every kind (I17).
                let limit = asked || mode == Mode::SetuidRoot;
                let caps = &mut job.caps;
                let raised = enter_user_namespace(mode, caps, map, payload, channel, &procfs)?;
                job.caps = settle_in(raised, map, payload, limit, &procfs)?;
            }
        }
        // Said only now: until the id maps are written, the channel is for that alone.
        if let Some(missing) = missing {
            tell(channel.as_fd(), &Event::Missing(missing));
        }
        hide().map_err(fail(Call::Prctl))?;
        // Where the sandbox is to outlive its caller, it does so from here on.
        let follow = request.supervision.end_with_caller;
        follow_parent(follow, channel).map_err(fail(Call::Prctl))?;
        let own = mode == Mode::Unprivileged || init_namespace.is_some();
        let inode = if own { procfs.namespace(Namespace::User.name()).ok() } else { None };
        let user_namespace = inode.map(|inode| NamespaceId { kind: Namespace::User, inode });
        Ok(Seat { job, user_namespace })
    }
}

/// Has the kernel kill this process when its parent ends, or not. Changes of credentials reset it
/// (T35). `parent` is a socket whose other end the parent holds, alone.
pub(crate) fn follow_parent(follow: bool, parent: &OwnedFd) -> Result<(), Errno> {
    let signal = if follow { Some(Signal::KILL) } else { None };
    rustix::process::set_parent_process_death_signal(signal)?;
    // The parent may have gone before that took effect.
    let now = Some(Deadline::in_seconds(0));
    if follow && wait_for(parent.as_fd(), parent.as_fd(), now) == First::CallerGone {
        exit(Status::Failed);
    }
    Ok(())
}

/// A new session keyring, so that the payload finds none of the caller's keys (T64). Gives what to
/// report where there is none.
fn keyring() -> Result<Option<Missing>, Failure> {
    match join_new_keyring() {
        // A kernel without keyrings has nothing to protect.
        Err(errno @ Errno::NOSYS) => {
            Ok(Some(Missing { what: MissingKind::Keyring, errno: number(errno) }))
        }
        other => other.map(|()| None).map_err(failed(Stage::Drop, Call::Keyctl, Object::None)),
    }
}

/// Makes all three uids and gids the caller's, for good.
pub(crate) fn become_caller(mode: Mode, identity: Identity) -> Result<(), Failure> {
    if mode == Mode::Unprivileged {
        // They always were; inside a user namespace they would have to be named as seen there.
        return Ok(());
    }
    let fail = |call| failed(Stage::Drop, call, Object::None);
    let Identity { uid, gid, parent: _ } = identity;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(fail(Call::Setresgid))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(fail(Call::Setresuid))?;
    // T29: a way back must not exist.
    if !uid.is_root() && rustix::thread::set_thread_res_uid(None, Uid::ROOT, None).is_ok() {
        exit(Status::Defect);
    }
    Ok(())
}

/// Moves this process into a new user namespace. Where there is privilege the namespace is made by
/// effective uid 0 and so belongs to root (I12), and the monitor writes its id maps.
fn enter_user_namespace(
    mode: Mode,
    caps: &mut Caps,
    map: IdMap,
    payload: Cap,
    channel: &OwnedFd,
    procfs: &Procfs,
) -> Result<Caps, Failure> {
    let user = Object::Namespace(Namespace::User);
    let fail = |call| failed(Stage::Drop, call, user);
    if mode == Mode::SetuidRoot {
        become_root(caps)?;
    }
    let wanted =
        Cap::SYS_ADMIN | Cap::SETUID | Cap::SETGID | Cap::SETPCAP | Cap::SYS_RESOURCE | payload;
    // SYS_ADMIN where ordinary users may make no namespace; SETFCAP because the kernel asks for it at
    // this moment if id 0 is to be mapped, user_namespaces(7), Linux 5.12.
    let raised = Cap::SYS_ADMIN | Cap::SETFCAP;
    let new = || unshare(UnshareFlags::NEWUSER);
    let caps = caps.move_by(raised, wanted, new).map_err(no_user_namespace(Stage::Drop))?;
    if mode == Mode::Unprivileged {
        map.write(procfs, "self", &caps, Cap::SYS_ADMIN).map_err(fail(Call::Write))?;
    } else {
        hide().map_err(fail(Call::Prctl))?;
        ask_for_map(channel).map_err(fail(Call::Read))?;
    }
    Ok(caps)
}

/// Takes the ids that the new namespace maps, and gives up the rights in it. `limit` has it hold none
/// below: without privilege the namespace above does that, which this process made too.
fn settle_in(
    mut caps: Caps,
    map: IdMap,
    payload: Cap,
    limit: bool,
    procfs: &Procfs,
) -> Result<Caps, Failure> {
    let user = Object::Namespace(Namespace::User);
    let fail = |call| failed(Stage::Drop, call, user);
    if limit {
        let restricted = because(Stage::Drop, Call::Write, user, Hint::RestrictedProc);
        let limited = caps.with(Cap::SYS_RESOURCE, || procfs.limit_user_namespaces(c"0"));
        limited.map_err(restricted)?;
    }
    let (uid, gid) = (Uid::from_raw(map.inside.0), Gid::from_raw(map.inside.1));
    caps.with(Cap::SETGID, || rustix::thread::set_thread_res_gid(gid, gid, gid))
        .map_err(fail(Call::Setresgid))?;
    caps.with(Cap::SETUID, || rustix::thread::set_thread_res_uid(uid, uid, uid))
        .map_err(fail(Call::Setresuid))?;
    caps.empty_bounding_set(payload).map_err(fail(Call::Prctl))?;
    caps.limit(payload).map_err(fail(Call::Capset))?;
    Ok(caps)
}

/// Makes the effective uid of a setuid helper root's again.
pub(crate) fn become_root(caps: &mut Caps) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Drop, call, Object::None);
    rustix::thread::set_thread_res_uid(None, Uid::ROOT, None).map_err(fail(Call::Setresuid))?;
    // That raised everything permitted: lower it again (I3), and hide again (T28).
    caps.limit(Cap::all()).map_err(fail(Call::Capset))?;
    hide().map_err(fail(Call::Prctl))
}

/// Has the monitor write the id maps, and waits until it has.
fn ask_for_map(channel: &OwnedFd) -> Result<(), Errno> {
    rustix::io::write(channel, &[0])?;
    match retry_on_intr(|| rustix::io::read(channel, &mut [0])) {
        Ok(1) => Ok(()),
        // The monitor could not write them, and has said why.
        Ok(_) | Err(_) => exit(Status::Failed),
    }
}
