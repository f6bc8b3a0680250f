// SPDX-License-Identifier: MIT OR Apache-2.0
//! A manager of one conversation, behind a real socket.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Duration;

use zbus::ObjectPath;

use super::manager::Manager;
use crate::bus::message::{Header, Kind, Message, PREFIX};
use crate::filesystem::locate::tests::Scratch;

pub(super) struct Mock {
    scratch: Scratch,
    thread: JoinHandle<Message>,
}

/// Who talks to the mock.
pub(super) struct Peer(BufReader<UnixStream>);

impl Mock {
    /// Talks as `talk` does, whose result is what was said to it.
    pub(super) fn new(talk: impl FnOnce(&mut Peer) -> Message + Send + 'static) -> Self {
        let scratch = Scratch::new();
        let listener = UnixListener::bind(scratch.join("private")).unwrap();
        let thread = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            talk(&mut Peer(BufReader::new(stream)))
        });
        Self { scratch, thread }
    }

    /// Where it is, for the process 7 of the user 1000.
    pub(super) fn manager(&self) -> Manager {
        Manager {
            socket: self.scratch.join("private"),
            uid: 1000,
            pid: 7,
            patience: Duration::from_secs(60),
        }
    }

    /// What was said to it.
    pub(super) fn said(self) -> Message {
        self.thread.join().unwrap()
    }
}

impl Peer {
    pub(super) fn authenticate(&mut self) {
        assert_eq!(self.line(), "\0AUTH EXTERNAL 31303030\r\n");
        self.say(b"OK 40f5a858efb54803a53ae9791ca092fd\r\n");
        assert_eq!(self.line(), "BEGIN\r\n");
    }

    /// The next line, without an end if there is none.
    pub(super) fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    pub(super) fn call(&mut self) -> Message {
        let mut bytes = vec![0; PREFIX];
        self.0.read_exact(&mut bytes).unwrap();
        let rest = Message::rest(bytes[..].try_into().unwrap()).unwrap();
        bytes.resize(PREFIX.checked_add(rest).unwrap(), 0);
        self.0.read_exact(&mut bytes[PREFIX..]).unwrap();
        let call = Message::decode(&bytes).unwrap();
        assert_eq!(call.header.kind, Kind::Call);
        call
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        assert!(self.try_say(bytes));
    }

    /// Whether anybody was there to hear it.
    pub(super) fn try_say(&mut self, bytes: &[u8]) -> bool {
        self.0.get_mut().write_all(bytes).is_ok()
    }

    pub(super) fn wait_for_end(&mut self) {
        // What was not read yet makes the other end's closing a reset.
        self.0.read_to_end(&mut Vec::new()).ok();
    }
}

/// The answer to the first call.
pub(super) fn reply(job: &str) -> Vec<u8> {
    let header = Header { reply_to: Some(1), ..Header::new(Kind::Return, 3) };
    header.encode(&(ObjectPath::try_from(job).unwrap(),)).unwrap()
}

pub(super) fn job_removed(job: &str, unit: &str, result: &str) -> Vec<u8> {
    let header = Header {
        path: Some("/org/freedesktop/systemd1".into()),
        interface: Some("org.freedesktop.systemd1.Manager".into()),
        member: Some("JobRemoved".into()),
        ..Header::new(Kind::Signal, 4)
    };
    header.encode(&(20_u32, ObjectPath::try_from(job).unwrap(), unit, result)).unwrap()
}
