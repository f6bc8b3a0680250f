// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks on `.ref` files, by which instances and those who clean up after them know of each other
//! (R8, R141, R145).
//!
//! They are open-file-description locks, `fcntl(2)`: they last as long as the descriptor, whatever
//! else this process opens and closes, and they and the locks of other programs, which belong to a
//! process, see each other.

use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::io::Errno;

/// Waits for a read lock, which lasts as long as the descriptor.
///
/// # Errors
/// The errno of `fcntl(2)`.
pub(super) fn shared(file: &OwnedFd) -> Result<(), Errno> {
    let lock = whole(libc::F_RDLCK)?;
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLKW(&lock)) {
            Ok(_) => return Ok(()),
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(raw(errno)),
        }
    }
}

/// Takes a write lock, which lasts as long as the descriptor, unless somebody has another lock; tells
/// whether it did.
///
/// # Errors
/// The errno of `fcntl(2)`.
pub(super) fn try_exclusive(file: &OwnedFd) -> Result<bool, Errno> {
    match fcntl(file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK)?)) {
        Ok(_) => Ok(true),
        Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(false),
        Err(errno) => Err(raw(errno)),
    }
}

/// Whether somebody has a lock.
///
/// # Errors
/// The errno of `fcntl(2)`.
pub(super) fn is_held(file: &OwnedFd) -> Result<bool, Errno> {
    let mut lock = whole(libc::F_WRLCK)?;
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)).map_err(raw)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// A lock of this kind on the whole file.
fn whole(kind: libc::c_int) -> Result<libc::flock, Errno> {
    let short = |number: libc::c_int| libc::c_short::try_from(number).map_err(|_| Errno::INVAL);
    let (l_type, l_whence) = (short(kind)?, short(libc::SEEK_SET)?);
    // The kernel wants 0 for the process.
    Ok(libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 })
}

fn raw(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;

    #[test]
    fn r141_a_read_lock_lasts_as_long_as_its_descriptor() {
        let scratch = Scratch::new();
        let path = scratch.file(".ref", "");
        let open = || -> OwnedFd {
            std::fs::File::options().read(true).write(true).open(&path).unwrap().into()
        };
        let (one, other, third) = (open(), open(), open());
        assert!(!is_held(&third).unwrap());
        shared(&one).unwrap();
        shared(&other).unwrap();
        assert!(is_held(&third).unwrap());
        assert!(!try_exclusive(&third).unwrap());
        // Closing another descriptor of the file, as every reader does, gives nothing up.
        drop(open());
        drop(one);
        assert!(!try_exclusive(&third).unwrap());
        drop(other);
        assert!(!is_held(&third).unwrap());
        assert!(try_exclusive(&third).unwrap());
    }
}
