// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade spawn`: runs a command in another sandbox of the application that calls it, or on the host,
//! with the options of `flatpak-spawn` (R252).
//!
//! It runs in sandboxes: all it has of the host is the session bus, through a filter.

mod call;
mod error;

use std::ffi::OsString;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::bus::address::Address;
use crate::bus::{Bus, Target};
use crate::bwrap::inherit;
use crate::bwrap::signals::Forwarder;
use crate::caller::Caller;
use crate::message::{self, Notice};
use crate::spawn::bits::{Bit as _, Part};
use call::Call;
use error::SpawnError;

/// The status for everything that is not the command's own doing (R167).
const FAILED: u8 = 1;

/// How long the service may take to start and to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The bus.
const BUS: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};

/// Adds the options to the command.
pub(super) fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).value_parser(value_parser!(OsString)).help(help)
    };
    let many = |name, called, help| value(name, called, help).action(ArgAction::Append);
    let number = |name: &'static str, help: &'static str| {
        let number = Arg::new(name).long(name).value_name("FD").value_parser(value_parser!(u32));
        number.action(ArgAction::Append).help(help)
    };
    let parts: Vec<_> = Part::ALL.iter().map(|part| part.word()).collect();
    command
        .args_override_self(true)
        .arg(number("forward-fd", "Give this descriptor to the command, besides 0, 1 and 2"))
        .arg(flag("clear-env", "Start with an empty environment"))
        .arg(flag("watch-bus", "End the command when this ends"))
        .arg(flag("expose-pids", "See the processes of the command"))
        .arg(flag("share-pids", "See each other's processes"))
        .arg(many("env", "VARIABLE=VALUE", "Set an environment variable"))
        .arg(many("unset-env", "VARIABLE", "Unset an environment variable"))
        .arg(number("env-fd", "Set the variables that are read from this descriptor"))
        .arg(flag("latest-version", "Run the version that is installed now"))
        .arg(flag("sandbox", "Take away every permission that the application has by itself"))
        .arg(flag("no-network", "Give no network"))
        .arg(many("sandbox-expose", "NAME", "Show what is called so in ~/.var/app/APP/sandbox"))
        .arg(many("sandbox-expose-ro", "NAME", "The same, read-only"))
        .arg(many("sandbox-expose-path", "PATH", "Show a file or directory"))
        .arg(many("sandbox-expose-path-ro", "PATH", "The same, read-only"))
        .arg(many("sandbox-expose-path-try", "PATH", "Show it if it is there"))
        .arg(many("sandbox-expose-path-ro-try", "PATH", "The same, read-only"))
        .arg(
            Arg::new("sandbox-flag")
                .long("sandbox-flag")
                .value_name("FLAG")
                .action(ArgAction::Append)
                .help(format!("Keep of the application's permissions: {}", parts.join(", "))),
        )
        .arg(
            Arg::new("sandbox-a11y-own-name")
                .long("sandbox-a11y-own-name")
                .value_name("NAME")
                .action(ArgAction::Append)
                .help("Own a name on the accessibility bus, below that of the application"),
        )
        .arg(flag("host", "Run the command on the host, where the application may do that"))
        .arg(value("directory", "DIRECTORY", "Start in this directory"))
        .arg(value("app-path", "DIRECTORY", "Use this in the place of /app; nothing if empty"))
        .arg(value("usr-path", "DIRECTORY", "Use this in the place of /usr"))
        .arg(flag("verbose", "Say what is done").short('v'))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .value_parser(value_parser!(OsString))
                .help("The command, and its arguments"),
        )
}

/// Runs the command and gives the status to exit with: its own, or 128 and the signal that ended it.
pub(super) fn run(matches: &ArgMatches) -> u8 {
    // Before anything is opened, which would look like the caller's.
    inherit::note(&[]);
    match spawn(matches) {
        Ok(status) => status,
        Err(error) => {
            message::error(&error);
            FAILED
        }
    }
}

fn spawn(matches: &ArgMatches) -> Result<u8, SpawnError> {
    let verbose = matches.get_flag("verbose");
    let caller = Caller::current()?;
    let call = Call::read(matches, &caller)?;
    let service = call.service();
    let address = Address::session(&caller).map_err(crate::bus::BusError::from);
    let address = address.map_err(SpawnError::Bus)?;
    let mut bus = Bus::open(&address, caller.uid, PATIENCE).map_err(SpawnError::Bus)?;
    let refused = |error| SpawnError::Refused { service: service.destination, error };
    call.check(&mut bus)?;

    // Before there is a command that one might be for.
    let forwarder = Forwarder::start(false).map_err(|_| SpawnError::Signals)?;
    let rule = format!(
        "type='signal',sender='{}',member='NameOwnerChanged',arg0='{}'",
        BUS.destination, service.destination
    );
    bus.call(BUS, "AddMatch", &(rule,), &[]).map_err(SpawnError::Bus)?;
    bus.listen().map_err(SpawnError::Bus)?;
    let descriptors = call.descriptors()?;
    let all: Vec<BorrowedFd<'_>> = descriptors.iter().map(std::os::fd::AsFd::as_fd).collect();
    let answer = call.send(&mut bus, &all).map_err(refused)?;
    let (pid,): (u32,) = answer.body().map_err(|error| refused(error.into()))?;
    let portal = answer.header.sender.clone();
    drop(all);
    // What the command has is its own from here on: a pipe ends when it closes it.
    drop(descriptors);
    if verbose {
        message::notices(&[Notice::Detail(format!("the command is process {pid}"))], true);
    }
    follow(&mut bus, &call, pid, portal.as_deref(), &forwarder)
}

/// Passes signals on until the command has ended; gives the status to exit with.
fn follow(
    bus: &mut Bus,
    call: &Call,
    pid: u32,
    portal: Option<&str>,
    forwarder: &Forwarder,
) -> Result<u8, SpawnError> {
    let service = call.service();
    loop {
        let Some(signal) = bus.wait(forwarder.fd()).map_err(SpawnError::Bus)? else {
            while let Some(number) = forwarder.next() {
                // Should it have ended, there is nobody to get it.
                call.signal(bus, pid, number.unsigned_abs()).ok();
            }
            continue;
        };
        let header = &signal.header;
        let is_of_the_bus = header.interface.as_deref() == Some(BUS.interface)
            && header.sender.as_deref() == Some(BUS.destination);
        if is_of_the_bus && header.member.as_deref() == Some("NameOwnerChanged") {
            let (name, _, new): (String, String, String) =
                signal.body().map_err(|error| SpawnError::Bus(error.into()))?;
            if name == service.destination && Some(new.as_str()) != portal {
                return Err(SpawnError::Gone { service: service.destination });
            }
        } else if header.sender.as_deref() == portal
            && header.member.as_deref() == Some(call.end())
            && let Ok((ended, status)) = signal.body::<(u32, u32)>()
            && ended == pid
        {
            return Ok(exit_code(status));
        }
    }
}

/// The status to exit with, from one of `wait(2)` (R167).
fn exit_code(status: u32) -> u8 {
    let [low, high, ..] = status.to_le_bytes();
    match low & 0x7f {
        0 => high,
        signal => signal.saturating_add(128),
    }
}

/// A duplicate of a descriptor that the caller left open.
fn duplicate(number: u32) -> Result<OwnedFd, SpawnError> {
    inherit::duplicate(number).map_err(|errno| SpawnError::Descriptor { number, errno })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r252_statuses_are_the_commands() {
        for (status, expected) in
            [(0, 0), (3 << 8, 3), (255 << 8, 255), (9, 137), (15, 143), (139, 139)]
        {
            assert_eq!(exit_code(status), expected, "{status}");
        }
    }
}
