// SPDX-License-Identifier: MIT OR Apache-2.0
//! The message buses of a command: what was asked for by name, and nothing else.
//!
//! A command is no application, so no name on a bus is its own, and no portal is open to it: portals
//! trust programs that are in no sandbox, and would take it for one. Should it be let through to one by
//! name, or to anything else that looks who is calling, it is an application that nobody has installed
//! and that has no permissions (R331, R332).

use std::collections::BTreeMap;

use crate::bus::filter::Filter;
use crate::bus::kind::Kind;
use crate::bus::supply::{Supply, Wanted};
use crate::flatpak::context::bus::{BusNameError, BusPolicies};
use crate::message::Notice;
use crate::permission::{Permissions, Socket};

/// What services find that look at the proxy.
const INFO: &[u8] = b"[Application]\nname=org.stockade.Exec\n\n[Context]\n";

/// What these permissions ask for.
pub(super) fn wanted(permissions: &Permissions) -> Result<Wanted, BusNameError> {
    let named = |names: &BusPolicies| names.granted().next().is_some();
    let whole = |socket| permissions.sockets.contains(&socket).then_some(Supply::Whole);
    let session = match whole(Socket::SessionBus) {
        None if named(&permissions.session_names) => {
            Some(Supply::Filtered(Filter::session(None, &permissions.session_names)?))
        }
        whole => whole,
    };
    let system = match whole(Socket::SystemBus) {
        None if named(&permissions.system_names) => {
            Some(Supply::Filtered(Filter::system(&permissions.system_names)))
        }
        whole => whole,
    };
    let supplies = [(Kind::Session, session), (Kind::System, system)].into_iter();
    let supplies: BTreeMap<_, _> =
        supplies.filter_map(|(kind, supply)| Some((kind, supply?))).collect();
    let asked = !supplies.is_empty();
    Ok(Wanted { supplies, info: INFO.to_vec(), asked, grants: asked, verbose: false })
}

/// What whoever asks for a whole session bus should know.
pub(super) fn warning(permissions: &Permissions) -> Option<Notice> {
    permissions.sockets.contains(&Socket::SessionBus).then(|| {
        Notice::Warning(
            "the whole session bus is a way out of the sandbox\n\
             programs on it start others outside, and do what they are asked to\n\
             name what the command needs instead, with --talk-name=NAME for each"
                .to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flatpak::context::bus::{BusName, BusPolicy};
    use crate::keyfile::KeyFile;
    use crate::permission::Change;

    fn of(changes: &[Change]) -> Wanted {
        let mut permissions = Permissions::default();
        changes.iter().cloned().for_each(|change| permissions.apply(change));
        wanted(&permissions).unwrap()
    }

    fn name(text: &str) -> BusName {
        BusName::new(text).unwrap()
    }

    #[test]
    fn by_default_there_is_no_bus() {
        assert_eq!(of(&[]).supplies, BTreeMap::new());
        let taken = [BusPolicy::Talk, BusPolicy::None];
        let taken = taken.map(|policy| Change::SessionName(name("a.b"), policy));
        assert_eq!(of(&taken).supplies, BTreeMap::new());
    }

    #[test]
    fn names_are_let_through_and_nothing_else() {
        let wanted = of(&[
            Change::SessionName(name("a.b"), BusPolicy::Talk),
            Change::SystemName(name("c.d"), BusPolicy::Own),
        ]);
        let options = |kind| match &wanted.supplies[&kind] {
            Supply::Filtered(filter) => filter.options().collect::<Vec<_>>(),
            Supply::Whole => panic!("{kind:?}"),
        };
        assert_eq!(options(Kind::Session), ["--filter", "--talk=a.b"]);
        assert_eq!(options(Kind::System), ["--filter", "--own=c.d"]);
        assert!(wanted.asked);
    }

    #[test]
    fn r199_a_whole_bus_needs_no_names() {
        let wanted = of(&[
            Change::SessionName(name("a.b"), BusPolicy::Talk),
            Change::Socket(Socket::SessionBus, true),
        ]);
        assert_eq!(wanted.supplies, [(Kind::Session, Supply::Whole)].into());
    }

    #[test]
    fn t73_a_whole_session_bus_is_warned_about() {
        let mut permissions = Permissions::default();
        assert_eq!(warning(&permissions), None);
        permissions.apply(Change::Socket(Socket::SystemBus, true));
        assert_eq!(warning(&permissions), None);
        permissions.apply(Change::Socket(Socket::SessionBus, true));
        assert!(matches!(warning(&permissions), Some(Notice::Warning(_))));
    }

    #[test]
    fn r332_services_find_an_application_without_permissions() {
        let info = KeyFile::parse(INFO).unwrap();
        let application = info.group("Application").unwrap();
        assert!(application.string("name").unwrap().unwrap().contains('.'));
        assert!(
            info.group("Context").is_some_and(|group| group.string("shared").unwrap().is_none())
        );
        assert!(info.group("Instance").is_none());
    }
}
