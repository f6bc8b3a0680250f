// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stands in for the helper: receives a request and writes it, with what procfs says of its
//! descriptors, to standard output. Makes no sandbox; the frontend is left with a closed socket.
#![forbid(unsafe_code)]

use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use stockade_bench::recording::Recording;
use stockade_protocol::{Header, limits};

fn main() -> io::Result<()> {
    // Descriptor 3 by its name in procfs would open it anew, which a socket does not allow.
    let mut socket = socket()?;
    let mut header = [0; Header::BYTES];
    socket.read_exact(&mut header)?;
    let header = Header::from_bytes(&header)
        .map_err(|fault| io::Error::other(format!("not a request: {fault:?}")))?;
    let mut bytes = vec![0; usize::try_from(header.length).unwrap_or(0)];
    socket.read_exact(&mut bytes)?;
    let wanted = usize::try_from(header.descriptors).unwrap_or(0);
    let mut names = Vec::new();
    while names.len() < wanted {
        for fd in batch(&socket)? {
            names.push(std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?);
        }
    }
    io::stdout().write_all(&Recording { bytes, names }.to_file())
}

/// The socket at descriptor 3, found without `unsafe`: a duplicate made by `pidfd_getfd(2)` of this
/// very process.
fn socket() -> io::Result<UnixStream> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let fd = pidfd_getfd(own.as_fd(), 3, PidfdGetfdFlags::empty())?;
    Ok(UnixStream::from(fd))
}

/// The descriptors of one message.
fn batch(socket: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::DESCRIPTORS_PER_MESSAGE))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut data = [IoSliceMut::new(&mut byte)];
    let got = recvmsg(socket, &mut data, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut fds = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    if got.bytes == 0 || fds.is_empty() {
        return Err(io::Error::other("the descriptors ended early"));
    }
    Ok(fds)
}
