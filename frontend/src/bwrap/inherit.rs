// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors that the caller left open.
//!
//! The numbers are looked up once, as soon as there is time for it: a number that the caller names and
//! that was not open then is an error, and never a descriptor of our own that happens to have it.

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::fs::{CWD, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags};

/// The numbers above 2, in order. As global as the table that they are the indexes of.
static OPEN: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// This process, to duplicate descriptors from.
static THIS: Mutex<Option<OwnedFd>> = Mutex::new(None);

/// Notes what is open, but for what this process has opened itself.
pub(crate) fn note(own: &[BorrowedFd<'_>]) {
    let mut numbers = listed(own).unwrap_or_default();
    numbers.sort_unstable();
    if let Ok(mut open) = OPEN.lock() {
        *open = numbers;
    }
}

/// The numbers above 2 of all descriptors of this process that are open now, but for these, in no
/// order.
///
/// # Errors
/// The errno of what failed in `/proc`.
pub(crate) fn listed(own: &[BorrowedFd<'_>]) -> Result<Vec<u32>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let list = rustix::fs::openat(CWD, c"/proc/self/fd", flags, Mode::empty())?;
    let own: Vec<i32> = own.iter().map(BorrowedFd::as_raw_fd).chain([list.as_raw_fd()]).collect();
    let mut space = [MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&list, &mut space);
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok());
        let foreign = number.filter(|number| *number > 2 && !own.contains(number));
        numbers.extend(foreign.and_then(|number| u32::try_from(number).ok()));
    }
    Ok(numbers)
}

/// The numbers of all that are open and survive an exec, but for 0, 1 and 2.
pub(crate) fn open_numbers() -> Vec<u32> {
    OPEN.lock().map(|open| open.clone()).unwrap_or_default()
}

/// A duplicate of a descriptor.
pub(crate) fn duplicate(number: u32) -> Result<OwnedFd, Errno> {
    let noted = OPEN.lock().is_ok_and(|open| open.binary_search(&number).is_ok());
    if number > 2 && !noted {
        return Err(Errno::BADF);
    }
    let number = i32::try_from(number).map_err(|_| Errno::BADF)?;
    let mut this = THIS.lock().map_err(|_| Errno::BADF)?;
    let this = match &mut *this {
        Some(this) => this,
        empty @ None => {
            let flags = PidfdFlags::empty();
            empty.insert(rustix::process::pidfd_open(rustix::process::getpid(), flags)?)
        }
    };
    rustix::process::pidfd_getfd(this, number, PidfdGetfdFlags::empty())
}

/// Closes a descriptor that the caller left open and that nothing here owns.
pub(crate) fn close(number: u32) {
    if let Ok(mut open) = OPEN.lock() {
        open.retain(|known| *known != number);
    }
    if let Ok(number) = i32::try_from(number) {
        nix::unistd::close(number).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn what_is_our_own_is_not_the_callers() {
        let (theirs, ours) = rustix::pipe::pipe().unwrap();
        let number = |fd: &OwnedFd| u32::try_from(fd.as_raw_fd()).unwrap();
        note(&[ours.as_fd()]);
        assert!(open_numbers().contains(&number(&theirs)));
        assert!(!open_numbers().contains(&number(&ours)));
        assert!(duplicate(number(&theirs)).is_ok());
        assert_eq!(duplicate(number(&ours)).unwrap_err(), Errno::BADF);
        assert_eq!(duplicate(1_000_000).unwrap_err(), Errno::BADF);
        assert_eq!(duplicate(u32::MAX).unwrap_err(), Errno::BADF);
    }
}
