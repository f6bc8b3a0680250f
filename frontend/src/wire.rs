// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frontend's side of the socket: the request out, the events in.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use stockade_protocol::codec::{decode_event, encode_request};
use stockade_protocol::{Event, Header, VERSION, limits};

use crate::sandbox::Sandbox;

/// The one data byte of a message that carries descriptors.
const MARK: [u8; 1] = [0xfd];

/// Why the conversation with the helper ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The request does not fit the protocol.
    #[error(
        "cannot describe the sandbox in {} bytes\nit has too many or too long parts",
        limits::REQUEST_BYTES
    )]
    TooLarge,
    /// Sending failed for another reason than a helper that has ended.
    #[error("cannot send the sandbox to the helper: {0}")]
    Send(Errno),
    /// Receiving failed.
    #[error("cannot hear from the helper: {0}")]
    Receive(Errno),
    /// What came is no event.
    #[error("cannot understand the helper\nit is probably of another version")]
    Nonsense,
}

/// Sends the whole sandbox. A helper that ends before it has read everything has said why, so that
/// is not an error here.
///
/// # Errors
/// See [`WireError`].
pub fn send(socket: BorrowedFd<'_>, sandbox: &Sandbox) -> Result<(), WireError> {
    let request = encode_request(&sandbox.request).map_err(|_| WireError::TooLarge)?;
    let descriptors = sandbox.descriptors();
    let header = Header {
        version: VERSION,
        length: u32::try_from(request.len()).map_err(|_| WireError::TooLarge)?,
        descriptors: u32::try_from(descriptors.len()).map_err(|_| WireError::TooLarge)?,
    };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend_from_slice(&request);
    let batches = descriptors.chunks(limits::DESCRIPTORS_PER_MESSAGE);
    let sent = send_bytes(socket, &bytes, &[])
        .and_then(|()| batches.into_iter().try_for_each(|batch| send_bytes(socket, &MARK, batch)));
    match sent {
        Ok(()) | Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
        Err(errno) => Err(WireError::Send(errno)),
    }
}

fn send_bytes(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[OwnedFd]) -> Result<(), Errno> {
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(fds.len()))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&fds));
    }
    let mut rest = bytes;
    let mut patience: u32 = 1000;
    while !rest.is_empty() {
        let slices = [IoSlice::new(rest)];
        match rustix::net::sendmsg(socket, &slices, &mut control, SendFlags::NOSIGNAL) {
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            // As many descriptors of this user are on their way as may be; the helper takes them out.
            Err(Errno::TOOMANYREFS) if patience > 0 => {
                patience = patience.saturating_sub(1);
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Receives the events, which may come in pieces or several at once.
#[derive(Debug)]
pub struct Events {
    socket: OwnedFd,
    buffer: Vec<u8>,
    pidfd: Option<OwnedFd>,
}

impl Events {
    /// Events from this socket.
    #[must_use]
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new(), pidfd: None }
    }

    /// The socket, to wait on.
    #[must_use]
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The payload's pidfd, once it has come.
    pub fn take_pidfd(&mut self) -> Option<OwnedFd> {
        self.pidfd.take()
    }

    /// Takes the next event that is complete already.
    ///
    /// # Errors
    /// [`WireError::Nonsense`].
    pub fn take(&mut self) -> Result<Option<Event>, WireError> {
        let Some((length, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let length =
            usize::try_from(u32::from_le_bytes(*length)).map_err(|_| WireError::Nonsense)?;
        if length > limits::EVENT_BYTES {
            return Err(WireError::Nonsense);
        }
        let Some(frame) = rest.get(..length) else { return Ok(None) };
        let event = decode_event(frame).map_err(|_| WireError::Nonsense)?;
        self.buffer.drain(..length.saturating_add(4));
        Ok(Some(event))
    }

    /// Reads what is there, waiting for it if need be. False at the end.
    ///
    /// # Errors
    /// [`WireError::Receive`].
    pub fn read(&mut self) -> Result<bool, WireError> {
        let mut bytes = [0; 512];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        loop {
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let mut slices = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            let received = rustix::net::recvmsg(&self.socket, &mut slices, &mut control, flags);
            let message = match received {
                Ok(message) => message,
                Err(Errno::INTR) => continue,
                Err(Errno::CONNRESET) => return Ok(false),
                Err(errno) => return Err(WireError::Receive(errno)),
            };
            for item in control.drain() {
                if let RecvAncillaryMessage::ScmRights(mut fds) = item {
                    self.pidfd = fds.next().or(self.pidfd.take());
                }
            }
            self.buffer.extend_from_slice(bytes.get(..message.bytes).unwrap_or_default());
            return Ok(message.bytes > 0);
        }
    }
}
