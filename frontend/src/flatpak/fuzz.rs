// SPDX-License-Identifier: MIT OR Apache-2.0
//! Metadata and overrides that nobody would write: whatever comes, there is an answer, and what was
//! understood is what people are shown. For how many are tried, and how to see one again, see
//! [`crate::fuzz`].

use std::ops::Range;

use super::context::condition::Conditions;
use super::context::{Context, Form};
use super::extension::point::Point;
use super::metadata::Metadata;
use super::reference::{Branch, Kind};
use crate::fuzz::{Dice, every};
use crate::keyfile::KeyFile;
use crate::message::is_hidden;

/// What plain `cargo test` does.
const BRIEF: Range<u64> = 0..20_000;

/// Groups with the keys that mean something in them.
const GROUPS: [(&str, &[&str]); 12] = [
    (
        "Context",
        &[
            "shared",
            "sockets",
            "devices",
            "features",
            "filesystems",
            "persistent",
            "unset-environment",
        ],
    ),
    ("Environment", &["PATH", "A", "a b", "LD_PRELOAD"]),
    ("Session Bus Policy", &["org.a.B", "org.a.*", "a", ":1.2"]),
    ("System Bus Policy", &["org.a.B", "org.a.B.*"]),
    ("Accessibility Bus Policy", &["org.a.B"]),
    ("Policy a", &["key", "k.k"]),
    ("Policy ", &["key"]),
    ("USB Devices", &["enumerable-devices", "hidden-devices"]),
    ("Application", &["name", "runtime", "sdk", "command"]),
    ("Runtime", &["name", "runtime", "sdk"]),
    (
        "Extension org.a.B",
        &[
            "directory",
            "version",
            "versions",
            "subdirectories",
            "subdirectory-suffix",
            "add-ld-path",
            "merge-dirs",
            "enable-if",
        ],
    ),
    ("Extension org.a.B@tag", &["directory", "version"]),
];

/// Items of lists, and parts of them.
const PARTS: [&str; 56] = [
    ";",
    "!",
    "!;",
    "\\;",
    "\\s",
    "\\n",
    "\\t",
    "\\\\",
    "\\",
    "\\q",
    "=",
    " ",
    "\t",
    "\r",
    "\n",
    "[",
    "]",
    "#",
    "network",
    "ipc",
    "x11",
    "fallback-x11",
    "wayland",
    "session-bus",
    "all",
    "dri",
    "devel",
    "per-app-dev-shm",
    "if:x11:",
    "if:",
    "has-wayland",
    "true",
    "false",
    "home",
    "host",
    "host:reset",
    "~/a",
    "~/",
    "/a",
    "..",
    "xdg-download/b",
    "xdg-run/c",
    ":ro",
    ":create",
    ":rw",
    "talk",
    "own",
    "see",
    "none",
    "org.a.P/x86_64/1",
    "vnd:1234",
    "+dev:",
    "cls:06:*",
    "\u{202e}",
    "\u{1b}[2K",
    "\u{e9}\u{301}",
];

fn value(dice: &mut Dice, text: &mut Vec<u8>) {
    for _ in 0..dice.below(7) {
        match dice.below(40) {
            0 => text.extend(dice.bytes(4)),
            1 => text.extend(std::iter::repeat_n(b";!/.a"[dice.below(5)], dice.below(3000))),
            2..20 => {
                text.extend(PARTS[dice.below(PARTS.len())].as_bytes());
                text.push(b';');
            }
            _ => text.extend(PARTS[dice.below(PARTS.len())].as_bytes()),
        }
    }
}

/// A file: mostly what metadata consist of, with mistakes in it.
fn file(dice: &mut Dice) -> Vec<u8> {
    let mut text = Vec::new();
    for _ in 0..dice.below(6) {
        let (group, keys) = GROUPS[dice.below(GROUPS.len())];
        text.extend(format!("[{group}]").as_bytes());
        for _ in 0..dice.below(6) {
            text.extend(if dice.below(10) == 0 { &b"\r\n"[..] } else { b"\n" });
            match dice.below(60) {
                0 => text.extend(dice.bytes(10)),
                1 => text.extend(b"# comment"),
                2 => value(dice, &mut text),
                _ => {
                    text.extend(keys[dice.below(keys.len())].as_bytes());
                    text.extend([&b"="[..], b" = ", b"[de]="][dice.below(3)]);
                    value(dice, &mut text);
                }
            }
        }
        text.push(b'\n');
    }
    // A part of what was meant, or a byte that was not.
    if dice.below(20) == 0 {
        text.truncate(dice.below(text.len()));
    }
    if dice.below(20) == 0 && !text.is_empty() {
        let place = dice.below(text.len());
        text[place] = dice.bytes(1).first().copied().unwrap_or(b'\n');
    }
    text
}

/// What it says of itself.
fn describe(file: &KeyFile) {
    for kind in [Kind::App, Kind::Runtime] {
        if let Err(error) = Metadata::read(kind, file) {
            assert!(!error.to_string().is_empty());
        }
    }
    let branch = Branch::new("stable").unwrap();
    for point in Point::all(file, &branch, &mut Vec::new()) {
        let directory = point.directory.as_path();
        assert!(directory.is_relative() && !directory.starts_with(".."), "{directory:?}");
    }
}

/// A layer by itself and above another one: written down, it is read again as it is.
fn permit(context: &Context) {
    let written = |form| {
        let mut file = KeyFile::default();
        context.write(&mut file, form);
        let again = KeyFile::parse(file.to_string().as_bytes()).unwrap();
        assert_eq!(again, file);
        Context::read(&again).unwrap()
    };
    let (again, notices) = written(Form::Stored);
    assert_eq!((&again, notices.as_slice()), (context, &[][..]));
    let (flattened, _) = written(Form::Flattened);
    let shown = context.shown();
    assert!(!shown.contains(|c| c != '\n' && is_hidden(c)), "{shown}");
    for session in &Conditions::ALL {
        // What is shown is what counts (T70).
        assert_eq!(flattened.resolve(session), context.resolve(session));
        let left = context.clone().sandboxed().resolve(session).permissions;
        assert!(left.filesystems.is_empty() && left.sockets.is_empty() && left.shares.is_empty());
    }
}

/// One file. Tells whether it has permissions that can be used.
fn read(number: u64) -> bool {
    let mut dice = Dice::new(number);
    let mut layers = Vec::new();
    for _ in 0..2 {
        let bytes = file(&mut dice);
        let file = match KeyFile::parse(&bytes) {
            Ok(file) => file,
            Err(error) => {
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let again = KeyFile::parse(file.to_string().as_bytes()).unwrap();
        // A value that ends like a line loses that.
        if !bytes.windows(2).any(|two| two == b"\r\r") {
            assert_eq!(again, file);
        }
        describe(&file);
        match Context::read(&file) {
            Ok((context, _)) => {
                permit(&context);
                layers.push(context);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    let is_read = layers.iter().any(|context| *context != Context::default());
    let mut layers = layers.into_iter();
    if let (Some(mut lower), Some(upper)) = (layers.next(), layers.next()) {
        let before = lower.clone();
        lower.merge(&Context::default());
        assert_eq!(lower, before, "a layer that says nothing changes nothing");
        lower.merge(&upper);
        permit(&lower);
    }
    is_read
}

#[test]
fn every_file_is_answered() {
    every(BRIEF, "with permissions", read);
}
