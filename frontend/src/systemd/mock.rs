// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a manager says, and one to be asked.

use std::time::Duration;

use zbus::ObjectPath;

use super::manager::Manager;
use crate::bus::message::{Header, Kind, Message};
use crate::bus::mock::Mock;

/// The mock as the manager of the process 7 of the user 1000.
pub(super) fn manager(mock: &Mock<Message>) -> Manager {
    Manager { socket: mock.socket(), uid: 1000, pid: 7, patience: Duration::from_secs(60) }
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
