// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes, namespaces, resource limits, keyrings.

use rustix::io::Errno;
use rustix::process::Pid;
use rustix::thread::UnshareFlags;

use super::result;

/// `clone(2)` without sharing anything: forks. Gives the child to the parent, and nothing to the child.
///
/// Not the C library's `fork`, whose handlers have nothing to do in a process with one thread.
pub(crate) fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: no memory is shared with the child, and a null stack means the parent's own, copied.
    // The process has one thread, so the child finds every lock of the C library free.
    let pid = result(unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) })?;
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw))
}

/// `unshare(2)`: moves this process into new namespaces.
pub(crate) fn unshare(flags: UnshareFlags) -> Result<(), Errno> {
    // SAFETY: rustix's condition is about `FILES`, which separates descriptor tables; no caller
    // passes it.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// `prlimit(2)`: sets a resource limit of this process. `u64::MAX` is none.
pub(crate) fn set_limit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` outlives the call; no old value is asked for.
    let value = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            std::ptr::null::<libc::rlimit64>(),
        )
    };
    result(value).map(drop)
}

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING)` without a name: a new, empty session keyring (T64).
pub(crate) fn join_new_keyring() -> Result<(), Errno> {
    const JOIN_SESSION_KEYRING: libc::c_long = 1;
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: a null name is allowed and means an anonymous keyring.
    result(unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, none) }).map(drop)
}
