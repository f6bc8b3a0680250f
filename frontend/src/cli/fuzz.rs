// SPDX-License-Identifier: MIT OR Apache-2.0
//! Permission words and command lines of `stockade exec` that nobody would type: whatever comes, there
//! is an answer. For how many are tried, and how to see one again, see [`crate::fuzz`].

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::filesystem::token::{self, Place};
use crate::fuzz::{Dice, every};
use crate::home::Name;
use crate::permission::{Device, Feature, Share, Socket};
use crate::systemd::limit::Limit;

/// What plain `cargo test` does.
const BRIEF: Range<u64> = 0..20_000;
const BRIEF_LINES: Range<u64> = 0..1_000;

/// Parts of words that mean something to one reader or another, and what lies beside them.
const PARTS: [&str; 44] = [
    "/",
    "//",
    "~",
    "~/",
    ".",
    "..",
    "/../",
    "/./",
    "a",
    "src",
    "\\",
    "\\:",
    "\\\\",
    ":",
    ":ro",
    ":rw",
    ":create",
    ":reset",
    "::",
    "home",
    "host",
    "host-os",
    "host-etc",
    "host-root",
    "xdg-download",
    "xdg-data",
    "xdg-run",
    "xdg-",
    "!",
    " ",
    "\n",
    "\u{e9}\u{301}",
    "\u{202e}",
    "*",
    "network",
    "x11",
    "all",
    "=",
    "A=b",
    "usb",
    "memory=",
    "cpu=",
    "9",
    "G",
];

/// Options of `stockade exec`, and what looks like one.
const OPTIONS: [&str; 25] = [
    "--share",
    "--unshare",
    "--filesystem",
    "--nofilesystem",
    "--socket",
    "--nosocket",
    "--device",
    "--nodevice",
    "--allow",
    "--disallow",
    "--persist",
    "--env",
    "--unset-env",
    "--clear-env",
    "--name",
    "--project",
    "--cwd",
    "--hostname",
    "--pass-fd",
    "--limit",
    "--allow-tcp-connect",
    "--verbose",
    "--",
    "-",
    "--no-such",
];

fn word(dice: &mut Dice) -> OsString {
    let mut bytes = Vec::new();
    for _ in 0..dice.below(6) {
        match dice.below(12) {
            0 => bytes.extend(dice.bytes(4)),
            1 => bytes.extend(std::iter::repeat_n(b"/.a~:"[dice.below(5)], dice.below(5000))),
            _ => bytes.extend(PARTS[dice.below(PARTS.len())].as_bytes()),
        }
    }
    bytes.retain(|byte| *byte != 0);
    OsString::from_vec(bytes)
}

/// Whether a part of a place leads out of where it begins.
fn leaves(below: &str) -> bool {
    below.starts_with('/') || below.split('/').any(|part| part == "..")
}

/// One word, for every reader. Tells whether it is a place.
fn read_word(number: u64) -> bool {
    let word = word(&mut Dice::new(number));
    let text = |result: Result<(), String>| {
        if let Err(text) = result {
            assert!(!text.is_empty());
        }
    };
    let said = |error: &dyn std::fmt::Display| error.to_string();
    text(Share::parse(&word).map(drop).map_err(|error| said(&error)));
    text(Socket::parse(&word).map(drop).map_err(|error| said(&error)));
    text(Device::parse(&word).map(drop).map_err(|error| said(&error)));
    text(Feature::parse(&word).map(drop).map_err(|error| said(&error)));
    text(Limit::parse(&word).map(drop).map_err(|error| said(&error)));
    text(Name::new(&word).map(drop).map_err(|error| said(&error)));
    match token::parse_persist(&word) {
        Ok(path) => assert!(!leaves(&path), "{path}"),
        Err(error) => text(Err(said(&error))),
    }
    let (place, _) = match token::parse(&word) {
        Ok(parsed) => parsed,
        Err(error) => {
            text(Err(said(&error)));
            return false;
        }
    };
    match &place {
        Place::Path(below)
        | Place::Home(below)
        | Place::UserDirectory(_, below)
        | Place::Data(below)
        | Place::Config(below)
        | Place::Cache(below)
        | Place::Runtime(below) => assert!(!leaves(below), "{below}"),
        Place::Host | Place::HostOs | Place::HostEtc | Place::HostRoot => {}
    }
    // What it is called leads back to it.
    let again = token::parse(OsStr::from_bytes(place.to_string().as_bytes()));
    assert_eq!(again.ok().map(|(again, _)| again), Some(place));
    true
}

/// One command line. Tells whether it is one.
fn read_line(number: u64) -> bool {
    let mut dice = Dice::new(number);
    let mut words: Vec<OsString> = vec!["stockade".into(), "exec".into()];
    for _ in 0..dice.below(10) {
        if dice.below(3) > 0 {
            words.push(OPTIONS[dice.below(OPTIONS.len())].into());
        }
        if dice.below(3) > 0 {
            words.push(word(&mut dice));
        }
    }
    let Ok(matches) = super::command().try_get_matches_from(&words) else { return false };
    let Some(("exec", matches)) = matches.subcommand() else { return false };
    match super::exec::read(matches) {
        Ok(arguments) => {
            assert!(words.ends_with(&arguments.options.command));
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn every_permission_word_is_answered() {
    every(BRIEF, "places", read_word);
}

#[test]
fn every_command_line_is_answered() {
    every(BRIEF_LINES, "commands", read_line);
}
