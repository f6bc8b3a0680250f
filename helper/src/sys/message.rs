// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receiving descriptors from a socket whose other end, and whose options, are the caller's.
//!
//! By hand rather than through rustix: the caller can have the kernel add control messages that
//! nobody asked for (`SO_PASSCRED`, `SO_PASSPIDFD` on the shared description), and rustix makes
//! types of their content that must not be zero.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

use super::result;

/// Room for `SCM_MAX_FD` (253) descriptors and some other control messages.
const CONTROL: usize = 1536;

/// Aligned as `struct cmsghdr` wants it.
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What one `recvmsg(2)` brought.
pub(crate) struct Received {
    /// Data bytes; 0 at the end of the stream.
    pub(crate) bytes: usize,
    /// The kernel had more descriptors than there was room or numbers for, and dropped them.
    pub(crate) truncated: bool,
    /// There were control messages other than one with descriptors.
    pub(crate) foreign: bool,
}

/// `recvmsg(2)`: takes one data byte and appends the descriptors that came with it, close-on-exec.
pub(crate) fn receive_descriptors(
    socket: BorrowedFd<'_>,
    received: &mut Vec<OwnedFd>,
) -> Result<Received, Errno> {
    let mut byte = [0_u8];
    let mut control = Control([0; CONTROL]);
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: byte.len() };
    // SAFETY: `struct msghdr` is plain data for which all zeroes is a value.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL;
    // SAFETY: the header points to one vector of one byte and to CONTROL bytes of control buffer, all
    // of which outlive the call.
    let bytes =
        unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let bytes = result(libc::c_long::try_from(bytes).map_err(|_| Errno::IO)?)?;

    // SAFETY: the kernel has filled the control buffer and set its length.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    let mut foreign = false;
    if !first.is_null() {
        // SAFETY: not null, so it points to a whole header in the buffer; read without alignment.
        let message = unsafe { first.read_unaligned() };
        // SAFETY: `first` is a message of this header's buffer.
        let next = unsafe { libc::CMSG_NXTHDR(&raw const header, first) };
        let kind = (message.cmsg_level, message.cmsg_type);
        foreign = kind != (libc::SOL_SOCKET, libc::SCM_RIGHTS) || !next.is_null();
        // What comes with anything else is not looked at: there will be no sandbox.
        let length = if foreign { 0 } else { message.cmsg_len };
        let length = length.saturating_sub(size_of::<libc::cmsghdr>());
        // SAFETY: the data of a message follows its header.
        let data = unsafe { libc::CMSG_DATA(first) };
        for index in 0..length.checked_div(size_of::<libc::c_int>()).unwrap_or(0) {
            // SAFETY: so many descriptors lie within the data of this message.
            let place = unsafe { data.cast::<libc::c_int>().add(index) };
            // SAFETY: as above; read without alignment.
            let number = unsafe { place.read_unaligned() };
            if number >= 0 {
                // SAFETY: the kernel has just made this descriptor for us.
                received.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    Ok(Received {
        bytes: usize::try_from(bytes).unwrap_or(0),
        truncated: header.msg_flags & libc::MSG_CTRUNC != 0,
        foreign,
    })
}
