// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program `stockade-portal`: the service on the session bus, from its start to its end.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::service::{Monitor, Portal};
use super::{NAME, OBJECT};
use crate::bus::address::{Address, AddressError};
use crate::caller::{Caller, CallerError};
use crate::message::shown;
use crate::service::children::Children;
use crate::service::{presence, program};

/// The name of the program.
const PROGRAM: &str = "stockade-portal";

/// The launcher, by its name in a directory.
const LAUNCHER: &str = "stockade";

/// Where it is from the directory of this program: beside it, as where it was built, or where it is
/// installed.
const PLACES: [&str; 2] = ["", "../../bin"];

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error("cannot use your session bus\nit {0}\nset DBUS_SESSION_BUS_ADDRESS")]
    Address(#[from] AddressError),
    #[error(
        "cannot find the program {LAUNCHER}\nit is neither in {} nor in ../../bin from there\n\
         install both programs with the same PREFIX",
        shown(.0)
    )]
    Launcher(PathBuf),
    #[error(
        "cannot serve this session\nanother program is {NAME} on its bus\n\
         end that one, or take its place with --replace"
    )]
    Taken,
    #[error("cannot serve this session\n{}\nsee whether its bus runs", shown(&.0.to_string()))]
    Bus(zbus::Error),
}

impl From<zbus::Error> for ServeError {
    fn from(error: zbus::Error) -> Self {
        if matches!(error, zbus::Error::NameTaken) { Self::Taken } else { Self::Bus(error) }
    }
}

/// Runs the service until its name or the bus is gone, and gives the status to exit with.
pub fn run(words: impl IntoIterator<Item = OsString>) -> u8 {
    let about = "Starts sandboxes for parts of applications; the session bus starts it by itself";
    program::run(PROGRAM, about, words, serve)
}

fn serve(replace: bool) -> Result<(), ServeError> {
    let caller = Caller::current()?;
    let launcher = launcher()?;
    let address = Address::session(&caller)?;
    Ok(zbus::block_on(serve_on(&address, caller, launcher, replace))?)
}

async fn serve_on(
    address: &Address,
    caller: Caller,
    launcher: PathBuf,
    replace: bool,
) -> zbus::Result<()> {
    let children = Children::default();
    let portal = Portal::new(caller, launcher, children.clone());
    let monitors = portal.monitors();
    let connection = program::connection(address).serve_at(OBJECT, portal).build().await?;
    let left = async |peer: &str| {
        children.owner_left(peer);
        for path in monitors.owner_left(peer) {
            // Whoever has left may have closed it just before.
            connection.object_server().remove::<Monitor, _>(path).await.ok();
        }
    };
    presence::keep(&connection, NAME, program::flags(replace), left).await
}

/// The launcher of this installation.
fn launcher() -> Result<PathBuf, ServeError> {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let directory = own.parent().unwrap_or(Path::new("/"));
    let mut found = PLACES.iter().map(|place| directory.join(place).join(LAUNCHER));
    found.find(|path| path.is_file()).ok_or_else(|| ServeError::Launcher(directory.to_owned()))
}
