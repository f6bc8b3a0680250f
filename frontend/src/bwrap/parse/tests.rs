// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines, and what they are parsed to.

use std::collections::BTreeMap;
use std::ffi::OsStr;

use super::*;
use crate::bwrap::capability;
use crate::bwrap::settings::{Action, CapabilityChange, Changes, Step, Wish};

#[derive(Default)]
struct Fake(BTreeMap<u32, Vec<u8>>);

impl Descriptors for Fake {
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno> {
        self.0.remove(&number).ok_or(Errno::BADF)
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn parsed_with(files: &[(u32, &[u8])], arguments: &[&str]) -> Result<Parsed, Stop> {
    let mut fake = Fake(files.iter().map(|(fd, bytes)| (*fd, bytes.to_vec())).collect());
    let environment = vec![("A".into(), "a".into()), ("B".into(), "b".into())];
    parse(words(arguments), environment, &mut fake)
}

fn parsed(arguments: &[&str]) -> Settings {
    parsed_with(&[], arguments).unwrap().settings
}

fn refused(arguments: &[&str]) -> String {
    match parsed_with(&[(9, b"--args\x0010\0"), (10, b"")], arguments).unwrap_err() {
        Stop::Fault(fault, _) => fault.text().to_owned(),
        other @ (Stop::Help | Stop::Version) => panic!("{other:?}"),
    }
}

#[test]
fn the_command_begins_with_the_first_word_that_is_no_option() {
    for (arguments, command) in [
        (&["ls", "--bind"][..], &["ls", "--bind"][..]),
        (&["--unshare-pid", "ls", "-l"], &["ls", "-l"]),
        (&["--", "--weird"], &["--weird"]),
        (&["--", "--", "x"], &["--", "x"]),
        (&["", "x"], &["", "x"]),
        (&["--unshare-pid"], &[]),
    ] {
        assert_eq!(parsed(arguments).command, words(command), "{arguments:?}");
    }
}

#[test]
fn wrong_words_are_answered_as_bubblewrap_does() {
    for (arguments, text) in [
        (&["-"][..], "Unknown option -"),
        (&["--bin", "/", "/"], "Unknown option --bin"),
        (&["--bind=/", "/"], "Unknown option --bind=/"),
        (&["--bind", "/"], "--bind takes two arguments"),
        (&["--overlay", "/", "/"], "--overlay takes three arguments"),
        (&["--tmpfs"], "--tmpfs takes an argument"),
        (&["--info-fd", "x"], "Invalid fd: x"),
        (&["--uid", "-1"], "Invalid uid: -1"),
        (&["--gid", ""], "Invalid gid: "),
        (&["--setenv", "A=", "x"], "setenv failed"),
        (&["--cap-add", "nope"], "unknown cap: nope"),
        (&["--perms", "9"], "--perms takes an octal argument <= 07777"),
        (&["--chmod", "10000", "/"], "--chmod takes an octal argument <= 07777"),
        (&["--size", "0"], "--size takes a non-zero number of bytes"),
        (
            &["--perms", "0700", "--unshare-pid"],
            "--perms must be followed by an option that creates a file",
        ),
        (&["--perms", "0700", "--perms", "1"], "--perms given twice for the same action"),
        (&["--size", "1", "--dir", "/a"], "--size must be followed by --tmpfs"),
        (&["--argv0", "a", "--argv0", "b"], "--argv0 used multiple times"),
        (
            &["--seccomp", "3", "--add-seccomp-fd", "4"],
            "--add-seccomp-fd cannot be combined with --seccomp",
        ),
        (&["--overlay-src"], "--overlay-src takes an argument"),
        (&["--overlay-src", "/a", "x"], DANGLING_LAYER),
        (&["--overlay-src", "/a", "--chdir", "/", "x"], DANGLING_LAYER),
        (&["--overlay-src", "/a", "--perms", "0700", "--tmp-overlay", "/b"], DANGLING_LAYER),
        (&["--overlay-src", "/a", "--args", "10", "--tmp-overlay", "/b"], DANGLING_LAYER),
        (&["--overlay", "/a", "/b", "/c"], "--overlay requires at least one --overlay-src"),
        (&["--tmp-overlay", "/c"], "--tmp-overlay requires at least one --overlay-src"),
        (
            &["--overlay-src", "/a", "--ro-overlay", "/c"],
            "--ro-overlay requires at least two --overlay-src",
        ),
        (
            &["--perms", "0700", "--overlay-src", "/a"],
            "--perms must be followed by an option that creates a file",
        ),
        (&["--args", "9"], "--args is not supported in the content of --args"),
        (&["--args", "8"], "Can't read --args data: Bad file descriptor"),
    ] {
        assert_eq!(refused(arguments), text, "{arguments:?}");
    }
}

#[test]
fn help_and_version_act_where_they_stand() {
    assert_eq!(parsed_with(&[], &["--unshare-pid", "--help", "--nope"]), Err(Stop::Help));
    assert_eq!(parsed_with(&[], &["--perms", "1", "--version"]), Err(Stop::Version));
    assert_eq!(parsed(&["ls", "--help"]).command, words(&["ls", "--help"]));
}

#[test]
fn modifiers_count_for_the_next_operation_only() {
    let settings =
        parsed(&["--size", "4096", "--perms", "0700", "--tmpfs", "/a", "--tmpfs", "/b", "x"]);
    let steps: Vec<_> = settings.actions.into_iter().map(|action| action.step).collect();
    assert_eq!(
        steps,
        [
            Step::Tmpfs { mode: Some(0o700), size: Some(4096) },
            Step::Tmpfs { mode: None, size: None }
        ]
    );
    // Dangling ones are nobody's error.
    assert_eq!(parsed(&["--perms", "0700", "x"]).command, words(&["x"]));
}

#[test]
fn layers_count_for_the_next_overlay_only() {
    let files: &[(u32, &[u8])] = &[(7, b"--overlay\0/u\0/w\0/d")];
    let arguments = ["--overlay-src", "/a", "--overlay-src", "/b", "--args", "7"];
    let more = ["--overlay-src", "/c", "--tmp-overlay", "/e", "x"];
    let settings = parsed_with(files, &[&arguments[..], &more[..]].concat()).unwrap().settings;
    let kept = Changes::Kept { upper: "/u".into(), work: "/w".into() };
    let overlay = |sources: &[&str], changes, destination: &str| Action {
        step: Step::Overlay { sources: words(sources), changes },
        destination: destination.into(),
    };
    assert_eq!(
        settings.actions,
        [overlay(&["/a", "/b"], kept, "/d"), overlay(&["/c"], Changes::Forgotten, "/e")]
    );
}

#[test]
fn arguments_are_spliced_in_at_their_place() {
    let files: &[(u32, &[u8])] =
        &[(7, b"--dir\0/b\0--setenv\0C\0c\0--\0ignored\0--nonsense"), (8, b"--tmpfs\0/t\0")];
    let arguments = ["--dir", "/a", "--args", "7", "--perms", "1", "--args", "8", "--", "x"];
    let settings = parsed_with(files, &arguments).unwrap().settings;
    let places: Vec<_> = settings.actions.iter().map(|a| a.destination.clone()).collect();
    assert_eq!(places, words(&["/a", "/b", "/t"]));
    assert_eq!(settings.actions[2].step, Step::Tmpfs { mode: Some(1), size: None });
    assert_eq!(settings.variable("C"), Some(OsStr::new("c")));
    assert_eq!(settings.closed, [7, 8]);
    assert_eq!(settings.command, words(&["x"]));
    assert!(parsed_with(&[(7, b"")], &["--args", "7", "x"]).is_ok());
    let cut = parsed_with(&[(7, b"--dir")], &["--args", "7", "/x"]);
    assert!(matches!(cut, Err(Stop::Fault(..))), "an option and its operands stay together");
}

#[test]
fn the_environment_is_edited_in_order() {
    let settings = parsed(&["--setenv", "C", "c", "--clearenv", "--setenv", "D", "d", "x"]);
    assert_eq!(settings.environment, [("D".into(), "d".into())]);
    let settings = parsed(&["--unsetenv", "A", "--setenv", "B", "x=y", "x"]);
    assert_eq!(settings.environment, [("B".into(), "x=y".into())]);
}

#[test]
fn namespaces_accumulate_and_only_net_is_taken_back() {
    let all = parsed(&["--unshare-all", "x"]);
    assert!(all.ipc && all.pid && all.net && all.uts);
    assert_eq!((all.user, all.cgroup), (Wish::Try, Wish::Try));
    assert!(!parsed(&["--unshare-all", "--share-net", "x"]).net);
    assert!(parsed(&["--share-net", "--unshare-all", "x"]).net);
    assert_eq!(parsed(&["--unshare-user", "--unshare-user-try", "x"]).user, Wish::Yes);
}

#[test]
fn the_last_of_repeated_options_counts() {
    let settings = parsed(&["--chdir", "/a", "--chdir", "/b", "--uid", "1", "--uid", "2", "x"]);
    assert_eq!(settings.directory, Some("/b".into()));
    assert_eq!(settings.uid, Some(2));
    let twice = parsed(&["--cap-add", "CAP_CHOWN", "--cap-drop", "all", "x"]).capabilities;
    assert_eq!(twice, [CapabilityChange::Add(1), CapabilityChange::Drop(capability::ALL)]);
}

#[test]
fn a_level_is_put_in_front_of_what_follows() {
    let Err(Stop::Fault(_, voice)) = parsed_with(&[], &["--level-prefix", "--nope"]) else {
        panic!("an unknown option is refused");
    };
    assert!(voice.level);
}

mod random {
    use super::*;
    use proptest::prelude::*;

    fn some_word() -> impl Strategy<Value = OsString> {
        let known: Vec<&str> = option::OPTIONS.iter().map(|option| option.name).collect();
        prop_oneof![
            4 => proptest::sample::select(known).prop_map(OsString::from),
            2 => proptest::sample::select(vec!["/", "a/../b", "7", "0755", "--", "x=y", ""])
                .prop_map(OsString::from),
            1 => proptest::collection::vec(1_u8.., 0..9).prop_map(OsString::from_vec),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn no_command_line_is_too_odd(
            words in proptest::collection::vec(some_word(), 0..12),
            file in proptest::collection::vec(some_word(), 0..6),
        ) {
            let file: Vec<u8> = file
                .iter()
                .flat_map(|word| [word.as_bytes(), b"\0"].concat())
                .collect();
            let mut fake = Fake([(7, file)].into());
            if let Ok(parsed) = parse(words, Vec::new(), &mut fake) {
                let ids = super::super::super::check::Ids { uid: 5, gid: 5 };
                super::super::super::check::check(parsed, ids).ok();
            }
        }
    }
}

/// A word of a command line: an option, what looks like an operand, or anything.
fn any_word() -> impl proptest::strategy::Strategy<Value = OsString> {
    use proptest::prelude::*;
    let option = (0..option::OPTIONS.len())
        .prop_map(|at| option::OPTIONS.get(at).map_or("--", |option| option.name).into());
    let operand = proptest::sample::select(vec!["--", "9", "10", "/a", "0755", "ALL", "", "x"]);
    prop_oneof![
        4 => option,
        4 => operand.prop_map(OsString::from),
        1 => proptest::collection::vec(1_u8.., 0..6).prop_map(OsString::from_vec),
    ]
}

proptest::proptest! {
    /// Whatever is typed, and whatever is in `--args`, there is an answer; and a command is what
    /// stands at the end of what was typed.
    #[test]
    fn everything_is_answered(
        typed in proptest::collection::vec(any_word(), 0..12),
        read in proptest::collection::vec(any_word(), 0..12),
        garbage: Vec<u8>,
    ) {
        let read: Vec<_> = read.iter().map(|word| word.as_bytes()).collect();
        let files = BTreeMap::from([(9, read.join(&0)), (10, garbage)]);
        if let Ok(parsed) = parse(typed.clone(), Vec::new(), &mut Fake(files)) {
            proptest::prop_assert!(typed.ends_with(&parsed.settings.command));
            let ids = super::super::check::Ids { uid: 7, gid: 7 };
            super::super::check::check(parsed, ids).ok();
        }
    }
}
