// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that neither std nor nix has, one function each. The only unsafe code of the
//! harness.

use std::ffi::{c_int, c_long};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The result of a system call as std sees it.
fn checked(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// A descriptor that a system call just made.
fn owned(result: c_long) -> io::Result<OwnedFd> {
    let fd = RawFd::try_from(checked(result)?).map_err(io::Error::other)?;
    // SAFETY: the kernel returned this number for a new descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `fork(2)`: the child's id in the parent, nothing in the child.
///
/// # Errors
/// Its errno.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the callers start no threads before they fork, so the child may do what it likes.
    let pid = unsafe { libc::fork() };
    checked(c_long::from(pid))?;
    Ok((pid != 0).then_some(pid))
}

/// `_exit(2)`.
pub fn exit(code: c_int) -> ! {
    // SAFETY: _exit has no condition and does not return.
    unsafe { libc::_exit(code) }
}

/// `dup2(2)`.
///
/// # Errors
/// Its errno.
pub fn dup2(old: RawFd, new: RawFd) -> io::Result<()> {
    // SAFETY: dup2 takes numbers; the callers are freshly forked children that own their table.
    checked(c_long::from(unsafe { libc::dup2(old, new) })).map(drop)
}

/// `fcntl(F_DUPFD_CLOEXEC)`: the same file with a number of at least `lowest`.
///
/// # Errors
/// Its errno.
pub fn dup_above(fd: BorrowedFd<'_>, lowest: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is valid for the call, and the result is a new one.
    owned(c_long::from(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, lowest) }))
}

/// `close(2)` of a number, in a freshly forked child.
pub fn close(fd: RawFd) {
    // SAFETY: the callers are freshly forked children that own their table.
    unsafe { libc::close(fd) };
}

/// `close_range(2)` with `CLOSE_RANGE_CLOEXEC`: everything from `first` on ends at the next exec.
///
/// # Errors
/// Its errno.
pub fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: close_range takes numbers only, and with this flag closes nothing now.
    let done = checked(unsafe { libc::syscall(libc::SYS_close_range, first, c_int::MAX, flags) })
        .map(drop);
    match done {
        // The flag came with Linux 5.11. Nothing of the suite has numbers beyond these.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            for number in first..4096 {
                // SAFETY: F_SETFD takes numbers only; those that are not open say EBADF.
                unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            Ok(())
        }
        other => other,
    }
}

/// `pidfd_open(2)`.
///
/// # Errors
/// Its errno.
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes numbers and returns a new descriptor.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// `pidfd_getfd(2)`: descriptor `number` of another process.
///
/// # Errors
/// Its errno.
pub fn pidfd_getfd(process: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_getfd takes numbers and returns a new descriptor.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), number, 0) })
}

/// `pidfd_send_signal(2)`.
///
/// # Errors
/// Its errno.
pub fn pidfd_send_signal(process: &impl AsFd, signal: c_int) -> io::Result<()> {
    let (none, flags) = (std::ptr::null::<libc::siginfo_t>(), 0);
    let fd = process.as_fd().as_raw_fd();
    // SAFETY: a null siginfo is allowed, the rest are numbers.
    checked(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, flags) })
        .map(drop)
}

/// `prctl(2)` with one number.
fn prctl(option: c_int, value: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the options used in this module take numbers and change this process only.
    checked(c_long::from(unsafe { libc::prctl(option, value, 0, 0, 0) })).map(drop)
}

/// Orphaned descendants become children of this process.
///
/// # Errors
/// The errno of `prctl(2)`.
pub fn become_subreaper() -> io::Result<()> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, 1)
}

/// Set-id bits and file capabilities are ignored from now on.
///
/// # Errors
/// The errno of `prctl(2)`.
pub fn no_new_privileges() -> io::Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)
}

/// Keeps the permitted capabilities through a change of all uids.
///
/// # Errors
/// The errno of `prctl(2)`.
pub fn keep_capabilities() -> io::Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, 1)
}

/// Makes `CAP_SYS_ADMIN` the only permitted capability, and effective.
///
/// # Errors
/// The errno of `capset(2)`.
pub fn keep_only_sys_admin() -> io::Result<()> {
    /// `_LINUX_CAPABILITY_VERSION_3`.
    const VERSION: u32 = 0x2008_0522;
    const SYS_ADMIN: u32 = 1 << 21;
    // Version and process; then effective, permitted, inheritable of the low and the high half.
    let header = [VERSION, 0];
    let data = [SYS_ADMIN, SYS_ADMIN, 0, 0, 0, 0];
    // SAFETY: header and data have the layout of this version and live through the call.
    checked(unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), data.as_ptr()) }).map(drop)
}

/// Installs a seccomp program, an array of `struct sock_filter`.
///
/// # Errors
/// The errno of `seccomp(2)`.
pub fn seccomp(program: &[libc::sock_filter]) -> io::Result<()> {
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, 0);
    // SAFETY: the program points at `len` instructions that live through the call.
    checked(unsafe { libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program) }).map(drop)
}

/// `setitimer(2)`, periodic.
///
/// # Errors
/// Its errno.
pub fn set_timer(which: c_int, period: Duration) -> io::Result<()> {
    let part = libc::timeval {
        tv_sec: libc::time_t::try_from(period.as_secs()).map_err(io::Error::other)?,
        tv_usec: libc::suseconds_t::from(period.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: part, it_value: part };
    let (number, none) = (which, std::ptr::null_mut::<libc::itimerval>());
    // SAFETY: the structure lives through the call; libc's type for the number differs by target,
    // so the raw call is used.
    checked(unsafe { libc::syscall(libc::SYS_setitimer, number, &raw const timer, none) }).map(drop)
}

/// Makes `terminal` the controlling terminal of this session.
///
/// # Errors
/// The errno of `ioctl(2)`.
pub fn take_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: TIOCSCTTY takes a number.
    checked(c_long::from(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) }))
        .map(drop)
}

/// Sets the size of a terminal in characters.
///
/// # Errors
/// The errno of `ioctl(2)`.
pub fn set_window_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    let fd = terminal.as_raw_fd();
    // SAFETY: TIOCSWINSZ reads one winsize, which lives through the call.
    checked(c_long::from(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) })).map(drop)
}

/// The foreground process group of a terminal, seen from its master side.
///
/// # Errors
/// The errno of `ioctl(2)`.
pub fn foreground_group(terminal: BorrowedFd<'_>) -> io::Result<i32> {
    let mut group: libc::pid_t = 0;
    let fd = terminal.as_raw_fd();
    // SAFETY: TIOCGPGRP writes one pid_t, which lives through the call.
    checked(c_long::from(unsafe { libc::ioctl(fd, libc::TIOCGPGRP, &raw mut group) }))?;
    Ok(group)
}

/// Pushes one byte into the input of a terminal, `TIOCSTI`.
///
/// # Errors
/// The errno of `ioctl(2)`.
pub fn push_input(terminal: BorrowedFd<'_>, byte: u8) -> io::Result<()> {
    let fd = terminal.as_raw_fd();
    // SAFETY: TIOCSTI reads one byte, which lives through the call.
    checked(c_long::from(unsafe { libc::ioctl(fd, libc::TIOCSTI, &raw const byte) })).map(drop)
}

/// Reads `length` bytes at `address` of another process, `process_vm_readv(2)`.
///
/// # Errors
/// Its errno.
pub fn read_memory(pid: i32, address: usize, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0_u8; length];
    let local = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: length };
    let remote =
        libc::iovec { iov_base: std::ptr::without_provenance_mut(address), iov_len: length };
    // SAFETY: the local vector is one buffer of `length` bytes; the remote one is the kernel's to
    // check.
    let count =
        unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    let count = checked(c_long::try_from(count).map_err(io::Error::other)?)?;
    bytes.truncate(usize::try_from(count).map_err(io::Error::other)?);
    Ok(bytes)
}

/// Any system call whose arguments are numbers.
///
/// # Errors
/// Its errno.
///
/// # Safety
/// An argument that the call takes for an address must be valid as the call wants it.
pub unsafe fn call(number: c_long, arguments: [c_long; 5]) -> io::Result<c_long> {
    let [a, b, c, d, e] = arguments;
    // SAFETY: promised by the caller.
    checked(unsafe { libc::syscall(number, a, b, c, d, e) })
}

/// Duplicates a descriptor.
///
/// # Panics
/// If the process has no descriptor left.
#[must_use]
pub fn duplicate(fd: &impl AsFd) -> OwnedFd {
    fd.as_fd().try_clone_to_owned().expect("a free descriptor number")
}
