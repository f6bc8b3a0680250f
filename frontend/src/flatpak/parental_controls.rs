// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parental controls (R17): what an administrator keeps an account from running, as malcontent stores it with
//! AccountsService on the system bus.
//!
//! They are asked as `flatpak run` asks them. Whoever can run other programs gets round them, here as there.

mod desktop_entry;
mod filter;

use std::collections::HashMap;
use std::time::Duration;

use zbus::{ObjectPath, Variant};

use super::deploy::{Deploy, DeployError};
use super::directory::DirectoryError;
use super::reference::Reference;
use crate::bus::address::Address;
use crate::bus::{Bus, BusError, MessageError, Target};
use crate::caller::Caller;
use crate::message::shown;
use desktop_entry::DesktopEntry;
use filter::AppFilter;

/// How long the services may take, which are started if they do not run: as long as D-Bus libraries wait.
const PATIENCE: Duration = Duration::from_secs(25);

/// The service that knows users.
const ACCOUNTS: Target<'_> = Target {
    destination: "org.freedesktop.Accounts",
    path: "/org/freedesktop/Accounts",
    interface: "org.freedesktop.Accounts",
};

/// What malcontent adds to it.
const APP_FILTER: &str = "com.endlessm.ParentalControls.AppFilter";

/// Why an application does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParentalControlsError {
    /// It may not.
    #[error(
        "cannot run {reference}\nthe policy set by your administrator does not allow it\n\
         ask them to allow it"
    )]
    NotAllowed {
        /// Which.
        reference: Box<Reference>,
    },
    /// Nobody says whether it may.
    #[error(
        "cannot find out whether you may run this application\n{}\n\
         the administrator's policy is asked for with 'malcontent-client get-app-filter'",
        shown(&error.to_string())
    )]
    Ask {
        /// Why.
        error: BusError,
    },
    /// The user may not know.
    #[error(
        "cannot find out whether you may run this application\n\
         the administrator's policy cannot be read by you\n\
         ask them for the right to read your own"
    )]
    Hidden,
    /// What is installed cannot be used.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// What it says of itself cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl From<BusError> for ParentalControlsError {
    fn from(error: BusError) -> Self {
        Self::Ask { error }
    }
}

impl From<MessageError> for ParentalControlsError {
    fn from(error: MessageError) -> Self {
        Self::Ask { error: error.into() }
    }
}

/// Refuses an application that the user may not run. Where there is no system bus, no such service, or none
/// with parental controls, everything may be run.
///
/// # Errors
/// [`ParentalControlsError`].
pub fn check(app: &Deploy, caller: &Caller) -> Result<(), ParentalControlsError> {
    let Some(filter) = ask(caller)? else { return Ok(()) };
    let entry = DesktopEntry::of(app, caller)?;
    if filter.allows(&app.reference, entry.as_ref()) {
        return Ok(());
    }
    Err(ParentalControlsError::NotAllowed { reference: Box::new(app.reference.clone()) })
}

/// The filter of the user. None if there are no parental controls here.
fn ask(caller: &Caller) -> Result<Option<AppFilter>, ParentalControlsError> {
    let opened = Address::system(caller).map_err(BusError::from);
    let opened = opened.and_then(|address| Bus::open(&address, caller.uid, PATIENCE));
    let mut bus = match opened {
        Ok(bus) => bus,
        Err(error) if error.is_absent() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = match bus.call(ACCOUNTS, "FindUserById", &(i64::from(caller.uid),), &[]) {
        Ok(found) => found,
        Err(error) if error.is_unknown_service() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (user,): (ObjectPath<'_>,) = found.body()?;
    let user =
        Target { path: user.as_str(), interface: "org.freedesktop.DBus.Properties", ..ACCOUNTS };
    let properties = match bus.call(user, "GetAll", &(APP_FILTER,), &[]) {
        Ok(properties) => properties,
        Err(error) if error.is_unknown_service() || is_unknown_interface(&error) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let (mut properties,): (HashMap<String, Variant<'_>>,) = properties.body()?;
    // What the user may not read is left out of the answer.
    let filter = properties.remove("AppFilter").ok_or(ParentalControlsError::Hidden)?;
    let (is_allowed, list) = filter.try_into().map_err(MessageError::from)?;
    Ok(Some(if is_allowed { AppFilter::Allow(list) } else { AppFilter::Block(list) }))
}

/// Whether the service knows users, and no parental controls.
fn is_unknown_interface(error: &BusError) -> bool {
    matches!(error, BusError::Refused { name, .. } if matches!(
        name.strip_prefix("org.freedesktop.DBus.Error."),
        Some("InvalidArgs" | "UnknownInterface")
    ))
}

#[cfg(test)]
mod tests;
