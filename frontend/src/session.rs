// SPDX-License-Identifier: MIT OR Apache-2.0
//! The session helper: a service of the user's session that keeps copies of the host's network files
//! and time zone where sandboxes that run can see them change, and that starts commands of the host for
//! whoever may talk to it (flatpak-run.md section 24).
//!
//! It has the names and interfaces of Flatpak's, so that either serves the sandboxes of both.

mod certificates;
pub mod copies;
mod development;
mod helper;
mod permission;
pub mod watch;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::bus::address::{Address, AddressError};
use crate::caller::{Caller, CallerError};
use crate::flatpak::layout::Session;
use crate::message::shown;
use crate::service::children::Children;
use crate::service::{presence, program};

use copies::{Copies, CopiesError};
use development::Development;
use helper::SessionHelper;

/// The name on the session bus (R254).
pub const NAME: &str = "org.freedesktop.Flatpak";

/// The name of the program.
const PROGRAM: &str = "stockade-session-helper";

/// The version of both interfaces.
const VERSION: u32 = 1;

/// The directory of the copies.
#[must_use]
pub fn directory(caller: &Caller) -> PathBuf {
    let [above, name] = Session::PLACE;
    caller.runtime_directory().join(above).join(name)
}

/// Why the service does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no user to serve.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// There is no place for the copies.
    #[error(transparent)]
    Copies(#[from] CopiesError),
    /// There is no session bus.
    #[error("cannot use your session bus\nit {0}\nset DBUS_SESSION_BUS_ADDRESS")]
    Address(#[from] AddressError),
    /// Somebody else is that service.
    #[error(
        "cannot serve this session\nanother program is {NAME} on its bus\n\
         end that one, or take its place with --replace"
    )]
    Taken,
    /// The bus fails.
    #[error("cannot serve this session\n{}\nsee whether its bus runs", shown(&.0.to_string()))]
    Bus(zbus::Error),
    /// There can be no thread.
    #[error("cannot keep the host's network files current\n{0}\nlet others end first")]
    Thread(std::io::Error),
}

impl From<zbus::Error> for SessionError {
    fn from(error: zbus::Error) -> Self {
        if matches!(error, zbus::Error::NameTaken) { Self::Taken } else { Self::Bus(error) }
    }
}

/// Runs the service until its name or the bus is gone, and gives the status to exit with.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let about = "Serves the sandboxes of a session; the session bus starts it by itself";
    program::run(PROGRAM, about, words, serve)
}

fn serve(replace: bool) -> Result<(), SessionError> {
    let caller = Caller::current()?;
    let copies = Copies::create(&caller, Path::new("/"))?;
    let (copies, first) = watch::Keeper::new(copies);
    std::thread::Builder::new()
        .name("copies".to_owned())
        .spawn(move || copies.keep())
        .map_err(SessionError::Thread)?;
    // Whoever asks for the directory finds everything in it.
    first.wait();
    let address = Address::session(&caller)?;
    let children = Children::default();
    let directory = directory(&caller);
    let above = directory.parent().unwrap_or(&directory);
    let helper = SessionHelper { certificates: certificates::serve(above, &children), directory };
    Ok(zbus::block_on(serve_on(&address, helper, children, replace))?)
}

async fn serve_on(
    address: &Address,
    helper: SessionHelper,
    children: Children,
    replace: bool,
) -> zbus::Result<()> {
    let connection = program::connection(address)
        .serve_at(helper::PATH, helper)
        .serve_at(development::PATH, Development::new(children.clone()))
        .build()
        .await?;
    let left = async |peer: &str| children.owner_left(peer);
    presence::keep(&connection, NAME, program::flags(replace), left).await
}
