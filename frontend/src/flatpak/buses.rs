// SPDX-License-Identifier: MIT OR Apache-2.0
//! The message buses of an application (R202-R205, R208-R212).

use std::collections::{BTreeMap, BTreeSet};

use super::context::Resolved;
use super::context::bus::{BusNameError, BusPolicies};
use super::reference::Id;
use crate::bus::filter::{Filter, Identity};
use crate::bus::kind::Kind;
use crate::bus::proxy::Pending;
use crate::bus::supply::{self, Supply, SupplyError, Wanted};
use crate::message::Notice;
use crate::permission::Socket;
use crate::socket::Wiring;

/// What was typed about buses (R235).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `--session-bus` or `--no-session-bus`.
    pub session: Option<bool>,
    /// `--a11y-bus` or `--no-a11y-bus`.
    pub accessibility: Option<bool>,
    /// Buses of which every message is told.
    pub log: BTreeSet<Kind>,
    /// Says more.
    pub verbose: bool,
}

/// Why a sandbox does not get its buses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BusesError {
    /// A name cannot be one on a bus.
    #[error(transparent)]
    Name(#[from] BusNameError),
    /// One that was asked for cannot be had.
    #[error(transparent)]
    Supply(#[from] SupplyError),
}

/// Adds the buses of an application to its sandbox, and gives the proxy that is to be started. `info` is the
/// text of its `.flatpak-info`.
pub(super) fn supply(
    options: &Options,
    id: &Id,
    is_sandboxed: bool,
    resolved: &Resolved,
    info: Vec<u8>,
    wiring: &mut Wiring<'_>,
) -> Result<Option<Pending>, BusesError> {
    let identity = Identity { id: id.as_str(), sandboxed: is_sandboxed };
    if identity.is_of_a_service() {
        wiring.notices.push(Notice::Warning(format!(
            "the application cannot have its name on the message buses\n\
             {id} belongs to a service that the session trusts, and it could speak with that or for it\n\
             do not use it unless you know who made it"
        )));
    }
    let wanted = wanted(options, id.as_str(), is_sandboxed, resolved, info)?;
    Ok(supply::prepare(wanted, wiring)?)
}

/// Adds the buses of a build: whole ones as applications have them, the others only if names are granted on the
/// command line, which gave `typed` (R263).
pub(super) fn supply_build(
    log: BTreeSet<Kind>,
    id: &Id,
    typed: &Resolved,
    resolved: &Resolved,
    info: Vec<u8>,
    wiring: &mut Wiring<'_>,
) -> Result<Option<Pending>, BusesError> {
    let (options, resolved) = of_build(log, typed, resolved);
    supply(&options, id, false, &resolved, info, wiring)
}

/// What a build gets, as if it were an application.
fn of_build(log: BTreeSet<Kind>, typed: &Resolved, resolved: &Resolved) -> (Options, Resolved) {
    let granted = |names: &BusPolicies| names.granted().next().is_some();
    let mut resolved = resolved.clone();
    let permissions = &mut resolved.permissions;
    if !granted(&typed.permissions.system_names) {
        permissions.system_names = BusPolicies::default();
    }
    // What is whole needs no filter, and is not to be taken back.
    let session = (!permissions.sockets.contains(&Socket::SessionBus))
        .then(|| granted(&typed.permissions.session_names));
    (Options { session, accessibility: Some(false), log, verbose: false }, resolved)
}

/// What an application is to get.
fn wanted(
    options: &Options,
    id: &str,
    is_sandboxed: bool,
    resolved: &Resolved,
    info: Vec<u8>,
) -> Result<Wanted, BusNameError> {
    let permissions = &resolved.permissions;
    let (session, system) = (&permissions.session_names, &permissions.system_names);
    let identity = Identity { id, sandboxed: is_sandboxed };
    let whole = |socket| permissions.sockets.contains(&socket);
    let by_default = |said: Option<bool>| said.unwrap_or(!is_sandboxed);
    let filtered = |mut filter: Filter, kind| {
        filter.log = options.log.contains(&kind);
        Supply::Filtered(filter)
    };

    let mut supplies = BTreeMap::new();
    if whole(Socket::SessionBus) && options.session != Some(false) {
        supplies.insert(Kind::Session, Supply::Whole);
    } else if by_default(options.session) {
        let filter = Filter::session(Some(identity), session)?;
        supplies.insert(Kind::Session, filtered(filter, Kind::Session));
    }
    let names = system.granted().next().is_some();
    if whole(Socket::SystemBus) {
        supplies.insert(Kind::System, Supply::Whole);
    } else if names && !is_sandboxed {
        supplies.insert(Kind::System, filtered(Filter::system(system), Kind::System));
    }
    if by_default(options.accessibility) {
        let filter = Filter::accessibility(identity, &resolved.accessibility_names)?;
        supplies.insert(Kind::Accessibility, filtered(filter, Kind::Accessibility));
    }

    let given = |kind| matches!(supplies.get(&kind), Some(Supply::Filtered(_)));
    let grants = given(Kind::Session) && session.granted().next().is_some() || given(Kind::System);
    let asked = grants || [options.session, options.accessibility].contains(&Some(true));
    Ok(Wanted { supplies, info, asked, grants, verbose: options.verbose })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flatpak::context::Context;
    use crate::flatpak::context::condition::Conditions;
    use crate::keyfile::KeyFile;

    const APP: &str = "org.example.App";

    fn resolved(text: &str) -> Resolved {
        let (context, _) = Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap();
        context.resolve(&Conditions { has_wayland: false, has_usb_portal: false })
    }

    fn of(options: &Options, is_sandboxed: bool, text: &str) -> Wanted {
        wanted(options, APP, is_sandboxed, &resolved(text), Vec::new()).unwrap()
    }

    fn kinds(wanted: &Wanted) -> Vec<(Kind, bool)> {
        let is_whole = |(kind, supply): (&Kind, &Supply)| (*kind, *supply == Supply::Whole);
        wanted.supplies.iter().map(is_whole).collect()
    }

    #[test]
    fn r203_every_application_has_a_filtered_session_bus() {
        let wanted = of(&Options::default(), false, "");
        assert_eq!(kinds(&wanted), [(Kind::Session, false), (Kind::Accessibility, false)]);
        assert!(!wanted.asked && !wanted.grants);
    }

    #[test]
    fn r202_r211_whole_buses_are_granted_by_name() {
        let text = "[Context]\nsockets=session-bus;system-bus;\n[System Bus Policy]\na.b=talk\n";
        let wanted = of(&Options::default(), false, text);
        let expected = [(Kind::Session, true), (Kind::System, true), (Kind::Accessibility, false)];
        assert_eq!(kinds(&wanted), expected);
        assert!(!wanted.asked);
    }

    #[test]
    fn r263_a_build_has_the_buses_of_its_command_line() {
        let kinds_of = |typed: &str, all: &str| {
            let (options, resolved) = of_build(BTreeSet::new(), &resolved(typed), &resolved(all));
            let wanted = wanted(&options, APP, false, &resolved, Vec::new()).unwrap();
            (kinds(&wanted), wanted.asked)
        };
        let (session, system) =
            ("[Session Bus Policy]\na.b=talk\n", "[System Bus Policy]\na.b=talk\n");
        assert_eq!(kinds_of("", &format!("{session}{system}")), (vec![], false));
        assert_eq!(kinds_of(session, session), (vec![(Kind::Session, false)], true));
        assert_eq!(kinds_of(system, system), (vec![(Kind::System, false)], true));
        let whole = "[Context]\nsockets=session-bus;system-bus;\n";
        let expected = vec![(Kind::Session, true), (Kind::System, true)];
        assert_eq!(kinds_of("", whole), (expected, false));
    }

    #[test]
    fn r204_r212_buses_can_be_left_out() {
        let none =
            Options { session: Some(false), accessibility: Some(false), ..Options::default() };
        for text in ["", "[Context]\nsockets=session-bus;\n", "[Session Bus Policy]\na.b=talk\n"] {
            assert_eq!(kinds(&of(&none, false, text)), []);
        }
        assert_eq!(kinds(&of(&Options::default(), true, "")), []);
        let both = Options { session: Some(true), accessibility: Some(true), ..Options::default() };
        let wanted = of(&both, true, "");
        assert_eq!(kinds(&wanted), [(Kind::Session, false), (Kind::Accessibility, false)]);
        assert!(wanted.asked);
    }

    #[test]
    fn r211_a_system_bus_needs_a_policy() {
        let text = "[System Bus Policy]\na.b=none\n";
        assert!(!of(&Options::default(), false, text).supplies.contains_key(&Kind::System));
        let text = "[System Bus Policy]\na.b=see\n";
        let wanted = of(&Options::default(), false, text);
        assert!(wanted.supplies.contains_key(&Kind::System) && wanted.asked);
        assert!(!of(&Options::default(), true, text).supplies.contains_key(&Kind::System));
    }

    #[test]
    fn r209_a_part_of_an_application_is_not_the_application() {
        let typed = Options { session: Some(true), ..Options::default() };
        for is_sandboxed in [false, true] {
            let wanted = of(&typed, is_sandboxed, "");
            let Supply::Filtered(filter) = &wanted.supplies[&Kind::Session] else { panic!() };
            let own = "--own=org.example.App.*".to_owned();
            assert_eq!(filter.options().any(|option| option == own), !is_sandboxed);
        }
    }

    #[test]
    fn r208_messages_are_told_of_the_buses_that_were_named() {
        let typed = Options { log: [Kind::Accessibility].into(), ..Options::default() };
        let wanted = of(&typed, false, "");
        let logs = wanted.supplies.iter().map(|(kind, supply)| match supply {
            Supply::Filtered(filter) => (*kind, filter.log),
            Supply::Whole => panic!("{kind:?}"),
        });
        assert!(logs.eq([(Kind::Session, false), (Kind::Accessibility, true)]));
    }
}
