// SPDX-License-Identifier: MIT OR Apache-2.0
//! A seccomp program under which no user namespace can be made or entered, for `--disable-userns`
//! where the sandbox has no user namespace of its own whose limit could be set.

use rustix::io::Errno;

use crate::bpf::{
    self, ARCHITECTURE, FIRST_ARGUMENT_LOW, Instruction, NUMBER, RETURN_ALLOW, above, answer,
    jump_if_any, jump_if_equal, load, refuse, when,
};

/// `CLONE_NEWUSER`.
const NEW_USER_NAMESPACE: u32 = 0x1000_0000;

/// The same number on every architecture. Its flags lie in memory, where no program can see them.
const CLONE3: u32 = 435;

/// The numbers of one kind of system call.
struct Abi {
    audit: u32,
    clone: u32,
    unshare: u32,
    setns: u32,
    /// The last number that is not one of another kind with the same `audit` (x32).
    last: u32,
}

#[cfg(target_arch = "x86_64")]
const ABIS: [Abi; 2] = [
    Abi { audit: 0xC000_003E, clone: 56, unshare: 272, setns: 308, last: 0x3FFF_FFFF },
    Abi { audit: 0x4000_0003, clone: 120, unshare: 310, setns: 346, last: u32::MAX },
];

#[cfg(target_arch = "aarch64")]
const ABIS: [Abi; 2] = [
    Abi { audit: 0xC000_00B7, clone: 220, unshare: 97, setns: 268, last: u32::MAX },
    Abi { audit: 0x4000_0028, clone: 120, unshare: 337, setns: 375, last: u32::MAX },
];

#[cfg(target_arch = "riscv64")]
const ABIS: [Abi; 1] =
    [Abi { audit: 0xC000_00F3, clone: 220, unshare: 97, setns: 268, last: u32::MAX }];

/// Refuses the call if its flags ask for a user namespace, with what a limit of 0 is answered with.
fn flags() -> Vec<Instruction> {
    vec![
        load(FIRST_ARGUMENT_LOW),
        jump_if_any(NEW_USER_NAMESPACE, 0, 1),
        refuse(Errno::NOSPC),
        answer(RETURN_ALLOW),
    ]
}

fn rules(abi: &Abi) -> Vec<Instruction> {
    [
        vec![load(NUMBER)],
        above(abi.last, refuse(Errno::NOSYS)),
        // The C library falls back to clone(2).
        vec![jump_if_equal(CLONE3, 0, 1), refuse(Errno::NOSYS)],
        // Entering a namespace takes a capability that the command has not, but for a user namespace
        // that its user owns.
        vec![jump_if_equal(abi.setns, 0, 1), refuse(Errno::PERM)],
        when(abi.unshare, flags()),
        when(abi.clone, flags()),
        vec![answer(RETURN_ALLOW)],
    ]
    .concat()
}

/// The program as the kernel takes it.
pub(crate) fn no_user_namespaces() -> Vec<u8> {
    let mut program = vec![load(ARCHITECTURE)];
    for abi in &ABIS {
        program.extend(when(abi.audit, rules(abi)));
    }
    program.push(refuse(Errno::NOSYS));
    bpf::bytes(program)
}

#[cfg(test)]
#[cfg(feature = "exec")]
mod tests {
    use super::*;
    use crate::seccomp::interpreter::{Answer, Call, run};

    fn answer_to(architecture: u32, number: u32, first: u64) -> Answer {
        let arguments = [first, 0, 0, 0, 0, 0];
        run(&no_user_namespaces(), &Call { number, architecture, arguments })
    }

    #[test]
    fn every_way_to_a_user_namespace_is_closed() {
        let no = |errno: Errno| Answer::Errno(errno.raw_os_error().unsigned_abs());
        let user = u64::from(NEW_USER_NAMESPACE);
        for Abi { audit, clone, unshare, setns, .. } in ABIS {
            for flags in [user, user | 0x2000_0011, user | (1 << 40)] {
                assert_eq!(answer_to(audit, clone, flags), no(Errno::NOSPC));
                assert_eq!(answer_to(audit, unshare, flags), no(Errno::NOSPC));
            }
            assert_eq!(answer_to(audit, clone, 0x11), Answer::Allow);
            assert_eq!(answer_to(audit, unshare, 0x0002_0000), Answer::Allow);
            assert_eq!(answer_to(audit, setns, 7), no(Errno::PERM));
            assert_eq!(answer_to(audit, CLONE3, 7), no(Errno::NOSYS));
            assert_eq!(answer_to(audit, 1, user), Answer::Allow);
        }
        assert_eq!(answer_to(0x1234, 1, 0), no(Errno::NOSYS), "another kind of system call");
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_numbers_of_x32_lead_nowhere() {
        let no = Answer::Errno(Errno::NOSYS.raw_os_error().unsigned_abs());
        assert_eq!(answer_to(0xC000_003E, 0x4000_0000 | 56, u64::from(NEW_USER_NAMESPACE)), no);
    }
}
