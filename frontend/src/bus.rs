// SPDX-License-Identifier: MIT OR Apache-2.0
//! Message buses, as much of them as a launcher needs: a few calls, each answered within a time.
//!
//! Programs that serve others on a bus have zbus's own connections; this process must not have their
//! threads ([`message`]).

pub mod address;
pub(crate) mod connection;
pub mod filter;
pub mod kind;
pub(crate) mod message;
#[cfg(test)]
pub(crate) mod mock;
pub mod program;
pub mod proxy;
pub mod supply;

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use serde::Serialize;
use zbus::DynamicType;

use address::{Address, AddressError};
use connection::Connection;
pub use connection::ConnectionError;
pub use message::MessageError;
use message::{Header, Kind, Message};

/// The bus itself.
const BUS: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// A connection to a bus, with a name.
#[derive(Debug)]
pub struct Bus {
    connection: Connection,
    serial: u32,
    /// Signals that came while something else was waited for, if they are of interest.
    signals: Option<VecDeque<Message>>,
}

/// Whom a call is for.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The name of the service, which is started if the bus knows how.
    pub destination: &'a str,
    /// The object.
    pub path: &'a str,
    /// The interface.
    pub interface: &'a str,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusError {
    /// There is no such bus here.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The conversation with the bus failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The service answers with an error.
    #[error("{}", if text.is_empty() { name } else { text })]
    Refused {
        /// The error's name, such as `org.freedesktop.DBus.Error.ServiceUnknown`.
        name: String,
        /// What it says, which may be nothing.
        text: String,
    },
}

impl From<MessageError> for BusError {
    fn from(error: MessageError) -> Self {
        Self::Connection(error.into())
    }
}

impl BusError {
    /// Whether nobody has the name and nobody can be started who would.
    #[must_use]
    pub fn is_unknown_service(&self) -> bool {
        matches!(self, Self::Refused { name, .. } if matches!(
            name.strip_prefix("org.freedesktop.DBus.Error."),
            Some("ServiceUnknown" | "NameHasNoOwner")
        ))
    }

    /// Whether there is no bus.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        match self {
            Self::Address(_) => true,
            Self::Connection(error) => error.is_absent(),
            Self::Refused { .. } => false,
        }
    }
}

impl Bus {
    /// Connects to a bus as the user `uid`. All that is done on the connection has to be done `patience`
    /// from now.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn open(address: &Address, uid: u32, patience: Duration) -> Result<Self, BusError> {
        let socket = address.socket().map_err(|errno| ConnectionError::Io(errno.into()))?;
        let mut connection = Connection::open(&socket, uid, patience)?;
        connection.negotiate_descriptors()?;
        connection.begin()?;
        let mut bus = Self { connection, serial: 0, signals: None };
        bus.call(BUS, "Hello", &(), &[])?;
        Ok(bus)
    }

    /// Calls a method with the values of `body`, a tuple or `()`, and waits for the answer. A value of the
    /// type [`zbus::Fd`] is the index of one of `descriptors`.
    ///
    /// # Errors
    /// [`BusError`].
    pub fn call<B: Serialize + DynamicType>(
        &mut self,
        target: Target<'_>,
        member: &str,
        body: &B,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Message, BusError> {
        self.serial = self.serial.saturating_add(1);
        let header = Header {
            path: Some(target.path.to_owned()),
            interface: Some(target.interface.to_owned()),
            member: Some(member.to_owned()),
            destination: Some(target.destination.to_owned()),
            descriptors: u32::try_from(descriptors.len()).map_err(|_| MessageError::Format)?,
            ..Header::new(Kind::Call, self.serial)
        };
        self.connection.send_with(&header.encode(body)?, descriptors)?;
        loop {
            let message = self.connection.receive()?;
            let ours = message.header.reply_to == Some(self.serial);
            match message.header.kind {
                Kind::Return if ours => return Ok(message),
                Kind::Error if ours => return Err(refusal(&message)),
                Kind::Signal => self.signals.as_mut().map_or((), |all| all.push_back(message)),
                Kind::Call | Kind::Return | Kind::Error | Kind::Other => {}
            }
        }
    }

    /// From here on signals are of interest that this connection gets, and its patience has no end.
    ///
    /// # Errors
    /// [`BusError::Connection`].
    pub fn listen(&mut self) -> Result<(), BusError> {
        self.signals.get_or_insert_default();
        Ok(self.connection.never_late()?)
    }

    /// Waits for the next signal, or until there is something to read from `other`: then there is none.
    /// Only after [`Bus::listen`].
    ///
    /// # Errors
    /// [`BusError::Connection`].
    pub fn wait(&mut self, other: BorrowedFd<'_>) -> Result<Option<Message>, BusError> {
        loop {
            if let Some(signal) = self.signals.as_mut().and_then(VecDeque::pop_front) {
                return Ok(Some(signal));
            }
            if !self.connection.is_next_there(other)? {
                return Ok(None);
            }
            let message = self.connection.receive()?;
            if message.header.kind == Kind::Signal {
                return Ok(Some(message));
            }
        }
    }
}

/// What an error says.
fn refusal(message: &Message) -> BusError {
    let (name, text) = message.refusal();
    BusError::Refused { name, text }
}

#[cfg(test)]
mod tests;
