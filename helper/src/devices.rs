// SPDX-License-Identifier: MIT OR Apache-2.0
//! The private `/dev` of a sandbox.
//!
//! With CAP_MKNOD the six harmless nodes are made on its tmpfs; without it the host's are bound,
//! after a look at what they really are (T52).

use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{CWD, FileType, Mode as Bits, OFlags};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use stockade_protocol::event::{Call, Failure, Hint, Object, Stage};

use crate::caps::Caps;
use crate::fault::{because, failed};
use crate::filesystems::{Kind, attributes};
use crate::root::{attach, bits, child};
use crate::sources::clone_tree;
use crate::sys::mount::Propagation;

/// A character device that every program may expect: host path, name, major, minor number
/// (devices.txt of the kernel).
struct Node {
    host: &'static CStr,
    name: &'static CStr,
    major: u32,
    minor: u32,
}

const NODES: [Node; 6] = [
    Node { host: c"/dev/null", name: c"null", major: 1, minor: 3 },
    Node { host: c"/dev/zero", name: c"zero", major: 1, minor: 5 },
    Node { host: c"/dev/full", name: c"full", major: 1, minor: 7 },
    Node { host: c"/dev/random", name: c"random", major: 1, minor: 8 },
    Node { host: c"/dev/urandom", name: c"urandom", major: 1, minor: 9 },
    Node { host: c"/dev/tty", name: c"tty", major: 5, minor: 0 },
];

const LINKS: [(&CStr, &CStr); 6] = [
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
    (c"core", c"/proc/kcore"),
    (c"ptmx", c"pts/ptmx"),
];

/// Where the nodes come from.
#[derive(Clone, Copy)]
pub(crate) enum Nodes {
    /// They are made.
    Make,
    /// The host's are bound.
    Bind,
}

/// What a `/dev` is put together from, made while the old root was in view.
pub(crate) struct Parts {
    tmpfs: OwnedFd,
    devpts: OwnedFd,
    console: Option<OwnedFd>,
    /// Clones of the host's nodes in the order of `NODES`; empty if they are made.
    nodes: Vec<OwnedFd>,
}

impl Parts {
    pub(crate) fn make(
        caps: &Caps,
        nodes: Nodes,
        console: Option<OwnedFd>,
        object: Object,
    ) -> Result<Self, Failure> {
        let nodes = match nodes {
            Nodes::Make => Vec::new(),
            Nodes::Bind => NODES
                .iter()
                .map(|node| host_node(caps, node, object))
                .collect::<Result<Vec<_>, _>>()?,
        };
        let tmpfs = Kind::Devices.make(caps, object)?;
        let devpts = Kind::Devpts.make(caps, object)?;
        Ok(Self { tmpfs, devpts, console, nodes })
    }

    /// The tmpfs, to be attached before [`Self::fill`].
    pub(crate) fn mount(&self) -> &OwnedFd {
        &self.tmpfs
    }

    /// Puts everything into the tmpfs, once that is attached: a mount cannot be attached to a
    /// detached one before Linux 6.15.
    pub(crate) fn fill(self, caps: &Caps, object: Object) -> Result<(), Failure> {
        let fail = |call| failed(Stage::Build, call, object);
        let dev = &self.tmpfs;
        for (index, node) in NODES.iter().enumerate() {
            match self.nodes.get(index) {
                Some(clone) => self.put(caps, clone, node.name, object)?,
                None => {
                    let number = rustix::fs::makedev(node.major, node.minor);
                    let kind = FileType::CharacterDevice;
                    caps.with(CapabilitySet::MKNOD, || {
                        rustix::fs::mknodat(dev, node.name, kind, bits(0o666), number)
                    })
                    .map_err(fail(Call::Mknod))?;
                }
            }
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
fn host_node(caps: &Caps, node: &Node, object: Object) -> Result<OwnedFd, Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(CWD, node.host, flags, Bits::empty()).map_err(fail(Call::Open))?;
    let stat = rustix::fs::fstat(&fd).map_err(fail(Call::Stat))?;
    let device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if !device || stat.st_rdev != rustix::fs::makedev(node.major, node.minor) {
        let other = Hint::NotTheDevice;
        return Err(because(Stage::Build, Call::Stat, object, other)(Errno::NODEV));
    }
    clone_tree(caps, fd.as_fd(), attributes::NO_SUID, Propagation::Private)
        .map_err(|(call, errno)| fail(call)(errno))
}
