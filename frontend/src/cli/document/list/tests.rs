// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::bus::mock::{Mock, Peer};
use crate::portal::documents::tests::{asked, portal};
use std::collections::BTreeMap;

/// A portal of two documents, one of them given to two applications.
fn serve(peer: &mut Peer) {
    peer.welcome();
    let call = asked(peer, "GetMountPoint");
    peer.answer(&call, &(&b"/run/doc\0"[..],));
    let call = asked(peer, "List");
    assert_eq!(call.body::<(String,)>().unwrap().0, "org.a.App");
    let documents = BTreeMap::from([("1f", &b"/home/u/a\0"[..]), ("2f", b"/home/u/\x1bb\0")]);
    peer.answer(&call, &(documents,));
    let applications =
        BTreeMap::from([("org.a.App", vec!["read"]), ("org.b.App", vec!["read", "write"])]);
    for applications in [applications, BTreeMap::new()] {
        let call = asked(peer, "Info");
        peer.answer(&call, &(&b"/home/u/a\0"[..], applications));
    }
}

fn listed(names: &str, json: bool) -> String {
    let mock = Mock::new(serve);
    let names = names.to_owned();
    let columns = columns(&[&names]).unwrap();
    let rows = rows(&mut portal(&mock), Some("org.a.App"), &columns).unwrap();
    mock.said();
    text(rows, &columns, json).unwrap()
}

#[test]
fn r329_applications_have_rows_of_their_own() {
    assert_eq!(
        listed("all", false),
        "1f\t/run/doc/1f/a\t/home/u/a\torg.a.App\tread\n\
         \t\t\torg.b.App\tread write\n\
         2f\t/run/doc/2f/\\u{1b}b\t/home/u/\\u{1b}b\n"
    );
    assert_eq!(listed("application,id", false), "org.a.App\t1f\norg.b.App\n\t2f\n");
    assert_eq!(listed("app:s", false), "org.a.App\norg.b.App\n\n");
}

#[test]
fn r329_documents_have_one_row_where_applications_are_not_shown() {
    assert_eq!(listed("id,origin", false), "1f\t/home/u/a\n2f\t/home/u/\\u{1b}b\n");
    assert_eq!(listed("id,id", false), "1f\t1f\n2f\t2f\n");
}

#[test]
fn r329_programs_get_every_key() {
    let read: serde_json::Value = serde_json::from_str(&listed("all", true)).unwrap();
    assert_eq!(read[0]["permissions"], "read");
    assert_eq!(read[1]["id"], "");
    assert_eq!(read[2]["origin"], "/home/u/\u{1b}b");
    assert_eq!(read[2]["application"], "");
}

#[test]
fn r329_nothing_is_told_too() {
    let columns = columns(&[]).unwrap();
    let names: Vec<_> = columns.iter().map(|column| column.name).collect();
    assert_eq!(names, DEFAULT);
    assert_eq!(text(vec![], &columns, false).unwrap(), "No documents found\n");
    assert_eq!(text(vec![], &columns, true).unwrap(), "[]\n");
    assert_eq!(text(vec![], &[], false).unwrap(), "");
}

#[test]
fn r543_columns_go_by_name_or_beginning() {
    for wrong in ["p", "nope", "id:x"] {
        let error = columns(&[&wrong.to_owned()]).err().unwrap().to_string();
        assert!(error.starts_with(&format!("cannot show the column '{wrong}'\n")), "{error}");
    }
    assert!(columns(&[&String::new()]).unwrap().is_empty());
    assert!(help(&COLUMNS).contains("\n  permissions      Show"));
}
