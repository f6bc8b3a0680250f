// SPDX-License-Identifier: MIT OR Apache-2.0
//! The least that can drive the helper: sends a recorded request, waits, ends as the payload did.
//! What this costs is what the helper and the protocol cost.
//!
//! Usage: `stockade-launch-bench HELPER RECORDING`
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, ExitCode};

use landlock::{ABI, Access, Ruleset, RulesetAttr, Scope};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, openat};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use stockade_bench::recording::{LANDLOCK, Recording};
use stockade_protocol::codec::decode_event;
use stockade_protocol::event::{Event, Exit};
use stockade_protocol::{Header, VERSION, limits};

fn main() -> ExitCode {
    match launch() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            drop(writeln!(io::stderr(), "stockade-launch-bench: {error}"));
            ExitCode::from(125)
        }
    }
}

fn launch() -> io::Result<u8> {
    // First, so that it gets the number that the helper looks for.
    let (theirs, ours) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if theirs.as_raw_fd() != 3 {
        return Err(io::Error::other("started with an open descriptor 3"));
    }
    fcntl_setfd(&theirs, FdFlags::empty())?;
    let mut arguments = std::env::args_os().skip(1);
    let (Some(helper), Some(recording), None) =
        (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err(io::Error::other("usage: stockade-launch-bench HELPER RECORDING"));
    };
    let recording = Recording::from_file(&std::fs::read(recording)?)?;
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;

    let mut child = Command::new(helper).env_clear().spawn()?;
    drop(theirs);
    let mut socket = UnixStream::from(ours);
    send(&mut socket, &recording)?;
    let code = ended(&mut socket)?;
    child.wait()?;
    Ok(code)
}

fn send(socket: &mut UnixStream, recording: &Recording) -> io::Result<()> {
    let count = |length: usize| u32::try_from(length).map_err(io::Error::other);
    let header = Header {
        version: VERSION,
        length: count(recording.bytes.len())?,
        descriptors: count(recording.names.len())?,
    };
    let mut message = header.to_bytes().to_vec();
    message.extend_from_slice(&recording.bytes);
    socket.write_all(&message)?;
    let mut space =
        [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::DESCRIPTORS_PER_MESSAGE))];
    for names in recording.names.chunks(limits::DESCRIPTORS_PER_MESSAGE) {
        let fds = names.iter().map(|name| open(name)).collect::<io::Result<Vec<OwnedFd>>>()?;
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&borrowed)) {
            return Err(io::Error::other("too many descriptors for a message"));
        }
        sendmsg(&*socket, &[IoSlice::new(&[0xfd])], &mut ancillary, SendFlags::NOSIGNAL)?;
    }
    Ok(())
}

fn open(name: &Path) -> io::Result<OwnedFd> {
    if name == Path::new(LANDLOCK) {
        let ruleset = Ruleset::default()
            .scope(Scope::from_all(ABI::V6))
            .and_then(Ruleset::create)
            .map_err(io::Error::other)?;
        return Option::<OwnedFd>::from(ruleset).ok_or_else(|| io::Error::other("no Landlock"));
    }
    let text = name.to_string_lossy();
    if text.starts_with("/memfd:") {
        return Ok(memfd_create("stand-in", MemfdFlags::CLOEXEC)?);
    }
    let opened = openat(CWD, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    opened.map_err(|errno| io::Error::other(format!("{text}: {errno}")))
}

/// Reads events until the last one and says how the payload ended.
fn ended(socket: &mut UnixStream) -> io::Result<u8> {
    loop {
        let mut length = [0; 4];
        socket.read_exact(&mut length)?;
        let length = usize::try_from(u32::from_le_bytes(length)).map_err(io::Error::other)?;
        let mut bytes = vec![0; length.min(limits::EVENT_BYTES)];
        socket.read_exact(&mut bytes)?;
        match decode_event(&bytes) {
            Ok(Event::Exited(Exit::Code(code))) => return Ok(code),
            Ok(
                Event::Ready { .. }
                | Event::Missing(_)
                | Event::Started { .. }
                | Event::Stopped { .. },
            ) => {}
            other => return Err(io::Error::other(format!("the helper says {other:?}"))),
        }
    }
}
