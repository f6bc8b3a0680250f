// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::message::Message;
use crate::bus::mock::{Mock, Peer};
use zbus::Variant;

/// The store that a mock plays.
pub(crate) fn store<T: Send + 'static>(mock: &Mock<T>) -> PermissionStore {
    PermissionStore(Service::on(mock.bus(), TARGET))
}

/// The call of a method of the store.
pub(crate) fn asked(peer: &mut Peer, member: &str) -> Message {
    let call = peer.call();
    assert_eq!(
        call.header.destination.as_deref(),
        Some("org.freedesktop.impl.portal.PermissionStore")
    );
    assert_eq!(call.header.path.as_deref(), Some("/org/freedesktop/impl/portal/PermissionStore"));
    assert_eq!(call.header.member.as_deref(), Some(member));
    call
}

/// Answers that this is the store's version.
pub(crate) fn tell_version(peer: &mut Peer, version: u32) {
    let call = asked(peer, "Get");
    let expected = ("org.freedesktop.impl.portal.PermissionStore".to_owned(), "version".to_owned());
    assert_eq!(call.body::<(String, String)>().unwrap(), expected);
    peer.answer(&call, &(Variant::U32(version),));
}

fn entry() -> (BTreeMap<&'static str, Vec<&'static str>>, Variant<'static>) {
    let permissions = BTreeMap::from([("org.a.App", vec!["yes", "no"]), ("org.b.App", vec![])]);
    (permissions, Variant::from("data"))
}

#[test]
fn r303_tables_and_entries_are_read() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "List");
        assert_eq!(call.body::<(String,)>().unwrap().0, "devices");
        peer.answer(&call, &(vec!["speakers", "camera"],));
        let call = asked(peer, "Lookup");
        let expected = ("devices".to_owned(), "camera".to_owned());
        assert_eq!(call.body::<(String, String)>().unwrap(), expected);
        peer.answer(&call, &entry());
        let call = asked(peer, "Lookup");
        peer.refuse(&call, "org.freedesktop.portal.Error.NotFound", "No entry for x");
    });
    let mut store = store(&mock);
    // In the store's own order.
    assert_eq!(store.list("devices").unwrap(), ["speakers", "camera"]);
    let found = store.lookup("devices", "camera").unwrap();
    assert_eq!(found.permissions["org.a.App"], ["yes", "no"]);
    assert_eq!(found.permissions["org.b.App"], [""; 0]);
    assert_eq!(*found.data, Variant::from("data"));
    let error = store.lookup("devices", "x").unwrap_err().to_string();
    assert_eq!(error, "cannot look up the permissions for x in the table devices\nNo entry for x");
    mock.said();
}

#[test]
fn r314_permissions_make_the_entry_and_data_do_not() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let set = asked(peer, "SetPermission");
        peer.answer(&set, &());
        let value = asked(peer, "SetValue");
        peer.answer(&value, &());
        (set, value)
    });
    let mut store = store(&mock);
    store.set_permission("t", "x", "org.a.App", &["yes", ""]).unwrap();
    let data = Variant::from(7_u32).try_into_owned().unwrap();
    store.set_value("t", "x", &data).unwrap();
    let (set, value) = mock.said();
    let (table, create, id, application, permissions) =
        set.body::<(String, bool, String, String, Vec<String>)>().unwrap();
    assert_eq!((table.as_str(), create, id.as_str()), ("t", true, "x"));
    assert_eq!((application.as_str(), permissions), ("org.a.App", vec!["yes".into(), "".into()]));
    let (table, create, id, data) = value.body::<(String, bool, String, Variant<'_>)>().unwrap();
    assert_eq!((table.as_str(), create, id.as_str()), ("t", false, "x"));
    assert_eq!(data, Variant::from(7_u32));
}

#[test]
fn r315_one_application_goes_or_all_of_it() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        tell_version(peer, 2);
        let one = asked(peer, "DeletePermission");
        peer.answer(&one, &());
        let all = asked(peer, "Delete");
        peer.answer(&all, &());
        let one = one.body::<(String, String, String)>().unwrap();
        (one, all.body::<(String, String)>().unwrap())
    });
    let mut store = store(&mock);
    store.delete_permission("t", "x", "org.a.App").unwrap();
    store.delete("t", "y").unwrap();
    let text = str::to_owned;
    assert_eq!(mock.said(), ((text("t"), text("x"), text("org.a.App")), (text("t"), text("y"))));
}

#[test]
fn r315_an_old_store_is_given_the_rest() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        tell_version(peer, 1);
        let call = asked(peer, "Lookup");
        peer.answer(&call, &entry());
        let set = asked(peer, "Set");
        peer.answer(&set, &());
        set
    });
    store(&mock).delete_permission("t", "x", "org.a.App").unwrap();
    let set = mock.said();
    type Body<'a> = (String, bool, String, BTreeMap<String, Vec<String>>, Variant<'a>);
    let (table, create, id, permissions, data): Body<'_> = set.body().unwrap();
    assert_eq!((table.as_str(), create, id.as_str()), ("t", false, "x"));
    assert_eq!(permissions, BTreeMap::from([("org.b.App".to_owned(), vec![])]));
    assert_eq!(data, Variant::from("data"));
}
