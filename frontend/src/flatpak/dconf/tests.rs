// SPDX-License-Identifier: MIT OR Apache-2.0
use super::database::Database;
use super::*;
use crate::caller::tests::caller;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::gvariant::Value;
use proptest::prelude::*;
use std::os::unix::fs::symlink;

/// As `dconf compile` of version 0.40 wrote it.
const SITE: &[u8] = include_bytes!("golden/site");

fn database() -> Database {
    Database::parse(SITE.to_vec()).unwrap()
}

fn exported(database: &Database, directory: &str) -> String {
    let mut export = Export::default();
    export.add(database.values(directory));
    export.to_string()
}

#[test]
fn r127_a_database_is_read_as_it_was_written() {
    let expected = "[org/stockade/Mixed]\n\
        bytes=b'raw'\n\
        dict={'k': <'v'>, 'l': <byte 0x07>}\n\
        empty=@as []\n\
        flag=true\n\
        list=['a', 'b']\n\
        long=int64 -9\n\
        nested=[('a', <1.5>), ('b', <@mi nothing>)]\n\
        number=uint32 7\n\
        text=\"it's \\\"x\\\"\"\n\
        \n\
        [org/stockade/Mixed/below]\n\
        key='deep'\n";
    assert_eq!(exported(&database(), "/org/stockade/Mixed/"), expected);
    assert_eq!(exported(&database(), "/org/elsewhere/"), "[org/elsewhere]\nother=1\n");
    for none in ["/org/stockade/Mix/", "/org/stockade/mixed/", "/org/stockade/Mixed/text/"] {
        assert_eq!(exported(&database(), none), "", "{none}");
    }
    let locks = |directory| database().locks(directory).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(locks("/org/stockade/Mixed/"), ["/org/stockade/Mixed/text"]);
    assert_eq!(locks("/"), ["/org/elsewhere/other", "/org/stockade/Mixed/text"]);
    assert_eq!(locks("/org/other/"), [""; 0]);
}

/// A host with a profile of two databases, of which the first is the user's.
fn host(variables: &[(&str, &str)]) -> (Scratch, Caller) {
    let scratch = Scratch::new();
    let mut caller = caller(&scratch.directory("home"), variables);
    caller.uid = rustix::process::getuid().as_raw();
    for path in ["home/.config/dconf/user", "etc/dconf/db/site"] {
        let path = scratch.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, SITE).unwrap();
    }
    scratch.file("etc/dconf/profile/user", "# ours\nuser-db:user\nsystem-db:site # the only one\n");
    (scratch, caller)
}

fn databases(scratch: &Scratch, caller: &Caller) -> (bool, usize) {
    let mut notices = Vec::new();
    let profile = Profile::of(caller, &scratch.0, &mut notices);
    (profile.user(&mut notices).is_some(), profile.system.len())
}

#[test]
fn r127_the_profile_says_which_databases_there_are() {
    let (scratch, caller) = host(&[]);
    assert_eq!(databases(&scratch, &caller), (true, 1));
    for (text, expected) in [
        ("system-db:site\nuser-db:user\n", (false, 2)),
        (
            "user-db:../user\nsystem-db:../db/site\nsystem-db:\nservice-db:x/y\nnonsense\n",
            (false, 0),
        ),
        ("user-db:none\nsystem-db:site\nsystem-db:none\n", (false, 1)),
        ("", (false, 0)),
    ] {
        scratch.file("etc/dconf/profile/user", text);
        assert_eq!(databases(&scratch, &caller), expected, "{text}");
    }
    std::fs::remove_file(scratch.join("etc/dconf/profile/user")).unwrap();
    assert_eq!(databases(&scratch, &caller), (true, 0));
    let own = scratch.file("own", "user-db:none\n");
    let file = format!("user-db:none\nfile-db:{}\n", scratch.join("etc/dconf/db/site").display());
    std::fs::write(&own, file).unwrap();
    let (_, caller) = host(&[("DCONF_PROFILE", own.to_str().unwrap())]);
    assert_eq!(databases(&scratch, &caller), (false, 1));
    let (scratch, caller) = host(&[("DCONF_PROFILE", "none")]);
    assert_eq!(databases(&scratch, &caller), (false, 0));
}

#[test]
fn r127_metadata_name_directories_and_what_the_application_was_before() {
    let id = Id::new("org.gnome.SoundJuicer").unwrap();
    let wanted = |text: &str| {
        let mut notices = Vec::new();
        let metadata = KeyFile::parse(text.as_bytes()).unwrap();
        (Wanted::read(&id, &metadata, &mut notices), notices.len())
    };
    let own = "/org/gnome/SoundJuicer/".to_owned();
    let (none, _) = wanted("");
    assert_eq!(none, Wanted { directories: vec![own.clone()], before: None });
    let (all, told) =
        wanted("[X-DConf]\npaths=/a/b/;/a;b/;/a//b/;\nmigrate-path=/org/gnome/sound-juicer/\n");
    let before = Some("/org/gnome/sound-juicer/".to_owned());
    assert_eq!(all, Wanted { directories: vec![own, "/a/b/".to_owned()], before });
    assert_eq!(told, 0);
    // Nobody gets the settings of another.
    let (other, told) = wanted("[X-DConf]\nmigrate-path=/org/gnome/\n");
    assert_eq!((other.before, told), (None, 1));
}

fn data(caller: &Caller) -> DataDirectory {
    let id = Id::new("org.stockade.Mixed").unwrap();
    DataDirectory::prepare(&id, &[], caller, &mut Vec::new()).unwrap()
}

#[test]
fn r127_values_of_before_are_kept_once() {
    let (_scratch, caller) = host(&[]);
    let data = data(&caller);
    let path = kept_at(&data);
    keep(&data, "first").unwrap();
    keep(&data, "second").unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    let directory = path.parent().unwrap();
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 1);

    // What the application put there leads nowhere.
    std::fs::remove_file(&path).unwrap();
    let secret = caller.home.join("secret");
    symlink(&secret, &path).unwrap();
    keep(&data, "third").unwrap();
    assert!(!secret.exists());
    std::fs::remove_dir_all(directory).unwrap();
    symlink(&caller.home, directory).unwrap();
    keep(&data, "third").unwrap_err();
    assert!(!caller.home.join(VALUES).exists());
}

#[test]
fn r127_names_that_would_be_lines_of_their_own_are_left_out() {
    let value = || Value::read(b"a\0\0s").unwrap();
    let mut export = Export::default();
    for path in ["/a/b=c", "/a/\nx", "/[a]/x", "/a/#x", "x", "/", "/a/", "/x"] {
        export.add([(path, value())].into_iter());
    }
    assert_eq!(export.to_string(), "");
    export.add([("/a/x y", value())].into_iter());
    assert_eq!(export.to_string(), "[a]\nx y='a'\n");
}

proptest! {
    /// Whatever of the file is damaged, there is an answer.
    #[test]
    fn reading_is_total(changes in proptest::collection::vec((0..SITE.len(), any::<u8>()), 0..20), end in 0..SITE.len()) {
        let mut bytes = SITE.to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        for bytes in [bytes[..end].to_vec(), bytes] {
            if let Some(database) = Database::parse(bytes) {
                exported(&database, "/");
                database.locks("/").count();
            }
        }
    }
}
