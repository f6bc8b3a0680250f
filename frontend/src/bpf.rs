// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seccomp programs that are put together by hand.

use rustix::io::Errno;

/// One BPF instruction, `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

/// Bytes of `struct seccomp_data` that are looked at. All supported machines are little-endian.
pub(crate) const NUMBER: u32 = 0;
pub(crate) const ARCHITECTURE: u32 = 4;
pub(crate) const FIRST_ARGUMENT_LOW: u32 = 16;

pub(crate) const RETURN_ALLOW: u32 = 0x7FFF_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
#[cfg(feature = "exec")]
pub(crate) const RETURN_KILL_PROCESS: u32 = 0x8000_0000;

pub(crate) const fn load(offset: u32) -> Instruction {
    Instruction { code: 0x20, jump_true: 0, jump_false: 0, k: offset }
}

const fn jump(distance: u32) -> Instruction {
    Instruction { code: 0x05, jump_true: 0, jump_false: 0, k: distance }
}

pub(crate) const fn jump_if_equal(k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x15, jump_true, jump_false, k }
}

pub(crate) const fn jump_if_greater(k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x25, jump_true, jump_false, k }
}

/// Jumps where the accumulator has one of the bits of `k`.
pub(crate) const fn jump_if_any(k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x45, jump_true, jump_false, k }
}

pub(crate) const fn answer(k: u32) -> Instruction {
    Instruction { code: 0x06, jump_true: 0, jump_false: 0, k }
}

pub(crate) fn refuse(errno: Errno) -> Instruction {
    answer(RETURN_ERRNO | errno.raw_os_error().unsigned_abs())
}

/// `body`, which must end in an answer, where the accumulator is `k`; otherwise it is jumped over.
pub(crate) fn when(k: u32, body: Vec<Instruction>) -> Vec<Instruction> {
    // A distance that is no u32 cannot occur; the kernel would refuse the program.
    let over = jump(u32::try_from(body.len()).unwrap_or(u32::MAX));
    [vec![jump_if_equal(k, 1, 0), over], body].concat()
}

/// An answer where the accumulator is above `k`.
pub(crate) fn above(k: u32, then: Instruction) -> Vec<Instruction> {
    vec![jump_if_greater(k, 0, 1), then]
}

/// The program as the kernel takes it.
pub(crate) fn bytes(program: Vec<Instruction>) -> Vec<u8> {
    program
        .into_iter()
        .flat_map(|instruction| {
            let [c0, c1] = instruction.code.to_ne_bytes();
            let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
            [c0, c1, instruction.jump_true, instruction.jump_false, k0, k1, k2, k3]
        })
        .collect()
}
