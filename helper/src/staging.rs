// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one sandbox has for itself alone: new files, the file of its user namespace, overlays and what
//! is written to them.
//!
//! Files and directories are made on a tmpfs that lies on top of the old root while that is still in
//! view: the kernel clones nothing from a detached one before Linux 6.15. Nobody ever sees it. The files
//! keep their names on it: the kernel attaches no mount of something unlinked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode as Bits, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use stockade_protocol::event::{Call, Failure, Mode, Object, Stage};
use stockade_protocol::request::{Operation, Upper};

use crate::caps::Caps;
use crate::content::fill;
use crate::destination::{MAKE, PATH};
use crate::fault::failed;
use crate::filesystems::Kind;
use crate::filesystems::attributes::{self, Attributes};
use crate::procfs::Procfs;
use crate::request::Job;
use crate::root::{attach, bits, detach_here};
use crate::sources::{Source, clone_tree};
use crate::sys::mount::Propagation;

/// What a mount can forbid, statfs(2), and the attribute that forbids it. An overlay never has device
/// nodes or set-id programs.
const FORBIDDEN: [(StatVfsMountFlags, Attributes); 2] = [
    (StatVfsMountFlags::NOEXEC, attributes::NO_EXEC),
    // `ST_NOSYMFOLLOW` of `linux/statfs.h`.
    (StatVfsMountFlags::from_bits_retain(0x2000), Attributes::MOUNT_ATTR_NOSYMFOLLOW),
];

/// Makes them, and puts what is to be attached among the sources.
pub(crate) fn make(sources: &mut [Source], job: &mut Job, procfs: &Procfs) -> Result<(), Failure> {
    let Job { mode: of_helper, caps, request, descriptors, .. } = job;
    let list = &request.get().operations;
    let here = |asked| matches!(asked, &Operation::Data { .. } | &Operation::Overlay { .. });
    let directory = if list.iter().any(here) { Some(cover(caps)?) } else { None };
    for (index, (source, asked)) in (0_u32..).zip(sources.iter_mut().zip(list)) {
        let object = Object::Operation(index);
        let fail = |call| failed(Stage::Build, call, object);
        let clone = |file: BorrowedFd<'_>, set| {
            let (set, private) = (attributes::PLAIN | set, Propagation::Private);
            clone_tree(caps, file, set, private, Stage::Build, object)
        };
        if let (Operation::UserNamespace { .. }, Mode::Unprivileged) = (asked, *of_helper) {
            let file = procfs.entry(c"self/ns/user").map_err(fail(Call::Open))?;
            *source = Source::Tree(clone(file.as_fd(), attributes::READ_ONLY)?);
        }
        let Some(made) = &directory else { continue };
        if let (Operation::Overlay { lower, upper, .. }, Source::Layers(layers)) =
            (asked, &mut *source)
        {
            if *upper == Upper::Temporary {
                for name in [format!("{index}-upper"), format!("{index}-work")] {
                    rustix::fs::mkdirat(made, &name, bits(0o755)).map_err(fail(Call::Mkdir))?;
                    let opened = rustix::fs::openat(made, &name, PATH, Bits::empty());
                    layers.push(opened.map_err(fail(Call::Open))?);
                }
            }
            let forbidden = forbidden(layers).map_err(fail(Call::Statfs))?;
            // Where descriptors are found by their numbers; until `uncover`.
            let numbers = procfs.entry(c"self/fd").and_then(rustix::process::fchdir);
            numbers.map_err(fail(Call::Chdir))?;
            let (lower, upper) = layers.split_at_checked(lower.len()).unwrap_or_default();
            let kind = Kind::Overlay { lower, upper, forbidden };
            *source = Source::Tree(kind.make(caps, object)?);
        }
        if let Operation::Data { destination: _, mode, content, writable } = asked {
            let flags = MAKE | OFlags::EXCL;
            let file = rustix::fs::openat(made, index.to_string(), flags, bits(*mode))
                .map_err(fail(Call::Open))?;
            fill(file.as_fd(), content, descriptors, object)?;
            let set = if *writable { attributes::NONE } else { attributes::READ_ONLY };
            *source = Source::Tree(clone(file.as_fd(), set)?);
        }
    }
    directory.map_or(Ok(()), |made| uncover(caps, made.as_fd()))
}

/// What the mounts of these directories forbid, as far as an overlay of them would allow it again
/// (I5). Below a read-only mount the kernel takes no upper one.
fn forbidden(layers: &[OwnedFd]) -> Result<Attributes, Errno> {
    let mut flags = StatVfsMountFlags::empty();
    for layer in layers {
        flags |= rustix::fs::fstatvfs(layer)?.f_flag;
    }
    let set = FORBIDDEN.into_iter().filter(|(flag, _)| flags.contains(*flag));
    Ok(set.map(|(_, attribute)| attribute).collect())
}

/// Puts a tmpfs on top of the root.
fn cover(caps: &Caps) -> Result<OwnedFd, Failure> {
    let fail = |call| failed(Stage::Build, call, Object::None);
    let mount = Kind::Tmpfs { mode: 0o700, size: None }.make(caps, Object::None)?;
    let root = rustix::fs::openat(CWD, c"/", PATH, Bits::empty()).map_err(fail(Call::Open))?;
    attach(caps, mount.as_fd(), root.as_fd(), c"").map_err(fail(Call::MoveMount))?;
    Ok(mount)
}

/// Detaches it. Were it left, the new root would lie on top of it, and only it would go with the last
/// umount: `/..` would lead to the old root (I7).
fn uncover(caps: &Caps, mount: BorrowedFd<'_>) -> Result<(), Failure> {
    let fail = |call| failed(Stage::Build, call, Object::None);
    rustix::process::fchdir(mount).map_err(fail(Call::Chdir))?;
    detach_here(caps).map_err(fail(Call::Umount))?;
    rustix::process::chdir(c"/").map_err(fail(Call::Chdir))
}
