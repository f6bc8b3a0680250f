// SPDX-License-Identifier: MIT OR Apache-2.0
//! Makes one system call of the helper fail, whichever it is: what a filter cannot do, which knows
//! kinds of calls only.

use std::fs;

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::process::Process;
use crate::trace;

/// Calls that cannot fail, or belong to the C library and are no decision of the helper's.
const LEFT_ALONE: [i64; 6] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_restart_syscall,
];

/// The call that was made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its number, as `libc::SYS_*`.
    pub number: u64,
}

/// Lets a program run that was started with [`crate::launch::Launch::traced`], and has the `nth` call
/// of its processes that are called `stockade-helper` do nothing but fail. None if they make fewer.
///
/// # Panics
/// If the kernel does not let it be followed.
pub fn fail(process: &mut Process, nth: usize, errno: Errno) -> Option<Failed> {
    let mut seen = 0_usize;
    let mut failed = None;
    let mut waiting: Option<Pid> = None;
    trace::walk(process, |pid, info| match info {
        Some(info) if failed.is_none() && is_helper(pid) => {
            if LEFT_ALONE.iter().any(|left| u64::try_from(*left) == Ok(info.number)) {
                return;
            }
            seen += 1;
            if seen == nth + 1 && cancel(pid) {
                failed = Some(Failed { number: info.number });
                waiting = Some(pid);
            }
        }
        None if waiting == Some(pid) => {
            answer(pid, errno);
            waiting = None;
        }
        Some(_) | None => {}
    });
    failed
}

/// Whether it runs the helper and not the payload.
fn is_helper(pid: Pid) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "stockade-helper\n")
}

/// Has a process that stands at the entry of a call make none. False if it lives no more.
#[cfg(target_arch = "x86_64")]
fn cancel(pid: Pid) -> bool {
    let Ok(mut registers) = ptrace::getregs(pid) else { return false };
    registers.orig_rax = u64::MAX;
    ptrace::setregs(pid, registers).is_ok()
}

/// What a process that stands at the exit of a call gets from it.
#[cfg(target_arch = "x86_64")]
fn answer(pid: Pid, errno: Errno) {
    if let Ok(mut registers) = ptrace::getregs(pid) {
        registers.rax = (errno as u64).wrapping_neg();
        // It may have been killed meanwhile.
        ptrace::setregs(pid, registers).unwrap_or_default();
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn cancel(_: Pid) -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn answer(_: Pid, _: Errno) {}
