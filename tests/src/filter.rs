// SPDX-License-Identifier: MIT OR Apache-2.0
//! Seccomp programs that make a kernel look older or stricter than it is.

use std::ffi::c_long;

/// Position of the call's number in `struct seccomp_data`.
const NUMBER: u32 = 0;

/// Position of the low half of its first argument on little-endian machines.
const FIRST_ARGUMENT: u32 = 16;

/// The same of its third.
const THIRD_ARGUMENT: u32 = 32;

fn step(code: u32, k: u32, jump_true: u8, jump_false: u8) -> libc::sock_filter {
    let code = u16::try_from(code).expect("codes have 16 bits");
    libc::sock_filter { code, jt: jump_true, jf: jump_false, k }
}

fn load(position: u32) -> libc::sock_filter {
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, position, 0, 0)
}

fn answer(action: u32) -> libc::sock_filter {
    step(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

/// What a refused call returns.
fn errno(errno: i32) -> u32 {
    libc::SECCOMP_RET_ERRNO | errno as u32
}

fn number(call: c_long) -> u32 {
    u32::try_from(call).expect("numbers of calls are small")
}

/// Lets every call through but these, which get this errno.
fn answering(calls: &[c_long], reply: i32) -> Vec<libc::sock_filter> {
    let mut program = vec![load(NUMBER)];
    for call in calls {
        program.push(step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number(*call), 0, 1));
        program.push(answer(errno(reply)));
    }
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    program
}

/// Lets every call through but these, which fail with `ENOSYS` as on an older kernel.
#[must_use]
pub fn without_calls(calls: &[c_long]) -> Vec<libc::sock_filter> {
    answering(calls, libc::ENOSYS)
}

/// Lets every call through but these, which do nothing and report success.
#[must_use]
pub fn lying_about(calls: &[c_long]) -> Vec<libc::sock_filter> {
    answering(calls, 0)
}

/// Refuses `statx(2)` with these flags, as a security module refuses a look at some files.
#[must_use]
pub fn without_looks(flags: i32) -> Vec<libc::sock_filter> {
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    vec![
        load(NUMBER),
        step(is, number(libc::SYS_statx), 0, 3),
        load(THIRD_ARGUMENT),
        step(is, flags as u32, 0, 1),
        answer(errno(libc::EACCES)),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}

/// Refuses to make user namespaces, as a hardened kernel does.
#[must_use]
pub fn without_user_namespaces() -> Vec<libc::sock_filter> {
    let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let has = libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K;
    vec![
        load(NUMBER),
        step(is, number(libc::SYS_clone3), 0, 1),
        answer(errno(libc::ENOSYS)),
        step(is, number(libc::SYS_unshare), 1, 0),
        step(is, number(libc::SYS_clone), 0, 3),
        load(FIRST_ARGUMENT),
        step(has, libc::CLONE_NEWUSER as u32, 0, 1),
        answer(errno(libc::EPERM)),
        answer(libc::SECCOMP_RET_ALLOW),
    ]
}
