// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that the caller left open and names by number.
//!
//! A number becomes an owned descriptor through the kernel, by duplicating it out of this very
//! process, so that a wrong number is an error and never someone else's file.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

/// A number that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use the file descriptor {number}\n{errno}\ngive the number of one that is open")]
pub struct DescriptorError {
    /// As given.
    pub number: u32,
    /// Why.
    pub errno: Errno,
}

/// A duplicate of the open descriptor `number`, closed on exec.
///
/// # Errors
/// [`DescriptorError`].
pub fn inherited(number: u32) -> Result<OwnedFd, DescriptorError> {
    let failed = |errno| DescriptorError { number, errno };
    let raw = i32::try_from(number).map_err(|_| failed(Errno::BADF))?;
    // Asked before the next call opens one, which would get the lowest number that is free.
    let link = format!("/proc/self/fd/{number}");
    rustix::fs::readlink(link, Vec::new()).map_err(|errno| match errno {
        Errno::NOENT => failed(Errno::BADF),
        errno => failed(errno),
    })?;
    let this = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty())
        .map_err(failed)?;
    rustix::process::pidfd_getfd(&this, raw, PidfdGetfdFlags::empty()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn an_open_descriptor_is_duplicated() {
        let file = std::fs::File::open("/").unwrap();
        let number = u32::try_from(file.as_raw_fd()).unwrap();
        let duplicate = inherited(number).unwrap();
        assert_ne!(duplicate.as_raw_fd(), file.as_raw_fd());
        let inode = |fd: &OwnedFd| rustix::fs::fstat(fd).unwrap().st_ino;
        assert_eq!(inode(&duplicate), inode(&file.into()));
    }

    #[test]
    fn a_closed_one_is_refused() {
        for number in [1_000_000, u32::MAX] {
            assert_eq!(inherited(number).unwrap_err().errno, Errno::BADF);
        }
    }
}
