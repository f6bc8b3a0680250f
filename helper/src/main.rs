// SPDX-License-Identifier: MIT OR Apache-2.0
//! The privileged part of Stockade.
//!
//! Reads one request from the socket it was started with, builds the sandbox it describes, gives up
//! everything, and runs one program. The caller is hostile; docs/protocol.md says what may be asked
//! and SECURITY.md what is promised. This file is the order of events.
#![no_main]
#![deny(unsafe_code)]

mod caps;
mod content;
mod descriptors;
mod destination;
mod devices;
mod fault;
mod filesystems;
mod idmap;
mod init;
mod lockdown;
mod monitor;
mod namespaces;
mod parts;
mod patience;
mod payload;
mod procfs;
mod relinquish;
mod report;
mod request;
mod root;
mod sources;
mod split;
mod staging;
mod sys;

/// Exit status of the helper. Everything else is said over the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    /// The payload ran and its end was reported.
    Done = 0,
    /// The sandbox was not built, or the payload not run; an event says why.
    Failed = 1,
    /// There is no usable socket at descriptor 3, or arguments were given.
    Channel = 2,
    /// Out of memory.
    Memory = 3,
    /// A promise could not be kept, such as lowering a capability: ended at once.
    Defect = 4,
}

/// The stages, in order. Each consumes what the one before it made. Those of the child that
/// `fork_init` makes are in [`init::begin`].
fn run(has_arguments: bool) -> Status {
    if has_arguments {
        return Status::Channel;
    }
    let (entry, mut report) = match lockdown::lock_down() {
        Ok(started) => started,
        Err(status) => return status,
    };
    let ready = entry
        .receive(&mut report)
        .and_then(request::Job::take_sources)
        .and_then(|taken| taken.enter_namespaces(&mut report))
        .and_then(|inside| inside.fork_init(&mut report));
    match ready {
        Ok(ready) => ready.run(report),
        Err(problem) => report.end(&problem),
    }
}
