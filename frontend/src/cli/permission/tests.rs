// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::mock::{Mock, Peer};
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::portal::permission_store::tests::{asked, store, tell_version};
use std::collections::BTreeMap;
use zbus::Variant;

type Act = fn(&ArgMatches, &mut PermissionStore, &Caller) -> Result<String, PermissionError>;
const SET: Act = |matches, store, _| set::set(matches, store);
const REMOVE: Act = |matches, store, _| remove::remove(matches, store);

/// What a subcommand prints, or says as an error.
fn printed<T: Send + 'static>(
    mock: &Mock<T>,
    scratch: &Scratch,
    (name, act): (&str, Act),
    words: &[&str],
) -> String {
    let command = commands().into_iter().find(|command| command.get_name() == name).unwrap();
    let matches = command.get_matches_from([name].iter().chain(words));
    let done = act(&matches, &mut store(mock), &caller(&scratch.0, &[]));
    done.unwrap_or_else(|error| error.to_string())
}

/// A store with these tables.
fn tables(names: &[&str]) -> Scratch {
    let scratch = Scratch::new();
    for name in names {
        scratch.file(&format!(".local/share/flatpak/db/{name}"), "");
    }
    scratch
}

fn list_of(peer: &mut Peer, table: &str, ids: &[&str]) {
    let call = asked(peer, "List");
    assert_eq!(call.body::<(String,)>().unwrap().0, table);
    peer.answer(&call, &(ids,));
}

fn entry(peer: &mut Peer, id: &str, permissions: &[(&str, &[&str])], data: Variant<'_>) {
    let call = asked(peer, "Lookup");
    assert_eq!(call.body::<(String, String)>().unwrap().1, id);
    let permissions: BTreeMap<&str, &[&str]> = permissions.iter().copied().collect();
    peer.answer(&call, &(permissions, data));
}

/// Two tables of which one is empty; two objects, one of no application.
fn serve(peer: &mut Peer) {
    peer.welcome();
    list_of(peer, "devices", &["speakers", "camera"]);
    let permissions: [(&str, &[&str]); 2] =
        [("org.a.App", &["yes", "no"]), ("org.b.App", &["ask\x1b"])];
    entry(peer, "speakers", &permissions, Variant::U8(0));
    entry(peer, "camera", &[], Variant::from("text"));
    list_of(peer, "empty", &[]);
}

#[test]
fn r312_everything_is_listed() {
    let scratch = tables(&["empty", "devices"]);
    let mock = Mock::new(serve);
    assert_eq!(
        printed(&mock, &scratch, ("permission-list", list::list), &[]),
        "devices\tspeakers\torg.a.App\tyes,no\t0x00\n\
         devices\tspeakers\torg.b.App\task\\u{1b}\t0x00\n\
         devices\tcamera\t\t\t'text'\n"
    );
    mock.said();
    let mock = Mock::new(serve);
    let text = printed(&mock, &scratch, ("permission-list", list::list), &["--json"]);
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read[1]["permissions"], "ask\u{1b}");
    assert_eq!(read[2]["app"], "");
    assert_eq!(read[2]["data"], "'text'");
}

#[test]
fn r312_a_table_or_an_object_of_it() {
    let scratch = tables(&["other"]);
    let mock = Mock::new(|peer| {
        peer.welcome();
        list_of(peer, "devices", &["camera"]);
        entry(peer, "camera", &[("org.a.App", &[])], Variant::U8(0));
    });
    let listed = |mock, words| printed(mock, &scratch, ("permission-list", list::list), words);
    assert_eq!(listed(&mock, &["devices"]), "devices\tcamera\torg.a.App\t\t0x00\n");
    let mock = Mock::new(|peer| {
        peer.welcome();
        entry(peer, "camera", &[("org.a.App", &["yes"])], Variant::U8(0));
    });
    assert_eq!(listed(&mock, &["devices", "camera"]), "devices\tcamera\torg.a.App\tyes\t0x00\n");
    // Nothing was ever stored: nobody has to be asked.
    let mock = Mock::new(|peer| {
        peer.welcome();
        peer.wait_for_end();
    });
    assert_eq!(printed(&mock, &Scratch::new(), ("permission-list", list::list), &[]), "");
}

#[test]
fn r313_one_application_is_shown() {
    let scratch = tables(&["empty", "devices"]);
    let show = |words| {
        let mock = Mock::new(serve);
        printed(&mock, &scratch, ("permission-show", show::show), words)
    };
    assert_eq!(show(&["org.a.App"]), "devices\tspeakers\torg.a.App\tyes,no\t0x00\n");
    assert_eq!(show(&["org.c.App"]), "");
}

#[test]
fn r314_data_follow_permissions() {
    let scratch = Scratch::new();
    let mock = Mock::new(|peer| {
        peer.welcome();
        let set = asked(peer, "SetPermission");
        peer.answer(&set, &());
        let value = asked(peer, "SetValue");
        peer.answer(&value, &());
        let (_, _, _, _, permissions) =
            set.body::<(String, bool, String, String, Vec<String>)>().unwrap();
        let (_, _, _, data) = value.body::<(String, bool, String, Variant<'_>)>().unwrap();
        (permissions, print(&data))
    });
    let words = ["--data=-5", "t", "x", "org.a.App", "yes", ""];
    assert_eq!(printed(&mock, &scratch, ("permission-set", SET), &words), "");
    assert_eq!(mock.said(), (vec!["yes".to_owned(), String::new()], "-5".to_owned()));
}

#[test]
fn r314_data_that_are_none_change_nothing() {
    let mock = Mock::new(|peer| {
        peer.welcome();
        peer.wait_for_end();
    });
    let words = ["t", "x", "org.a.App", "--data", "no\x1bpe"];
    let text = printed(&mock, &Scratch::new(), ("permission-set", SET), &words);
    assert!(text.starts_with("cannot use 'no\\u{1b}pe' as data\nat character 0: "), "{text}");
    assert_eq!(text.lines().count(), 3);
}

#[test]
fn r315_an_object_or_one_of_its_applications_goes() {
    let scratch = Scratch::new();
    let mock = Mock::new(|peer| {
        peer.welcome();
        let call = asked(peer, "Delete");
        peer.answer(&call, &());
    });
    assert_eq!(printed(&mock, &scratch, ("permission-remove", REMOVE), &["t", "x"]), "");
    mock.said();
    let mock = Mock::new(|peer| {
        peer.welcome();
        tell_version(peer, 2);
        let call = asked(peer, "DeletePermission");
        peer.answer(&call, &());
        call.body::<(String, String, String)>().unwrap().2
    });
    let words = ["t", "x", "org.a.App"];
    assert_eq!(printed(&mock, &scratch, ("permission-remove", REMOVE), &words), "");
    assert_eq!(mock.said(), "org.a.App");
}

#[test]
fn r316_one_application_is_forgotten_or_all_are() {
    let scratch = tables(&["devices"]);
    for (words, expected) in [
        (&["org.b.App"][..], &["org.b.App"][..]),
        (&["--all"], &["org.a.App", "org.b.App"]),
        (&["org.c.App"], &[]),
    ] {
        let count = expected.len();
        let mock = Mock::new(move |peer| {
            peer.welcome();
            list_of(peer, "devices", &["speakers"]);
            let permissions: [(&str, &[&str]); 2] = [("org.a.App", &["yes"]), ("org.b.App", &[])];
            entry(peer, "speakers", &permissions, Variant::U8(0));
            let mut forgotten = Vec::new();
            for index in 0..count {
                if index == 0 {
                    tell_version(peer, 2);
                }
                let call = asked(peer, "DeletePermission");
                peer.answer(&call, &());
                let (table, id, name) = call.body::<(String, String, String)>().unwrap();
                assert_eq!((table.as_str(), id.as_str()), ("devices", "speakers"));
                forgotten.push(name);
            }
            forgotten
        });
        assert_eq!(printed(&mock, &scratch, ("permission-reset", reset::reset), words), "");
        assert_eq!(mock.said(), expected);
    }
}

#[test]
fn r317_wrong_calls_are_answered_with_1() {
    for words in [
        &["permission-show"][..],
        &["permission-show", "a", "b"],
        &["permission-list", "a", "b", "c"],
        &["permissions", "a", "b", "c"],
        &["permission-set", "t", "x"],
        &["permission-remove", "t"],
        &["permission-remove", "t", "x", "a", "b"],
        &["permission-reset"],
        &["permission-reset", "--all", "a"],
        &["document-info"],
        &["document-info", "a", "b"],
        &["document-list", "a", "b"],
        &["documents", "--nope"],
        &["document-export"],
        &["document-unexport", "a", "b"],
    ] {
        let words = ["stockade"].iter().chain(words).map(std::ffi::OsString::from);
        assert_eq!(crate::cli::run(words), FAILED);
    }
}
