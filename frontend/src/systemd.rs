// SPDX-License-Identifier: MIT OR Apache-2.0
//! A systemd scope around the sandbox and all that serves it, so that the desktop can tell
//! applications apart and limits hold for all of it together (R151).
//!
//! This process is moved, and whatever it starts from then on is in the scope with it.

pub mod group;
pub mod limit;
pub mod manager;
#[cfg(test)]
mod mock;
pub mod unit;

use std::path::{Path, PathBuf};

use crate::bus::ConnectionError;
use crate::message::{Notice, shown};
use group::GroupError;
use limit::Limits;
use manager::{Manager, ManagerError};
use unit::Scope;

/// Why the sandbox has no scope of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SystemdError {
    /// No manager listens.
    #[error(
        "cannot reach systemd's manager of your units, which keeps limits\n\
         {}: {reason}\n\
         log in through systemd, or have it started with 'sudo loginctl enable-linger \"$USER\"'; \
         or leave --limit out",
        shown(socket)
    )]
    Absent {
        /// Where it would listen.
        socket: PathBuf,
        /// Why not.
        reason: ConnectionError,
    },
    /// The manager does not make the scope.
    #[error(
        "cannot have systemd make the scope {unit}\n{}\n\
         see 'journalctl --user -e'; or leave --limit out",
        shown(&reason.to_string())
    )]
    Manager {
        /// Its name.
        unit: String,
        /// Why not.
        reason: ManagerError,
    },
    /// There is a scope, but the limits do not hold.
    #[error(
        "cannot keep the limits in the control group of {unit}\n{reason}\n\
         have version 2 of control groups on, with the controllers cpu, memory and pids delegated \
         to user@.service; or leave --limit out"
    )]
    Group {
        /// The scope's name.
        unit: String,
        /// Why not.
        reason: GroupError,
    },
}

/// Moves this process into a scope of its own with these limits.
///
/// Nothing is demanded where there are no limits: then a failure is a detail to tell, and without
/// systemd there is not even that.
///
/// # Errors
/// [`SystemdError`], if limits were given and do not hold now.
pub fn join(scope: &Scope, limits: &Limits) -> Result<Option<Notice>, SystemdError> {
    join_at(&Manager::current(), Path::new("/"), scope, limits)
}

/// The same with the manager given and the root directory.
fn join_at(
    manager: &Manager,
    root: &Path,
    scope: &Scope,
    limits: &Limits,
) -> Result<Option<Notice>, SystemdError> {
    match enter(manager, root, scope, limits) {
        Ok(()) => Ok(None),
        Err(error) if !limits.is_empty() => Err(error),
        Err(SystemdError::Absent { .. }) => Ok(None),
        Err(error) => {
            // The advice is about limits.
            let text: Vec<_> = error.to_string().lines().take(2).map(str::to_owned).collect();
            Ok(Some(Notice::Detail(text.join("\n"))))
        }
    }
}

fn enter(
    manager: &Manager,
    root: &Path,
    scope: &Scope,
    limits: &Limits,
) -> Result<(), SystemdError> {
    let unit = || scope.name().to_owned();
    manager.start(scope, limits).map_err(|error| match error {
        ManagerError::Connection(reason) if reason.is_absent() => {
            SystemdError::Absent { socket: manager.socket.clone(), reason }
        }
        reason @ (ManagerError::Connection(_)
        | ManagerError::Refused { .. }
        | ManagerError::Job(_)) => SystemdError::Manager { unit: unit(), reason },
    })?;
    if limits.is_empty() {
        return Ok(());
    }
    group::verify(root, scope.name(), limits)
        .map_err(|reason| SystemdError::Group { unit: unit(), reason })
}

#[cfg(test)]
mod tests;
