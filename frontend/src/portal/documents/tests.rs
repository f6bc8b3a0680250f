// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::mock::{Mock, Peer};
use crate::filesystem::locate::tests::Scratch;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use zbus::Variant;

const MANNER: Manner = Manner { reuse: true, persistent: false, directory: false };

/// The portal that a mock plays.
pub(crate) fn portal<T: Send + 'static>(mock: &Mock<T>) -> Documents {
    Documents(Service::on(mock.bus(), TARGET))
}

/// The call of a method of the portal.
pub(crate) fn asked(peer: &mut Peer, member: &str) -> Message {
    let call = peer.call();
    assert_eq!(call.header.destination.as_deref(), Some("org.freedesktop.portal.Documents"));
    assert_eq!(call.header.path.as_deref(), Some("/org/freedesktop/portal/documents"));
    assert_eq!(call.header.interface.as_deref(), Some("org.freedesktop.portal.Documents"));
    assert_eq!(call.header.member.as_deref(), Some(member));
    call
}

/// Answers that this is the portal's version.
pub(crate) fn tell_version(peer: &mut Peer, version: u32) {
    let call = peer.call();
    assert_eq!(call.header.interface.as_deref(), Some("org.freedesktop.DBus.Properties"));
    assert_eq!(call.header.member.as_deref(), Some("Get"));
    let expected = ("org.freedesktop.portal.Documents".to_owned(), "version".to_owned());
    assert_eq!(call.body::<(String, String)>().unwrap(), expected);
    peer.answer(&call, &(Variant::U32(version),));
}

/// The numbers of the objects whose descriptors came.
fn objects(peer: &mut Peer) -> Vec<u64> {
    let files = peer.descriptors().into_iter().map(File::from);
    files.map(|file| file.metadata().unwrap().ino()).collect()
}

#[test]
fn r319_paths_end_with_a_zero() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "GetMountPoint");
        peer.answer(&call, &(&b"/run/user/7/doc\0"[..],));
        let call = asked(peer, "Lookup");
        peer.answer(&call, &("4e01fad",));
        call.body::<(Vec<u8>,)>().unwrap().0
    });
    let mut documents = portal(&mock);
    assert_eq!(documents.mount_point().unwrap(), Path::new("/run/user/7/doc"));
    let id = documents.lookup(Path::new("/home/u/a b")).unwrap();
    assert_eq!(id.as_deref(), Some("4e01fad"));
    assert_eq!(mock.said(), b"/home/u/a b\0");
}

#[test]
fn r321_what_a_document_is_to_be_is_a_sum_of_flags() {
    let scratch = Scratch::new();
    let path = scratch.file("file", "");
    let file = File::open(&path).unwrap();
    for (manner, flags) in [
        (MANNER, 1),
        (Manner { persistent: true, ..MANNER }, 3),
        (Manner { reuse: false, ..MANNER }, 0),
        (Manner { directory: true, ..MANNER }, 9),
    ] {
        let mock = Mock::new(|peer| {
            peer.welcome();
            tell_version(peer, 4);
            let call = asked(peer, "AddFull");
            let objects = objects(peer);
            let extra = BTreeMap::from([("mountpoint", Variant::from(b"/doc\0".to_vec()))]);
            peer.answer(&call, &(vec!["1f"], extra));
            (objects, call)
        });
        let mut documents = portal(&mock);
        let id = documents.add(file.as_fd(), manner, "org.a.App", &["read", "write"]).unwrap();
        assert_eq!(id, "1f");
        let (objects, call) = mock.said();
        assert_eq!(objects, [path.metadata().unwrap().ino()]);
        assert_eq!(call.header.descriptors, 1);
        let permissions = vec!["read".to_owned(), "write".to_owned()];
        let expected = (vec![0_u32], flags, "org.a.App".to_owned(), permissions);
        assert_eq!(call.numbered(), ("ahusas", expected));
    }
}

#[test]
fn r230_an_old_portal_adds_first_and_grants_then() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        tell_version(peer, 1);
        let call = asked(peer, "Add");
        assert_eq!(objects(peer).len(), 1);
        peer.answer(&call, &("1f",));
        let call = asked(peer, "GrantPermissions");
        peer.answer(&call, &());
        // It is asked for its version only once.
        let added = asked(peer, "Add");
        peer.answer(&added, &("2f",));
        call.body::<(String, String, Vec<String>)>().unwrap()
    });
    let scratch = Scratch::new();
    let file = File::open(scratch.file("file", "")).unwrap();
    let mut documents = portal(&mock);
    let mut add =
        |application, permissions| documents.add(file.as_fd(), MANNER, application, permissions);
    assert_eq!(add("org.a.App", &["read"]).unwrap(), "1f");
    // Nobody is granted nothing.
    assert_eq!(add("", &[]).unwrap(), "2f");
    let expected = ("1f".to_owned(), "org.a.App".to_owned(), vec!["read".to_owned()]);
    assert_eq!(mock.said(), expected);
}

#[test]
fn r371_directories_need_a_portal_that_knows_them() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        tell_version(peer, 3);
        peer.wait_for_end();
    });
    let scratch = Scratch::new();
    let directory = File::open(&scratch.0).unwrap();
    let manner = Manner { directory: true, ..MANNER };
    let mut documents = portal(&mock);
    let error = documents.add(directory.as_fd(), manner, "", &[]).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot make a document of the directory\n\
         the version of the documents portal is 3, which knows only files\n\
         update xdg-desktop-portal"
    );
}

#[test]
fn r371_a_name_is_added_in_its_directory() {
    let scratch = Scratch::new();
    let inode = scratch.0.metadata().unwrap().ino();
    let mock = Mock::new(move |peer| {
        peer.welcome();
        let call = asked(peer, "AddNamed");
        assert_eq!(objects(peer), [inode]);
        peer.answer(&call, &("1f",));
        call
    });
    let directory = File::open(&scratch.0).unwrap();
    let id = portal(&mock).add_named(directory.as_fd(), Path::new("new"), true, false);
    assert_eq!(id.unwrap(), "1f");
    let expected = (0_u32, b"new\0".to_vec(), true, false);
    assert_eq!(mock.said().numbered(), ("haybb", expected));
}

#[test]
fn r320_permissions_and_documents_come_and_go() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let mut said = Vec::new();
        for member in ["GrantPermissions", "RevokePermissions"] {
            let call = asked(peer, member);
            peer.answer(&call, &());
            said.push(call.body::<(String, String, Vec<String>)>().unwrap());
        }
        let call = asked(peer, "Delete");
        peer.answer(&call, &());
        (said, call.body::<(String,)>().unwrap().0)
    });
    let mut documents = portal(&mock);
    documents.grant("1f", "org.a.App", &["read"]).unwrap();
    documents.revoke("1f", "org.a.App", &["write", "delete"]).unwrap();
    documents.delete("1f").unwrap();
    let said = |words: &[&str]| {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        ("1f".to_owned(), "org.a.App".to_owned(), words)
    };
    assert_eq!(mock.said(), (vec![said(&["read"]), said(&["write", "delete"])], "1f".to_owned()));
}

#[test]
fn r320_what_is_known_of_documents() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "List");
        let documents = BTreeMap::from([("2f", &b"/b\0"[..]), ("1f", b"/a\xff\0")]);
        peer.answer(&call, &(documents,));
        assert_eq!(call.body::<(String,)>().unwrap().0, "org.a.App");
        let call = asked(peer, "List");
        peer.answer(&call, &(BTreeMap::<&str, &[u8]>::new(),));
        assert_eq!(call.body::<(String,)>().unwrap().0, "");
        let call = asked(peer, "Info");
        let applications = BTreeMap::from([("org.a.App", vec!["read", "write"])]);
        peer.answer(&call, &(&b"/a\0"[..], applications));
        let call = asked(peer, "Lookup");
        peer.answer(&call, &("",));
    });
    let mut documents = portal(&mock);
    let listed: Vec<_> = documents.list(Some("org.a.App")).unwrap().into_iter().collect();
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    assert_eq!(listed, [("1f".into(), path(b"/a\xff")), ("2f".into(), path(b"/b"))]);
    assert!(documents.list(None).unwrap().is_empty());
    let document = documents.info("1f").unwrap();
    assert_eq!(document.origin, Path::new("/a"));
    assert_eq!(document.applications["org.a.App"], ["read", "write"]);
    assert_eq!(documents.lookup(Path::new("/c")).unwrap(), None);
    mock.said();
}

#[test]
fn a_portal_that_refuses_or_talks_nonsense_is_an_error() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = peer.call();
        peer.refuse(&call, "org.freedesktop.portal.Error.NotAllowed", "Not\x1b allowed");
        let call = peer.call();
        peer.answer(&call, &(7_u32,));
        let call = peer.call();
        peer.refuse(&call, "org.freedesktop.DBus.Error.ServiceUnknown", "no such name");
    });
    let mut documents = portal(&mock);
    let error = documents.info("a\n").unwrap_err();
    assert!(!error.is_absent());
    assert_eq!(error.to_string(), "cannot look up the document a\\u{a}\nNot\\u{1b} allowed");
    let error = documents.list(None).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot list documents\nit sent a message with the values 'u' where 'a{say}' belong"
    );
    let error = documents.mount_point().unwrap_err();
    assert!(error.is_absent());
    let said = "cannot find out where documents are\nno such name\ninstall xdg-desktop-portal";
    assert_eq!(error.to_string(), said);
}

#[test]
fn without_a_session_there_is_no_portal() {
    let scratch = Scratch::new();
    let runtime = scratch.0.to_str().unwrap();
    let caller = crate::caller::tests::caller(&scratch.0, &[("XDG_RUNTIME_DIR", runtime)]);
    let error = Documents::of(&caller).unwrap_err();
    assert!(error.is_absent());
    let text = error.to_string();
    assert!(text.starts_with("cannot reach the documents portal\n"), "{text}");
    assert!(text.contains("DBUS_SESSION_BUS_ADDRESS"), "{text}");
}
