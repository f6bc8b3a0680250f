// SPDX-License-Identifier: MIT OR Apache-2.0
use std::collections::HashMap;
use std::path::Path;

use zbus::{ObjectPath, Variant};

use super::*;
use crate::bus::message::Message;
use crate::bus::mock::{Mock, Peer};
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::deploy::tests::{COMMIT, install, installation};

const APP: &str = "app/org.a.App/x/stable";

/// An application that is installed, with a menu entry.
fn app(scratch: &Scratch) -> Deploy {
    install(scratch, "i", APP, "[Application]\nname=org.a.App\n");
    let entry = format!("i/{APP}/{COMMIT}/export/share/applications/org.a.App.desktop");
    scratch.file(&entry, "[Desktop Entry]\nType=Application\nMimeType=x-scheme-handler/http;\n");
    let reference = Reference::parse(APP).unwrap();
    Deploy::open(&installation(scratch, "i"), &reference, None).unwrap().unwrap()
}

fn checked_at(socket: &Path) -> Result<(), ParentalControlsError> {
    let scratch = Scratch::new();
    let address = format!("unix:path={}", socket.display());
    let caller = caller(Path::new("/home/a"), &[("DBUS_SYSTEM_BUS_ADDRESS", &address)]);
    check(&app(&scratch), &caller)
}

/// What is decided where a bus talks so, and everything that it was asked for is what it had to be.
fn checked(talk: impl FnOnce(&mut Peer) + Send + 'static) -> Result<(), ParentalControlsError> {
    let mock = Mock::new(|peer| {
        peer.welcome();
        talk(peer);
    });
    let result = checked_at(&mock.socket());
    mock.said();
    result
}

/// Answers the first question: which user.
fn find_user(peer: &mut Peer) -> Message {
    let call = peer.call();
    assert_eq!(call.header.destination.as_deref(), Some("org.freedesktop.Accounts"));
    assert_eq!(call.header.member.as_deref(), Some("FindUserById"));
    assert_eq!(call.numbered::<(i64,)>(), ("x", (1000,)));
    peer.answer(&call, &(ObjectPath::try_from("/org/freedesktop/Accounts/User1000").unwrap(),));
    let call = peer.call();
    assert_eq!(call.header.path.as_deref(), Some("/org/freedesktop/Accounts/User1000"));
    assert_eq!(call.header.member.as_deref(), Some("GetAll"));
    assert_eq!(call.body::<(String,)>().unwrap().0, APP_FILTER);
    call
}

/// What is decided by this filter.
fn filtered(is_allowed: bool, list: &[&str]) -> Result<(), ParentalControlsError> {
    let list: Vec<_> = list.iter().map(|item| (*item).to_owned()).collect();
    checked(move |peer| {
        let call = find_user(peer);
        let filter = Variant::from((is_allowed, list));
        let other = Variant::from(true);
        let properties = HashMap::from([("AppFilter", filter), ("AllowUserInstallation", other)]);
        peer.answer(&call, &(properties,));
    })
}

#[test]
fn r17_what_the_administrator_lists_decides() {
    filtered(false, &[]).unwrap();
    filtered(false, &["app/org.a.Other/x/stable", "/usr/bin/other"]).unwrap();
    filtered(true, &[APP]).unwrap();
    for (is_allowed, list) in [
        (false, &[APP][..]),
        (false, &["app/org.a.App/y/beta"]),
        (false, &["x-scheme-handler/http"]),
        (true, &["app/org.a.Other/x/stable"]),
        (true, &[]),
    ] {
        let error = filtered(is_allowed, list).unwrap_err();
        assert!(matches!(error, ParentalControlsError::NotAllowed { .. }), "{list:?}: {error}");
        assert!(error.to_string().contains(APP), "{error}");
    }
}

#[test]
fn r17_without_such_a_service_everything_is_allowed() {
    // No bus at all, since 1.18.
    checked_at(Path::new("/no/such/socket")).unwrap();
    checked(|peer| {
        let call = peer.call();
        peer.refuse(&call, "org.freedesktop.DBus.Error.ServiceUnknown", "no");
    })
    .unwrap();
    for name in ["InvalidArgs", "UnknownInterface", "NameHasNoOwner"] {
        checked(move |peer| {
            let call = find_user(peer);
            peer.refuse(&call, &format!("org.freedesktop.DBus.Error.{name}"), "no");
        })
        .unwrap();
    }
}

#[test]
fn r17_a_service_that_does_not_say_allows_nothing() {
    let error = checked(|peer| {
        let call = peer.call();
        peer.refuse(&call, "org.freedesktop.Accounts.Error.PermissionDenied", "not\x1byou");
    });
    let error = error.unwrap_err();
    assert!(matches!(error, ParentalControlsError::Ask { .. }), "{error}");
    assert_eq!(error.to_string().lines().count(), 3, "{error}");
    assert!(!error.to_string().contains('\x1b'));
    let error = checked(|peer| {
        let call = find_user(peer);
        peer.refuse(&call, "org.freedesktop.DBus.Error.AccessDenied", "");
    });
    assert!(matches!(error, Err(ParentalControlsError::Ask { .. })));
    // What may not be read is not in the answer.
    let error = checked(|peer| {
        let call = find_user(peer);
        peer.answer(&call, &(HashMap::<String, Variant<'_>>::new(),));
    });
    assert!(matches!(error, Err(ParentalControlsError::Hidden)));
    // Neither a filter nor a user, and a bus that hangs up.
    let error = checked(|peer| {
        let call = find_user(peer);
        let properties = HashMap::from([("AppFilter", Variant::from("text"))]);
        peer.answer(&call, &(properties,));
    });
    assert!(matches!(error, Err(ParentalControlsError::Ask { .. })));
    let error = checked(|peer| {
        let call = peer.call();
        peer.answer(&call, &("text",));
    });
    assert!(matches!(error, Err(ParentalControlsError::Ask { .. })));
    assert!(matches!(checked(|_| {}), Err(ParentalControlsError::Ask { .. })));
}
