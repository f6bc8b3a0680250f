// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::mock::{Mock, Peer};
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::portal::documents::tests::{asked, portal, tell_version};
use std::collections::BTreeMap;
use zbus::Variant;

type Act = fn(&ArgMatches, &mut Documents, &Caller) -> Result<String, DocumentError>;
const EXPORT: Act = |matches, portal, _| export::export(matches, portal);

/// What a subcommand prints, or says in its first line, for a caller in the directory of `scratch`.
fn printed<T: Send + 'static>(
    mock: &Mock<T>,
    scratch: &Scratch,
    (name, act): (&str, Act),
    words: &[&str],
) -> String {
    let caller = Caller { directory: Some(scratch.0.clone()), ..caller(&scratch.0, &[]) };
    let command = commands().into_iter().find(|command| command.get_name() == name).unwrap();
    let matches = command.get_matches_from([name].iter().chain(words));
    match act(&matches, &mut portal(mock), &caller) {
        Ok(text) => text,
        Err(error) => error.to_string().lines().next().unwrap().to_owned(),
    }
}

/// Answers to the search for a file, and tells what was searched for.
fn find(peer: &mut Peer, id: &str) -> String {
    let call = asked(peer, "Lookup");
    peer.answer(&call, &(id,));
    String::from_utf8(call.body::<(Vec<u8>,)>().unwrap().0).unwrap()
}

fn tell_mount_point(peer: &mut Peer) {
    let call = asked(peer, "GetMountPoint");
    peer.answer(&call, &(&b"/run/doc\0"[..],));
}

/// Adds the document 1f, and gives the flags.
fn add(peer: &mut Peer) -> u32 {
    tell_version(peer, 4);
    let call = asked(peer, "AddFull");
    let nothing: BTreeMap<&str, Variant<'_>> = BTreeMap::new();
    peer.answer(&call, &(vec!["1f"], nothing));
    let (_, (_, flags, application, permissions)) =
        call.numbered::<(Vec<u32>, u32, String, Vec<String>)>();
    assert_eq!((application.as_str(), permissions), ("", vec![]));
    flags
}

#[test]
fn r370_what_is_known_of_a_file() {
    let scratch = Scratch::new();
    let mock = Mock::new(|peer| {
        peer.welcome();
        let searched = find(peer, "1f");
        let call = asked(peer, "Info");
        let applications =
            BTreeMap::from([("org.a.App", vec!["read", "write"]), ("org.b.App", vec![])]);
        peer.answer(&call, &(&b"/home/u/real\n\0"[..], applications));
        tell_mount_point(peer);
        searched
    });
    // The document has the file's own name, whatever leads to it.
    let text = printed(&mock, &scratch, ("document-info", info::info), &["link"]);
    assert_eq!(
        text,
        "id: 1f\n\
         path: /run/doc/1f/real\\u{a}\n\
         origin: /home/u/real\\u{a}\n\
         permissions:\n\
         \torg.a.App\tread, write\n\
         \torg.b.App\t\n"
    );
    // The portal knows nothing of the caller's directory.
    assert_eq!(mock.said(), format!("{}/link\0", scratch.0.display()));
}

#[test]
fn r370_r372_a_file_that_is_no_document() {
    let scratch = Scratch::new();
    for (name, act) in
        [("document-info", info::info as Act), ("document-unexport", unexport::unexport)]
    {
        let mock = Mock::new(|peer| {
            peer.welcome();
            find(peer, "")
        });
        assert_eq!(printed(&mock, &scratch, (name, act), &["/a/../b"]), "Not exported\n");
        assert_eq!(mock.said(), "/a/../b\0");
    }
}

#[test]
fn r372_documents_are_removed_by_file_or_id() {
    let scratch = Scratch::new();
    for (words, searched) in [
        (&["/file"][..], Some("/file\0")),
        (&["--doc-id", "2f"], None),
        (&["2f", "--doc-id"], None),
    ] {
        let mock = Mock::new(move |peer| {
            peer.welcome();
            if let Some(searched) = searched {
                assert_eq!(find(peer, "2f"), searched);
            }
            let call = asked(peer, "Delete");
            peer.answer(&call, &());
            call.body::<(String,)>().unwrap().0
        });
        let done = printed(&mock, &scratch, ("document-unexport", unexport::unexport), words);
        assert_eq!((done.as_str(), mock.said().as_str()), ("", "2f"));
    }
}

#[test]
fn r371_files_and_directories_are_given_under_their_real_names() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let link = scratch.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let link = link.to_str().unwrap();
    let directory = scratch.0.to_str().unwrap();
    let name = scratch.0.file_name().unwrap().to_str().unwrap();
    for (words, flags, place) in [
        (&[link][..], 3, "file"),
        (&["-u", link], 2, "file"),
        (&["-t", link], 1, "file"),
        (&["-ut", link], 0, "file"),
        (&[directory], 11, name),
    ] {
        let mock = Mock::new(|peer| {
            peer.welcome();
            let flags = add(peer);
            tell_mount_point(peer);
            flags
        });
        let text = printed(&mock, &scratch, ("document-export", EXPORT), words);
        assert_eq!(text, format!("/run/doc/1f/{place}\n"));
        assert_eq!(mock.said(), flags, "{words:?}");
    }
}

#[test]
fn r371_each_application_is_granted_and_then_revoked() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let file = file.to_str().unwrap();
    let given = |words: &[&str], revoked: bool| {
        let mock = Mock::new(move |peer| {
            peer.welcome();
            add(peer);
            let mut said = Vec::new();
            for _ in 0..2 {
                for member in ["GrantPermissions", "RevokePermissions"] {
                    if member == "RevokePermissions" && !revoked {
                        continue;
                    }
                    let call = asked(peer, member);
                    peer.answer(&call, &());
                    let (id, name, words) = call.body::<(String, String, Vec<String>)>().unwrap();
                    assert_eq!(id, "1f");
                    said.push(format!("{name} {}", words.join(" ")));
                }
            }
            tell_mount_point(peer);
            said
        });
        let words = [&["-a", "a.A", "--app=b.B", file], words].concat();
        printed(&mock, &scratch, ("document-export", EXPORT), &words);
        mock.said()
    };
    assert_eq!(given(&[], false), ["a.A read", "b.B read"]);
    let all = "read write delete grant-permissions";
    assert_eq!(given(&["-rwdg"], false), [format!("a.A {all}"), format!("b.B {all}")]);
    let words = ["--allow-write", "--forbid-read", "--forbid-grant-permission"];
    let revoked = "read grant-permissions";
    assert_eq!(
        given(&words, true),
        ["a.A read write", &format!("a.A {revoked}"), "b.B read write", &format!("b.B {revoked}")]
    );
}

#[test]
fn r371_what_is_not_there_yet_is_given_by_name() {
    let scratch = Scratch::new();
    let path = scratch.join("new");
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "AddNamed");
        peer.answer(&call, &("1f",));
        tell_mount_point(peer);
        call
    });
    let words = ["-n", path.to_str().unwrap()];
    let text = printed(&mock, &scratch, ("document-export", EXPORT), &words);
    assert_eq!(text, "/run/doc/1f/new\n");
    let (_, (_, name, reuse, persistent)) = mock.said().numbered::<(u32, Vec<u8>, bool, bool)>();
    assert_eq!((name, reuse, persistent), (b"new\0".to_vec(), true, true));
}

#[test]
fn r371_what_cannot_be_opened_is_not_asked_for() {
    let scratch = Scratch::new();
    let missing = scratch.join("missing");
    let missing = missing.to_str().unwrap();
    for (words, said) in [
        (&[missing][..], format!("cannot open {missing}")),
        (&["-n", ".."], "cannot export .. before it exists".into()),
    ] {
        let mock = Mock::new(|peer| {
            peer.welcome();
            peer.wait_for_end();
        });
        let printed = printed(&mock, &scratch, ("document-export", EXPORT), words);
        assert_eq!(printed, said);
    }
}
