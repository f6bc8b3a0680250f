// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors by number: those that are inherited, and those that the payload inherits.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::result;

/// Takes the descriptor with this number, if it is open.
///
/// Called once for the socket, before anything else is opened.
pub(crate) fn take(number: libc::c_int) -> Result<OwnedFd, Errno> {
    is_open(number)?;
    // SAFETY: it is open (just asked), and nothing else owns it: no descriptor was opened yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether the descriptor with this number is open.
pub(crate) fn is_open(number: libc::c_int) -> Result<(), Errno> {
    // SAFETY: F_GETFD takes no pointer.
    result(unsafe { libc::fcntl(number, libc::F_GETFD) }.into()).map(drop)
}

/// `close_range(2)` (Linux 5.9) without flags: closes the descriptors `first` to `last`.
///
/// Used where none of them is owned by a value that lives on: at the start, and in processes that
/// never return to code which owns them.
pub(crate) fn close_range(first: u32, last: u32) -> Result<(), Errno> {
    close_range_with(first, last, 0)
}

/// `close_range(2)` with `CLOSE_RANGE_CLOEXEC` (Linux 5.11): has the next exec close them.
pub(crate) fn close_range_on_exec(first: u32, last: u32) -> Result<(), Errno> {
    close_range_with(first, last, libc::CLOSE_RANGE_CLOEXEC)
}

fn close_range_with(first: u32, last: u32, flags: u32) -> Result<(), Errno> {
    // SAFETY: the call takes numbers only.
    result(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// `fcntl(F_DUPFD_CLOEXEC)`: a copy with a number of at least `least`.
pub(crate) fn dup_above(fd: BorrowedFd<'_>, least: u32) -> Result<OwnedFd, Errno> {
    let least = libc::c_int::try_from(least).map_err(|_| Errno::INVAL)?;
    // SAFETY: F_DUPFD_CLOEXEC takes a number.
    let copy = result(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, least) }.into())?;
    let copy = libc::c_int::try_from(copy).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel just made this descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// `dup2(2)`: makes `target` a copy of `fd` that survives exec, closing what was there.
pub(crate) fn dup_to(fd: BorrowedFd<'_>, target: u32) -> Result<(), Errno> {
    let target = libc::c_int::try_from(target).map_err(|_| Errno::BADF)?;
    // SAFETY: the call takes numbers only. Callers moved everything that is owned above every
    // target before.
    result(unsafe { libc::dup2(fd.as_raw_fd(), target) }.into()).map(drop)
}

/// `close_range(2)`: closes every descriptor but these.
///
/// Only for a process that goes on without any value that owns another.
pub(crate) fn close_all_but<'a>(kept: impl Iterator<Item = BorrowedFd<'a>>) -> Result<(), Errno> {
    let kept: Vec<u32> = kept.map(|fd| fd.as_raw_fd().unsigned_abs()).collect();
    gaps(0, kept).into_iter().try_for_each(|(from, to)| close_range(from, to))
}

/// The ranges of numbers from `first` on in which there is none of `kept`.
pub(crate) fn gaps(first: u32, mut kept: Vec<u32>) -> Vec<(u32, u32)> {
    kept.retain(|number| *number >= first);
    kept.sort_unstable();
    let begins = kept.iter().map(|number| number.saturating_add(1));
    let ends = kept.iter().map(|number| number.checked_sub(1)).chain([Some(u32::MAX)]);
    let ranges = [first].into_iter().chain(begins).zip(ends);
    ranges.filter_map(|(from, to)| to.filter(|to| from <= *to).map(|to| (from, to))).collect()
}

/// `fcntl(F_OFD_SETLK)` (Linux 3.15): a read lock on the whole file, which lasts as long as this open
/// file does. One of the process would end with the first descriptor of that file that it closes.
pub(crate) fn lock_shared(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: `struct flock` is plain data for which all zeroes is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::c_short::try_from(libc::F_RDLCK).map_err(|_| Errno::INVAL)?;
    // SAFETY: `lock` outlives the call, which only reads it.
    let value = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) };
    result(value.into()).map(drop)
}
