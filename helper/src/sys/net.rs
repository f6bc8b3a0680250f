// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loopback interface of a new network namespace.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::result;

/// `ioctl(SIOCSIFFLAGS)`, `netdevice(7)`: brings `lo` up. The kernel adds 127.0.0.1 and ::1 itself.
///
/// `socket` is a socket of the namespace. A fresh `lo` has no other flag worth keeping.
pub(crate) fn bring_up_loopback(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: `struct ifreq` is plain data for which all zeroes is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *place = libc::c_char::from_ne_bytes([*byte]);
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).map_err(|_| Errno::INVAL)?;
    // SAFETY: SIOCSIFFLAGS reads one `struct ifreq`.
    let value = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    result(value.into()).map(drop)
}
