// SPDX-License-Identifier: MIT OR Apache-2.0
//! The last calls before the payload runs.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::result;

/// `landlock_restrict_self(2)` (Linux 5.13).
pub(crate) fn landlock_restrict_self(ruleset: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: the call takes numbers only.
    let value = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    result(value).map(drop)
}

/// A seccomp program, copied into the instructions the kernel wants. Made early, because nothing is
/// to be allocated once the first filter is in force.
pub(crate) struct Program(Vec<libc::sock_filter>);

impl Program {
    /// Reads the instructions; `bytes` is a checked filter, a multiple of 8 bytes long.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let instructions = bytes.chunks_exact(8).filter_map(|chunk| {
            let [c0, c1, jt, jf, k0, k1, k2, k3] = *<&[u8; 8]>::try_from(chunk).ok()?;
            let code = u16::from_ne_bytes([c0, c1]);
            let k = u32::from_ne_bytes([k0, k1, k2, k3]);
            Some(libc::sock_filter { code, jt, jf, k })
        });
        Self(instructions.collect())
    }
}

/// `prctl(PR_SET_SECCOMP)`: installs a program for good.
///
/// Not seccomp(2), which does the same: programs that allow the next one to be installed were often
/// written with prctl in mind.
pub(crate) fn install_filter(program: &Program) -> Result<(), Errno> {
    let length = u16::try_from(program.0.len()).map_err(|_| Errno::INVAL)?;
    let filter = libc::sock_fprog { len: length, filter: program.0.as_ptr().cast_mut() };
    // SAFETY: `filter` points to `length` instructions, which the kernel copies and does not write.
    let value =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    result(value.into()).map(drop)
}

/// Strings as `execve(2)` wants them: pointers to each, then a null pointer.
pub(crate) struct Strings<'a> {
    pointers: Vec<*const libc::c_char>,
    strings: std::marker::PhantomData<&'a CStr>,
}

impl<'a> Strings<'a> {
    /// Points to each of `strings`, which stay borrowed.
    pub(crate) fn new(strings: impl Iterator<Item = &'a CStr>) -> Self {
        let null = std::iter::once(std::ptr::null());
        let pointers = strings.map(CStr::as_ptr).chain(null).collect();
        Self { pointers, strings: std::marker::PhantomData }
    }

    /// Points to another string at this position.
    pub(crate) fn replace(&mut self, position: usize, string: &'a CStr) {
        // Never the last, which has to stay null.
        let last = self.pointers.len().saturating_sub(1);
        if let Some(place) = self.pointers.get_mut(position).filter(|_| position < last) {
            *place = string.as_ptr();
        }
    }
}

/// `execve(2)`. Returns only on failure.
pub(crate) fn execve(program: &CStr, arguments: &Strings<'_>, environment: &Strings<'_>) -> Errno {
    // SAFETY: both lists end with a null pointer, and what they point to is borrowed.
    let value = unsafe {
        libc::execve(program.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr())
    };
    match result(value.into()) {
        Err(errno) => errno,
        Ok(_) => Errno::NOEXEC,
    }
}
