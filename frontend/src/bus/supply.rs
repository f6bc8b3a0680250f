// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which buses a sandbox gets: each whole, through the proxy, or not at all (R199, R202-R205, R211, R212).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::address::Address;
use super::filter::Filter;
use super::kind::Kind;
use super::program::{self, Program};
use super::proxy::{Pending, Proxied, Upstream};
use super::{Bus, BusError, Target};
use crate::caller::Caller;
use crate::message::{Notice, shown};
use crate::sandbox::SandboxError;
use crate::socket::Wiring;

/// Where programs look for the system bus.
const SYSTEM: &str = "/run/dbus/system_bus_socket";

/// Who knows the accessibility bus (R212).
const ACCESSIBILITY: Target<'_> =
    Target { destination: "org.a11y.Bus", path: "/org/a11y/bus", interface: "org.a11y.Bus" };

/// How long it may take to tell: it may have to be started.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is given of a bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// All of it.
    Whole,
    /// What the filter lets through.
    Filtered(Filter),
}

/// What a sandbox is to get.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The buses.
    pub supplies: BTreeMap<Kind, Supply>,
    /// The text of `/.flatpak-info` for those who look at the proxy (R207).
    pub info: Vec<u8>,
    /// Whether more is asked for than every application gets: it does not run without.
    pub asked: bool,
    /// Whether names are granted.
    pub grants: bool,
    /// Whether people want to know more.
    pub verbose: bool,
}

/// Why a sandbox does not get what it cannot do without.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SupplyError {
    /// There is no proxy.
    #[error(
        "cannot filter the message buses\n{}\n\
         install the package {}, or take back what is asked for on the buses",
        absent(named.as_deref()),
        program::NAME
    )]
    NoProxy {
        /// The one that was named.
        named: Option<std::ffi::OsString>,
    },
    /// The sandbox cannot be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Why there is no proxy.
fn absent(named: Option<&OsStr>) -> String {
    match named {
        Some(path) => {
            format!("{} is set to {}, which is no program", program::VARIABLE, shown(path))
        }
        None => format!("{} is not in PATH", program::NAME),
    }
}

/// Where a bus is in the sandbox.
fn place(kind: Kind, directory: &Path) -> PathBuf {
    match kind {
        Kind::Session => directory.join("bus"),
        Kind::System => SYSTEM.into(),
        Kind::Accessibility => directory.join("at-spi-bus"),
    }
}

/// Adds the buses that are wanted and can be had, with their variables (R157). Gives the proxy that is to be
/// started, if there is anything to filter.
///
/// # Errors
/// [`SupplyError`].
pub fn prepare(wanted: Wanted, wiring: &mut Wiring<'_>) -> Result<Option<Pending>, SupplyError> {
    let mut proxied = Vec::new();
    for (kind, supply) in wanted.supplies {
        let place = place(kind, wiring.directory);
        let address = match find(kind, wiring.caller) {
            Ok(Some(address)) => address,
            Ok(None) => {
                wiring.leave_out(&format!("the {}", kind.word()), "there is none");
                continue;
            }
            Err(error) => {
                wiring.leave_out(&format!("the {}", kind.word()), &error.to_string());
                continue;
            }
        };
        match (supply, address.path()) {
            (Supply::Whole, Some(path)) => {
                if wiring.bind(kind.word(), path, &place)? {
                    provide(kind, &place, wiring);
                }
            }
            // There is no file that could be shared, but the proxy makes one.
            (Supply::Whole, None) => proxied.push((kind, address, Filter::nothing(), place)),
            (Supply::Filtered(filter), _) => proxied.push((kind, address, filter, place)),
        }
    }
    let proxied = proxied.into_iter().filter_map(|(kind, address, filter, place)| {
        match Upstream::open(&address) {
            Ok(upstream) => Some(Proxied { kind, upstream, filter, place }),
            Err(errno) => {
                wiring.leave_out(&format!("the {}", kind.word()), &errno.to_string());
                None
            }
        }
    });
    let proxied: Vec<_> = proxied.collect();
    if proxied.is_empty() {
        return Ok(None);
    }

    let named = wiring.caller.variable(program::VARIABLE);
    let directories = wiring.caller.variable("PATH").map(std::env::split_paths);
    let directories: Vec<_> = directories.into_iter().flatten().collect();
    let Some(program) = Program::find(named, &directories) else {
        if wanted.asked {
            return Err(SupplyError::NoProxy { named: named.map(OsStr::to_owned) });
        }
        wiring.notices.push(Notice::Warning(format!(
            "the application gets no message bus, and so no portals\n{}\n\
             install the package {}",
            absent(named),
            program::NAME
        )));
        return Ok(None);
    };
    for bus in &proxied {
        provide(bus.kind, &bus.place, wiring);
    }
    let question = (wanted.grants || wanted.verbose).then(|| program.ask());
    let Wanted { info, grants, .. } = wanted;
    Ok(Some(Pending { program, proxied, info, question, grants }))
}

/// Says where a bus is (R203, R211, R212).
fn provide(kind: Kind, place: &Path, wiring: &mut Wiring<'_>) {
    wiring.environment.set(kind.variable(), Address::at(place).text());
    if kind == Kind::Session {
        wiring.members.insert("bus".to_owned());
    }
}

/// Finds a bus. None if there is none.
fn find(kind: Kind, caller: &Caller) -> Result<Option<Address>, BusError> {
    match kind {
        Kind::Session => session(caller),
        Kind::System => Ok(Some(Address::system(caller)?)),
        Kind::Accessibility => accessibility(caller),
    }
}

/// R202, R205.
fn session(caller: &Caller) -> Result<Option<Address>, BusError> {
    let address = Address::session(caller)?;
    let is_said = caller.variable(Kind::Session.variable()).is_some();
    let owner = address.path().and_then(|path| path.metadata().ok()).map(|found| found.uid());
    Ok(Some(address).filter(|_| is_said || owner == Some(caller.uid)))
}

/// R212. A session that has never heard of it is no mistake.
fn accessibility(caller: &Caller) -> Result<Option<Address>, BusError> {
    if let Some(text) = caller.variable(Kind::Accessibility.variable()) {
        return Ok(Some(Address::parse(text)?));
    }
    let Some(session) = session(caller)? else { return Ok(None) };
    let mut bus = Bus::open(&session, caller.uid, PATIENCE)?;
    let answer = bus.call(ACCESSIBILITY, "GetAddress", &(), &[])?;
    let (text,): (String,) = answer.body()?;
    Ok(Some(Address::parse(OsStr::new(&text))?))
}

#[cfg(test)]
mod tests;
