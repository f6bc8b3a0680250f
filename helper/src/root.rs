// SPDX-License-Identifier: MIT OR Apache-2.0
//! Builds the root of the sandbox.
//!
//! Two steps. First everything that needs the old root in view is made, detached. Then the old root
//! goes, and only then are paths of the request looked up, beneath the new one (I7). What is created
//! on the way is created with the caller's ids and without a capability: in a bound host directory
//! that is no more than the caller could do (I8).

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode as Bits, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};
use rustix::thread::CapabilitySet;
use stockade_protocol::event::{Call, Failure, Hint, Mode, Object, Stage};
use stockade_protocol::request::{Content, Destination, Operation, SourceKind};
use stockade_protocol::text::SymlinkTarget;
use stockade_protocol::{Checked, limits};

use crate::caps::Caps;
use crate::descriptors::Descriptors;
use crate::devices::{self, Nodes};
use crate::fault::{because, failed, operation};
use crate::filesystems::{Kind, attributes};
use crate::lockdown::Identity;
use crate::namespaces::{InitNamespace, Inside};
use crate::procfs::Procfs;
use crate::sources::{Source, clone_tree};
use crate::sys::mount::{Depth, Propagation, mount_setattr};

/// Permission bits of the root directory and of directories made as mount points.
const DIRECTORY: u32 = 0o755;

/// Permission bits of empty files made as mount points.
const FILE: u32 = 0o444;

/// How often a lookup is repeated that the kernel gave up because something was renamed meanwhile.
const PATIENCE: u32 = 64;

/// What of a procfs is covered where the request asks for protection (T51): places through which
/// a process of uid 0 could reach the host without any capability.
const COVERED: [&CStr; 7] = [c"sys", c"sysrq-trigger", c"irq", c"bus", c"acpi", c"scsi", c"fs"];

/// A finished root, with this process in it.
pub(crate) struct Built {
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
    pub(crate) caps: Caps,
    pub(crate) request: Checked,
    pub(crate) descriptors: Descriptors,
    pub(crate) procfs: Procfs,
    pub(crate) init_namespace: InitNamespace,
}

/// What an operation will attach, made while the old root was in view.
enum Part {
    /// Nothing.
    None,
    /// A mount.
    Mount(OwnedFd),
    /// A private `/dev`.
    Devices(devices::Parts),
}

impl Inside {
    pub(crate) fn build_root(self) -> Result<Built, Failure> {
        let Self {
            mode,
            identity,
            caps,
            request,
            mut descriptors,
            sources,
            procfs,
            init_namespace,
            made: _,
        } = self;
        let nodes = match mode {
            Mode::SetuidRoot | Mode::FileCapabilities if caps.has(CapabilitySet::MKNOD) => {
                Nodes::Make
            }
            Mode::Root | Mode::SetuidRoot | Mode::FileCapabilities | Mode::Unprivileged => {
                Nodes::Bind
            }
        };
        let list = &request.get().operations;
        let mut parts = Vec::with_capacity(list.len());
        for (index, (asked, source)) in list.iter().zip(sources).enumerate() {
            parts.push(prepare(&caps, asked, source, nodes, operation(index))?);
        }

        let kind = Kind::Tmpfs { mode: DIRECTORY, size: None };
        let mut root = Root::enter(&caps, &procfs, kind.make(&caps, Object::None)?)?;
        for (index, (asked, part)) in list.iter().zip(parts).enumerate() {
            root.perform(asked, part, &mut descriptors, operation(index))?;
        }
        drop(root);
        Ok(Built { mode, identity, caps, request, descriptors, procfs, init_namespace })
    }
}

/// Makes what an operation attaches.
fn prepare(
    caps: &Caps,
    asked: &Operation,
    source: Source,
    nodes: Nodes,
    object: Object,
) -> Result<Part, Failure> {
    let tree = match source {
        Source::Tree(tree) => Some(tree),
        Source::None | Source::Place(_) => None,
    };
    Ok(match asked {
        Operation::Bind(_) => tree.map_or(Part::None, Part::Mount),
        Operation::Tmpfs { destination: _, mode, size } => {
            Part::Mount(Kind::Tmpfs { mode: *mode, size: *size }.make(caps, object)?)
        }
        Operation::Proc { .. } => Part::Mount(Kind::Proc.make(caps, object)?),
        Operation::Mqueue { .. } => Part::Mount(Kind::Mqueue.make(caps, object)?),
        Operation::Devices { .. } => {
            Part::Devices(devices::Parts::make(caps, nodes, tree, object)?)
        }
        Operation::Directory { .. }
        | Operation::File { .. }
        | Operation::Symlink { .. }
        | Operation::Chmod { .. }
        | Operation::RemountReadOnly { .. } => Part::None,
    })
}

/// The root directory of the sandbox, which is also this process's.
pub(crate) struct Root<'a> {
    caps: &'a Caps,
    procfs: &'a Procfs,
    fd: OwnedFd,
    /// The directory that the last destination lies in, so that a thousand neighbours are not looked
    /// up a thousand times. Between two uses, mounts are made on new entries of it only.
    neighbourhood: Option<Neighbourhood>,
}

/// A directory of the sandbox, by its path.
struct Neighbourhood {
    path: Vec<u8>,
    directory: OwnedFd,
    /// Whether it is on a tmpfs: there a look-up of an entry asks nobody.
    quick: bool,
}

/// Where a mount goes.
enum Target {
    /// Onto what stands there.
    Present(OwnedFd),
    /// Onto a directory that was just made: this entry of the neighbourhood. It is not followed should
    /// it have become a link.
    Made(CString),
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
        Ok(Self { caps, procfs, fd: mount, neighbourhood: None })
    }

    /// Does one operation.
    fn perform(
        &mut self,
        asked: &Operation,
        part: Part,
        descriptors: &mut Descriptors,
        object: Object,
    ) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        match (asked, part) {
            (Operation::Bind(bind), Part::Mount(tree)) => {
                self.mount(&tree, &bind.destination, bind.kind, object)?;
                self.replace_if_covered(tree, &bind.destination, object)
            }
            (Operation::Tmpfs { destination, .. }, Part::Mount(mount)) => {
                self.mount(&mount, destination, SourceKind::Directory, object)?;
                self.replace_if_covered(mount, destination, object)
            }
            (Operation::Mqueue { destination }, Part::Mount(mount)) => {
                self.mount(&mount, destination, SourceKind::Directory, object)
            }
            (Operation::Proc { destination, protect }, Part::Mount(mount)) => {
                self.mount(&mount, destination, SourceKind::Directory, object)?;
                if *protect { self.cover(mount.as_fd(), object) } else { Ok(()) }
            }
            (Operation::Devices { destination, .. }, Part::Devices(parts)) => {
                self.mount(parts.mount(), destination, SourceKind::Directory, object)?;
                parts.fill(self.caps, object)
            }
            (Operation::Directory { destination, mode }, _) => {
                let made = self.mount_point(destination, SourceKind::Directory, *mode, object)?;
                // mkdirat(2) leaves out the set-id bits.
                match (made, &self.neighbourhood, mode & 0o6000) {
                    (Target::Present(_), ..) | (_, None, _) | (.., 0) => Ok(()),
                    (Target::Made(name), Some(near), _) => {
                        let made =
                            child(near.directory.as_fd(), &name).map_err(fail(Call::Open))?;
                        self.procfs.chmod(made.as_fd(), bits(*mode)).map_err(fail(Call::Chmod))
                    }
                }
            }
            (Operation::File { destination, mode, content }, _) => {
                self.write_file(destination, *mode, content, descriptors, object)
            }
            (Operation::Symlink { destination, target }, _) => {
                self.symlink(destination, target, object)
            }
            (Operation::Chmod { path, mode }, _) => {
                let found = self.lookup(path.as_c_str(), PATH).map_err(fail(Call::Open))?;
                self.procfs.chmod(found.as_fd(), bits(*mode)).map_err(fail(Call::Chmod))
            }
            (Operation::RemountReadOnly { path }, _) => {
                let fd = self.lookup(path.as_c_str(), PATH).map_err(fail(Call::Open))?;
                let set = attributes::READ_ONLY;
                self.caps
                    .with(CapabilitySet::SYS_ADMIN, || {
                        mount_setattr(fd.as_fd(), c"", Depth::Single, set, Propagation::Keep)
                    })
                    .map_err(fail(Call::MountSetattr))
            }
            // `prepare` made a part for each operation that wants one.
            (
                Operation::Bind(_)
                | Operation::Tmpfs { .. }
                | Operation::Mqueue { .. }
                | Operation::Proc { .. }
                | Operation::Devices { .. },
                Part::None | Part::Mount(_) | Part::Devices(_),
            ) => Err(fail(Call::MoveMount)(Errno::BADF)),
        }
    }

    /// Attaches a mount at a destination, which is made if it is missing.
    fn mount(
        &mut self,
        mount: &OwnedFd,
        destination: &Destination,
        kind: SourceKind,
        object: Object,
    ) -> Result<(), Failure> {
        let bits = match kind {
            SourceKind::Directory => DIRECTORY,
            SourceKind::File => FILE,
        };
        let attached = match self.mount_point(destination, kind, bits, object)? {
            Target::Present(target) => {
                // It may have been reached through a link, and cover the neighbourhood.
                self.neighbourhood = None;
                attach(self.caps, mount.as_fd(), target.as_fd(), c"")
            }
            Target::Made(name) => match &self.neighbourhood {
                Some(near) => attach(self.caps, mount.as_fd(), near.directory.as_fd(), &name),
                None => Err(Errno::NOENT),
            },
        };
        attached.map_err(|errno| match errno {
            // A directory on a file or a file on a directory.
            Errno::INVAL | Errno::NOTDIR => {
                because(Stage::Build, Call::MoveMount, object, Hint::DestinationKind)(errno)
            }
            _ => failed(Stage::Build, Call::MoveMount, object)(errno),
        })
    }

    /// A mount on `/` itself has to become the root, or nobody would see it.
    fn replace_if_covered(
        &mut self,
        mount: OwnedFd,
        destination: &Destination,
        object: Object,
    ) -> Result<(), Failure> {
        if destination.path.as_bytes() != b"/" {
            return Ok(());
        }
        pivot(self.caps, mount.as_fd(), object)?;
        self.fd = mount;
        self.neighbourhood = None;
        Ok(())
    }

    /// Looks up a path beneath the root: symlinks stay inside, magic links are refused (T03).
    fn lookup(&self, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..PATIENCE {
            match rustix::fs::openat2(&self.fd, path, flags, Bits::empty(), within) {
                // Something was renamed in a directory that others can write, openat2(2).
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// The place of a destination, made with these permission bits if nothing stands there.
    fn mount_point(
        &mut self,
        destination: &Destination,
        kind: SourceKind,
        mode: u32,
        object: Object,
    ) -> Result<Target, Failure> {
        let opening = failed(Stage::Build, Call::Open, object);
        let mismatch = because(Stage::Build, Call::Open, object, Hint::DestinationKind);
        if let Some((parent, name, quick)) = self.parent(destination, object)? {
            let made = match kind {
                SourceKind::Directory => rustix::fs::mkdirat(parent, &name, bits(mode)),
                SourceKind::File => {
                    let regular = FileType::RegularFile;
                    rustix::fs::mknodat(parent, &name, regular, bits(mode), 0)
                }
            };
            match (made, kind) {
                (Ok(()), SourceKind::Directory) if quick => return Ok(Target::Made(name)),
                (Ok(()), SourceKind::Directory) => {
                    return child(parent, &name).map(Target::Present).map_err(opening);
                }
                (Ok(()), SourceKind::File) => {
                    return child(parent, &name).map(Target::Present).map_err(opening);
                }
                (Err(Errno::EXIST), _) => {}
                (Err(errno), SourceKind::Directory) => {
                    return Err(failed(Stage::Build, Call::Mkdir, object)(errno));
                }
                (Err(errno), SourceKind::File) => {
                    return Err(failed(Stage::Build, Call::Mknod, object)(errno));
                }
            }
        }
        // Something is there, perhaps a symlink to something in the sandbox.
        let flags = match kind {
            SourceKind::Directory => PATH | OFlags::DIRECTORY,
            SourceKind::File => PATH,
        };
        match self.lookup(destination.path.as_c_str(), flags) {
            Ok(found) if kind == SourceKind::File && is_directory(found.as_fd(), object)? => {
                Err(mismatch(Errno::ISDIR))
            }
            Ok(found) => Ok(Target::Present(found)),
            Err(Errno::NOTDIR) => Err(mismatch(Errno::NOTDIR)),
            Err(errno) => Err(opening(errno)),
        }
    }

    /// The directory that a destination lies in, made with its parents where they are missing, the
    /// last component, and whether looking that up is quick; none for the root itself.
    fn parent(
        &mut self,
        destination: &Destination,
        object: Object,
    ) -> Result<Option<(BorrowedFd<'_>, CString, bool)>, Failure> {
        let opening = failed(Stage::Build, Call::Open, object);
        let names: Vec<&[u8]> = destination.path.components().collect();
        let Some((last, above)) = names.split_last() else { return Ok(None) };
        let path = [b"/", above.join(&b'/').as_slice()].concat();
        let near = match self.neighbourhood.take().filter(|near| near.path == path) {
            Some(near) => near,
            None => {
                let directory = self.directory(above, destination.parents, object)?;
                let statfs = rustix::fs::fstatfs(&directory).map_err(failed(
                    Stage::Build,
                    Call::Statfs,
                    object,
                ))?;
                let quick = statfs.f_type == TMPFS_MAGIC;
                Neighbourhood { path, directory, quick }
            }
        };
        let name = CString::new(*last).map_err(|_| opening(Errno::INVAL))?;
        let near = self.neighbourhood.insert(near);
        Ok(Some((near.directory.as_fd(), name, near.quick)))
    }

    /// Opens a directory, made with its parents where they are missing.
    fn directory(&self, names: &[&[u8]], mode: u32, object: Object) -> Result<OwnedFd, Failure> {
        let opening = failed(Stage::Build, Call::Open, object);
        // From the inside out to what exists, then back in, making what does not.
        let mut present = names.len();
        let mut directory = loop {
            let existing = names.get(..present).unwrap_or_default();
            match self.lookup(&joined(existing), PATH | OFlags::DIRECTORY) {
                Ok(found) => break found,
                Err(Errno::NOENT) if present > 0 => present = present.saturating_sub(1),
                Err(errno) => return Err(opening(errno)),
            }
        };
        for name in names.get(present..).unwrap_or_default() {
            let name = CString::new(*name).map_err(|_| opening(Errno::INVAL))?;
            rustix::fs::mkdirat(&directory, &name, bits(mode)).map_err(failed(
                Stage::Build,
                Call::Mkdir,
                object,
            ))?;
            directory = child(directory.as_fd(), &name).map_err(&opening)?;
        }
        Ok(directory)
    }

    /// Makes or empties a regular file, and fills it.
    ///
    /// The file may be one of the caller's, in a bound directory. Opening and writing it happens with
    /// the caller's ids and an empty effective set, and only if it is a regular file, so that
    /// no kernel object that judges its writer is written to (T06).
    fn write_file(
        &mut self,
        destination: &Destination,
        mode: u32,
        content: &Content,
        descriptors: &mut Descriptors,
        object: Object,
    ) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let Some((parent, name, _)) = self.parent(destination, object)? else {
            return Err(fail(Call::Open)(Errno::ISDIR));
        };
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(parent, &name, flags, bits(mode)).map_err(fail(Call::Open))?;
        let stat = rustix::fs::fstat(&file).map_err(fail(Call::Stat))?;
        let statfs = rustix::fs::fstatfs(&file).map_err(fail(Call::Statfs))?;
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !regular || PSEUDO.contains(&statfs.f_type) {
            let other = Hint::DestinationKind;
            return Err(because(Stage::Build, Call::Open, object, other)(Errno::INVAL));
        }
        rustix::fs::ftruncate(&file, 0).map_err(fail(Call::Write))?;
        match content {
            Content::Bytes(bytes) => write_all(file.as_fd(), bytes).map_err(fail(Call::Write)),
            Content::Descriptor(fd) => {
                let source = descriptors.take(*fd).map_err(fail(Call::Dup))?;
                copy(source.as_fd(), file.as_fd(), object)
            }
        }
    }

    /// Makes a symlink, unless the same one is there.
    fn symlink(
        &mut self,
        destination: &Destination,
        target: &SymlinkTarget,
        object: Object,
    ) -> Result<(), Failure> {
        let Some((parent, name, _)) = self.parent(destination, object)? else {
            return Err(failed(Stage::Build, Call::Symlink, object)(Errno::EXIST));
        };
        match rustix::fs::symlinkat(target.as_c_str(), parent, &name) {
            Err(Errno::EXIST) => {
                let mut buffer = [0; limits::SYMLINK_BYTES];
                let length = rustix::fs::readlinkat_raw(parent, &name, &mut buffer);
                let same =
                    length.is_ok_and(|length| buffer.get(..length) == Some(target.as_bytes()));
                if same {
                    Ok(())
                } else {
                    let other = Hint::DestinationKind;
                    Err(because(Stage::Build, Call::Symlink, object, other)(Errno::EXIST))
                }
            }
            result => result.map_err(failed(Stage::Build, Call::Symlink, object)),
        }
    }

    /// Covers the dangerous places of a procfs with read-only mounts of themselves.
    fn cover(&self, procfs: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
        let set = attributes::READ_ONLY | attributes::PLAIN | attributes::NO_EXEC;
        for name in COVERED {
            let within = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            let place = match rustix::fs::openat2(procfs, name, PATH, Bits::empty(), within) {
                Ok(place) => place,
                // Not every kernel has each of them.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(failed(Stage::Build, Call::Open, object)(errno)),
            };
            let cover = clone_tree(self.caps, place.as_fd(), set, Propagation::Private)
                .map_err(|(call, errno)| failed(Stage::Build, call, object)(errno))?;
            attach(self.caps, cover.as_fd(), place.as_fd(), c"").map_err(failed(
                Stage::Build,
                Call::MoveMount,
                object,
            ))?;
        }
        Ok(())
    }
}

/// Makes an attached mount the root of this process and of its mount namespace, and detaches what
/// was the root.
fn pivot(caps: &Caps, mount: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    let raised = CapabilitySet::SYS_ADMIN;
    rustix::process::fchdir(mount).map_err(fail(Call::Chdir))?;
    caps.with(raised, || rustix::process::pivot_root(c".", c".")).map_err(fail(Call::PivotRoot))?;
    // "." now leads to the old root, which lies on top of the new one, pivot_root(2).
    caps.with(raised, || rustix::mount::unmount(c".", UnmountFlags::DETACH))
        .map_err(fail(Call::Umount))?;
    rustix::process::chdir(c"/").map_err(fail(Call::Chdir))
}

/// Whether this is a directory, without waiting for the server of a network or FUSE file system.
fn is_directory(fd: BorrowedFd<'_>, object: Object) -> Result<bool, Failure> {
    let how = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(fd, c"", how, StatxFlags::TYPE).map_err(failed(
        Stage::Build,
        Call::Stat,
        object,
    ))?;
    Ok(FileType::from_raw_mode(stat.stx_mode.into()) == FileType::Directory)
}

/// How directories and mount points are opened: for their place only, which takes no more than
/// search permission on what is above (T03).
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// File systems whose regular files are not files: `linux/magic.h`, procfs, sysfs, cgroup, cgroup2,
/// debugfs, tracefs, securityfs, bpf, configfs, selinuxfs, efivarfs.
const PSEUDO: [i64; 11] = [
    0x9fa0,
    0x6265_6572,
    0x0027_e0eb,
    0x6367_7270,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xcafe_4a11,
    0x6265_6570,
    0xf97c_ff8c,
    0xde5e_81e4,
];

/// `move_mount(2)`: attaches a detached mount on `target` itself where `name` is empty, otherwise on
/// that entry of it, which is not followed if it is a symlink.
pub(crate) fn attach(
    caps: &Caps,
    mount: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    name: &CStr,
) -> Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    caps.with(CapabilitySet::SYS_ADMIN, || {
        rustix::mount::move_mount(mount, c"", target, name, flags)
    })
}

/// Opens an entry that was just made. Should somebody have replaced it, no link is followed.
pub(crate) fn child(directory: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(directory, name, PATH, Bits::empty(), within)
}

/// Permission bits for system calls.
pub(crate) fn bits(mode: u32) -> Bits {
    Bits::from_raw_mode(mode)
}

/// The path of these components relative to the root; `.` if there are none.
fn joined(names: &[&[u8]]) -> CString {
    let path = names.join(&b'/');
    let path = if path.is_empty() { b".".to_vec() } else { path };
    CString::new(path).unwrap_or_else(|_| CString::from(c"."))
}

/// Writes everything.
fn write_all(file: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(file, rest) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Copies what a descriptor yields, up to the limit. The descriptor is read as it is: one that was
/// not opened for reading is refused by the kernel (T05).
fn copy(source: BorrowedFd<'_>, file: BorrowedFd<'_>, object: Object) -> Result<(), Failure> {
    let mut buffer = [0; 16 * 1024];
    let mut left = limits::CONTENT_BYTES;
    loop {
        let count = match rustix::io::read(source, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(failed(Stage::Build, Call::Read, object)(errno)),
        };
        let size = u64::try_from(count).unwrap_or(u64::MAX);
        left = left.checked_sub(size).ok_or_else(|| {
            because(Stage::Build, Call::Read, object, Hint::ContentTooLarge)(Errno::FBIG)
        })?;
        let bytes = buffer.get(..count).unwrap_or_default();
        write_all(file, bytes).map_err(failed(Stage::Build, Call::Write, object))?;
    }
}
