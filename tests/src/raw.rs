// SPDX-License-Identifier: MIT OR Apache-2.0
//! A client of the helper that can send anything and believes nothing.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use stockade_protocol::event::{Event, Exit, Failure};
use stockade_protocol::{Header, Refusal, VERSION, codec, limits};

use crate::Fixture;
use crate::launch::Launch;
use crate::process::{Ending, Output, Running, patience, readable, remaining};
use crate::spec::Spec;

/// The number under which the helper finds its socket.
pub const SOCKET: i32 = 3;

/// The data byte of a message with descriptors.
pub const DESCRIPTOR_MARK: u8 = 0xFD;

/// A helper at the other end of a socket.
#[derive(Debug)]
pub struct RawHelper {
    /// The helper.
    pub running: Running,
    socket: Option<UnixStream>,
    /// The descriptor that belongs to [`Event::Started`]. The kernel hands it over with the first
    /// byte of what was sent together with it, which may be an event before.
    pidfd: Option<OwnedFd>,
}

/// One thing that came from the helper.
#[derive(Debug)]
pub enum Received {
    /// A message, with the descriptor that came along.
    Event(Event, Option<OwnedFd>),
    /// The helper closed its end.
    End,
}

/// Everything a helper said and how it ended.
#[derive(Debug)]
pub struct Verdict {
    /// Its messages.
    pub events: Vec<Event>,
    /// How the process ended that was started as the helper, and what came through 1 and 2.
    pub output: Output,
}

/// The helper of a fixture as its user would start it, ready to be changed before it is started.
#[must_use]
pub fn helper(fixture: &Fixture) -> Launch {
    Launch::new(&fixture.helper).account(&fixture.user)
}

/// A request in its wire form, without descriptors: header and encoded body.
#[must_use]
pub fn framed(version: u16, body: &[u8], descriptors: usize) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("bodies of tests are small");
    let descriptors = u32::try_from(descriptors).expect("so are their descriptors");
    let mut bytes = Header { version, length, descriptors }.to_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

impl RawHelper {
    /// Starts `launch` with one end of a socket pair as descriptor 3.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    #[must_use]
    pub fn start(launch: Launch) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket pair");
        let running = launch.descriptor(SOCKET, theirs.into()).start();
        Self::adopt(running, ours)
    }

    /// Takes over a helper that was started with the other end of `socket`.
    #[must_use]
    pub fn adopt(running: Running, socket: UnixStream) -> Self {
        Self { running, socket: Some(socket), pidfd: None }
    }

    /// Starts the helper of `fixture`, sends `spec`, and waits until all is over.
    #[track_caller]
    #[must_use]
    pub fn build(fixture: &Fixture, spec: &Spec) -> Verdict {
        Self::run(helper(fixture), spec)
    }

    /// The same for a helper that is started in another way.
    #[track_caller]
    #[must_use]
    pub fn run(launch: Launch, spec: &Spec) -> Verdict {
        let mut raw = Self::start(launch);
        raw.send(spec);
        raw.conclude()
    }

    /// Starts the helper of `fixture`, sends these bytes, and waits until all is over.
    #[track_caller]
    #[must_use]
    pub fn build_from_bytes(fixture: &Fixture, bytes: &[u8]) -> Verdict {
        let mut raw = Self::start(helper(fixture));
        raw.send_bytes(bytes);
        raw.end_sending();
        raw.conclude()
    }

    /// This end of the socket.
    ///
    /// # Panics
    /// After [`RawHelper::hang_up`].
    #[must_use]
    pub fn socket(&self) -> &UnixStream {
        self.socket.as_ref().expect("the socket is open")
    }

    /// Sends a whole request. A helper that refuses in the middle closes its end, so errors of
    /// sending are no errors here: what it answered counts.
    pub fn send(&mut self, spec: &Spec) {
        let body = codec::encode_request(&spec.request).expect("specs of tests are small");
        self.send_bytes(&framed(VERSION, &body, spec.descriptors.len()));
        for batch in spec.descriptors.chunks(limits::DESCRIPTORS_PER_MESSAGE) {
            let fds: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
            if self.send_descriptors(&fds).is_err() {
                break;
            }
        }
    }

    /// Sends bytes, as many as the helper takes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let mut socket = self.socket();
        socket.set_write_timeout(Some(patience())).expect("a timeout");
        if let Err(error) = socket.write_all(bytes) {
            let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
            assert!(gone.contains(&error.kind()), "the helper does not read: {error}");
        }
    }

    /// Sends one message with these descriptors.
    ///
    /// # Errors
    /// The errno of `sendmsg(2)`.
    pub fn send_descriptors(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        send_descriptors(self.socket(), &[DESCRIPTOR_MARK], fds)
    }

    /// Tells the helper that nothing more will come.
    pub fn end_sending(&self) {
        // The helper may be gone already.
        drop(self.socket().shutdown(std::net::Shutdown::Write));
    }

    /// Closes the socket.
    pub fn hang_up(&mut self) {
        self.socket = None;
    }

    /// The next thing the helper says.
    ///
    /// # Panics
    /// If it says nothing for too long, or something that is no event.
    #[track_caller]
    pub fn hear(&mut self) -> Received {
        self.try_next(patience()).expect("an event or the end")
    }

    /// The next thing the helper says, within this time.
    ///
    /// # Errors
    /// On a timeout, a truncated frame, or bytes that are no event.
    pub fn try_next(&mut self, patience: Duration) -> io::Result<Received> {
        let Self { socket, pidfd, .. } = self;
        let socket = socket.as_ref().ok_or_else(|| io::Error::other("hung up"))?;
        match receive(socket, patience, pidfd)? {
            Some(started @ Event::Started { .. }) => Ok(Received::Event(started, pidfd.take())),
            Some(event) => Ok(Received::Event(event, None)),
            None => Ok(Received::End),
        }
    }

    /// Waits for [`Event::Started`] and gives the ids of init and payload, and the pidfd.
    ///
    /// # Panics
    /// If something else comes that ends the matter.
    #[track_caller]
    pub fn started(&mut self) -> (u32, u32, OwnedFd) {
        loop {
            match self.hear() {
                Received::Event(Event::Started { payload, init, .. }, Some(pidfd)) => {
                    return (init, payload, pidfd);
                }
                Received::Event(Event::Ready { .. } | Event::Missing(_), None) => {}
                other => panic!("no start, but {other:?}"),
            }
        }
    }

    /// Collects everything until the helper is gone.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    #[must_use]
    pub fn conclude(mut self) -> Verdict {
        let mut events = Vec::new();
        while let Received::Event(event, _) = self.hear() {
            events.push(event);
        }
        self.hang_up();
        Verdict { events, output: self.running.finish() }
    }

    /// The same for a helper that may have been killed in the middle of an event.
    #[track_caller]
    #[must_use]
    pub fn conclude_even_killed(mut self) -> Verdict {
        let mut events = Vec::new();
        while let Ok(Received::Event(event, _)) = self.try_next(patience()) {
            events.push(event);
        }
        self.hang_up();
        Verdict { events, output: self.running.finish() }
    }
}

impl Verdict {
    /// The refusal, if it is the only answer.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self.events.as_slice() {
            [Event::Refused(refusal)] => Some(*refusal),
            _ => None,
        }
    }

    /// The failure, if it is the last event and the payload did not start.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        match self.events.last() {
            Some(Event::Failed(failure)) if !self.started() => Some(*failure),
            _ => None,
        }
    }

    fn started(&self) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Started { .. }))
    }

    /// How the payload ended.
    #[must_use]
    pub fn exit(&self) -> Option<Exit> {
        match self.events.last() {
            Some(Event::Exited(exit)) => Some(*exit),
            _ => None,
        }
    }

    /// Asserts that the helper said no in a typed way or just went, without a crash, a core or a
    /// word on any other descriptor, and that nothing was started.
    #[track_caller]
    pub fn assert_declined(&self) -> &Self {
        self.assert_orderly();
        let typed = matches!(
            self.events.last(),
            None | Some(Event::Refused(_) | Event::Failed(_) | Event::Unsupported { .. })
        );
        assert!(typed, "not declined: {self:?}");
        assert!(!self.started(), "started: {self:?}");
        assert!(self.output.stdout.is_empty(), "wrote to 1: {self:?}");
        assert!(self.output.stderr.is_empty(), "wrote to 2: {self:?}");
        self
    }

    /// Asserts that the helper ended by itself.
    #[track_caller]
    pub fn assert_orderly(&self) -> &Self {
        assert!(matches!(self.output.ending, Ending::Exited(_)), "died: {self:?}");
        self
    }

    /// Asserts that the payload ran and exited with `code`.
    #[track_caller]
    pub fn assert_exit(&self, code: u8) -> &Self {
        self.assert_orderly();
        assert_eq!(self.exit(), Some(Exit::Code(code)), "{self:?}");
        self
    }
}

/// Sends `data` and, with its first byte, `fds`.
///
/// # Errors
/// The errno of `sendmsg(2)`.
pub fn send_descriptors(
    socket: &UnixStream,
    data: &[u8],
    fds: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let numbers: Vec<i32> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let messages: &[ControlMessage<'_>] = if fds.is_empty() { &[] } else { &rights };
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(data)], messages, flags, None)?;
    Ok(())
}

/// Receives one message and gives its descriptors.
///
/// # Errors
/// The errno of `recvmsg(2)`.
pub fn receive_descriptors(socket: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    receive_message(socket, &mut [0]).map(|(_, fds)| fds)
}

/// Receives one message: the number of bytes, and the descriptors.
fn receive_message(socket: &UnixStream, bytes: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([i32; 16]);
    let mut parts = [IoSliceMut::new(bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = control {
            for number in numbers {
                // SAFETY: the kernel has just made this descriptor for this process.
                fds.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
    }
    Ok((message.bytes, fds))
}

/// Reads one frame; nothing at the end. A descriptor that comes with it is left in `pidfd`.
fn receive(
    socket: &UnixStream,
    patience: Duration,
    pidfd: &mut Option<OwnedFd>,
) -> io::Result<Option<Event>> {
    let deadline = Instant::now() + patience;
    let Some(prefix) = read_exact(socket, 4, deadline, pidfd)? else {
        return Ok(None);
    };
    let prefix: [u8; 4] = prefix.try_into().map_err(|_| io::Error::other("a short prefix"))?;
    let length = usize::try_from(u32::from_le_bytes(prefix)).map_err(io::Error::other)?;
    if length > limits::EVENT_BYTES {
        return Err(io::Error::other(format!("an event of {length} bytes")));
    }
    let body = read_exact(socket, length, deadline, pidfd)?
        .ok_or_else(|| io::Error::other("the end in the middle of an event"))?;
    let event = codec::decode_event(&body)
        .map_err(|fault| io::Error::other(format!("no event ({fault:?}): {body:?}")))?;
    Ok(Some(event))
}

/// Reads exactly `length` bytes, or finds the end before the first of them.
fn read_exact(
    socket: &UnixStream,
    length: usize,
    deadline: Instant,
    descriptor: &mut Option<OwnedFd>,
) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length];
    let mut got = 0;
    while got < length {
        let left = remaining(deadline).ok_or_else(|| io::Error::other("nothing came in time"))?;
        if readable(&[socket.as_fd()], left).is_none() {
            continue;
        }
        let count = match receive_part(socket, &mut bytes[got..], descriptor) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => 0,
            other => other?,
        };
        match count {
            0 if got == 0 => return Ok(None),
            0 => return Err(io::Error::other("the end in the middle of a frame")),
            count => got += count,
        }
    }
    Ok(Some(bytes))
}

fn receive_part(
    socket: &UnixStream,
    bytes: &mut [u8],
    descriptor: &mut Option<OwnedFd>,
) -> io::Result<usize> {
    let (count, fds) = receive_message(socket, bytes)?;
    for fd in fds {
        if descriptor.replace(fd).is_some() {
            return Err(io::Error::other("more than one descriptor with an event"));
        }
    }
    Ok(count)
}

/// Whether anything can be read from `pipe` without waiting.
#[must_use]
pub fn is_silent(pipe: &mut (impl Read + AsFd)) -> bool {
    let mut byte = [0];
    readable(&[pipe.as_fd()], Duration::ZERO).is_none() || matches!(pipe.read(&mut byte), Ok(0))
}
