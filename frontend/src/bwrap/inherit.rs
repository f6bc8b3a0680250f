// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that the caller left open.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

/// The numbers of all that are open and survive an exec, but for 0, 1 and 2.
pub(crate) fn open_numbers() -> Vec<u32> {
    let Ok(list) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let names = list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut numbers: Vec<u32> = names.filter(|number| *number > 2).collect();
    numbers.sort_unstable();
    // The directory itself was open while it was read.
    numbers.retain(|number| is_open(*number));
    numbers
}

fn is_open(number: u32) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
}

/// A duplicate of a descriptor.
pub(crate) fn duplicate(number: u32) -> Result<OwnedFd, Errno> {
    crate::descriptor::inherited(number).map_err(|error| error.errno)
}

/// Closes a descriptor that the caller left open and that nothing here owns.
pub(crate) fn close(number: u32) {
    if let Ok(number) = i32::try_from(number) {
        nix::unistd::close(number).ok();
    }
}
