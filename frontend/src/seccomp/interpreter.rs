// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs a seccomp program as the kernel would, for tests.
//!
//! Knows the instructions that the kernel allows in such programs; anything else, a jump beyond
//! the end or a missing answer is a failed test.

/// A system call as a program sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) number: u32,
    pub(crate) architecture: u32,
    pub(crate) arguments: [u64; 6],
}

/// An answer; the greater one is stricter and wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Answer {
    Allow,
    Errno(u32),
    Kill,
}

/// `struct seccomp_data` in the byte order of the machine.
fn data(call: &Call) -> Vec<u8> {
    let mut data = Vec::with_capacity(64);
    data.extend(call.number.to_ne_bytes());
    data.extend(call.architecture.to_ne_bytes());
    data.extend(0_u64.to_ne_bytes());
    for argument in call.arguments {
        data.extend(argument.to_ne_bytes());
    }
    data
}

/// The answer of `program` to `call`.
pub(crate) fn run(program: &[u8], call: &Call) -> Answer {
    let data = data(call);
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    let mut memory = [0_u32; 16];
    loop {
        let raw = program.chunks_exact(8).nth(at).expect("a jump leaves the program");
        let code = u16::from_ne_bytes([raw[0], raw[1]]);
        let (yes, no) = (usize::from(raw[2]), usize::from(raw[3]));
        let k = u32::from_ne_bytes([raw[4], raw[5], raw[6], raw[7]]);
        let slot = k as usize;
        at = at.saturating_add(1);
        let mut branch = |taken: bool| at = at.saturating_add(if taken { yes } else { no });
        match code {
            0x20 => {
                assert!(slot.is_multiple_of(4), "loads are aligned");
                let word = data.chunks_exact(4).nth(slot / 4).expect("a load leaves the data");
                a = u32::from_ne_bytes(word.try_into().unwrap());
            }
            0x00 => a = k,
            0x01 => x = k,
            0x60 => a = memory[slot],
            0x61 => x = memory[slot],
            0x02 => memory[slot] = a,
            0x03 => memory[slot] = x,
            0x07 => x = a,
            0x87 => a = x,
            0x04 => a = a.wrapping_add(k),
            0x14 => a = a.wrapping_sub(k),
            0x44 => a |= k,
            0x54 => a &= k,
            0x64 => a = a.checked_shl(k).unwrap_or(0),
            0x74 => a = a.checked_shr(k).unwrap_or(0),
            0x05 => at = at.saturating_add(slot),
            0x15 => branch(a == k),
            0x25 => branch(a > k),
            0x35 => branch(a >= k),
            0x45 => branch(a & k != 0),
            0x1D => branch(a == x),
            0x06 | 0x16 => {
                let value = if code == 0x06 { k } else { a };
                return match value & 0xFFFF_0000 {
                    0x7FFF_0000 => Answer::Allow,
                    0x0005_0000 => Answer::Errno(value & 0xFFFF),
                    0x8000_0000 => Answer::Kill,
                    other => panic!("an answer that nobody asked for: {other:x}"),
                };
            }
            other => panic!("an instruction that is not expected: {other:x}"),
        }
    }
}
