// SPDX-License-Identifier: MIT OR Apache-2.0
//! Receives the request: the only read from the socket. Produces only checked types.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::RecvFlags;
use stockade_protocol::event::{Call, Mode, Object, Stage};
use stockade_protocol::request::UserNamespace;
use stockade_protocol::{Checked, Event, Header, Refusal, codec, limits};

use crate::caps::{Cap, Caps};
use crate::descriptors::Descriptors;
use crate::fault::{Problem, failed};
use crate::filesystems::OVERLAY;
use crate::lockdown::{BUILD, Entry, Identity, MAP};
use crate::patience::{self, Deadline};
use crate::report::Report;
use crate::sys::message::receive_descriptors;
use crate::sys::signal;

/// What every stage from here on needs: who this process is and what it is to do.
pub(crate) struct Job {
    pub(crate) mode: Mode,
    pub(crate) identity: Identity,
    pub(crate) caps: Caps,
    pub(crate) request: Checked,
    pub(crate) descriptors: Descriptors,
    /// When the sandbox has to be there.
    pub(crate) deadline: Deadline,
}

impl Entry {
    /// Reads the request and gives up what it does not need.
    pub(crate) fn receive(self, report: &mut Report) -> Result<Job, Problem> {
        let Self { mode, identity, mut caps } = self;
        let (request, descriptors) = read_request(report.socket().as_fd())?;
        let request = stockade_protocol::check(request, descriptors.count())?;
        request.permits(mode)?;

        let keep = needed(mode, &request);
        caps.limit(keep).map_err(failed(Stage::Receive, Call::Capset, Object::None))?;
        // A file system that does not answer ends this (T77), unless its server has taken a request
        // and keeps it: then not even SIGKILL helps, and the caller waits as in a call of its own. Init,
        // which signals of its own do not end where it is pid 1, has the monitor for that.
        signal::alarm(patience::SECONDS);
        let deadline = Deadline::in_seconds(patience::SECONDS);
        report.note(&Event::Ready { mode });
        Ok(Job { mode, identity, caps, request, descriptors, deadline })
    }
}

/// The capabilities that this request takes.
fn needed(mode: Mode, request: &Checked) -> Cap {
    let user = request.get().namespaces.user;
    let payload = Cap::from_bits_retain(request.get().payload.capabilities);
    match mode {
        Mode::SetuidRoot if user != UserNamespace::Default => BUILD.union(MAP),
        Mode::SetuidRoot | Mode::FileCapabilities => BUILD,
        // SETPCAP empties the bounding set; what the payload is to have stays for it.
        Mode::Root => BUILD | MAP | Cap::SETPCAP | Cap::SETFCAP | payload | for_overlays(request),
        // The caller's own. Less than all, and others there with as much could trace this process.
        Mode::Unprivileged if user.is_given() => Cap::all(),
        // Only root in a user namespace has it: to have its own id 0 mapped again below.
        Mode::Unprivileged => Cap::SETFCAP,
    }
}

/// What the overlays of this request take besides.
pub(crate) fn for_overlays(request: &Checked) -> Cap {
    if request.get().overlay().is_some() { OVERLAY } else { Cap::empty() }
}

/// Header, request, descriptors, in this order and nothing more.
fn read_request(
    socket: BorrowedFd<'_>,
) -> Result<(stockade_protocol::Request, Descriptors), Problem> {
    let mut bytes = [0; Header::BYTES];
    read_exact(socket, &mut bytes)?;
    let header = Header::from_bytes(&bytes).map_err(Refusal::Header)?;
    if header.version != stockade_protocol::VERSION {
        return Err(Problem::Unsupported);
    }
    let length = usize::try_from(header.length).unwrap_or(limits::REQUEST_BYTES);
    // Bounded by Header::from_bytes; copied once, and private from here on (T81).
    let mut bytes = vec![0; length];
    read_exact(socket, &mut bytes)?;
    let count = usize::try_from(header.descriptors).unwrap_or(limits::DESCRIPTORS);
    let descriptors = read_descriptors(socket, count)?;
    let request = codec::decode_request(&bytes).map_err(Refusal::Decode)?;
    Ok((request, Descriptors::new(descriptors)))
}

/// Fills `buffer`. Descriptors that come where none may are dropped by the kernel, for lack of room
/// for them.
fn read_exact(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(), Problem> {
    let mut rest = buffer;
    while !rest.is_empty() {
        let read = retry_on_intr(|| rustix::net::recv(socket, &mut *rest, RecvFlags::empty()));
        match read.map_err(failed(Stage::Receive, Call::Recvmsg, Object::None))? {
            (0, _) => return Err(Problem::Gone),
            (count, _) => rest = rest.get_mut(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Receives `count` descriptors in messages of one byte each, all full but the last (T76).
fn read_descriptors(socket: BorrowedFd<'_>, count: usize) -> Result<Vec<OwnedFd>, Problem> {
    let mut received = Vec::with_capacity(count);
    while received.len() < count {
        let due = count.saturating_sub(received.len()).min(limits::DESCRIPTORS_PER_MESSAGE);
        let before = received.len();
        read_batch(socket, &mut received)?;
        if received.len().saturating_sub(before) != due {
            return Err(Problem::Refused(Refusal::Descriptors));
        }
    }
    Ok(received)
}

/// Receives one message with descriptors, and nothing else with them.
fn read_batch(socket: BorrowedFd<'_>, received: &mut Vec<OwnedFd>) -> Result<(), Problem> {
    let failed = failed(Stage::Receive, Call::Recvmsg, Object::None);
    let message = retry_on_intr(|| receive_descriptors(socket, received)).map_err(&failed)?;
    if message.bytes == 0 {
        return Err(Problem::Gone);
    }
    // Too few descriptors are free here (RLIMIT_NOFILE): the kernel dropped the rest.
    if message.truncated {
        return Err(failed(Errno::MFILE).into());
    }
    if message.foreign {
        return Err(Problem::Refused(Refusal::Descriptors));
    }
    Ok(())
}
