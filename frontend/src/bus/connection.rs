// SPDX-License-Identifier: MIT OR Apache-2.0
//! A conversation with a D-Bus peer, which may be a bus or systemd's manager with no bus between. All of
//! it ends at a moment that is set when it begins.

use std::io::{self, BufRead as _, BufReader, IoSlice, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, socket_with,
};

use super::message::{Message, MessageError, PREFIX};

/// The longest line of the authentication that is read.
const LINE: u64 = 1024;

/// An authenticated connection.
#[derive(Debug)]
pub(crate) struct Connection {
    reader: BufReader<Timed>,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No bytes.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It does not want to talk to this user.
    #[error("it does not accept this user")]
    Rejected,
    /// Not the right bytes.
    #[error("{0}")]
    Message(#[from] MessageError),
}

impl ConnectionError {
    /// Whether nobody listens.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Io(error) if matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::ConnectionRefused
        ))
    }
}

impl Connection {
    /// Connects to a socket as the user `uid`, for `patience` from now. What follows is said before
    /// [`Connection::begin`].
    ///
    /// # Errors
    /// [`ConnectionError`]. [`io::ErrorKind::NotFound`] and [`io::ErrorKind::ConnectionRefused`]
    /// tell that nobody is there.
    pub(crate) fn open(
        address: &SocketAddrUnix,
        uid: u32,
        patience: Duration,
    ) -> Result<Self, ConnectionError> {
        // Too far away for the clock is as good as never.
        let now = Instant::now();
        let deadline = now.checked_add(patience).unwrap_or(now);
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(io::Error::from)?;
        // Who listens but never answers has a queue, and connecting waits for room in it.
        set_socket_timeout(&socket, Timeout::Send, Some(patience)).map_err(io::Error::from)?;
        connect(&socket, address).map_err(|errno| late(errno.into()))?;
        let timed = Timed { stream: UnixStream::from(socket), deadline: Some(deadline) };
        let mut connection = Self { reader: BufReader::new(timed) };
        connection.authenticate(uid)?;
        Ok(connection)
    }

    /// The mechanism EXTERNAL: the kernel tells the peer who we are, and we say the same.
    fn authenticate(&mut self, uid: u32) -> Result<(), ConnectionError> {
        let identity: String =
            uid.to_string().bytes().map(|digit| format!("{digit:02x}")).collect();
        self.send(format!("\0AUTH EXTERNAL {identity}\r\n").as_bytes())?;
        if !self.line()?.starts_with(b"OK ") {
            return Err(ConnectionError::Rejected);
        }
        Ok(())
    }

    /// Asks that descriptors may be sent.
    ///
    /// # Errors
    /// [`ConnectionError::Rejected`] if the peer does not want any.
    pub(crate) fn negotiate_descriptors(&mut self) -> Result<(), ConnectionError> {
        self.send(b"NEGOTIATE_UNIX_FD\r\n")?;
        if self.line()? != b"AGREE_UNIX_FD\r\n" {
            return Err(ConnectionError::Rejected);
        }
        Ok(())
    }

    /// Ends the authentication: what follows are messages.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) fn begin(&mut self) -> Result<(), ConnectionError> {
        self.send(b"BEGIN\r\n")
    }

    /// The next line of the authentication.
    fn line(&mut self) -> Result<Vec<u8>, ConnectionError> {
        let mut line = Vec::new();
        self.reader.by_ref().take(LINE).read_until(b'\n', &mut line)?;
        if line.ends_with(b"\r\n") { Ok(line) } else { Err(ConnectionError::Rejected) }
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let timed = self.reader.get_ref();
        timed.stream.set_write_timeout(timed.remaining()?)?;
        let mut stream = &timed.stream;
        Ok(stream.write_all(bytes).map_err(late)?)
    }

    /// Sends bytes, and descriptors with the first of them.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) fn send_with(
        &mut self,
        bytes: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ConnectionError> {
        if descriptors.is_empty() {
            return self.send(bytes);
        }
        let timed = self.reader.get_ref();
        timed.stream.set_write_timeout(timed.remaining()?)?;
        let mut space =
            vec![MaybeUninit::uninit(); SendAncillaryMessage::ScmRights(descriptors).size()];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::from(Errno::TOOMANYREFS).into());
        }
        let sent = retry_on_intr(|| {
            sendmsg(&timed.stream, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL)
        });
        let sent = sent.map_err(|errno| late(errno.into()))?;
        self.send(bytes.get(sent..).unwrap_or_default())
    }

    /// Waits for the next message.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub(crate) fn receive(&mut self) -> Result<Message, ConnectionError> {
        let mut prefix = [0; PREFIX];
        self.read(&mut prefix)?;
        let mut bytes = prefix.to_vec();
        bytes.resize(PREFIX.saturating_add(Message::rest(&prefix)?), 0);
        if let Some(rest) = bytes.get_mut(PREFIX..) {
            self.read(rest)?;
        }
        Ok(Message::decode(&bytes)?)
    }

    /// Takes the end away that this conversation had.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) fn never_late(&mut self) -> Result<(), ConnectionError> {
        let timed = self.reader.get_mut();
        timed.deadline = None;
        timed.stream.set_read_timeout(None)?;
        Ok(timed.stream.set_write_timeout(None)?)
    }

    /// Waits until there is some of the next message, or something to read from `other`. False if it is
    /// only that.
    ///
    /// # Errors
    /// [`ConnectionError::Io`].
    pub(crate) fn is_next_there(&self, other: BorrowedFd<'_>) -> Result<bool, ConnectionError> {
        if !self.reader.buffer().is_empty() {
            return Ok(true);
        }
        let stream = self.reader.get_ref().stream.as_fd();
        let mut fds = [
            PollFd::from_borrowed_fd(stream, PollFlags::IN),
            PollFd::from_borrowed_fd(other, PollFlags::IN),
        ];
        retry_on_intr(|| poll(&mut fds, None)).map_err(io::Error::from)?;
        let [stream, _] = fds;
        Ok(!stream.revents().is_empty())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up")
            } else {
                error
            }
        })
    }
}

/// A stream that is read until a moment, if there is one.
#[derive(Debug)]
struct Timed {
    stream: UnixStream,
    deadline: Option<Instant>,
}

impl Timed {
    fn remaining(&self) -> io::Result<Option<Duration>> {
        let Some(deadline) = self.deadline else { return Ok(None) };
        let remaining = deadline.saturating_duration_since(Instant::now());
        // To the kernel, no time is all the time there is.
        if remaining.is_zero() { Err(too_late()) } else { Ok(Some(remaining)) }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.remaining()?)?;
        let mut stream = &self.stream;
        stream.read(buffer).map_err(late)
    }
}

/// What the kernel says when the time is up.
fn late(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock { too_late() } else { error }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it does not answer")
}
