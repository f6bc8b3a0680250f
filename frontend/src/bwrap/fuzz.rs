// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines and contents of `--args` that nobody would type: whatever comes, there is an answer.
//!
//! For how many are tried, and how to see one again, see [`crate::fuzz`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;

use super::check::{self, Ids};
use super::descriptors::Descriptors;
use super::parse::{Stop, parse};
use super::{destination, hidden, option};
use crate::fuzz::{Dice, every};

/// What plain `cargo test` does.
const BRIEF: Range<u64> = 0..20_000;

/// Where `--args`, `--seccomp` and the like find something.
const FILES: [u32; 3] = [7, 8, 9];

/// Operands that mean something to one option or another, and what lies beside them.
const OPERANDS: [&str; 36] = [
    "--",
    "",
    "/",
    "/a",
    "/dev",
    "/dev/dri",
    "/proc",
    "//a/../b/./c",
    "..",
    "a/b",
    "/a/",
    "x=y",
    "=",
    "A",
    "PATH",
    "7",
    "8",
    "9",
    "0",
    "-0",
    "+7",
    " 7",
    "2147483647",
    "2147483648",
    "-1",
    "18446744073709551616",
    "0755",
    "07777",
    "10000",
    "0x10",
    "08",
    "all",
    "CAP_CHOWN",
    "cap_nope",
    "host-1",
    "\u{e9}\u{301}",
];

/// Words from chance.
struct Words(Dice);

impl Words {
    /// A word without NUL: those of a command line have none.
    fn word(&mut self) -> OsString {
        let mut word = match self.0.below(16) {
            0 => self.0.bytes(12),
            1 => vec![b"/a-.=0"[self.0.below(6)]; self.0.below(5000)],
            2..4 => {
                // An option with something wrong.
                let mut name = self.option().name.as_bytes().to_vec();
                let at = self.0.below(name.len());
                match self.0.below(3) {
                    0 => name.truncate(at),
                    1 => name[at] = u8::try_from(self.0.next() & 0xff).unwrap(),
                    _ => name.extend(self.0.bytes(4)),
                }
                name
            }
            4..8 => self.option().name.as_bytes().to_vec(),
            _ => OPERANDS[self.0.below(OPERANDS.len())].as_bytes().to_vec(),
        };
        word.retain(|byte| *byte != 0);
        OsString::from_vec(word)
    }

    fn option(&mut self) -> &'static option::Spelling {
        &option::OPTIONS[self.0.below(option::OPTIONS.len())]
    }

    /// Options that mostly have the operands they need, and so lead far into the parser.
    fn words(&mut self, most: usize) -> Vec<OsString> {
        let mut words = Vec::new();
        for _ in 0..self.0.below(most.saturating_add(1)) {
            if self.0.below(8) == 0 {
                words.push(self.word());
                continue;
            }
            let option = self.option();
            words.push(option.name.into());
            for _ in option.operands {
                let operand = if self.0.below(8) == 0 {
                    self.word()
                } else {
                    OPERANDS[self.0.below(OPERANDS.len())].into()
                };
                words.push(operand);
            }
        }
        words
    }
}

struct Files(BTreeMap<u32, Vec<u8>>);

impl Descriptors for Files {
    fn read(&mut self, number: u32) -> Result<Vec<u8>, Errno> {
        self.0.remove(&number).ok_or(Errno::BADF)
    }
}

/// One case: parses, checks, and looks at every destination. Nothing of the host is touched. Tells
/// whether it would have been a sandbox.
fn run(number: u64) -> bool {
    let mut words = Words(Dice::new(number));
    let typed = words.words(12);
    let files = FILES.map(|file| {
        let content = match words.0.below(4) {
            0 => words.0.bytes(200),
            _ => {
                let some = words.words(10);
                let some: Vec<&[u8]> = some.iter().map(|word| word.as_bytes()).collect();
                some.join(&0)
            }
        };
        (file, content)
    });
    let environment = vec![("PATH".into(), "/bin".into()), ("A".into(), "a".into())];
    let parsed = match parse(typed.clone(), environment, &mut Files(files.into())) {
        Ok(parsed) => parsed,
        Err(Stop::Fault(fault, _)) => {
            assert!(!fault.text().is_empty());
            return false;
        }
        Err(Stop::Help | Stop::Version) => return false,
    };
    assert!(typed.ends_with(&parsed.settings.command));
    let uid = if words.0.below(2) == 0 { 1000 } else { 0 };
    let Ok(Some(settings)) = check::check(parsed, Ids { uid, gid: uid }) else {
        return false;
    };
    hidden::check(&settings.actions).ok();
    for action in &settings.actions {
        if let Ok(place) = destination::destination(&action.destination, 0o640) {
            assert!(place.path.as_bytes().starts_with(b"/"));
        }
    }
    true
}

#[test]
fn every_command_line_is_answered() {
    every(BRIEF, "sandboxes", run);
}
