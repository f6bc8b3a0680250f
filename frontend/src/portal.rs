// SPDX-License-Identifier: MIT OR Apache-2.0
//! Services of the session that give applications what the user allows them, as their clients: the
//! documents portal and the permission store.

pub mod documents;
pub mod permission_store;
pub mod text_form;

use std::time::Duration;

use serde::Serialize;
use zbus::{DynamicType, OwnedVariant};

use crate::bus::address::Address;
use crate::bus::message::Message;
use crate::bus::{Bus, BusError, MessageError, Target};
use crate::caller::Caller;
use crate::message::shown;

/// How long a conversation may take, the start of the service included (R100).
const PATIENCE: Duration = Duration::from_secs(30);

/// Why a service did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortalError {
    /// It has no answer to a call, or there is nobody to call.
    #[error("cannot {task}\n{}{}", shown(&reason.to_string()), advice(reason))]
    Call {
        /// What for it was called.
        task: String,
        /// Why not.
        reason: BusError,
    },
    /// The documents portal is too old for directories (R371).
    #[error(
        "cannot make a document of the directory\n{}\nupdate xdg-desktop-portal",
        self.reason()
    )]
    Directory {
        /// The portal's version.
        version: u32,
    },
    /// The documents portal made one, and does not say which.
    #[error("cannot use the document\n{}", self.reason())]
    Nameless,
}

impl PortalError {
    /// Whether nobody is there who could be asked: no bus, or nobody with that name.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Call { reason, .. } => reason.is_absent() || reason.is_unknown_service(),
            Self::Directory { .. } | Self::Nameless => false,
        }
    }

    /// Why, in one line.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Call { reason, .. } => reason.to_string(),
            Self::Directory { version } => {
                format!("the version of the documents portal is {version}, which knows only files")
            }
            Self::Nameless => "the documents portal does not say how it is called".into(),
        }
    }
}

/// With the words for what was being done.
fn during<T>(task: impl Into<String>, result: Result<T, BusError>) -> Result<T, PortalError> {
    result.map_err(|reason| PortalError::Call { task: task.into(), reason })
}

/// What may help, as a line of its own.
fn advice(reason: &BusError) -> &'static str {
    if reason.is_absent() {
        "\ncall this in a session that has a message bus; DBUS_SESSION_BUS_ADDRESS says where"
    } else if reason.is_unknown_service() {
        "\ninstall xdg-desktop-portal"
    } else {
        ""
    }
}

/// A service that is asked for something.
#[derive(Debug)]
struct Service {
    bus: Bus,
    target: Target<'static>,
    version: Option<u32>,
}

impl Service {
    /// The service on the caller's session bus. It is started by the first call.
    fn of(caller: &Caller, target: Target<'static>) -> Result<Self, BusError> {
        let address = Address::session(caller)?;
        Ok(Self::on(Bus::open(&address, caller.uid, PATIENCE)?, target))
    }

    fn on(bus: Bus, target: Target<'static>) -> Self {
        Self { bus, target, version: None }
    }

    fn call<B: Serialize + DynamicType>(
        &mut self,
        member: &str,
        body: &B,
    ) -> Result<Message, BusError> {
        self.bus.call(self.target, member, body, &[])
    }

    /// The property `version`.
    fn version(&mut self) -> Result<u32, BusError> {
        if let Some(version) = self.version {
            return Ok(version);
        }
        let target = Target { interface: "org.freedesktop.DBus.Properties", ..self.target };
        let answer = self.bus.call(target, "Get", &(self.target.interface, "version"), &[])?;
        let (version,): (OwnedVariant,) = answer.body()?;
        let version = u32::try_from(version).map_err(MessageError::from)?;
        self.version = Some(version);
        Ok(version)
    }
}
