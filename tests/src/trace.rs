// SPDX-License-Identifier: MIT OR Apache-2.0
//! Follows a program and everything it starts, and notes the system calls that matter with the
//! credentials they were made with. The tracer has to be root, so that set-id bits count.

use std::collections::BTreeSet;
use std::ffi::c_long;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::process::{Ending, Process};
use crate::{sys, watch};

/// Longest text that is read from a traced process.
const TEXT: usize = 512;

/// `AT_FDCWD` as the kernel sees it.
const HERE: i32 = -100;

/// The calls that send something out through a descriptor.
const WRITES: [c_long; 8] = [
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
];

/// A system call at its entry.
#[derive(Clone, Debug)]
pub struct Call {
    /// Who made it.
    pub pid: i32,
    /// The name of that process, which changes with an exec.
    pub name: String,
    /// Which.
    pub number: c_long,
    /// With what.
    pub arguments: [u64; 6],
    /// The path or name among the arguments.
    pub text: Option<String>,
    /// The second text: the value of an option, the target of a symlink.
    pub value: Option<String>,
    /// For openat2, what its lookups may do (`RESOLVE_*`).
    pub resolve: u64,
    /// Where the descriptor leads that the call works on.
    pub descriptor: String,
    /// The device of that descriptor.
    pub device: u64,
    /// Real, effective, saved and file-system user id.
    pub uids: [u32; 4],
    /// Permitted capabilities.
    pub permitted: u64,
    /// Effective capabilities.
    pub effective: u64,
    /// Inheritable and ambient capabilities together.
    pub others: u64,
    /// Whether no_new_privs is set.
    pub no_new_privileges: bool,
}

impl Call {
    /// Whether it was made by a process of the helper, which the payload is not any more.
    #[must_use]
    pub fn is_helpers(&self) -> bool {
        self.name == "stockade-helper"
    }

    /// Whether the process could do more than its caller just then.
    #[must_use]
    pub fn is_mighty(&self) -> bool {
        self.effective != 0 || self.uids[1] == 0 || self.uids[3] == 0
    }

    /// Whether the process could have become that.
    #[must_use]
    pub fn has_privilege(&self) -> bool {
        self.permitted != 0 || self.uids.contains(&0)
    }

    /// Whether it would make something in a file system.
    #[must_use]
    pub fn creates(&self) -> bool {
        const CREATE: u64 = libc::O_CREAT as u64;
        match self.number {
            libc::SYS_mkdir | libc::SYS_mkdirat | libc::SYS_mknod | libc::SYS_mknodat => true,
            libc::SYS_symlink | libc::SYS_symlinkat | libc::SYS_link | libc::SYS_linkat => true,
            libc::SYS_creat => true,
            libc::SYS_open => self.arguments[1] & CREATE != 0,
            libc::SYS_openat => self.arguments[2] & CREATE != 0,
            libc::SYS_openat2 => self.value.as_deref() == Some("create"),
            _ => false,
        }
    }

    /// Whether it opens a file by a path.
    #[must_use]
    pub fn opens(&self) -> bool {
        [libc::SYS_open, libc::SYS_openat, libc::SYS_openat2, libc::SYS_creat]
            .contains(&self.number)
    }

    /// Whether it sends something out through a descriptor.
    #[must_use]
    pub fn writes(&self) -> bool {
        WRITES.contains(&self.number)
    }
}

/// Which arguments are a descriptor that the call works on, a text, and a second text.
type Shape = (Option<usize>, Option<usize>, Option<usize>);

/// The calls that are noted. All others are let through unseen, but for those that
/// [`is_plain`] names.
fn shape(number: c_long) -> Option<Shape> {
    Some(match number {
        libc::SYS_open
        | libc::SYS_creat
        | libc::SYS_stat
        | libc::SYS_lstat
        | libc::SYS_access
        | libc::SYS_readlink
        | libc::SYS_mkdir
        | libc::SYS_mknod
        | libc::SYS_rmdir
        | libc::SYS_unlink
        | libc::SYS_chmod
        | libc::SYS_chown
        | libc::SYS_lchown
        | libc::SYS_chdir
        | libc::SYS_chroot
        | libc::SYS_truncate
        | libc::SYS_statfs
        | libc::SYS_umount2
        | libc::SYS_execve
        | libc::SYS_fsopen => (None, Some(0), None),
        libc::SYS_pivot_root | libc::SYS_rename | libc::SYS_link => (None, Some(0), Some(1)),
        libc::SYS_symlink => (None, Some(1), Some(0)),
        libc::SYS_mount => (None, Some(1), Some(0)),
        libc::SYS_openat
        | libc::SYS_openat2
        | libc::SYS_newfstatat
        | libc::SYS_statx
        | libc::SYS_readlinkat
        | libc::SYS_faccessat
        | libc::SYS_faccessat2
        | libc::SYS_mkdirat
        | libc::SYS_mknodat
        | libc::SYS_unlinkat
        | libc::SYS_fchmodat
        | libc::SYS_fchownat
        | libc::SYS_execveat
        | libc::SYS_open_tree
        | libc::SYS_mount_setattr
        | libc::SYS_fspick => (Some(0), Some(1), None),
        libc::SYS_symlinkat => (Some(1), Some(2), Some(0)),
        libc::SYS_linkat | libc::SYS_renameat | libc::SYS_renameat2 => (Some(0), Some(1), Some(3)),
        libc::SYS_move_mount => (Some(2), Some(3), None),
        libc::SYS_fsconfig => (Some(0), Some(2), Some(3)),
        _ if is_plain(number) => (Some(0), None, None),
        _ => return None,
    })
}

/// Calls without a text that are noted as well.
fn is_plain(number: c_long) -> bool {
    WRITES.contains(&number)
        || [
            libc::SYS_recvmsg,
            libc::SYS_recvfrom,
            libc::SYS_read,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_tgkill,
            libc::SYS_pidfd_send_signal,
            libc::SYS_setns,
            libc::SYS_unshare,
            libc::SYS_fsmount,
        ]
        .contains(&number)
}

/// `struct ptrace_syscall_info` of `linux/ptrace.h` as far as entries need it.
#[repr(C)]
pub(crate) struct Info {
    operation: u8,
    padding: [u8; 3],
    architecture: u32,
    instruction: u64,
    stack: u64,
    /// Which call it is.
    pub(crate) number: u64,
    arguments: [u64; 6],
    rest: [u64; 2],
}

/// The entry of a call at which the process stands; nothing at its exit.
fn entry(pid: Pid) -> Option<Info> {
    const GET_SYSCALL_INFO: c_long = 0x420e;
    const ENTRY: u8 = 1;
    let mut info = Info {
        operation: 0,
        padding: [0; 3],
        architecture: 0,
        instruction: 0,
        stack: 0,
        number: 0,
        arguments: [0; 6],
        rest: [0; 2],
    };
    let size = c_long::try_from(size_of::<Info>()).ok()?;
    let address = c_long::try_from(std::ptr::from_mut(&mut info).addr()).ok()?;
    let arguments = [GET_SYSCALL_INFO, c_long::from(pid.as_raw()), size, address, 0];
    // SAFETY: the kernel writes at most `size` bytes to the structure, which lives through the call.
    unsafe { sys::call(libc::SYS_ptrace, arguments) }.ok()?;
    (info.operation == ENTRY).then_some(info)
}

/// The text at an address of a stopped process.
fn text(pid: i32, address: u64) -> Option<String> {
    let mut at = usize::try_from(address).ok().filter(|address| *address != 0)?;
    let mut bytes = Vec::new();
    while bytes.len() < TEXT {
        // Not beyond the end of the page: the next one may not be there.
        let part = sys::read_memory(pid, at, 4096 - at % 4096).ok()?;
        if let Some(end) = part.iter().position(|byte| *byte == 0) {
            bytes.extend_from_slice(&part[..end]);
            break;
        }
        at += part.len();
        bytes.extend(part);
    }
    bytes.truncate(TEXT);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn number(pid: i32, address: u64) -> u64 {
    let bytes = usize::try_from(address).ok().and_then(|at| sys::read_memory(pid, at, 8).ok());
    bytes.and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?))).unwrap_or(0)
}

fn note(pid: i32, info: &Info) -> Option<Call> {
    let call = c_long::try_from(info.number).ok()?;
    let (descriptor, first, second) = shape(call)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.unwrap_or_default().trim()
    };
    let mask = |name: &str| u64::from_str_radix(field(name), 16).unwrap_or(u64::MAX);
    let uids: Vec<u32> = field("Uid").split_whitespace().flat_map(str::parse).collect();

    let link = match descriptor.map(|index| info.arguments[index] as i32) {
        None | Some(HERE) => format!("/proc/{pid}/cwd"),
        Some(number) => format!("/proc/{pid}/fd/{number}"),
    };
    let option = call == libc::SYS_fsconfig;
    // FSCONFIG_SET_STRING is the only command with a text for a value.
    let second = second.filter(|_| !option || info.arguments[1] == 1);
    let mut value = second.and_then(|index| text(pid, info.arguments[index]));
    let mut resolve = 0;
    if call == libc::SYS_openat2 {
        // Flags, mode, resolve: `struct open_how`.
        resolve = number(pid, info.arguments[2] + 16);
        if number(pid, info.arguments[2]) & libc::O_CREAT as u64 != 0 {
            value = Some("create".to_owned());
        }
    }
    Some(Call {
        pid,
        name: field("Name").to_owned(),
        number: call,
        arguments: info.arguments,
        text: first.and_then(|index| text(pid, info.arguments[index])),
        value,
        resolve,
        descriptor: fs::read_link(&link).unwrap_or_default().display().to_string(),
        device: fs::metadata(&link).map(|data| data.dev()).unwrap_or(0),
        uids: uids.try_into().ok()?,
        permitted: mask("CapPrm"),
        effective: mask("CapEff"),
        others: mask("CapInh") | mask("CapAmb"),
        no_new_privileges: field("NoNewPrivs") == "1",
    })
}

/// Lets a program run that was started with [`crate::launch::Launch::traced`], until it and
/// everything it started has ended. This process must have no other children.
///
/// # Panics
/// If the kernel does not let it be followed.
pub fn follow(process: &mut Process) -> Vec<Call> {
    let mut calls = Vec::new();
    walk(process, |pid, info| {
        if let Some(info) = info {
            calls.extend(note(pid.as_raw(), &info));
        }
    });
    calls
}

/// The same, and shows each call of each process at its entry, and again without a word at its exit.
pub(crate) fn walk(process: &mut Process, mut look: impl FnMut(Pid, Option<Info>)) {
    let main = Pid::from_raw(process.pid());
    let stopped = waitpid(main, Some(WaitPidFlag::__WALL)).expect("a tracee");
    assert!(matches!(stopped, WaitStatus::Stopped(..)), "not stopped by its exec: {stopped:?}");
    let options = Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_EXITKILL;
    ptrace::setoptions(main, options).expect("a tracee");
    let mut known = BTreeSet::from([main]);
    // A tracee may be killed between its stop and what is done with it.
    let go = |pid, signal| ptrace::syscall(pid, signal).unwrap_or_default();
    go(main, None);
    loop {
        match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::PtraceSyscall(pid)) => {
                look(pid, entry(pid));
                go(pid, None);
            }
            Ok(WaitStatus::PtraceEvent(pid, ..)) => {
                known.insert(pid);
                go(pid, None);
            }
            // A new tracee begins with a stop that nobody sent.
            Ok(WaitStatus::Stopped(pid, Signal::SIGSTOP)) if known.insert(pid) => go(pid, None),
            Ok(WaitStatus::Stopped(pid, signal)) => go(pid, Some(signal)),
            Ok(WaitStatus::Exited(pid, code)) if pid == main => {
                process.has_ended(Ending::Exited(code));
            }
            Ok(WaitStatus::Signaled(pid, signal, dumped)) if pid == main => {
                let ending = if dumped { Ending::Dumped } else { Ending::Killed };
                process.has_ended(ending(signal));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(Errno::ECHILD) => return,
            Err(error) => panic!("waitpid: {error}"),
        }
    }
}

/// The devices of every file system that this process can see, `st_dev`.
#[must_use]
pub fn devices_of_the_host() -> BTreeSet<u64> {
    let table = String::from_utf8_lossy(&watch::mount_table()).into_owned();
    let device = |line: &str| {
        let (major, minor) = line.split(' ').nth(2)?.split_once(':')?;
        Some(libc::makedev(major.parse().ok()?, minor.parse().ok()?))
    };
    table.lines().filter_map(device).collect()
}
