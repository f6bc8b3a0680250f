// SPDX-License-Identifier: MIT OR Apache-2.0
//! The seccomp program that is made by hand, without libseccomp.
//!
//! It holds the rules that the library cannot say: system calls newer than its tables (numbers from
//! 424 on are the same on every architecture), "every number above the newest known one", and "any
//! value but these" on the 32 bits that the kernel looks at (T61).

use rustix::io::Errno;

use super::Policy;
use crate::bpf::{
    self, ARCHITECTURE, FIRST_ARGUMENT_LOW, Instruction, NUMBER, RETURN_ALLOW, RETURN_KILL_PROCESS,
    above, answer, jump_if_greater, load, refuse, when,
};

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
const FAMILY_LOCAL: u32 = 1;
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

    let mut families = if policy.only_local { vec![FAMILY_LOCAL] } else { FAMILIES.to_vec() };
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

    bpf::bytes(program)
}
