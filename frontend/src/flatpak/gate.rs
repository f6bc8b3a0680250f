// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds an application back until others can know it: whoever looks at it because of what it says has
//! to find what it is (R342).

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use stockade_protocol::request::Gate as Request;

use crate::sandbox::{Sandbox, SandboxError};

/// Why nothing can be held back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GateError {
    /// There is no pipe.
    #[error(
        "cannot hold the application back until it can be known\n{0}\nsee the limit on open files"
    )]
    Pipe(Errno),
    /// The sandbox has no room for it.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// The gate before an application. If nobody opens it, the application does not run.
#[derive(Debug)]
pub(super) struct Gate(OwnedFd);

impl Gate {
    /// Adds one to a sandbox.
    pub(super) fn add(sandbox: &mut Sandbox) -> Result<Self, GateError> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(GateError::Pipe)?;
        let source = sandbox.add_descriptor(read)?;
        sandbox.request.supervision.gates.push(Request { source, end_opens: false });
        Ok(Self(write))
    }

    /// Lets the application run.
    pub(super) fn open(&self) {
        // An application that has ended meanwhile does not wait.
        rustix::io::write(&self.0, &[1]).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r342_an_application_waits_until_it_can_be_known() {
        let mut sandbox = Sandbox::new();
        let gate = Gate::add(&mut sandbox).unwrap();
        let [request] = sandbox.request.supervision.gates.as_slice() else { panic!() };
        assert!(!request.end_opens);
        gate.open();
        assert_eq!(rustix::io::read(&sandbox.descriptors()[0], &mut [0]), Ok(1));
    }
}
