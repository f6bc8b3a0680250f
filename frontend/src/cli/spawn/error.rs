// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a command is not run in another sandbox.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::bus::BusError;
use crate::caller::CallerError;
use crate::message::shown;

/// Why the command is not run, or how it ended is not known.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error("cannot use the session bus\n{}\nset DBUS_SESSION_BUS_ADDRESS to one that can be reached from here", shown(&.0.to_string()))]
    Bus(BusError),
    #[error("cannot start the command\n{service} answers: {}\n{}", shown(&error.to_string()), advice(service, error))]
    Refused { service: &'static str, error: BusError },
    #[error("cannot tell how the command ended\n{service} has left the bus")]
    Gone { service: &'static str },
    #[error("cannot pass signals on to the command\nthey cannot be had")]
    Signals,
    #[error(
        "cannot forward the file descriptor {number}\n{errno}\ngive the number of one that is open"
    )]
    Descriptor { number: u32, errno: Errno },
    #[error("cannot show {} to the command\n{errno}\nname something that exists", shown(path))]
    Path { path: PathBuf, errno: Errno },
    #[error(
        "cannot use --{option}\nit is not for commands on the host\nleave it out, or leave out --host"
    )]
    NotOnHost { option: &'static str },
    #[error(
        "cannot use --{option}\n{service} has version {has} of its interface, and {needed} is needed\nleave it out"
    )]
    Version { option: &'static str, service: &'static str, has: u32, needed: u32 },
    #[error("cannot use --{0}\nprocesses cannot be shared between sandboxes here\nleave it out")]
    Unsupported(&'static str),
    #[error(
        "cannot use '{}' as a flag of the sandbox\nthere are {words}, and numbers",
        shown(word)
    )]
    Flag { word: String, words: String },
    #[error("cannot set '{}'\nit is not of the form VARIABLE=VALUE, in UTF-8", shown(.0))]
    Assignment(OsString),
    #[error("cannot use '{}'\nit is not UTF-8", shown(.0))]
    Encoding(OsString),
    #[error("cannot read variables from the file descriptor {number}\n{error}")]
    Variables { number: u32, error: std::io::Error },
}

/// What to do if a service does not help.
fn advice(service: &str, error: &BusError) -> &'static str {
    let unknown = error.is_unknown_service();
    match service {
        crate::spawn::NAME if unknown => {
            "install Flatpak or Stockade with their D-Bus services, which start it"
        }
        crate::spawn::NAME => "see 'stockade spawn --help'",
        _ if unknown => {
            "an application has to be allowed to talk to it, which lets it do all that you can"
        }
        _ => "see what the application may talk to with 'stockade explain'",
    }
}
