// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the root of the sandbox.
//!
//! Two steps. First everything that needs the old root in view is made, detached. Then the old root
//! goes, and only then are paths of the request looked up, beneath the new one (I7). What is created
//! on the way is created with the caller's ids and without a capability: in a bound host directory
//! that is no more than the caller could do (I8).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode as Bits, ResolveFlags, StatxAttributes};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};
use stockade_protocol::event::{Call, Failure, Hint, Mode, Object, Stage};
use stockade_protocol::request::{Destination, Operation, SourceKind};

use crate::caps::{Cap, Caps};
use crate::descriptors::Descriptors;
use crate::destination::{Neighbourhood, PATH, Target};
use crate::fault::{because, failed};
use crate::filesystems::{Kind, attributes};
use crate::idmap::IdMap;
use crate::namespaces::Inside;
use crate::parts::{Part, prepare};
use crate::procfs::Procfs;
use crate::request::Job;
use crate::sources::{clone_tree, glance};
use crate::staging;
use crate::sys::mount::{Depth, Propagation, mount_setattr};

/// Permission bits of the root directory and of directories made as mount points.
const DIRECTORY: u32 = 0o755;

/// Permission bits of empty files made as mount points.
pub(crate) const FILE: u32 = 0o444;

/// What of a procfs is covered where the request asks for protection (T51): places through which
/// a process of uid 0 could reach the host without any capability.
const COVERED: [&CStr; 7] = [c"sys", c"sysrq-trigger", c"irq", c"bus", c"acpi", c"scsi", c"fs"];

/// `PROC_USER_INIT_INO` of `linux/proc_ns.h`.
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

/// A finished root, with this process in it.
pub(crate) struct Built {
    pub(crate) job: Job,
    pub(crate) procfs: Procfs,
    pub(crate) init_namespace: Option<IdMap>,
}

impl Inside {
    pub(crate) fn build_root(self) -> Result<Built, Failure> {
        let Self { mut job, mut sources, procfs, init_namespace, made: _ } = self;
        staging::make(&mut sources, &mut job, &procfs)?;
        let caps = &job.caps;
        // In another user namespace the kernel lets nobody make one.
        let initial = procfs.namespace("user") == Ok(INITIAL_USER_NAMESPACE);
        let make_nodes = initial && job.mode != Mode::Root && caps.has(Cap::MKNOD);
        let list = &job.request.get().operations;
        let objects = || (0_u32..).map(Object::Operation);
        let mut parts = Vec::with_capacity(list.len());
        for (object, (asked, source)) in objects().zip(list.iter().zip(sources)) {
            parts.push(prepare(caps, asked, source, make_nodes, object)?);
        }

        let kind = Kind::Tmpfs { mode: DIRECTORY, size: None };
        let mut root = Root::enter(caps, &procfs, kind.make(caps, Object::None)?)?;
        root.follow = job.request.get().follow_links;
        for (object, (asked, part)) in objects().zip(list.iter().zip(parts)) {
            root.perform(asked, part, &mut job.descriptors, object)?;
        }
        drop(root);
        Ok(Built { job, procfs, init_namespace })
    }
}

/// The root directory of the sandbox, which is also this process's.
pub(crate) struct Root<'a> {
    caps: &'a Caps,
    procfs: &'a Procfs,
    pub(crate) fd: OwnedFd,
    /// The directory that the last destination lies in, so that a thousand neighbours are not looked
    /// up a thousand times. Between two uses, mounts are made on new entries of it only.
    pub(crate) neighbourhood: Option<Neighbourhood>,
    /// Whether destinations may lead through symlinks.
    pub(crate) follow: bool,
}

impl<'a> Root<'a> {
    /// Makes a mount the root of this process and of its mount namespace, and detaches the old one.
    fn enter(caps: &'a Caps, procfs: &'a Procfs, mount: OwnedFd) -> Result<Self, Failure> {
        let fail = |call| failed(Stage::Build, call, Object::None);
        // On top of the old root itself: the one directory that is always there.
        let old = rustix::fs::openat(CWD, c"/", PATH, Bits::empty()).map_err(fail(Call::Open))?;
        attach(caps, mount.as_fd(), old.as_fd(), c"").map_err(fail(Call::MoveMount))?;
        drop(old);
        pivot(caps, mount.as_fd(), Object::None)?;
        Ok(Self { caps, procfs, fd: mount, neighbourhood: None, follow: false })
    }

    /// Does one operation.
    fn perform(
        &mut self,
        asked: &Operation,
        part: Option<Part>,
        descriptors: &mut Descriptors,
        object: Object,
    ) -> Result<(), Failure> {
        let (Some(part), Some((destination, kind))) = (part, asked.mount_point()) else {
            return self.create(asked, descriptors, object);
        };
        let mount = match &part {
            Part::Mount(mount) => mount,
            Part::Devices(parts) => &parts.tmpfs,
        };
        let covers_root = self.mount(mount, destination, kind, object)?;
        match (asked, part) {
            // The rule of the protocol knows only the name, not a link to the root.
            (Operation::Proc { .. } | Operation::Devices { .. } | Operation::Mqueue { .. }, _)
                if covers_root =>
            {
                Err(because(Stage::Build, Call::MoveMount, object, Hint::DestinationKind)(
                    Errno::INVAL,
                ))
            }
            (Operation::Proc { protect: true, .. }, Part::Mount(procfs)) => {
                self.cover(procfs.as_fd(), object)
            }
            (_, Part::Devices(parts)) => parts.fill(self.caps, object),
            // It has to become the root, or nobody would see it.
            (_, Part::Mount(mount)) if covers_root => {
                pivot(self.caps, mount.as_fd(), object)?;
                self.fd = mount;
                self.neighbourhood = None;
                Ok(())
            }
            (_, Part::Mount(_)) => Ok(()),
        }
    }

    /// Does an operation that mounts nothing.
    fn create(
        &mut self,
        asked: &Operation,
        descriptors: &mut Descriptors,
        object: Object,
    ) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        match asked {
            Operation::Directory { destination, mode } => {
                let target = self.mount_point(destination, SourceKind::Directory, *mode, object)?;
                // mkdirat(2) leaves out the set-id bits.
                let Target::Opened(made) = target else { return Ok(()) };
                if mode & 0o6000 == 0 {
                    return Ok(());
                }
                // Where others can write, it may have been exchanged for something else of the caller's:
                // that gets no permission it did not have, and is a directory.
                let stat = rustix::fs::fstat(&made).map_err(fail(Call::Stat))?;
                let set_id = stat.st_mode | (mode & 0o6000);
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    return Err(fail(Call::Chmod)(Errno::NOTDIR));
                }
                self.procfs.chmod(made.as_fd(), bits(set_id & 0o7777)).map_err(fail(Call::Chmod))
            }
            Operation::File { destination, mode, content } => {
                self.write_file(destination, *mode, content, descriptors, object)
            }
            Operation::Symlink { destination, target } => self.symlink(destination, target, object),
            Operation::Chmod { path, mode } => {
                let found = self.lookup(path.as_c_str(), PATH).map_err(fail(Call::Open))?;
                self.procfs.chmod(found.as_fd(), bits(*mode)).map_err(fail(Call::Chmod))
            }
            Operation::RemountReadOnly { path } => {
                let fd = self.lookup(path.as_c_str(), PATH).map_err(fail(Call::Open))?;
                let set = attributes::READ_ONLY;
                self.caps
                    .admin(|| mount_setattr(fd.as_fd(), c"", Depth::Single, set, Propagation::Keep))
                    .map_err(fail(Call::MountSetattr))
            }
            Operation::UserNamespace { .. } => Ok(()),
            // `prepare` made what these mount.
            Operation::Bind(_)
            | Operation::Tmpfs { .. }
            | Operation::Proc { .. }
            | Operation::Devices { .. }
            | Operation::Mqueue { .. }
            | Operation::Data { .. }
            | Operation::Overlay { .. } => Err(fail(Call::MoveMount)(Errno::BADF)),
        }
    }

    /// Attaches a mount at a destination, which is made if it is missing. True if that is the root
    /// itself, under whatever name.
    fn mount(
        &mut self,
        mount: &OwnedFd,
        destination: &Destination,
        kind: SourceKind,
        object: Object,
    ) -> Result<bool, Failure> {
        let bits = match kind {
            SourceKind::Directory => DIRECTORY,
            SourceKind::File => FILE,
        };
        let mut covers_root = false;
        let attached = match self.mount_point(destination, kind, bits, object)? {
            Target::Present(target) | Target::Opened(target) => {
                covers_root = place(target.as_fd(), object)? == place(self.fd.as_fd(), object)?;
                // It may have been reached through a link, and cover the neighbourhood.
                self.neighbourhood = None;
                attach(self.caps, mount.as_fd(), target.as_fd(), c"")
            }
            Target::Made(name) => match &self.neighbourhood {
                Some(near) => attach(self.caps, mount.as_fd(), near.directory.as_fd(), &name),
                None => Err(Errno::NOENT),
            },
        };
        attached.map(|()| covers_root).map_err(|errno| match errno {
            // A directory on a file or a file on a directory.
            Errno::INVAL | Errno::NOTDIR => {
                because(Stage::Build, Call::MoveMount, object, Hint::DestinationKind)(errno)
            }
            _ => failed(Stage::Build, Call::MoveMount, object)(errno),
        })
    }

    /// Covers the dangerous places of a procfs with read-only mounts of themselves.
    fn cover(&self, procfs: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let set = attributes::READ_ONLY | attributes::PLAIN | attributes::NO_EXEC;
        for name in COVERED {
            let within = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            let place = match rustix::fs::openat2(procfs, name, PATH, Bits::empty(), within) {
                Ok(place) => place,
                // Not every kernel has each of them.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(fail(Call::Open)(errno)),
            };
            let private = Propagation::Private;
            let cover = clone_tree(self.caps, place.as_fd(), set, private, Stage::Build, object)?;
            attach(self.caps, cover.as_fd(), place.as_fd(), c"").map_err(fail(Call::MoveMount))?;
        }
        Ok(())
    }
}

/// Makes an attached mount the root of this process and of its mount namespace, and detaches what
/// was the root.
fn pivot(caps: &Caps, mount: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    rustix::process::fchdir(mount).map_err(fail(Call::Chdir))?;
    caps.admin(|| rustix::process::pivot_root(c".", c".")).map_err(fail(Call::PivotRoot))?;
    // "." now leads to the old root, which lies on top of the new one, pivot_root(2).
    detach_here(caps).map_err(fail(Call::Umount))?;
    rustix::process::chdir(c"/").map_err(fail(Call::Chdir))?;
    // Nothing of it may be left above (T48). That is so where the caller's own root is covered by a
    // mount: only the topmost was detached.
    let above = rustix::fs::openat(CWD, c"/..", PATH, Bits::empty()).map_err(fail(Call::Open))?;
    if place(above.as_fd(), object)? == place(mount, object)? {
        return Ok(());
    }
    Err(because(Stage::Build, Call::PivotRoot, object, Hint::Unpivotable)(Errno::BUSY))
}

/// In which mount this is, and whether it is the root of it: by inode numbers the root of a btrfs
/// subvolume could be another's.
fn place(fd: BorrowedFd<'_>, object: Object) -> Result<(u64, bool), Failure> {
    let stat = glance(fd).map_err(failed(Stage::Build, Call::Stat, object))?;
    Ok((stat.stx_mnt_id, stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)))
}

/// `umount2(2)`: detaches the topmost mount at the working directory.
pub(crate) fn detach_here(caps: &Caps) -> Result<(), Errno> {
    caps.admin(|| rustix::mount::unmount(c".", UnmountFlags::DETACH))
}

/// `move_mount(2)`: attaches a detached mount on `target` itself where `name` is empty, otherwise on
/// that entry of it, which is not followed if it is a symlink.
pub(crate) fn attach(
    caps: &Caps,
    mount: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    caps.admin(|| rustix::mount::move_mount(mount, c"", target, name, flags))
}

/// Permission bits for system calls.
pub(crate) fn bits(mode: u32) -> Bits {
    Bits::from_raw_mode(mode)
}
