// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::address::Address;
use crate::bus::mock::{Mock, Peer};
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::forward::Documents as _;
use crate::portal::documents::tests::{asked, tell_version};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

fn id() -> Id {
    Id::new("org.a.App").unwrap()
}

/// The portal that is found where a mock plays it, and what is said about it.
fn find<T: Send + 'static>(mock: &Mock<T>, runtime: &Scratch) -> (Option<Portal>, Vec<Notice>) {
    let address = Address::at(&mock.socket());
    let address = address.text().to_str().unwrap();
    let runtime = runtime.0.to_str().unwrap();
    let variables = [("DBUS_SESSION_BUS_ADDRESS", address), ("XDG_RUNTIME_DIR", runtime)];
    let caller = caller(Path::new("/home/u"), &variables);
    let mut notices = Vec::new();
    (Portal::find(&id(), &caller, &mut notices), notices)
}

/// Tells where documents are.
fn tell_mount_point(peer: &mut Peer, path: &Path) {
    peer.welcome();
    let call = asked(peer, "GetMountPoint");
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.push(0);
    peer.answer(&call, &(bytes,));
}

#[test]
fn r100_an_application_gets_its_own_directory() {
    let scratch = Scratch::new();
    let own = scratch.directory("doc/by-app/org.a.App");
    let mount_point = scratch.join("doc");
    let mock = Mock::new(move |peer| tell_mount_point(peer, &mount_point));
    let (portal, notices) = find(&mock, &scratch);
    assert_eq!(notices, []);
    let portal = portal.unwrap();
    assert_eq!(portal.mount_point(), Path::new("/run/user/1000/doc"));
    let found = rustix::fs::fstat(portal.into_directory()).unwrap().st_ino;
    assert_eq!(found, own.metadata().unwrap().ino());
}

#[test]
fn r230_files_are_for_the_application_to_read_and_write() {
    let scratch = Scratch::new();
    scratch.directory("doc/by-app/org.a.App");
    let mount_point = scratch.join("doc");
    let mock = Mock::new(move |peer| {
        tell_mount_point(peer, &mount_point);
        tell_version(peer, 4);
        ["1f", "2f"].map(|id| {
            let call = asked(peer, "AddFull");
            peer.answer(
                &call,
                &(vec![id], std::collections::BTreeMap::<&str, zbus::Variant<'_>>::new()),
            );
            call
        })
    });
    let mut portal = find(&mock, &scratch).0.unwrap();
    let file = File::open(scratch.file("file", "")).unwrap();
    let directory = File::open(&scratch.0).unwrap();
    assert_eq!(portal.add(file.as_fd(), DocumentKind::File).unwrap(), "1f");
    assert_eq!(portal.add(directory.as_fd(), DocumentKind::Directory).unwrap(), "2f");
    for (call, flags) in mock.said().iter().zip([1_u32, 9]) {
        let words = vec!["read".to_owned(), "write".to_owned()];
        let expected = (vec![0_u32], flags, "org.a.App".to_owned(), words);
        assert_eq!(call.numbered(), ("ahusas", expected));
    }
}

#[test]
fn r232_why_a_file_is_not_taken_is_told_in_a_line() {
    let scratch = Scratch::new();
    scratch.directory("doc/by-app/org.a.App");
    let mount_point = scratch.join("doc");
    let mock = Mock::new(move |peer| {
        tell_mount_point(peer, &mount_point);
        tell_version(peer, 3);
        let call = asked(peer, "AddFull");
        peer.refuse(&call, "org.freedesktop.portal.Error.InvalidArgument", "Invalid fd passed");
    });
    let mut portal = find(&mock, &scratch).0.unwrap();
    let directory = File::open(&scratch.0).unwrap();
    let mut add = |kind| portal.add(directory.as_fd(), kind).unwrap_err();
    let old = "the version of the documents portal is 3, which knows only files";
    assert_eq!(add(DocumentKind::Directory), old);
    assert_eq!(add(DocumentKind::File), "Invalid fd passed");
}

#[test]
fn r100_a_portal_that_is_missing_is_not_missed() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "GetMountPoint");
        peer.refuse(&call, "org.freedesktop.DBus.Error.ServiceUnknown", "nobody");
    });
    let scratch = Scratch::new();
    let (portal, notices) = find(&mock, &scratch);
    assert!(portal.is_none());
    assert_eq!(notices, []);
    // Without a bus neither.
    let caller = caller(&scratch.0, &[("XDG_RUNTIME_DIR", scratch.0.to_str().unwrap())]);
    let mut notices = Vec::new();
    assert!(Portal::find(&id(), &caller, &mut notices).is_none());
    assert_eq!(notices, []);
}

/// What is said about a portal that is found so.
fn warned(runtime: &Scratch, talk: impl FnOnce(&mut Peer) + Send + 'static) -> String {
    let (portal, notices) = find(&Mock::new(talk), runtime);
    assert!(portal.is_none());
    let [Notice::Warning(text)] = &notices[..] else { panic!("{notices:?}") };
    text.strip_suffix("\nthe application starts without documents").unwrap().to_owned()
}

#[test]
fn r100_a_portal_that_fails_is_told() {
    let scratch = Scratch::new();
    let said = warned(&scratch, |peer| {
        peer.welcome();
        let call = asked(peer, "GetMountPoint");
        peer.refuse(&call, "org.freedesktop.DBus.Error.Failed", "no fuse");
    });
    assert_eq!(said, "cannot find out where documents are\nno fuse");
    let mount_point = scratch.join("doc");
    let expected = format!("cannot open {}/by-app/org.a.App\nNo such file", mount_point.display());
    let said = warned(&scratch, move |peer| tell_mount_point(peer, &mount_point));
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn t73_a_portal_does_not_choose_what_an_application_sees() {
    let scratch = Scratch::new();
    let elsewhere = scratch.directory("elsewhere/by-app/org.a.App");
    for wrong in ["doc", "/", "/home/u"].map(PathBuf::from).into_iter().chain([elsewhere.clone()]) {
        let said = warned(&scratch, move |peer| tell_mount_point(peer, &wrong));
        assert!(said.contains("belongs at"), "{said}");
    }
    scratch.directory("doc/by-app");
    std::os::unix::fs::symlink(&elsewhere, scratch.join("doc/by-app/org.a.App")).unwrap();
    let mount_point = scratch.join("doc");
    let said = warned(&scratch, move |peer| tell_mount_point(peer, &mount_point));
    assert!(said.starts_with("cannot open"), "{said}");
}
