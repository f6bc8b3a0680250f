// SPDX-License-Identifier: MIT OR Apache-2.0
//! systemd's manager of a user's units, and the one thing it is asked for: a scope around a process
//! (`org.freedesktop.systemd1(5)`).

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::SocketAddrUnix;
use zbus::{ObjectPath, Variant};

use super::limit::Limits;
use super::unit::Scope;
use crate::bus::connection::Connection;
use crate::bus::message::{Header, Kind, Message};
use crate::bus::{ConnectionError, MessageError};

/// How long the manager may take. It answers within milliseconds; after seconds it hangs.
const PATIENCE: Duration = Duration::from_secs(5);
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
/// The number of our only call.
const SERIAL: u32 = 1;

/// Where a user's manager listens, and for whom it is asked.
#[derive(Clone, Debug)]
pub struct Manager {
    /// Its private socket: the user's bus could be anybody's.
    pub socket: PathBuf,
    /// User id.
    pub uid: u32,
    /// The process that a scope is made around.
    pub pid: u32,
    /// How long it may take to answer.
    pub patience: Duration,
}

/// Why there is no scope.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// The conversation with the manager failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The manager does not do it.
    #[error("it refuses: {text} ({name})")]
    Refused {
        /// The error's name.
        name: String,
        /// What it says.
        text: String,
    },
    /// The manager could not do it.
    #[error("the job of starting it ended with '{0}'")]
    Job(String),
}

impl From<MessageError> for ManagerError {
    fn from(error: MessageError) -> Self {
        Self::Connection(error.into())
    }
}

impl Manager {
    /// The manager of the user who runs this process, for this process (R151).
    #[must_use]
    pub fn current() -> Self {
        let uid = rustix::process::getuid().as_raw();
        Self {
            socket: Path::new("/run/user").join(uid.to_string()).join("systemd/private"),
            uid,
            pid: std::process::id(),
            patience: PATIENCE,
        }
    }

    /// Starts a scope with these limits around the process, and waits until it is in it.
    ///
    /// # Errors
    /// [`ManagerError`]. The manager may have begun all the same; a scope ends with its processes.
    pub fn start(&self, scope: &Scope, limits: &Limits) -> Result<(), ManagerError> {
        // Without a bus between no name is asked for, and signals come without being subscribed to.
        let address =
            SocketAddrUnix::new(&self.socket).map_err(|errno| ConnectionError::Io(errno.into()))?;
        let mut connection = Connection::open(&address, self.uid, self.patience)?;
        connection.begin()?;
        connection.send(&self.call(scope, limits)?)?;
        // The job may end before the reply that names it is here.
        let mut started: Option<String> = None;
        let mut ended: Option<(String, String)> = None;
        loop {
            let message = connection.receive()?;
            match message.header.kind {
                Kind::Error if message.header.reply_to == Some(SERIAL) => {
                    return Err(refusal(&message));
                }
                Kind::Return if message.header.reply_to == Some(SERIAL) => {
                    let (job,): (ObjectPath<'_>,) = message.body()?;
                    started = Some(job.to_string());
                }
                Kind::Signal if is_job_removed(&message.header) => {
                    let (_, job, unit, result): (u32, ObjectPath<'_>, &str, &str) =
                        message.body()?;
                    if unit == scope.name() {
                        ended = Some((job.to_string(), result.to_owned()));
                    }
                }
                Kind::Call | Kind::Return | Kind::Error | Kind::Signal | Kind::Other => {}
            }
            match (&started, &ended) {
                (Some(started), Some((job, result))) if started == job => {
                    return match result.as_str() {
                        "done" => Ok(()),
                        result => Err(ManagerError::Job(result.to_owned())),
                    };
                }
                (_, _) => {}
            }
        }
    }

    fn call(&self, scope: &Scope, limits: &Limits) -> Result<Vec<u8>, MessageError> {
        let header = Header {
            path: Some(PATH.to_owned()),
            interface: Some(INTERFACE.to_owned()),
            member: Some("StartTransientUnit".to_owned()),
            destination: Some("org.freedesktop.systemd1".to_owned()),
            ..Header::new(Kind::Call, SERIAL)
        };
        let mut properties = vec![
            ("PIDs", Variant::from(vec![self.pid])),
            ("Description", Variant::from(scope.description())),
            // Forgotten also when the kernel killed something in it for lack of memory.
            ("CollectMode", Variant::from("inactive-or-failed")),
        ];
        for limit in limits.iter() {
            let (property, value) = limit.property();
            properties.push((property, Variant::from(value)));
        }
        let others: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        // R151: `fail` refuses where a job for the unit is waiting already.
        header.encode(&(scope.name(), "fail", properties, others))
    }
}

fn is_job_removed(header: &Header) -> bool {
    header.interface.as_deref() == Some(INTERFACE) && header.member.as_deref() == Some("JobRemoved")
}

fn refusal(message: &Message) -> ManagerError {
    let (name, text) = message.refusal();
    ManagerError::Refused { name, text }
}

#[cfg(test)]
mod tests;
