// SPDX-License-Identifier: MIT OR Apache-2.0
//! Random numbers that are the same in every run, so that a failure can be met again.

/// A xorshift generator.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Any seed but 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap_or(0)
    }

    /// This many bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.roll().to_le_bytes()[3]).collect()
    }

    /// `bytes` after one to four small accidents.
    pub(crate) fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(damaged.len());
            match self.below(5) {
                0 => damaged[at] ^= 1 << self.below(8),
                1 => damaged[at] = self.roll().to_le_bytes()[0],
                2 => {
                    let count = self.below(9);
                    let new = self.bytes(count);
                    drop(damaged.splice(at..at, new));
                }
                3 => {
                    let end = (at + self.below(9)).min(damaged.len());
                    drop(damaged.drain(at..end));
                }
                _ => {
                    let number = [0, 1, 0xff, 1 << 16, 1 << 31, 1 << 40, u64::MAX][self.below(7)];
                    for (place, byte) in damaged.iter_mut().skip(at).zip(number.to_le_bytes()) {
                        *place = byte;
                    }
                }
            }
            if damaged.is_empty() {
                damaged.push(0);
            }
        }
        damaged
    }
}
