// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seccomp program that is made by hand, without libseccomp.
//!
//! It holds the rules that the library cannot say: system calls newer than its tables (numbers from
//! 424 on are the same on every architecture), "every number above the newest known one", and "any
//! value but these" on the 32 bits that the kernel looks at (T61).

use rustix::io::Errno;

use super::Policy;

/// The newest system call this file was reviewed against: `file_setattr` of Linux 6.17. A higher
/// number does not exist yet and is refused until someone has looked at it (T63).
pub(super) const NEWEST: u32 = 469;

/// System calls that are answered with `ENOSYS`, so that libraries fall back (R172).
pub(super) const ABSENT: [u32; 9] = [
    428, // open_tree
    429, // move_mount
    430, // fsopen
    431, // fsconfig
    432, // fsmount
    433, // fspick
    435, // clone3: its flags lie in memory, where no filter can see CLONE_NEWUSER
    442, // mount_setattr
    467, // open_tree_attr
];

/// Socket families that are always allowed (R175): unspecified, local, IPv4, IPv6, netlink.
const FAMILIES: [u32; 5] = [0, 1, 2, 10, 16];
const FAMILY_CAN: u32 = 29;
const FAMILY_BLUETOOTH: u32 = 31;

/// What the rules need to know about one kind of system call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Abi {
    /// `AUDIT_ARCH_*`.
    pub(super) audit: u32,
    pub(super) socket: u32,
    pub(super) personality: u32,
    /// The old way to every socket call, whose arguments lie in memory.
    pub(super) socketcall: Option<u32>,
    /// Private calls of 32-bit ARM far above all others: `cacheflush`, `set_tls`, …
    pub(super) private: Option<(u32, u32)>,
}

#[cfg(target_arch = "x86_64")]
mod machine {
    use super::Abi;
    pub(in super::super) const NATIVE: Abi =
        Abi { audit: 0xC000_003E, socket: 41, personality: 135, socketcall: None, private: None };
    pub(in super::super) const COMPAT: Option<Abi> = Some(Abi {
        audit: 0x4000_0003,
        socket: 359,
        personality: 136,
        socketcall: Some(102),
        private: None,
    });
}

#[cfg(target_arch = "aarch64")]
mod machine {
    use super::Abi;
    pub(in super::super) const NATIVE: Abi =
        Abi { audit: 0xC000_00B7, socket: 198, personality: 92, socketcall: None, private: None };
    pub(in super::super) const COMPAT: Option<Abi> = Some(Abi {
        audit: 0x4000_0028,
        socket: 281,
        personality: 136,
        socketcall: None,
        private: Some((0xF_0000, 0xF_FFFF)),
    });
}

#[cfg(target_arch = "riscv64")]
mod machine {
    use super::Abi;
    pub(in super::super) const NATIVE: Abi =
        Abi { audit: 0xC000_00F3, socket: 198, personality: 92, socketcall: None, private: None };
    pub(in super::super) const COMPAT: Option<Abi> = None;
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
compile_error!("the system call numbers of this architecture are not in seccomp/handmade.rs");

pub(super) use machine::{COMPAT, NATIVE};

/// One BPF instruction, `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

/// Bytes of `struct seccomp_data` that are looked at. All supported machines are little-endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT_LOW: u32 = 16;

const RETURN_ALLOW: u32 = 0x7FFF_0000;
const RETURN_ERRNO: u32 = 0x0005_0000;
const RETURN_KILL_PROCESS: u32 = 0x8000_0000;

const fn load(offset: u32) -> Instruction {
    Instruction { code: 0x20, jump_true: 0, jump_false: 0, k: offset }
}

const fn jump(distance: u32) -> Instruction {
    Instruction { code: 0x05, jump_true: 0, jump_false: 0, k: distance }
}

const fn jump_if_equal(k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x15, jump_true, jump_false, k }
}

const fn jump_if_greater(k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code: 0x25, jump_true, jump_false, k }
}

const fn answer(k: u32) -> Instruction {
    Instruction { code: 0x06, jump_true: 0, jump_false: 0, k }
}

fn refuse(errno: Errno) -> Instruction {
    answer(RETURN_ERRNO | errno.raw_os_error().unsigned_abs())
}

/// `body`, which must end in an answer, where the accumulator is `k`; otherwise it is jumped over.
fn when(k: u32, body: Vec<Instruction>) -> Vec<Instruction> {
    // A distance that is no u32 cannot occur; the kernel would refuse the program.
    let over = jump(u32::try_from(body.len()).unwrap_or(u32::MAX));
    [vec![jump_if_equal(k, 1, 0), over], body].concat()
}

/// An answer where the accumulator is above `k`.
fn above(k: u32, then: Instruction) -> Vec<Instruction> {
    vec![jump_if_greater(k, 0, 1), then]
}

/// The rules for one architecture.
fn rules(abi: &Abi, policy: &Policy) -> Vec<Instruction> {
    let mut program = vec![load(NUMBER)];
    if let Some((first, last)) = abi.private {
        program.extend([
            jump_if_greater(last, 2, 0),
            jump_if_greater(first.saturating_sub(1), 0, 1),
            answer(RETURN_ALLOW),
        ]);
    }
    program.extend(above(NEWEST, refuse(Errno::NOSYS)));
    for number in ABSENT {
        program.extend(when(number, vec![refuse(Errno::NOSYS)]));
    }

    let mut families = FAMILIES.to_vec();
    families.extend(policy.canbus.then_some(FAMILY_CAN));
    families.extend(policy.bluetooth.then_some(FAMILY_BLUETOOTH));
    let mut socket = vec![load(FIRST_ARGUMENT_LOW)];
    for family in families {
        socket.extend(when(family, vec![answer(RETURN_ALLOW)]));
    }
    socket.push(refuse(Errno::AFNOSUPPORT));
    program.extend(when(abi.socket, socket));

    // R177: the family of a socket made this way cannot be seen. `ipc`, the other call of this
    // kind, leads to nothing that is refused and stays.
    if let Some(socketcall) = abi.socketcall {
        program.extend(when(socketcall, vec![refuse(Errno::PERM)]));
    }

    if !policy.devel {
        let linux = when(0, vec![answer(RETURN_ALLOW)]);
        let body = [vec![load(FIRST_ARGUMENT_LOW)], linux, vec![refuse(Errno::PERM)]].concat();
        program.extend(when(abi.personality, body));
    }
    program.push(answer(RETURN_ALLOW));
    program
}

/// The program as the kernel takes it.
pub(super) fn program(policy: &Policy) -> Vec<u8> {
    let mut program = vec![load(ARCHITECTURE)];
    program.extend(when(NATIVE.audit, rules(&NATIVE, policy)));
    if let Some(compat) = COMPAT.filter(|_| policy.multiarch) {
        program.extend(when(compat.audit, rules(&compat, policy)));
    }
    program.push(answer(RETURN_KILL_PROCESS));

    program
        .into_iter()
        .flat_map(|instruction| {
            let [c0, c1] = instruction.code.to_ne_bytes();
            let [k0, k1, k2, k3] = instruction.k.to_ne_bytes();
            [c0, c1, instruction.jump_true, instruction.jump_false, k0, k1, k2, k3]
        })
        .collect()
}
