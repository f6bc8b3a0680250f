// SPDX-License-Identifier: MIT OR Apache-2.0
//! The system call filter of the payload: a list of refusals (flatpak-run.md section 14).
//!
//! Two programs, the stricter answer of which counts: one that libseccomp compiles from names, and
//! one made by hand (`handmade.rs`) for what the library cannot say. Together they also make new
//! user namespaces impossible, on which the protection rests where the helper has privilege (T57).

mod handmade;
#[cfg(test)]
pub(crate) mod interpreter;

use std::collections::BTreeSet;
use std::io::Read as _;

use libseccomp::error::SeccompError as LibraryError;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall,
};
use rustix::io::Errno;
use rustix::pipe::PipeFlags;
use stockade_protocol::text::{Filter, TextFault};

use crate::permission::Feature;

/// What the features of a sandbox take back from the filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Debuggers and profilers work.
    pub devel: bool,
    /// 32-bit programs run.
    pub multiarch: bool,
    /// CAN bus sockets can be made.
    pub canbus: bool,
    /// Bluetooth sockets can be made.
    pub bluetooth: bool,
    /// No sockets can be made but local ones.
    pub only_local: bool,
}

impl Policy {
    /// What these features take back.
    #[must_use]
    pub fn of(features: &BTreeSet<Feature>) -> Self {
        let mut policy = Self::default();
        for feature in features {
            match feature {
                Feature::Devel => policy.devel = true,
                Feature::Multiarch => policy.multiarch = true,
                Feature::Canbus => policy.canbus = true,
                Feature::Bluetooth => policy.bluetooth = true,
            }
        }
        policy
    }
}

/// Why there is no filter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SeccompError {
    /// libseccomp refused a rule or could not compile the whole.
    #[error("cannot make the system call filter\nlibseccomp says: {0}")]
    Library(#[from] LibraryError),
    /// The program could not be taken over from the library.
    #[error("cannot make the system call filter\nits program cannot be read back: {0}")]
    Read(#[from] Errno),
    /// The program is longer than the kernel allows.
    #[error("cannot make the system call filter\nits program cannot be used: {0}")]
    Length(#[from] TextFault),
}

/// Refused with `EPERM` whatever the arguments are (R170).
const REFUSED: [&str; 19] = [
    "syslog",
    "uselib",
    "acct",
    "quotactl",
    "add_key",
    "keyctl",
    "request_key",
    "move_pages",
    "mbind",
    "get_mempolicy",
    "set_mempolicy",
    "migrate_pages",
    "unshare",
    "setns",
    "mount",
    "umount",
    "umount2",
    "pivot_root",
    "chroot",
];

/// Refused with `EPERM` unless the sandbox is for development (R174).
const REFUSED_UNLESS_DEVEL: [&str; 2] = ["perf_event_open", "ptrace"];

/// `CLONE_NEWUSER`.
const NEW_USER_NAMESPACE: u64 = 0x1000_0000;

/// `TIOCSTI` and `TIOCLINUX`: they put words into the mouth of whoever sits at the terminal.
const TYPING: [u64; 2] = [0x5412, 0x541C];

/// The programs in the order in which they are to be installed.
///
/// # Errors
/// [`SeccompError`]; without a filter there is no sandbox.
pub fn programs(policy: &Policy) -> Result<Vec<Filter>, SeccompError> {
    let compiled = export(&compile(policy)?)?;
    Ok(vec![Filter::new(handmade::program(policy))?, Filter::new(compiled)?])
}

/// The rules that libseccomp can say.
fn compile(policy: &Policy) -> Result<ScmpFilterContext, LibraryError> {
    let refusal = ScmpAction::Errno(Errno::PERM.raw_os_error());
    let mut filter = ScmpFilterContext::new(ScmpAction::Allow)?;
    filter.set_act_badarch(ScmpAction::KillProcess)?; // R176
    if policy.multiarch
        && let Some(compat) = compat()
    {
        filter.add_arch(compat)?;
    }

    // A name that this architecture lacks is a rule for nothing; one that the library lacks is an
    // error here, never a hole.
    let mut refuse = |name: &str| -> Result<(), LibraryError> {
        filter.add_rule(refusal, ScmpSyscall::from_name(name)?)?;
        Ok(())
    };
    REFUSED.iter().try_for_each(|name| refuse(name))?;
    if !policy.devel {
        REFUSED_UNLESS_DEVEL.iter().try_for_each(|name| refuse(name))?;
    }
    if !policy.multiarch {
        refuse("modify_ldt")?; // R173
    }

    let flags = ScmpCompareOp::MaskedEqual(NEW_USER_NAMESPACE);
    let clone = ScmpArgCompare::new(0, flags, NEW_USER_NAMESPACE);
    filter.add_rule_conditional(refusal, ScmpSyscall::from_name("clone")?, &[clone])?;

    // R171: the kernel looks at the low 32 bits only, so must we.
    let ioctl = ScmpSyscall::from_name("ioctl")?;
    for request in TYPING {
        let low = ScmpCompareOp::MaskedEqual(u64::from(u32::MAX));
        filter.add_rule_conditional(refusal, ioctl, &[ScmpArgCompare::new(1, low, request)])?;
    }
    Ok(filter)
}

/// The 32-bit architecture of this machine, as libseccomp names it.
fn compat() -> Option<ScmpArch> {
    if cfg!(target_arch = "x86_64") {
        Some(ScmpArch::X86)
    } else if cfg!(target_arch = "aarch64") {
        Some(ScmpArch::Arm)
    } else {
        None
    }
}

/// The compiled program. It goes through a pipe, which holds twice the largest one (and, unlike a
/// memfd, does not count as a file for `RLIMIT_FSIZE`), because the library learned to give bytes
/// only in version 2.6.
fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>, SeccompError> {
    let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    filter.export_bpf(&write)?;
    drop(write);
    let mut bytes = Vec::new();
    std::fs::File::from(read).read_to_end(&mut bytes).map_err(|_| Errno::IO)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::handmade::{ABSENT, Abi, COMPAT, NATIVE, NEWEST};
    use super::interpreter::{Answer, Call, run};
    use super::*;
    use proptest::prelude::*;

    const EPERM: Answer = Answer::Errno(1);
    const ENOSYS: Answer = Answer::Errno(38);
    const EAFNOSUPPORT: Answer = Answer::Errno(97);

    /// Every combination of features.
    fn policies() -> impl Iterator<Item = Policy> {
        (0_u8..32).map(policy)
    }

    fn policy(bits: u8) -> Policy {
        Policy {
            devel: bits & 1 != 0,
            multiarch: bits & 2 != 0,
            canbus: bits & 4 != 0,
            bluetooth: bits & 8 != 0,
            only_local: bits & 16 != 0,
        }
    }

    /// The architectures that a policy allows, with libseccomp's name for looking numbers up.
    fn allowed(policy: &Policy) -> Vec<(Abi, ScmpArch)> {
        let compat = COMPAT.zip(compat()).filter(|_| policy.multiarch);
        [(NATIVE, ScmpArch::native())].into_iter().chain(compat).collect()
    }

    fn number(name: &str, arch: ScmpArch) -> Option<u32> {
        let call = ScmpSyscall::from_name_by_arch(name, arch).ok()?;
        u32::try_from(call.as_raw_syscall()).ok()
    }

    #[test]
    fn r173_r176_features_take_back_what_is_theirs_and_no_more() {
        for (feature, expected) in [
            (Feature::Devel, Policy { devel: true, ..Policy::default() }),
            (Feature::Multiarch, Policy { multiarch: true, ..Policy::default() }),
            (Feature::Canbus, Policy { canbus: true, ..Policy::default() }),
            (Feature::Bluetooth, Policy { bluetooth: true, ..Policy::default() }),
        ] {
            assert_eq!(Policy::of(&[feature].into()), expected);
        }
        let all = Policy { only_local: false, ..policy(31) };
        assert_eq!(Policy::of(&Feature::ALL.iter().copied().collect()), all);
    }

    /// What the kernel would do: the strictest answer of all programs.
    fn answer(programs: &[Filter], call: Call) -> Answer {
        programs.iter().map(|program| run(program.as_bytes(), &call)).max().unwrap()
    }

    /// Runs `check` for every policy and allowed architecture.
    fn everywhere(check: impl Fn(&Policy, &Abi, ScmpArch, &dyn Fn(u32, [u64; 6]) -> Answer)) {
        for policy in policies() {
            let programs = programs(&policy).unwrap();
            for (abi, arch) in allowed(&policy) {
                let ask = |number, arguments| {
                    answer(&programs, Call { number, architecture: abi.audit, arguments })
                };
                check(&policy, &abi, arch, &ask);
            }
        }
    }

    /// Upper halves that the kernel ignores for 32-bit arguments (T61).
    const UPPER: [u64; 4] = [0, 1 << 32, 0xFFFF_FFFF_0000_0000, 0xDEAD_BEEF_0000_0000];

    /// On the compatibility architecture registers have no upper half.
    fn uppers(abi: &Abi) -> &'static [u64] {
        if abi.audit == NATIVE.audit { &UPPER } else { &UPPER[..1] }
    }

    #[test]
    fn r170_administration_and_namespaces_are_refused() {
        everywhere(|_, _, arch, ask| {
            for name in REFUSED {
                if let Some(number) = number(name, arch) {
                    assert_eq!(ask(number, [0; 6]), EPERM, "{name} {arch:?}");
                    assert_eq!(ask(number, [u64::MAX; 6]), EPERM, "{name} {arch:?}");
                }
            }
        });
        // Some names are missing on some architectures, but the loop above looked at something.
        let known = REFUSED.iter().filter(|name| number(name, ScmpArch::native()).is_some());
        assert!(known.count() >= REFUSED.len() - 3);
    }

    #[test]
    fn r170_clone_cannot_make_a_user_namespace() {
        everywhere(|_, abi, arch, ask| {
            let clone = number("clone", arch).unwrap();
            for upper in uppers(abi) {
                for flags in [0x1000_0000, 0x1000_0011, 0x7E02_0000, 0xFFFF_FFFF] {
                    assert_eq!(ask(clone, [flags | upper, 0, 0, 0, 0, 0]), EPERM);
                }
                for flags in [0, 0x11, 0x003D_0F00, 0x0120_0011, !0x1000_0000 & 0xFFFF_FFFF] {
                    assert_eq!(ask(clone, [flags | upper, 0, 0, 0, 0, 0]), Answer::Allow);
                }
            }
        });
    }

    #[test]
    fn r171_typing_into_the_terminal_is_refused() {
        everywhere(|_, abi, arch, ask| {
            let ioctl = number("ioctl", arch).unwrap();
            for upper in uppers(abi) {
                for request in TYPING {
                    assert_eq!(ask(ioctl, [0, request | upper, 0, 0, 0, 0]), EPERM);
                    assert_eq!(
                        ask(ioctl, [request, (request ^ 1) | upper, 0, 0, 0, 0]),
                        Answer::Allow
                    );
                }
                // TCGETS, TIOCGWINSZ
                assert_eq!(ask(ioctl, [0, 0x5401 | upper, 0, 0, 0, 0]), Answer::Allow);
                assert_eq!(ask(ioctl, [0, 0x5413 | upper, 0, 0, 0, 0]), Answer::Allow);
            }
        });
    }

    #[test]
    fn r172_mount_calls_and_clone3_do_not_exist() {
        everywhere(|_, _, _, ask| {
            for number in ABSENT {
                assert_eq!(ask(number, [0; 6]), ENOSYS, "{number}");
            }
        });
        // Where the library knows the names, the numbers by hand are right.
        let names = [
            "open_tree",
            "move_mount",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "clone3",
            "mount_setattr",
        ];
        for (name, absent) in names.into_iter().zip(ABSENT) {
            assert_eq!(number(name, ScmpArch::native()), Some(absent), "{name}");
        }
    }

    #[test]
    fn t63_numbers_above_the_newest_known_do_not_exist() {
        everywhere(|_, abi, _, ask| {
            for above in [NEWEST + 1, NEWEST + 2, 500, 1000, 0xFFFF, 0x3FFF_FFFF] {
                assert_eq!(ask(above, [0; 6]), ENOSYS, "{above}");
            }
            assert_eq!(ask(NEWEST, [0; 6]), Answer::Allow);
            if let Some((first, last)) = abi.private {
                assert_eq!(ask(first, [0; 6]), Answer::Allow);
                assert_eq!(ask(last, [0; 6]), Answer::Allow);
                assert_eq!(ask(last + 1, [0; 6]), ENOSYS);
                assert_eq!(ask(first - 1, [0; 6]), ENOSYS);
            }
        });
    }

    #[test]
    fn r173_modify_ldt_is_for_multiarch() {
        everywhere(|policy, _, arch, ask| {
            if let Some(number) = number("modify_ldt", arch) {
                let expected = if policy.multiarch { Answer::Allow } else { EPERM };
                assert_eq!(ask(number, [0; 6]), expected);
            }
        });
    }

    #[test]
    fn r174_debugging_is_for_devel() {
        everywhere(|policy, abi, arch, ask| {
            let expected = if policy.devel { Answer::Allow } else { EPERM };
            for name in REFUSED_UNLESS_DEVEL {
                assert_eq!(ask(number(name, arch).unwrap(), [0; 6]), expected, "{name}");
            }
            let personality = number("personality", arch).unwrap();
            assert_eq!(personality, abi.personality);
            for upper in uppers(abi) {
                assert_eq!(ask(personality, [*upper, 0, 0, 0, 0, 0]), Answer::Allow);
                for persona in [1, 8, 0x0004_0000, 0xFFFF_FFFF] {
                    assert_eq!(ask(personality, [persona | upper, 0, 0, 0, 0, 0]), expected);
                }
            }
        });
    }

    #[test]
    fn r175_r177_only_listed_socket_families_exist_on_every_architecture() {
        everywhere(|policy, abi, arch, ask| {
            let socket = number("socket", arch).unwrap_or(abi.socket);
            assert_eq!(socket, abi.socket);
            for upper in uppers(abi) {
                for family in (0..200).chain([0x8000_0001, 0xFFFF_FFFF]) {
                    let listed = (matches!(family, 0 | 2 | 10 | 16) && !policy.only_local)
                        || family == 1
                        || (family == 29 && policy.canbus)
                        || (family == 31 && policy.bluetooth);
                    let expected = if listed { Answer::Allow } else { EAFNOSUPPORT };
                    assert_eq!(ask(socket, [family | upper, 0, 0, 0, 0, 0]), expected, "{family}");
                }
            }
        });
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn r177_socketcall_of_i386_is_refused() {
        everywhere(|_, abi, arch, ask| {
            if arch == ScmpArch::X86 {
                assert_eq!(abi.socketcall, number("socketcall", arch));
                for call in 0..22 {
                    assert_eq!(ask(102, [call, 0, 0, 0, 0, 0]), EPERM);
                }
            }
        });
    }

    #[test]
    fn r176_other_architectures_are_killed() {
        let others = [0x4000_0003, 0x4000_0028, 0xC000_003E, 0xC000_00B7, 0x8000_0016, 0, u32::MAX];
        for policy in policies() {
            let programs = programs(&policy).unwrap();
            for architecture in others {
                if allowed(&policy).iter().any(|(abi, _)| abi.audit == architecture) {
                    continue;
                }
                for number in [0, 1, 20, 39, 41, 120, 359, 435, 1000] {
                    let call = Call { number, architecture, arguments: [0; 6] };
                    assert_eq!(answer(&programs, call), Answer::Kill, "{architecture:x}");
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn r176_x32_is_killed() {
        for policy in policies() {
            let programs = programs(&policy).unwrap();
            for number in [0, 1, 16, 56, 165, 512, 547] {
                let number = 0x4000_0000 | number;
                let call = Call { number, architecture: NATIVE.audit, arguments: [0; 6] };
                assert_eq!(answer(&programs, call), Answer::Kill);
            }
        }
    }

    #[test]
    fn r179_everything_else_is_allowed() {
        let special = ["modify_ldt", "clone", "ioctl", "socket", "socketcall", "personality"];
        everywhere(|_, abi, arch, ask| {
            let names = REFUSED.iter().chain(&REFUSED_UNLESS_DEVEL).chain(&special);
            // For i386 the library gives `socket` the number it has within `socketcall`.
            let socket = std::iter::once(abi.socket);
            let named: Vec<u32> =
                names.filter_map(|name| number(name, arch)).chain(socket).collect();
            for number in (0..=NEWEST).filter(|n| !named.contains(n) && !ABSENT.contains(n)) {
                assert_eq!(ask(number, [u64::MAX; 6]), Answer::Allow, "{number} {arch:?}");
            }
        });
    }

    #[test]
    fn programs_are_small_and_what_the_protocol_takes() {
        for policy in policies() {
            for program in programs(&policy).unwrap() {
                assert!(program.as_bytes().len() / 8 < 250);
            }
        }
    }

    proptest! {
        /// T61: no answer depends on the upper half of an argument that the kernel takes as 32 bits.
        #[test]
        fn t61_upper_halves_change_nothing(
            bits in 0_u8..32,
            // Half of the cases are calls whose arguments are looked at on x86-64.
            number in prop_oneof![0..NEWEST, proptest::sample::select(vec![16, 41, 56, 135])],
            low in any::<u32>(),
            upper in any::<u32>(),
            argument in 0_usize..2,
        ) {
            let programs = programs(&policy(bits)).unwrap();
            let ask = |upper: u32| {
                let mut arguments = [0; 6];
                arguments[argument] = u64::from(upper) << 32 | u64::from(low);
                answer(&programs, Call { number, architecture: NATIVE.audit, arguments })
            };
            prop_assert_eq!(ask(upper), ask(0));
        }
    }
}
