// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is bound into one sandbox and belongs to it alone: new files, the file of its user namespace.
//!
//! The files are made on a tmpfs that lies on top of the old root while that is still in view: the
//! kernel clones nothing from a detached one before Linux 6.15. Nobody ever sees it. The files keep
//! their names on it: the kernel attaches no mount of something unlinked.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode as Bits, OFlags};
use stockade_protocol::event::{Call, Failure, Mode, Object, Stage};
use stockade_protocol::request::Operation;

use crate::caps::Caps;
use crate::content::fill;
use crate::destination::{MAKE, PATH};
use crate::fault::failed;
use crate::filesystems::{Kind, attributes};
use crate::procfs::Procfs;
use crate::request::Job;
use crate::root::{attach, bits, detach_here};
use crate::sources::{Source, clone_tree};
use crate::sys::mount::Propagation;

/// Makes them, and puts clones among the sources.
pub(crate) fn make(sources: &mut [Source], job: &mut Job, procfs: &Procfs) -> Result<(), Failure> {
    let Job { mode: of_helper, caps, request, descriptors, .. } = job;
    let mut directory = None;
    for (index, (source, asked)) in (0_u32..).zip(sources.iter_mut().zip(&request.get().operations))
    {
        let object = Object::Operation(index);
        let fail = |call| failed(Stage::Build, call, object);
        let clone = |file: BorrowedFd<'_>, set| {
            clone_tree(
                caps,
                file,
                attributes::PLAIN | set,
                Propagation::Private,
                Stage::Build,
                object,
            )
        };
        if let (Operation::UserNamespace { .. }, Mode::Unprivileged) = (asked, *of_helper) {
            let file = procfs.user_namespace().map_err(fail(Call::Open))?;
            *source = Source::Tree(clone(file.as_fd(), attributes::READ_ONLY)?);
        }
        if let Operation::Data { destination: _, mode, content, writable } = asked {
            let made = match directory.take() {
                Some(made) => made,
                None => cover(caps, object)?,
            };
            let flags = MAKE | OFlags::EXCL;
            let file = rustix::fs::openat(&made, index.to_string(), flags, bits(*mode))
                .map_err(fail(Call::Open))?;
            directory = Some(made);
            fill(file.as_fd(), content, descriptors, object)?;
            let set = if *writable { attributes::NONE } else { attributes::READ_ONLY };
            *source = Source::Tree(clone(file.as_fd(), set)?);
        }
    }
    directory.map_or(Ok(()), |made| uncover(caps, made.as_fd()))
}

/// Puts a tmpfs on top of the root.
fn cover(caps: &Caps, object: Object) -> Result<OwnedFd, Failure> {
    let fail = |call| failed(Stage::Build, call, object);
    let mount = Kind::Tmpfs { mode: 0o700, size: None }.make(caps, object)?;
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
