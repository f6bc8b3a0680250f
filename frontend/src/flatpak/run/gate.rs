// SPDX-License-Identifier: MIT OR Apache-2.0
//! What holds an application back until others can know it: whoever looks at it because of what it says has
//! to find what it is (R342).

use std::os::fd::OwnedFd;

use rustix::pipe::PipeFlags;
use stockade_protocol::request::Gate as Request;

use super::RunError;
use crate::sandbox::Sandbox;

/// The gate before an application. If nobody opens it, the application does not run.
#[derive(Debug)]
pub(in crate::flatpak) struct Gate(OwnedFd);

impl Gate {
    /// Adds one to a sandbox.
    pub(super) fn add(sandbox: &mut Sandbox) -> Result<Self, RunError> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(RunError::Gate)?;
        let source = sandbox.add_descriptor(read)?;
        sandbox.request.supervision.gates.push(Request { source, end_opens: false });
        Ok(Self(write))
    }

    /// Lets the application run.
    pub(in crate::flatpak) fn open(&self) {
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
