// SPDX-License-Identifier: MIT OR Apache-2.0
//! Command lines and contents of `--args` that nobody would type: whatever comes, there is an answer.
//!
//! `cargo test` tries a few thousand, `make fuzz-args` as many as are asked for. A case is made from
//! its number alone, so the number that a failure names is enough to see it again:
//! `STOCKADE_FUZZ=NUMBER+1`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use rustix::io::Errno;

use super::check::{self, Ids};
use super::descriptors::Descriptors;
use super::parse::{Stop, parse};
use super::{destination, hidden, option};

/// `FIRST+COUNT` or `COUNT`.
const VARIABLE: &str = "STOCKADE_FUZZ";

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

/// SplitMix64, of which any seed is as good as another.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next().checked_rem(end).unwrap()).unwrap()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most.saturating_add(1)))
            .map(|_| u8::try_from(self.next() & 0xff).unwrap())
            .collect()
    }

    /// A word without NUL: those of a command line have none.
    fn word(&mut self) -> OsString {
        let mut word = match self.below(16) {
            0 => self.bytes(12),
            1 => vec![b"/a-.=0"[self.below(6)]; self.below(5000)],
            2..4 => {
                // An option with something wrong.
                let mut name = self.option().name.as_bytes().to_vec();
                let at = self.below(name.len());
                match self.below(3) {
                    0 => name.truncate(at),
                    1 => name[at] = u8::try_from(self.next() & 0xff).unwrap(),
                    _ => name.extend(self.bytes(4)),
                }
                name
            }
            4..8 => self.option().name.as_bytes().to_vec(),
            _ => OPERANDS[self.below(OPERANDS.len())].as_bytes().to_vec(),
        };
        word.retain(|byte| *byte != 0);
        OsString::from_vec(word)
    }

    fn option(&mut self) -> &'static option::Spelling {
        &option::OPTIONS[self.below(option::OPTIONS.len())]
    }

    /// Options that mostly have the operands they need, and so lead far into the parser.
    fn words(&mut self, most: usize) -> Vec<OsString> {
        let mut words = Vec::new();
        for _ in 0..self.below(most.saturating_add(1)) {
            if self.below(8) == 0 {
                words.push(self.word());
                continue;
            }
            let option = self.option();
            words.push(option.name.into());
            for _ in option.operands {
                let operand = if self.below(8) == 0 {
                    self.word()
                } else {
                    OPERANDS[self.below(OPERANDS.len())].into()
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
    let mut dice = Dice(number);
    let typed = dice.words(12);
    let files = FILES.map(|file| {
        let content = match dice.below(4) {
            0 => dice.bytes(200),
            _ => {
                let words = dice.words(10);
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                words.join(&0)
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
    let uid = if dice.below(2) == 0 { 1000 } else { 0 };
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

fn asked() -> Range<u64> {
    let Ok(asked) = std::env::var(VARIABLE) else { return BRIEF };
    let (first, count) = asked.split_once('+').unwrap_or(("0", &asked));
    let number = |text: &str| text.parse::<u64>().expect("STOCKADE_FUZZ is COUNT or FIRST+COUNT");
    number(first)..number(first).saturating_add(number(count))
}

/// Shown by `cargo test -- --nocapture`.
fn report(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}

#[test]
fn every_command_line_is_answered() {
    let cases = asked();
    let mut sandboxes: u64 = 0;
    for number in cases.clone() {
        match std::panic::catch_unwind(|| run(number)) {
            Ok(sandbox) => sandboxes += u64::from(sandbox),
            Err(panic) => {
                report(&format!("case {number}: {VARIABLE}={number}+1"));
                std::panic::resume_unwind(panic);
            }
        }
    }
    let count = cases.end.saturating_sub(cases.start);
    report(&format!("{count} cases from {}, {sandboxes} of them sandboxes", cases.start));
}
