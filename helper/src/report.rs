// SPDX-License-Identifier: MIT OR Apache-2.0
//! The socket to the frontend: events out, and whether anybody still listens.
//!
//! The only descriptor that is written to while there is privilege (I16), and never read again once
//! the request is complete (I9).

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use stockade_protocol::Event;
use stockade_protocol::codec::encode_event;

use crate::Status;
use crate::fault::{Problem, unheard};
use crate::sys::fd::close_range;

/// Speaks to the frontend.
pub(crate) struct Report {
    socket: OwnedFd,
    /// Frames that wait for the next event that matters, so that the frontend wakes up once.
    waiting: Vec<u8>,
}

impl Report {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, waiting: Vec::new() }
    }

    pub(crate) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// Closes this process's copy of the socket, in a child that will never use it.
    pub(crate) fn abandon(&self) {
        let number = self.socket.as_raw_fd().unsigned_abs();
        unheard(close_range(number, number));
    }

    /// Keeps an event for the next [`Self::send`].
    pub(crate) fn note(&mut self, event: &Event) {
        let Ok(bytes) = encode_event(event) else { return };
        let Ok(length) = u32::try_from(bytes.len()) else { return };
        self.waiting.extend_from_slice(&length.to_le_bytes());
        self.waiting.extend_from_slice(&bytes);
    }

    /// Sends an event, with a descriptor if there is one.
    pub(crate) fn send(
        &mut self,
        event: &Event,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), Errno> {
        self.note(event);
        send_all(&self.socket, &self.waiting, descriptor)?;
        self.waiting.clear();
        Ok(())
    }

    /// Says why there is no sandbox, and gives the exit status for it.
    pub(crate) fn end(mut self, problem: &Problem) -> Status {
        if let Some(event) = problem.event() {
            // Nobody listens any more if this fails, and there is nobody else to tell (I16).
            unheard(self.send(&event, None));
        }
        Status::Failed
    }
}

/// Sends all of `bytes`, with a descriptor if there is one.
pub(crate) fn send_all(
    socket: &OwnedFd,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> Result<(), Errno> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = descriptor.map(|fd| [fd]);
    if let Some(list) = &descriptors {
        control.push(SendAncillaryMessage::ScmRights(list));
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let (flags, bytes) = (SendFlags::NOSIGNAL, [IoSlice::new(rest)]);
        let sent = retry_on_intr(|| rustix::net::sendmsg(socket, &bytes, &mut control, flags))?;
        rest = rest.get(sent..).unwrap_or_default();
        control.clear();
    }
    Ok(())
}
