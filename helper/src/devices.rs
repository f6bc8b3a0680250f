// SPDX-License-Identifier: MIT OR Apache-2.0
//! The private `/dev` of a sandbox.
//!
//! With CAP_MKNOD the six harmless nodes are made on its tmpfs; without it the host's are bound,
//! after a look at what they really are (T52).

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode as Bits, OFlags};
use rustix::io::Errno;
use stockade_protocol::event::{Call, Failure, Hint, Object, Stage};

use crate::caps::{Cap, Caps};
use crate::destination::child;
use crate::fault::{because, failed};
use crate::filesystems::{Kind, attributes};
use crate::root::{attach, bits};
use crate::sources::clone_tree;
use crate::sys::mount::Propagation;

/// The character devices that every program may expect: name, major and minor number (devices.txt of
/// the kernel).
const NODES: [(&CStr, u32, u32); 6] = [
    (c"null", 1, 3),
    (c"zero", 1, 5),
    (c"full", 1, 7),
    (c"random", 1, 8),
    (c"urandom", 1, 9),
    (c"tty", 5, 0),
];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

/// What a `/dev` is put together from, made while the old root was in view.
pub(crate) struct Parts {
    /// To be attached before [`Self::fill`].
    pub(crate) tmpfs: OwnedFd,
    devpts: OwnedFd,
    console: Option<OwnedFd>,
    /// Clones of the host's nodes in the order of `NODES`; empty if they are made.
    nodes: Vec<OwnedFd>,
}

impl Parts {
    /// Makes them; `make_nodes` says whether the nodes are made or the host's bound.
    pub(crate) fn make(
        caps: &Caps,
        make_nodes: bool,
        console: Option<OwnedFd>,
        object: Object,
    ) -> Result<Self, Failure> {
        let bound = if make_nodes { &[][..] } else { &NODES[..] };
        let nodes = bound.iter().map(|node| host_node(caps, *node, object));
        let nodes = nodes.collect::<Result<_, _>>()?;
        let tmpfs = Kind::Devices.make(caps, object)?;
        let devpts = Kind::Devpts.make(caps, object)?;
        Ok(Self { tmpfs, devpts, console, nodes })
    }

    /// Puts everything into the tmpfs, once that is attached: a mount cannot be attached to a
    /// detached one before Linux 6.15.
    pub(crate) fn fill(self, caps: &Caps, object: Object) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let dev = &self.tmpfs;
        for (index, (name, major, minor)) in NODES.into_iter().enumerate() {
            if let Some(clone) = self.nodes.get(index) {
                self.put(caps, clone, name, object)?;
                continue;
            }
            let (kind, number) = (FileType::CharacterDevice, rustix::fs::makedev(major, minor));
            let make = || rustix::fs::mknodat(dev, name, kind, bits(0o666), number);
            caps.with(Cap::MKNOD, make).map_err(fail(Call::Mknod))?;
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, dev, name).map_err(fail(Call::Symlink))?;
        }
        for (name, mode) in [(c"pts", 0o755), (c"shm", 0o1777)] {
            rustix::fs::mkdirat(dev, name, bits(mode)).map_err(fail(Call::Mkdir))?;
        }
        let pts = child(dev.as_fd(), c"pts").map_err(fail(Call::Open))?;
        attach(caps, self.devpts.as_fd(), pts.as_fd(), c"").map_err(fail(Call::MoveMount))?;
        match &self.console {
            Some(console) => self.put(caps, console, c"console", object),
            None => Ok(()),
        }
    }

    /// Binds a device on a new file of the tmpfs.
    fn put(
        &self,
        caps: &Caps,
        clone: &OwnedFd,
        name: &CStr,
        object: Object,
    ) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        rustix::fs::mknodat(&self.tmpfs, name, FileType::RegularFile, bits(0o444), 0)
            .map_err(fail(Call::Mknod))?;
        let place = child(self.tmpfs.as_fd(), name).map_err(fail(Call::Open))?;
        attach(caps, clone.as_fd(), place.as_fd(), c"").map_err(fail(Call::MoveMount))
    }
}

/// A clone of a node of the host's, found by a literal and checked to be that device (T52).
fn host_node(
    caps: &Caps,
    (name, major, minor): (&CStr, u32, u32),
    object: Object,
) -> Result<OwnedFd, Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    let open = |directory: BorrowedFd<'_>, path: &CStr, flags| {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC | flags;
        rustix::fs::openat(directory, path, flags, Bits::empty()).map_err(fail(Call::Open))
    };
    let host = open(CWD, c"/dev", OFlags::DIRECTORY)?;
    let fd = open(host.as_fd(), name, OFlags::empty())?;
    let stat = rustix::fs::fstat(&fd).map_err(fail(Call::Stat))?;
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !device || stat.st_rdev != rustix::fs::makedev(major, minor) {
        let other = Hint::NotTheDevice;
        return Err(because(Stage::Build, Call::Stat, object, other)(Errno::NODEV));
    }
    clone_tree(caps, fd.as_fd(), attributes::NO_SUID, Propagation::Private, Stage::Build, object)
}
