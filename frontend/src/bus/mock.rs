// SPDX-License-Identifier: MIT OR Apache-2.0
//! A peer of one conversation, behind a real socket: a bus, or systemd's manager.

use std::io::{self, BufRead as _, BufReader, IoSliceMut, Read, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;

use rustix::cmsg_space;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde::Serialize;
use zbus::DynamicType;

use super::Bus;
use super::address::Address;
use super::message::{Header, Kind, Message, PREFIX};
use crate::filesystem::locate::tests::Scratch;

/// Who is connected, for which `id -u` says 1000.
const UID: u32 = 1000;

pub(crate) struct Mock<T> {
    scratch: Scratch,
    thread: JoinHandle<T>,
}

/// Who talks to the mock.
pub(crate) struct Peer(BufReader<Stream>);

/// What comes with bytes, and the descriptors that came with them.
struct Stream {
    stream: UnixStream,
    descriptors: Vec<OwnedFd>,
}

impl<T: Send + 'static> Mock<T> {
    /// Talks as `talk` does, whose result is what was said to it.
    pub(crate) fn new(talk: impl FnOnce(&mut Peer) -> T + Send + 'static) -> Self {
        let scratch = Scratch::new();
        let listener = UnixListener::bind(scratch.join("socket")).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let descriptors = Vec::new();
            talk(&mut Peer(BufReader::new(Stream { stream, descriptors })))
        });
        Self { scratch, thread }
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.scratch.join("socket")
    }

    /// A connection to it as to a bus: it has to [`Peer::welcome`].
    pub(crate) fn bus(&self) -> Bus {
        let patience = std::time::Duration::from_secs(60);
        Bus::open(&Address::at(&self.socket()), UID, patience).unwrap()
    }

    /// What was said to it.
    pub(crate) fn said(self) -> T {
        self.thread.join().unwrap()
    }
}

impl Peer {
    /// Accepts the user.
    pub(crate) fn accept(&mut self) {
        assert_eq!(self.line(), "\0AUTH EXTERNAL 31303030\r\n");
        self.say(b"OK 40f5a858efb54803a53ae9791ca092fd\r\n");
    }

    /// Begins a conversation without descriptors.
    pub(crate) fn authenticate(&mut self) {
        self.accept();
        assert_eq!(self.line(), "BEGIN\r\n");
    }

    /// Begins a conversation as a bus does.
    pub(crate) fn welcome(&mut self) {
        self.accept();
        assert_eq!(self.line(), "NEGOTIATE_UNIX_FD\r\n");
        self.say(b"AGREE_UNIX_FD\r\n");
        assert_eq!(self.line(), "BEGIN\r\n");
        let hello = self.call();
        assert_eq!(hello.header.destination.as_deref(), Some("org.freedesktop.DBus"));
        assert_eq!(hello.header.member.as_deref(), Some("Hello"));
        self.answer(&hello, &(":1.7",));
    }

    /// The next line, without an end if there is none.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn call(&mut self) -> Message {
        let mut bytes = vec![0; PREFIX];
        self.0.read_exact(&mut bytes).unwrap();
        let rest = Message::rest(bytes[..].try_into().unwrap()).unwrap();
        bytes.resize(PREFIX.checked_add(rest).unwrap(), 0);
        self.0.read_exact(&mut bytes[PREFIX..]).unwrap();
        let call = Message::decode(&bytes).unwrap();
        assert_eq!(call.header.kind, Kind::Call);
        call
    }

    /// The descriptors that have come.
    pub(crate) fn descriptors(&mut self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.0.get_mut().descriptors)
    }

    /// Gives the values of `body` for an answer.
    pub(crate) fn answer<B: Serialize + DynamicType>(&mut self, call: &Message, body: &B) {
        let reply_to = Some(call.header.serial);
        let header = Header { reply_to, ..Header::new(Kind::Return, call.header.serial) };
        self.say(&header.encode(body).unwrap());
    }

    /// Answers with an error.
    pub(crate) fn refuse(&mut self, call: &Message, name: &str, text: &str) {
        let header = Header {
            error: Some(name.to_owned()),
            reply_to: Some(call.header.serial),
            ..Header::new(Kind::Error, call.header.serial)
        };
        self.say(&header.encode(&(text,)).unwrap());
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        assert!(self.try_say(bytes));
    }

    /// Whether anybody was there to hear it.
    pub(crate) fn try_say(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().stream.write_all(bytes).is_ok()
    }

    pub(crate) fn wait_for_end(&mut self) {
        // What was not read yet makes the other end's closing a reset.
        self.0.read_to_end(&mut Vec::new()).ok();
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(8))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(buffer)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = rustix::net::recvmsg(&self.stream, &mut slices, &mut control, flags)?;
        for item in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = item {
                self.descriptors.extend(descriptors);
            }
        }
        Ok(received.bytes)
    }
}
