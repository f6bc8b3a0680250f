// SPDX-License-Identifier: MIT OR Apache-2.0
//! The only unsafe code of the helper: system calls that `rustix` lacks or leaves unsafe.
//!
//! Each function does one system call, takes borrowed descriptors, C strings and plain numbers, and
//! has no policy.
#![allow(unsafe_code, reason = "this is where it lives")]

pub(crate) mod fd;
pub(crate) mod memory;
pub(crate) mod message;
pub(crate) mod mount;
pub(crate) mod net;
pub(crate) mod payload;
pub(crate) mod process;
pub(crate) mod signal;
pub(crate) mod start;

use rustix::io::Errno;

/// The result of a raw system call that returned `value`.
fn result(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value >= 0 {
        return Ok(value);
    }
    // The call that just failed has set errno.
    let errno = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&errno).unwrap_or(Errno::IO))
}
