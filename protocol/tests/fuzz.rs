// SPDX-License-Identifier: MIT OR Apache-2.0
//! Messages that no frontend would send: whatever comes, there is an answer, and only one encoding of
//! it is taken (I10).
//!
//! `cargo test` tries a few thousand, `make fuzz-decoder` as many as are asked for. A case is made
//! from its number alone: `STOCKADE_FUZZ=NUMBER+1` shows one again.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::tests_outside_test_module,
    reason = "this is a test"
)]

use std::ops::Range;
use std::panic::catch_unwind;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use stockade_protocol::{Header, check, codec};

/// `FIRST+COUNT` or `COUNT`.
const VARIABLE: &str = "STOCKADE_FUZZ";

/// What plain `cargo test` does.
const BRIEF: Range<u64> = 0..50_000;

/// What the cases are made from, requests first.
const MESSAGES: [&[u8]; 10] = [
    include_bytes!("golden/request-fullest.bin"),
    include_bytes!("golden/request-session.bin"),
    include_bytes!("golden/request-given.bin"),
    include_bytes!("golden/request-overlays.bin"),
    include_bytes!("golden/request-smallest.bin"),
    include_bytes!("golden/event-failed-last-variants.bin"),
    include_bytes!("golden/event-started.bin"),
    include_bytes!("golden/event-refused-text.bin"),
    include_bytes!("golden/event-missing-namespace.bin"),
    include_bytes!("golden/header.bin"),
];

/// Bytes that mean something: small tags and lengths, and bincode's marks for longer numbers.
const MARKS: [u8; 12] = [0, 1, 2, 3, 24, 127, 128, 250, 251, 252, 253, 255];

struct Dice(TestRng);

impl Dice {
    fn new(number: u64) -> Self {
        let seed = [number.to_le_bytes(), (!number).to_le_bytes()].concat();
        Self(TestRng::from_seed(RngAlgorithm::XorShift, &seed))
    }

    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(u64::from(self.0.next_u32()) % end).unwrap()
    }

    fn byte(&mut self) -> u8 {
        if self.below(2) == 0 {
            MARKS[self.below(MARKS.len())]
        } else {
            self.0.next_u32().to_le_bytes()[0]
        }
    }

    fn message(&mut self) -> &'static [u8] {
        // The requests are what a hostile caller sends.
        let requests = self.below(8) < 6;
        MESSAGES[if requests { self.below(5) } else { self.below(MESSAGES.len()) }]
    }

    fn piece(&mut self, of: &[u8]) -> Range<usize> {
        let start = self.below(of.len());
        start..(start + self.below(24)).min(of.len())
    }
}

/// A message with something wrong.
fn message(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = dice.message().to_vec();
    // Few at a time, or none would get far.
    let most = dice.below(4) + 1;
    for _ in 0..=dice.below(most) {
        if bytes.is_empty() {
            break;
        }
        let at = dice.below(bytes.len());
        match dice.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(dice.piece(&bytes))),
            2 => {
                let other = dice.message();
                let piece = dice.piece(other);
                drop(bytes.splice(at..at, other[piece].iter().copied()));
            }
            3 => {
                let again = bytes[dice.piece(&bytes)].to_vec();
                drop(bytes.splice(at..at, again));
            }
            4 => bytes[at] = bytes[at].wrapping_add(1),
            5 => bytes[at] = bytes[at].wrapping_sub(1),
            6 => bytes.insert(at, dice.byte()),
            _ => bytes[at] = dice.byte(),
        }
    }
    bytes
}

/// Gives whether it is a request that the helper would begin to build.
fn run(number: u64) -> bool {
    let dice = &mut Dice::new(number);
    let bytes = message(dice);
    if let Ok(event) = codec::decode_event(&bytes) {
        assert_eq!(codec::encode_event(&event).unwrap(), bytes);
    }
    if let Some(Ok(header)) = bytes.first_chunk().map(Header::from_bytes) {
        assert!(bytes.starts_with(&header.to_bytes()));
    }
    let Ok(request) = codec::decode_request(&bytes) else { return false };
    assert_eq!(codec::encode_request(&request).unwrap(), bytes);
    let descriptors = dice.below(12);
    check(request, descriptors).is_ok()
}

fn asked() -> Range<u64> {
    let Ok(asked) = std::env::var(VARIABLE) else { return BRIEF };
    let (first, count) = asked.split_once('+').unwrap_or(("0", &asked));
    let number = |text: &str| text.parse::<u64>().expect("STOCKADE_FUZZ is COUNT or FIRST+COUNT");
    number(first)..number(first) + number(count)
}

#[test]
fn every_message_is_answered() {
    let cases = asked();
    let mut built: u64 = 0;
    for number in cases.clone() {
        match catch_unwind(|| run(number)) {
            Ok(accepted) => built += u64::from(accepted),
            Err(panic) => {
                eprintln!("case {number}: {VARIABLE}={number}+1");
                std::panic::resume_unwind(panic);
            }
        }
    }
    eprintln!("{} cases from {}, {built} of them requests", cases.end - cases.start, cases.start);
}
