// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is read from descriptors that the caller left open and names by number.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::inherit;

/// Reads descriptors that the caller left open, once each.
pub(crate) trait Descriptors {
    /// Everything up to the end. The descriptor is closed then.
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno>;
}

/// Descriptors of this process.
pub(crate) struct Inherited;

impl Descriptors for Inherited {
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno> {
        let fd = inherit::duplicate(number)?;
        let bytes = read_all(&fd)?;
        drop(fd);
        inherit::close(number);
        Ok(bytes)
    }
}

/// Reads a descriptor to its end.
pub(crate) fn read_all(fd: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
