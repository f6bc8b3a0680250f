// SPDX-License-Identifier: MIT OR Apache-2.0
//! A sandbox that can be started, with the instance that stands for it outside.

use std::cell::RefCell;

use stockade_protocol::event::NamespaceId;

use super::gate::Gate;
use super::instance::application::ApplicationDirectory;
use super::instance::{Instance, InstanceId};
use crate::bus::proxy::Pending;
use crate::message::Notice;
use crate::sandbox::Sandbox;

/// Where the sandbox keeps what it is given.
pub(super) const DIRECTORY: &str = "/run/flatpak";

/// Where programs are looked for if an application leaves itself no `PATH` (R153).
pub(super) const PATH: &str = "/app/bin:/usr/bin";

/// What runs where nothing is named (R77).
pub(super) const SHELL: &str = "/bin/sh";

/// A sandbox that can be started.
#[derive(Debug)]
pub struct Plan {
    /// The sandbox.
    pub sandbox: Sandbox,
    /// Its instance.
    pub instance: Running,
    /// What filters its message buses, to be started.
    pub proxy: Option<Pending>,
    /// What the user should know.
    pub notices: Vec<Notice>,
}

/// The instance of a sandbox, held until the sandbox holds it itself.
#[derive(Debug)]
pub struct Running {
    /// The number of it.
    pub id: InstanceId,
    held: RefCell<Option<(Instance, Option<ApplicationDirectory>)>>,
    /// What it waits for (R342).
    gate: Gate,
}

impl Running {
    /// An instance that is about to run, what it shares with others of the same application, and what it
    /// waits at until others can know it.
    pub(super) fn new(
        instance: Instance,
        shared: Option<ApplicationDirectory>,
        gate: Gate,
    ) -> Self {
        Self { id: instance.id(), held: RefCell::new(Some((instance, shared))), gate }
    }

    /// Writes down that the sandbox is up (R142). From here on its first process holds the locks: one
    /// that this process kept would outlive it.
    pub fn started(&self, init: u32, namespaces: &[NamespaceId]) {
        if let Some((instance, _)) = self.held.take() {
            // Whoever reads it copes with none.
            instance.write_started(init, namespaces).ok();
        }
        self.gate.open();
    }
}
