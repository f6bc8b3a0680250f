// SPDX-License-Identifier: MIT OR Apache-2.0
//! The options that say what an application may do (R236-R239), shared by all commands that have them.
//!
//! One table: each option with what it does to a layer of permissions. They apply in the order in
//! which they were typed, so that a later one takes back what an earlier one said.

mod error;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::descriptor;
use crate::filesystem::token;
use crate::flatpak::context::area::Area;
use crate::flatpak::context::bus::{BusName, BusPolicy};
use crate::flatpak::context::condition::Condition;
use crate::flatpak::context::usb::Query;
use crate::flatpak::context::{Context, FALLBACK_X11, can_be_variable};
use crate::message::{Notice, shown};

pub use error::OptionError;

/// Most that is read from a descriptor or a file, in bytes: what a command and its environment may
/// have together.
const MOST_BYTES: u64 = 2 * 1024 * 1024;

/// The descriptors below it are the standard streams (R237).
const FIRST_DESCRIPTOR: u32 = 3;

/// What the options of a command say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The layer that they make.
    pub context: Context,
    /// What was left out of them.
    pub notices: Vec<Notice>,
}

/// What an option does with its value.
#[derive(Clone, Copy)]
enum Effect {
    Grant(Area),
    Deny(Area),
    GrantIf(Area),
    Change(fn(&mut Given, &str) -> Result<(), OptionError>),
}

/// An option: its name, what its value is called, its help, and its effect.
struct ContextOption(&'static str, &'static str, &'static str, Effect);

const OPTIONS: [ContextOption; 31] = [
    ContextOption(
        "share",
        "WHAT",
        "Share a part of the system: network, ipc",
        Effect::Grant(Area::Shares),
    ),
    ContextOption("unshare", "WHAT", "Take --share back", Effect::Deny(Area::Shares)),
    ContextOption(
        "share-if",
        "WHAT:CONDITION",
        "Share if a condition is met",
        Effect::GrantIf(Area::Shares),
    ),
    ContextOption(
        "socket",
        "SOCKET",
        "Reach a service: x11, wayland, pulseaudio, fallback-x11, ssh-auth, pcsc, cups, gpg-agent, \
         session-bus, system-bus, inherit-wayland-socket",
        Effect::Grant(Area::Sockets),
    ),
    ContextOption("nosocket", "SOCKET", "Take --socket back", Effect::Deny(Area::Sockets)),
    ContextOption(
        "socket-if",
        "SOCKET:CONDITION",
        "Reach a service if a condition is met",
        Effect::GrantIf(Area::Sockets),
    ),
    ContextOption(
        "device",
        "DEVICE",
        "Use devices: dri, kvm, shm, input, usb, all",
        Effect::Grant(Area::Devices),
    ),
    ContextOption("nodevice", "DEVICE", "Take --device back", Effect::Deny(Area::Devices)),
    ContextOption(
        "device-if",
        "DEVICE:CONDITION",
        "Use devices if a condition is met",
        Effect::GrantIf(Area::Devices),
    ),
    ContextOption(
        "allow",
        "FEATURE",
        "Allow what is refused otherwise: devel, multiarch, bluetooth, canbus, per-app-dev-shm",
        Effect::Grant(Area::Features),
    ),
    ContextOption("disallow", "FEATURE", "Take --allow back", Effect::Deny(Area::Features)),
    ContextOption(
        "allow-if",
        "FEATURE:CONDITION",
        "Allow if a condition is met",
        Effect::GrantIf(Area::Features),
    ),
    ContextOption(
        "filesystem",
        "PLACE[:ro|:rw|:create]",
        "Share files: /PATH, ~/PATH, home, host, host-os, host-etc, xdg-download, …",
        Effect::Change(|given, token| {
            Ok(given.context.filesystems.allow(token, &mut given.notices)?)
        }),
    ),
    ContextOption(
        "nofilesystem",
        "PLACE",
        "Take --filesystem back for the same place; host:reset for every place",
        Effect::Change(|given, token| {
            Ok(given.context.filesystems.deny(token, &mut given.notices)?)
        }),
    ),
    ContextOption(
        "persist",
        "PATH",
        "Keep this path below the home",
        Effect::Change(|given, path| {
            given.context.persist.insert(token::parse_persist(OsStr::new(path))?);
            Ok(())
        }),
    ),
    ContextOption(
        "env",
        "VARIABLE=VALUE",
        "Set an environment variable",
        Effect::Change(set_variable),
    ),
    ContextOption(
        "env-fd",
        "N",
        "Set the variables that are read from this descriptor, each ending in a zero byte",
        Effect::Change(set_variables),
    ),
    ContextOption(
        "unset-env",
        "VARIABLE",
        "Unset an environment variable",
        Effect::Change(|given, name| {
            if !can_be_variable(name) {
                return Err(OptionError::Variable { name: name.to_owned() });
            }
            given.context.environment.insert(name.to_owned(), None);
            Ok(())
        }),
    ),
    ContextOption(
        "own-name",
        "NAME",
        "Own a name on the session bus",
        Effect::Change(|given, name| session_bus(given, name, BusPolicy::Own)),
    ),
    ContextOption(
        "talk-name",
        "NAME",
        "Talk to a name on the session bus",
        Effect::Change(|given, name| session_bus(given, name, BusPolicy::Talk)),
    ),
    ContextOption(
        "no-talk-name",
        "NAME",
        "Take --own-name and --talk-name back",
        Effect::Change(|given, name| session_bus(given, name, BusPolicy::None)),
    ),
    ContextOption(
        "system-own-name",
        "NAME",
        "Own a name on the system bus",
        Effect::Change(|given, name| system_bus(given, name, BusPolicy::Own)),
    ),
    ContextOption(
        "system-talk-name",
        "NAME",
        "Talk to a name on the system bus",
        Effect::Change(|given, name| system_bus(given, name, BusPolicy::Talk)),
    ),
    ContextOption(
        "system-no-talk-name",
        "NAME",
        "Take --system-own-name and --system-talk-name back",
        Effect::Change(|given, name| system_bus(given, name, BusPolicy::None)),
    ),
    ContextOption(
        "a11y-own-name",
        "NAME",
        "Own a name on the accessibility bus",
        Effect::Change(|given, name| {
            given.context.accessibility_bus.insert(BusName::new(name)?);
            Ok(())
        }),
    ),
    ContextOption(
        "add-policy",
        "SUBSYSTEM.KEY=VALUE",
        "Grant what another program decides on",
        Effect::Change(|given, text| Ok(given.context.policies.set(text, true)?)),
    ),
    ContextOption(
        "remove-policy",
        "SUBSYSTEM.KEY=VALUE",
        "Take --add-policy back",
        Effect::Change(|given, text| Ok(given.context.policies.set(text, false)?)),
    ),
    ContextOption(
        "usb",
        "QUERY",
        "Let the USB portal hand out devices: all, cls:CC:SS, cls:CC:*, vnd:VVVV, dev:PPPP",
        Effect::Change(|given, query| {
            given.context.usb.enumerable.insert(Query::parse(query)?);
            Ok(())
        }),
    ),
    ContextOption(
        "nousb",
        "QUERY",
        "Hide devices from the USB portal, whatever else is said",
        Effect::Change(|given, query| {
            given.context.usb.hidden.insert(Query::parse(query)?);
            Ok(())
        }),
    ),
    ContextOption(
        "usb-list",
        "QUERY;…",
        "Several queries, with '!' in front of those that hide",
        Effect::Change(|given, list| {
            usb_list(given, list);
            Ok(())
        }),
    ),
    ContextOption(
        "usb-list-file",
        "FILE",
        "Queries from a file",
        Effect::Change(|given, path| {
            let name = PathBuf::from(path);
            let list = File::open(&name).and_then(text);
            let list = list.map_err(|error| OptionError::Read { name, error })?;
            usb_list(given, &list);
            Ok(())
        }),
    ),
];

fn set_variable(given: &mut Given, text: &str) -> Result<(), OptionError> {
    match text.split_once('=') {
        Some((name, value)) if can_be_variable(name) => {
            given.context.environment.insert(name.to_owned(), Some(value.to_owned()));
            Ok(())
        }
        Some(_) | None => Err(OptionError::Assignment { text: text.into() }),
    }
}

/// R237.
fn set_variables(given: &mut Given, number: &str) -> Result<(), OptionError> {
    let wrong = || OptionError::Number { value: number.to_owned() };
    let number = number.parse().ok().filter(|number| *number >= FIRST_DESCRIPTOR);
    let number = number.ok_or_else(wrong)?;
    let block = text(File::from(descriptor::inherited(number)?));
    let name = PathBuf::from(format!("file descriptor {number}"));
    let block = block.map_err(|error| OptionError::Read { name, error })?;
    block.split_terminator('\0').try_for_each(|text| set_variable(given, text))
}

/// All that can be read, if it is text and not too much.
fn text(file: File) -> io::Result<String> {
    let mut text = String::new();
    let length = file.take(MOST_BYTES).read_to_string(&mut text)?;
    if u64::try_from(length).is_ok_and(|length| length < MOST_BYTES) {
        Ok(text)
    } else {
        Err(io::ErrorKind::FileTooLarge.into())
    }
}

fn session_bus(given: &mut Given, name: &str, policy: BusPolicy) -> Result<(), OptionError> {
    given.context.session_bus.set(BusName::new(name)?, policy);
    Ok(())
}

fn system_bus(given: &mut Given, name: &str, policy: BusPolicy) -> Result<(), OptionError> {
    given.context.system_bus.set(BusName::new(name)?, policy);
    Ok(())
}

/// R239: of a list, what cannot be read is left out.
fn usb_list(given: &mut Given, list: &str) {
    for item in given.context.usb.read(list) {
        let text = format!("ignoring '{}'\nit is no query for USB devices", shown(item));
        given.notices.push(Notice::Warning(text));
    }
}

fn grant_if(given: &mut Given, area: Area, value: &str) -> Result<(), OptionError> {
    let wrong = |reason| OptionError::Conditional { value: value.to_owned(), reason };
    let (name, condition) = value.split_once(':').ok_or_else(|| wrong("it has no condition"))?;
    if name == FALLBACK_X11 {
        return Err(wrong("fallback-x11 is a condition itself"));
    }
    let name = area.check(name)?;
    given.context.grants_mut(area).allow_if(name, Condition::parse(condition)?);
    Ok(())
}

/// Adds the options to a command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let options = OPTIONS.iter().map(|ContextOption(name, value, help, _)| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .value_parser(value_parser!(OsString))
            .action(ArgAction::Append)
            .help(help)
            .help_heading("Permissions")
    });
    // R236: it once kept an application from being exported.
    let ignored = Arg::new("no-desktop").long("no-desktop").action(ArgAction::SetTrue).hide(true);
    command.args(options).arg(ignored)
}

/// Reads what clap took apart.
///
/// # Errors
/// [`OptionError`], for the first value that cannot be used.
pub fn read(matches: &ArgMatches) -> Result<Given, OptionError> {
    let mut given = Given::default();
    let options = OPTIONS.iter().map(|option| (option.0, option));
    for (ContextOption(name, _, _, effect), value) in super::order::typed(matches, options) {
        let encoding = || OptionError::Encoding { option: name, value: value.clone() };
        let value = value.to_str().ok_or_else(encoding)?;
        match *effect {
            Effect::Grant(area) => given.context.grants_mut(area).allow(area.check(value)?),
            Effect::Deny(area) => given.context.deny(area, area.check(value)?),
            Effect::GrantIf(area) => grant_if(&mut given, area, value)?,
            Effect::Change(change) => change(&mut given, value)?,
        }
    }
    Ok(given)
}

/// Reads options that were written down, as `extra-args` of an instance are (R240). None if they are not
/// what is written there: an option that is no permission, or one that would be read from elsewhere.
#[must_use]
pub fn written(words: &[String]) -> Option<Given> {
    let elsewhere =
        |word: &String| ["--env-fd", "--usb-list-file"].iter().any(|it| word.starts_with(it));
    if words.iter().any(elsewhere) {
        return None;
    }
    let command = arguments(Command::new("permissions").no_binary_name(true));
    read(&command.try_get_matches_from(words).ok()?).ok()
}

#[cfg(test)]
mod tests;
