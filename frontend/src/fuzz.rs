// SPDX-License-Identifier: MIT OR Apache-2.0
//! Input from chance, for what reads what people and programs type.
//!
//! `cargo test` tries a few thousand cases, `make fuzz-args` as many as are asked for. A case is made
//! from its number alone, so the number that a failure names is enough to see it again:
//! `STOCKADE_FUZZ=NUMBER+1`.

use std::io::Write as _;
use std::ops::Range;

/// `FIRST+COUNT` or `COUNT`.
const VARIABLE: &str = "STOCKADE_FUZZ";

/// SplitMix64, of which any seed is as good as another.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(number: u64) -> Self {
        Self(number)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from(self.next().checked_rem(end).unwrap()).unwrap()
    }

    pub(crate) fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most.saturating_add(1)))
            .map(|_| u8::try_from(self.next() & 0xff).unwrap())
            .collect()
    }
}

/// Runs the cases that were asked for, or else these. `run` tells whether one came through; what did
/// are `called` so.
pub(crate) fn every(brief: Range<u64>, called: &str, run: fn(u64) -> bool) {
    let cases = asked().unwrap_or(brief);
    let mut through: u64 = 0;
    for number in cases.clone() {
        match std::panic::catch_unwind(|| run(number)) {
            Ok(came) => through = through.saturating_add(u64::from(came)),
            Err(panic) => {
                report(&format!("case {number}: {VARIABLE}={number}+1"));
                std::panic::resume_unwind(panic);
            }
        }
    }
    let count = cases.end.saturating_sub(cases.start);
    report(&format!("{count} cases from {}, {through} of them {called}", cases.start));
}

fn asked() -> Option<Range<u64>> {
    let asked = std::env::var(VARIABLE).ok()?;
    let (first, count) = asked.split_once('+').unwrap_or(("0", &asked));
    let number = |text: &str| text.parse::<u64>().expect("STOCKADE_FUZZ is COUNT or FIRST+COUNT");
    Some(number(first)..number(first).saturating_add(number(count)))
}

/// Shown by `cargo test -- --nocapture`.
fn report(text: &str) {
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
