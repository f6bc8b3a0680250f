// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be granted, with the options that grant it and take it back.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::Serialize;

use crate::bus::kind::Kind as Bus;
use crate::filesystem::token::{Access, Place};
use crate::flatpak::context::FALLBACK_X11;
use crate::flatpak::context::area::Area;
use crate::flatpak::context::bus::{BusName, BusPolicy};
use crate::flatpak::context::usb::Query;

/// What kind of thing it is, to sort and to draw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Files.
    Files,
    /// Services behind a socket.
    Socket,
    /// Names on a bus.
    Bus,
    /// Devices.
    Device,
    /// The network, and other shared parts of the system.
    Share,
    /// System calls.
    Feature,
    /// What other programs decide on.
    Policy,
    /// Variables.
    Environment,
}

/// Something that is granted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A permission that has a name.
    Named(Area, String),
    /// A place on the host.
    Place(Place, Access),
    /// A name on a bus.
    Bus(Bus, BusName, BusPolicy),
    /// What another program decides on.
    Policy {
        /// The program.
        subsystem: String,
        /// What about.
        key: String,
        /// What is granted.
        value: String,
    },
    /// USB devices that the portal may hand out.
    Usb(Query),
    /// A path below the home that is kept for the sandbox.
    Persist(String),
    /// A variable, unset where there is no value.
    Variable(OsString, Option<OsString>),
    /// The directory that `exec --project` shares.
    Project(PathBuf),
    /// The home that `exec --name` keeps.
    Home(String),
    /// An open file of the caller's.
    Descriptor(u32),
}

impl Thing {
    /// What kind of thing it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Named(Area::Shares, _) => Kind::Share,
            Self::Named(Area::Sockets, _) => Kind::Socket,
            Self::Named(Area::Devices, _) | Self::Usb(_) => Kind::Device,
            Self::Named(Area::Features, _) => Kind::Feature,
            Self::Place(..)
            | Self::Persist(_)
            | Self::Project(_)
            | Self::Home(_)
            | Self::Descriptor(_) => Kind::Files,
            Self::Bus(..) => Kind::Bus,
            Self::Policy { .. } => Kind::Policy,
            Self::Variable(..) => Kind::Environment,
        }
    }

    /// The option that grants it, as it would be typed but for quoting. What has no option is named
    /// as it stands in a file.
    #[must_use]
    pub fn option(&self) -> OsString {
        let text = |option: &str, value: &str| OsString::from(format!("--{option}={value}"));
        match self {
            Self::Named(area, name) => text(area.grant_option(), name),
            Self::Place(place, access) => {
                text("filesystem", &(place.to_string() + suffix(*access)))
            }
            Self::Bus(bus, name, policy) => match grants(*bus, *policy) {
                Some(option) => text(option, name.as_str()),
                None => format!("{}={} ({})", name, policy.word(), bus.word()).into(),
            },
            Self::Policy { subsystem, key, value } => {
                text("add-policy", &format!("{subsystem}.{key}={value}"))
            }
            Self::Usb(query) => text("usb", &query.to_string()),
            Self::Persist(path) if path.is_empty() => text("persist", "."),
            Self::Persist(path) => text("persist", path),
            Self::Variable(name, value) => {
                let option = if value.is_some() { "--env=" } else { "--unset-env=" };
                let mut whole = OsString::from(option);
                whole.push(name);
                if let Some(value) = value {
                    whole.push("=");
                    whole.push(value);
                }
                whole
            }
            Self::Project(path) => {
                let mut whole = OsString::from("--project=");
                whole.push(path);
                whole
            }
            Self::Home(name) => text("name", name),
            Self::Descriptor(number) => text("pass-fd", &number.to_string()),
        }
    }

    /// The option of `override` that takes it back; none if there is none.
    #[must_use]
    pub fn revoked_by(&self) -> Option<String> {
        match self {
            // R43, R44: without the fallback a grant of X11 next to it would be one without a
            // condition. Taking X11 back takes both.
            Self::Named(Area::Sockets, name) if name == FALLBACK_X11 => {
                Some("--nosocket=x11".to_owned())
            }
            Self::Named(area, name) => Some(format!("--{}={name}", area.deny_option())),
            Self::Place(place, _) => Some(format!("--nofilesystem={place}")),
            Self::Bus(Bus::Session, name, _) => Some(format!("--no-talk-name={name}")),
            Self::Bus(Bus::System, name, _) => Some(format!("--system-no-talk-name={name}")),
            Self::Policy { subsystem, key, value } => {
                Some(format!("--remove-policy={subsystem}.{key}={value}"))
            }
            Self::Usb(query) => Some(format!("--nousb={query}")),
            Self::Bus(Bus::Accessibility, ..)
            | Self::Persist(_)
            | Self::Variable(..)
            | Self::Project(_)
            | Self::Home(_)
            | Self::Descriptor(_) => None,
        }
    }
}

const fn suffix(access: Access) -> &'static str {
    match access {
        Access::ReadOnly => ":ro",
        Access::ReadWrite => "",
        Access::Create => ":create",
    }
}

/// No option lets a name be seen alone.
const fn grants(bus: Bus, policy: BusPolicy) -> Option<&'static str> {
    match (bus, policy) {
        (Bus::Session, BusPolicy::Talk) => Some("talk-name"),
        (Bus::Session, BusPolicy::Own) => Some("own-name"),
        (Bus::System, BusPolicy::Talk) => Some("system-talk-name"),
        (Bus::System, BusPolicy::Own) => Some("system-own-name"),
        (Bus::Accessibility, BusPolicy::Own) => Some("a11y-own-name"),
        (Bus::Session | Bus::System, BusPolicy::None | BusPolicy::See)
        | (Bus::Accessibility, BusPolicy::None | BusPolicy::See | BusPolicy::Talk) => None,
    }
}
