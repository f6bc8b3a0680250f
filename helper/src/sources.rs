// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clones of the host trees that are to be bound.
//!
//! With privilege they are cloned from the descriptors themselves, in the mount namespace these
//! were opened in, before it is left: the kernel refuses them afterwards (T42). Since Linux 6.15 it
//! also clones what is attached nowhere, such as a tmpfs that a caller made in a user namespace: the
//! caller's own files, as nosuid and nodev as everything else. Without privilege
//! the caller's mount namespace cannot be cloned from. There the kernel's own path of each
//! descriptor is looked up again in the new namespace, with nothing but the caller's rights, and
//! has to lead to the same object.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode as Bits, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use stockade_protocol::Checked;
use stockade_protocol::event::{Call, Failure, Hint, Mode, Object, Stage};
use stockade_protocol::request::{
    Access, FdIndex, Operation, Propagation as Asked, SourceKind, UserNamespace,
};

use crate::caps::Caps;
use crate::fault::{Problem, because, failed};
use crate::filesystems::attributes::{self, Attributes};
use crate::procfs::Procfs;
use crate::request::Job;
use crate::sys::mount::{Depth, Propagation, mount_setattr, open_tree_attr};

/// `NSFS_MAGIC` of `linux/magic.h`.
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Longest path of a source, `PATH_MAX` (T40).
const SOURCE_PATH: usize = 4096;

/// What one operation is made of, by its index.
pub(crate) enum Source {
    /// A detached clone, with its final attributes, or another detached mount.
    Tree(OwnedFd),
    /// Where to find it once there is a mount namespace of our own. Most operations need nothing.
    Places(Vec<Place>),
    /// What was found there, where it is no clone that is needed: the kernel takes for a layer of an
    /// overlay only what is mounted in the mount namespace of whoever makes it.
    Layers(Vec<OwnedFd>),
}

/// A host object that still has to be found.
pub(crate) struct Place {
    path: CString,
    object: Object,
    /// Keeps the object alive and its inode number from being used again.
    held: OwnedFd,
}

/// Everything that had to be taken from the caller's mount namespace.
pub(crate) struct Taken {
    pub(crate) job: Job,
    pub(crate) sources: Vec<Source>,
    pub(crate) procfs: Procfs,
}

impl Job {
    /// Looks at every source, and clones it where that is possible already.
    pub(crate) fn take_sources(mut self) -> Result<Taken, Problem> {
        let noproc = because(Stage::Clone, Call::Open, Object::None, Hint::NoProc);
        // With privilege, init's id maps are written from outside.
        let mapped = self.request.get().namespaces.user != UserNamespace::Default;
        let procfs = Procfs::open(mapped && self.mode != Mode::Unprivileged).map_err(noproc)?;
        if let Mode::SetuidRoot | Mode::FileCapabilities = self.mode {
            show_no_more(&self.request.get().operations, &procfs)?;
        }
        let mut sources = Vec::with_capacity(self.request.get().operations.len());
        for (index, asked) in (0_u32..).zip(&self.request.get().operations) {
            let object = Object::Operation(index);
            let mut place = |fd| -> Result<Place, Failure> {
                let fail = failed(Stage::Clone, Call::Dup, object);
                let held = self.descriptors.take(fd).map_err(fail)?;
                let path = match directory_path(asked, held.as_fd()) {
                    Some(path) => path,
                    None => inspect(&procfs, held.as_fd(), object)?,
                };
                Ok(Place { path, object, held })
            };
            let Some((fd, set, propagation)) = wanted(asked) else {
                sources.push(Source::Places(asked.layers().map(place).collect::<Result<_, _>>()?));
                continue;
            };
            let found = place(fd)?;
            let fd = found.held.as_fd();
            if let Operation::Devices { .. } = asked {
                terminal(fd, object)?;
            }
            sources.push(match self.mode {
                Mode::Unprivileged => Source::Places(vec![found]),
                Mode::Root | Mode::SetuidRoot | Mode::FileCapabilities => {
                    let stage = Stage::Clone;
                    Source::Tree(clone_tree(&self.caps, fd, set, propagation, stage, object)?)
                }
            });
        }
        // `directory_path` went elsewhere (T21).
        rustix::process::chdir(c"/").map_err(failed(Stage::Clone, Call::Chdir, Object::None))?;
        Ok(Taken { job: self, sources, procfs })
    }
}

/// Refuses to let a new procfs show what the caller's does not (T49).
fn show_no_more(list: &[Operation], procfs: &Procfs) -> Result<(), Failure> {
    let asks = |(_, asked): &(u32, &Operation)| matches!(asked, Operation::Proc { .. });
    let Some((index, _)) = (0_u32..).zip(list).find(asks) else { return Ok(()) };
    let fail = |call, hint| because(Stage::Clone, call, Object::Operation(index), hint);
    if procfs.is_restricted().map_err(fail(Call::Open, Hint::NoProc))? {
        return Err(fail(Call::Fsmount, Hint::RestrictedProc)(Errno::PERM));
    }
    Ok(())
}

/// Finds and clones what could not be before, in the mount namespace this process has now.
pub(crate) fn clone_places(
    sources: &mut [Source],
    request: &Checked,
    caps: &Caps,
) -> Result<(), Failure> {
    for (source, asked) in sources.iter_mut().zip(&request.get().operations) {
        let Source::Places(places) = &*source else { continue };
        let found = places.iter().map(Place::find).collect::<Result<Vec<_>, _>>()?;
        *source = match (places.first(), found.first(), wanted(asked)) {
            (Some(Place { object, .. }), Some(fd), Some((_, set, propagation))) => {
                let (fd, stage) = (fd.as_fd(), Stage::Clone);
                Source::Tree(clone_tree(caps, fd, set, propagation, stage, *object)?)
            }
            (.., None) => Source::Layers(found),
            // There is one; a sandbox without it would be another one than was asked for.
            _ => return Err(failed(Stage::Clone, Call::OpenTree, Object::None)(Errno::BADF)),
        };
    }
    Ok(())
}

/// The descriptor that an operation binds, with the attributes and propagation of the clone.
fn wanted(operation: &Operation) -> Option<(FdIndex, Attributes, Propagation)> {
    if let Operation::Devices { console: Some(fd), destination: _ } = operation {
        return Some((*fd, attributes::NO_SUID, Propagation::Private));
    }
    let Operation::Bind(bind) = operation else { return None };
    let set = match bind.access {
        Access::ReadOnly => attributes::READ_ONLY | attributes::PLAIN,
        Access::ReadWrite => attributes::PLAIN,
        Access::Device => attributes::NO_SUID,
    };
    let propagation = match bind.propagation {
        Asked::Private => Propagation::Private,
        Asked::Slave => Propagation::Slave,
    };
    Some((bind.source, set, propagation))
}

/// The kernel's path of a source that is to be a directory, and is one that the caller may enter: then
/// it is neither a symlink nor a namespace, and its path is no longer than paths may be, which is
/// all that [`inspect`] finds out, and at a fraction of the cost.
fn directory_path(asked: &Operation, fd: BorrowedFd<'_>) -> Option<CString> {
    asked.mount_point().filter(|(_, kind)| *kind == SourceKind::Directory)?;
    rustix::process::fchdir(fd).ok()?;
    let path = rustix::process::getcwd(Vec::new()).ok()?;
    // Anything else is "(unreachable)": not below our root.
    path.as_bytes().starts_with(b"/").then_some(path)
}

/// Refuses objects that the kernel would clone but that are nobody's files (T39, T40), and gives
/// the kernel's path of the others.
///
/// A call here may wait for the server of a network or FUSE file system, as the caller itself would
/// (T77): in general no longer than `patience`, but as long as the server likes where the kernel
/// does not let a signal end the call.
fn inspect(procfs: &Procfs, fd: BorrowedFd<'_>, object: Object) -> Result<CString, Failure> {
    let refuse = |call, hint, errno: Errno| because(Stage::Clone, call, object, hint)(errno);
    let mut buffer = [0; SOURCE_PATH];
    let path = match procfs.path_of(fd, &mut buffer) {
        Ok(path) if path.len() < SOURCE_PATH => path,
        Ok(_) | Err(Errno::NAMETOOLONG) => {
            return Err(refuse(Call::Readlink, Hint::SourceTooDeep, Errno::NAMETOOLONG));
        }
        Err(errno) => return Err(refuse(Call::Readlink, Hint::NoProc, errno)),
    };
    let statfs = rustix::fs::fstatfs(fd).map_err(failed(Stage::Clone, Call::Statfs, object))?;
    if statfs.f_type == NSFS_MAGIC {
        return Err(refuse(Call::Statfs, Hint::SourceIsNamespace, Errno::INVAL));
    }
    // ENOENT for everything but symlinks, readlinkat(2); those of procfs may not be read.
    match rustix::fs::readlinkat_raw(fd, c"", &mut [0_u8; 1]) {
        Err(Errno::NOENT | Errno::INVAL) => {}
        Ok(_) | Err(_) => return Err(refuse(Call::Readlink, Hint::SourceIsSymlink, Errno::LOOP)),
    }
    // Pipes, sockets, pidfds and the like have no place in a file system.
    if path.first() != Some(&b'/') {
        return Err(refuse(Call::Readlink, Hint::SourceElsewhere, Errno::INVAL));
    }
    CString::new(path).map_err(|_| refuse(Call::Readlink, Hint::SourceElsewhere, Errno::INVAL))
}

/// A console has to be a terminal that the caller could open (T52).
fn terminal(fd: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
    let fail = because(Stage::Clone, Call::Ioctl, object, Hint::NotATerminal);
    rustix::termios::tcgetattr(fd).map(drop).map_err(fail)
}

/// A detached clone of everything mounted at `fd` and below (I6), with its attributes and propagation
/// before anything can be mounted on it (I5).
pub(crate) fn clone_tree(
    caps: &Caps,
    fd: BorrowedFd<'_>,
    set: Attributes,
    propagation: Propagation,
    stage: Stage,
    object: Object,
) -> Result<OwnedFd, Failure> {
    let fail = |call| failed(stage, call, object);
    match caps.admin(|| open_tree_attr(fd, set, propagation)) {
        // Before Linux 6.15, or filtered away: the same in two steps.
        Err(Errno::NOSYS | Errno::PERM) => {}
        other => return other.map_err(fail(Call::OpenTree)),
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH
        | OpenTreeFlags::AT_RECURSIVE;
    let tree = caps.admin(|| rustix::mount::open_tree(fd, c"", flags));
    let tree = tree.map_err(fail(Call::OpenTree))?;
    caps.admin(|| mount_setattr(tree.as_fd(), c"", Depth::Recursive, set, propagation))
        .map_err(fail(Call::MountSetattr))?;
    Ok(tree)
}

/// What an object is, without waiting for the server of a network or FUSE file system.
pub(crate) fn glance(fd: BorrowedFd<'_>) -> Result<Statx, Errno> {
    let how = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    rustix::fs::statx(fd, c"", how, StatxFlags::TYPE | StatxFlags::INO | StatxFlags::MNT_ID)
}

impl Place {
    /// Opens the object in this process's mount namespace. Without privilege: the path is the
    /// kernel's, no link is followed, and device and inode number have to be those of the
    /// descriptor, which keeps the number from being used again.
    fn find(&self) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let within = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let fd = rustix::fs::openat2(CWD, &self.path, flags, Bits::empty(), within)
            .map_err(because(Stage::Clone, Call::Open, self.object, Hint::SourceElsewhere))?;
        let identity = |fd: BorrowedFd<'_>| {
            glance(fd)
                .map(|stat| (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino))
                .map_err(failed(Stage::Clone, Call::Stat, self.object))
        };
        if identity(fd.as_fd())? == identity(self.held.as_fd())? {
            return Ok(fd);
        }
        let replaced = because(Stage::Clone, Call::Stat, self.object, Hint::SourceReplaced);
        Err(replaced(Errno::STALE))
    }
}
