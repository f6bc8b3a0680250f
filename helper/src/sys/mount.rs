// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mount_setattr(2)` and `open_tree_attr(2)`, which rustix does not have.

use std::ffi::CStr;
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::result;

/// `struct mount_attr` of the kernel, first version (32 bytes).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

const _: () = assert!(size_of::<MountAttr>() == 32);

impl MountAttr {
    /// Adds attributes. Nothing is ever cleared (I5, T47).
    fn new(set: MountAttrFlags, propagation: Propagation) -> Self {
        let propagation = match propagation {
            Propagation::Keep => 0,
            Propagation::Private => libc::MS_PRIVATE,
            Propagation::Slave => libc::MS_SLAVE,
        };
        Self { attr_set: set.bits().into(), attr_clr: 0, propagation, userns_fd: 0 }
    }
}

/// What happens to mounts that appear in the original of a mount later, `mount_namespaces(7)`.
#[derive(Clone, Copy)]
pub(crate) enum Propagation {
    /// Left as it is.
    Keep,
    /// Nothing.
    Private,
    /// They appear.
    Slave,
}

/// Whether the mounts below are changed too.
#[derive(Clone, Copy)]
pub(crate) enum Depth {
    /// This mount only.
    Single,
    /// The whole tree, in one step that either happens or does not.
    Recursive,
}

/// `open_tree_attr(2)` (Linux 6.15): a detached, recursive clone of what is mounted at `fd` and
/// below, with these attributes and this propagation from the start. `ENOSYS` where it is missing.
pub(crate) fn open_tree_attr(
    fd: BorrowedFd<'_>,
    set: MountAttrFlags,
    propagation: Propagation,
) -> Result<OwnedFd, Errno> {
    // The number is the same on every architecture (since 424 all are).
    const OPEN_TREE_ATTR: libc::c_long = 467;
    let flags = libc::c_uint::try_from(libc::AT_RECURSIVE | libc::AT_EMPTY_PATH).unwrap_or(0)
        | libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC;
    let value = call(OPEN_TREE_ATTR, fd, c"", flags, &MountAttr::new(set, propagation))?;
    let number = libc::c_int::try_from(value).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// `mount_setattr(2)` (Linux 5.12): adds attributes to the mount at `path` below `fd`, or to the
/// mount of `fd` itself where `path` is empty.
pub(crate) fn mount_setattr(
    fd: BorrowedFd<'_>,
    path: &CStr,
    depth: Depth,
    set: MountAttrFlags,
    propagation: Propagation,
) -> Result<(), Errno> {
    let recursive = match depth {
        Depth::Single => 0,
        Depth::Recursive => libc::AT_RECURSIVE,
    };
    let flags = libc::c_uint::try_from(libc::AT_EMPTY_PATH | recursive).unwrap_or(0);
    let attr = MountAttr::new(set, propagation);
    call(libc::SYS_mount_setattr, fd, path, flags, &attr).map(drop)
}

/// One of the two: they take the same.
fn call(
    number: libc::c_long,
    fd: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_uint,
    attr: &MountAttr,
) -> Result<libc::c_long, Errno> {
    let (fd, size) = (fd.as_raw_fd(), size_of::<MountAttr>());
    // SAFETY: `path` is a C string and `attr` a whole `struct mount_attr`; both outlive the call,
    // which writes to neither.
    let value =
        unsafe { libc::syscall(number, fd, path.as_ptr(), flags, std::ptr::from_ref(attr), size) };
    result(value)
}
