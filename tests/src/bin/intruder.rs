// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs inside a sandbox and tries what a hostile payload would: `intruder ATTACK [ARGUMENT]`.
//! Prints a JSON object that gives "ok" or an errno for each attempt.

use std::ffi::c_long;
use std::fs::{self, OpenOptions};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use harness::sys;
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde_json::{Map, Value};

/// Results by attempt.
type Results = Map<String, Value>;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = arguments.get(1).map_or("", String::as_str);
    let mut results = Results::new();
    match arguments.first().map(String::as_str) {
        Some("calls") => calls(&mut results),
        Some("tcp-connect") => {
            note(&mut results, "tcp-connect", TcpStream::connect(("127.0.0.1", port(argument))));
        }
        Some("tcp-bind") => {
            note(&mut results, "tcp-bind", TcpListener::bind(("127.0.0.1", port(argument))));
        }
        Some("abstract-connect") => {
            let connect = || UnixStream::connect_addr(&SocketAddr::from_abstract_name(argument)?);
            note(&mut results, "abstract-connect", connect());
        }
        Some("init") => init(&mut results),
        Some("descriptors") => descriptors(&mut results),
        Some("signals") => signals(&mut results),
        Some("terminal") => terminal(&mut results),
        Some("namespaces") => namespaces(&mut results),
        Some("upper-bits") => upper_bits(&mut results),
        Some("other-abi") => other_abi(&mut results),
        Some("keyring") => keyring(&mut results, argument),
        Some("connect") => {
            for path in arguments.iter().skip(1) {
                note(&mut results, path, UnixStream::connect(path));
            }
        }
        other => panic!("no such attack: {other:?}"),
    }
    println!("{}", Value::Object(results));
}

fn port(text: &str) -> u16 {
    text.parse().expect("a port")
}

/// "ok", or the name of the errno.
fn note<T>(results: &mut Results, attempt: &str, result: io::Result<T>) {
    let text = match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => match error.raw_os_error() {
            Some(errno) => format!("{:?}", Errno::from_raw(errno)),
            None => error.to_string(),
        },
    };
    results.insert(attempt.to_owned(), Value::String(text));
}

/// A call with numbers, none of which is a valid address.
fn call(number: c_long, arguments: [c_long; 5]) -> io::Result<c_long> {
    // SAFETY: addresses are null or far below the first mapping, which the kernel answers with
    // EFAULT.
    unsafe { sys::call(number, arguments) }
}

/// `clone(2)` with these flags; a child that came to be ends at once.
fn clone(flags: i32) -> io::Result<c_long> {
    let flags = c_long::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack this is fork; the child does nothing but end.
    let pid = unsafe { sys::call(libc::SYS_clone, [flags, 0, 0, 0, 0]) }?;
    if pid == 0 {
        sys::exit(0);
    }
    Ok(pid)
}

/// Calls that the filter refuses (R170 to R176), with arguments that harm nothing if it does not.
fn calls(results: &mut Results) {
    const OPEN_TREE_ATTR: c_long = 467;
    const QUERY: c_long = 0xffff_ffff;
    let none = [0; 5];
    let numbers: &[(&str, c_long, [c_long; 5])] = &[
        ("syslog", libc::SYS_syslog, [10, 0, 0, 0, 0]),
        ("uselib", libc::SYS_uselib, none),
        ("acct", libc::SYS_acct, [1, 0, 0, 0, 0]),
        ("quotactl", libc::SYS_quotactl, none),
        ("add_key", libc::SYS_add_key, none),
        ("keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("request_key", libc::SYS_request_key, none),
        ("move_pages", libc::SYS_move_pages, none),
        ("mbind", libc::SYS_mbind, none),
        ("get_mempolicy", libc::SYS_get_mempolicy, none),
        ("set_mempolicy", libc::SYS_set_mempolicy, none),
        ("migrate_pages", libc::SYS_migrate_pages, none),
        ("unshare", libc::SYS_unshare, none),
        ("setns", libc::SYS_setns, [-1, 0, 0, 0, 0]),
        ("mount", libc::SYS_mount, none),
        ("umount2", libc::SYS_umount2, none),
        ("pivot_root", libc::SYS_pivot_root, none),
        ("chroot", libc::SYS_chroot, none),
        ("clone3", libc::SYS_clone3, none),
        ("open_tree", libc::SYS_open_tree, none),
        ("move_mount", libc::SYS_move_mount, none),
        ("fsopen", libc::SYS_fsopen, none),
        ("fsconfig", libc::SYS_fsconfig, [-1, 0, 0, 0, 0]),
        ("fsmount", libc::SYS_fsmount, [-1, 0, 0, 0, 0]),
        ("fspick", libc::SYS_fspick, none),
        ("mount_setattr", libc::SYS_mount_setattr, none),
        ("open_tree_attr", OPEN_TREE_ATTR, none),
        ("perf_event_open", libc::SYS_perf_event_open, none),
        ("ptrace", libc::SYS_ptrace, [16, 999_999_999, 0, 0, 0]),
        ("personality", libc::SYS_personality, [QUERY, 0, 0, 0, 0]),
        ("modify_ldt", libc::SYS_modify_ldt, none),
    ];
    for (name, number, arguments) in numbers {
        note(results, name, call(*number, *arguments));
    }
    note(results, "clone-newuser", clone(libc::CLONE_NEWUSER));
    for (name, family, kind) in [
        ("socket-packet", libc::AF_PACKET, libc::SOCK_RAW),
        ("socket-vsock", libc::AF_VSOCK, libc::SOCK_STREAM),
        ("socket-alg", libc::AF_ALG, libc::SOCK_SEQPACKET),
        ("socket-bluetooth", libc::AF_BLUETOOTH, libc::SOCK_RAW),
        ("socket-can", libc::AF_CAN, libc::SOCK_RAW),
        ("socket-unix", libc::AF_UNIX, libc::SOCK_STREAM),
        ("socket-inet", libc::AF_INET, libc::SOCK_STREAM),
        ("socket-netlink", libc::AF_NETLINK, libc::SOCK_RAW),
    ] {
        let arguments = [c_long::from(family), c_long::from(kind), 0, 0, 0];
        note(results, name, call(libc::SYS_socket, arguments));
    }
}

/// What a payload of the same user could do to an init that does not protect itself (T34).
fn init(results: &mut Results) {
    const SEIZE: c_long = 0x4206;
    note(results, "ptrace", call(libc::SYS_ptrace, [SEIZE, 1, 0, 0, 0]));
    for file in ["mem", "maps", "environ", "auxv", "stack", "syscall", "io"] {
        // Opening some of these works for anybody; reading is what counts.
        note(results, file, fs::read(format!("/proc/1/{file}")).and_then(something));
    }
    note(results, "mem-write", OpenOptions::new().write(true).open("/proc/1/mem"));
    for link in ["root", "cwd", "exe", "ns/mnt", "ns/user"] {
        note(results, link, fs::read_link(format!("/proc/1/{link}")));
    }
    note(results, "fd", fs::read_dir("/proc/1/fd").map(Iterator::count));
    note(results, "fdinfo", fs::read_dir("/proc/1/fdinfo").map(Iterator::count));
    note(results, "map_files", fs::read_dir("/proc/1/map_files").map(Iterator::count));
    // An address that is mapped in every process is not needed to be told no.
    note(results, "vm-read", sys::read_memory(1, 0x40_0000, 8));
    match sys::pidfd_open(1) {
        Ok(process) => {
            let stolen = (0..64).find_map(|fd| sys::pidfd_getfd(process.as_fd(), fd).ok());
            note(results, "pidfd_getfd", stolen.ok_or(Errno::EPERM.into()));
            let flags = c_long::from(libc::CLONE_NEWNS | libc::CLONE_NEWPID);
            let fd = c_long::from(std::os::fd::AsRawFd::as_raw_fd(&process));
            note(results, "setns", call(libc::SYS_setns, [fd, flags, 0, 0, 0]));
        }
        Err(error) => note(results, "pidfd_getfd", Err::<(), _>(error)),
    }
}

/// Nothing read is nothing gained.
fn something(bytes: Vec<u8>) -> io::Result<()> {
    if bytes.is_empty() { Err(Errno::ENODATA.into()) } else { Ok(()) }
}

/// Writes to everything that could be a way to forge a report (T36).
fn descriptors(results: &mut Results) {
    let forged = [0_u8; 64];
    let mut written = Vec::new();
    for number in 3..4096 {
        let address = forged.as_ptr().addr();
        let address = c_long::try_from(address).expect("an address");
        // SAFETY: the buffer of 64 bytes lives through the call and is only read.
        if unsafe { sys::call(libc::SYS_write, [number, address, 64, 0, 0]) }.is_ok() {
            written.push(number);
        }
    }
    results.insert("own".to_owned(), written.into());
    let mut opened = Vec::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        let own = name == std::process::id().to_string() || name.ends_with("self");
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else { continue };
        for fd in fds.flatten().filter(|_| !own) {
            if OpenOptions::new().write(true).open(fd.path()).is_ok() {
                opened.push(fd.path().display().to_string());
            }
        }
    }
    results.insert("foreign".to_owned(), opened.into());
}

/// Signals everybody it can reach through groups (T65).
fn signals(results: &mut Results) {
    // SAFETY: SIG_IGN runs no code of this process.
    unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.expect("it can be ignored");
    for (name, target) in [("own-group", 0), ("everybody", -1), ("init", 1), ("init-group", -1)] {
        note(results, name, kill(Pid::from_raw(target), Signal::SIGTERM).map_err(Into::into));
    }
}

/// Pushes input into the terminal (T60), in every spelling that the kernel would take.
fn terminal(results: &mut Results) {
    const TIOCSTI: c_long = 0x5412;
    const TIOCLINUX: c_long = 0x541c;
    const PASTE: u8 = 3;
    let input = *b"touch /tmp/pushed\n";
    note(results, "push", sys::push_input(io::stdin().as_fd(), b'x'));
    for (name, request) in [
        ("TIOCSTI", TIOCSTI),
        ("TIOCSTI with upper bits", TIOCSTI | 1 << 32),
        ("TIOCSTI with all upper bits", TIOCSTI | !0xffff_ffff),
        ("TIOCLINUX", TIOCLINUX),
        ("TIOCLINUX with upper bits", TIOCLINUX | 1 << 40),
    ] {
        let bytes = if request & 0xffff == TIOCSTI { &input[..] } else { &[PASTE][..] };
        let mut last = Err(Errno::ENODATA.into());
        for byte in bytes {
            let address = c_long::try_from(std::ptr::from_ref(byte).addr()).expect("an address");
            // SAFETY: both requests read one byte at the address, which lives through the call.
            last = unsafe { sys::call(libc::SYS_ioctl, [0, request, address, 0, 0]) };
        }
        note(results, name, last);
    }
}

/// Every way to a user namespace of one's own (T57).
fn namespaces(results: &mut Results) {
    let flags = [
        ("user", libc::CLONE_NEWUSER),
        ("user and mount", libc::CLONE_NEWUSER | libc::CLONE_NEWNS),
        ("mount", libc::CLONE_NEWNS),
        ("network", libc::CLONE_NEWNET),
        ("pid", libc::CLONE_NEWPID),
    ];
    for (name, flags) in flags {
        note(results, &format!("clone {name}"), clone(flags));
        let number = [c_long::from(flags), 0, 0, 0, 0];
        note(results, &format!("unshare {name}"), call(libc::SYS_unshare, number));
    }
    let mut arguments = [0_u64; 11];
    arguments[0] = libc::CLONE_NEWUSER as u64;
    let address = c_long::try_from(arguments.as_ptr().addr()).expect("an address");
    let size = c_long::try_from(size_of_val(&arguments)).expect("88");
    // SAFETY: the structure of clone3 is 88 bytes, zero but for the flags; without CLONE_VM this is
    // fork, and the child ends at once below.
    let cloned = unsafe { sys::call(libc::SYS_clone3, [address, size, 0, 0, 0]) };
    if cloned.as_ref().is_ok_and(|pid| *pid == 0) {
        sys::exit(0);
    }
    note(results, "clone3 user", cloned);
    let own = fs::File::open("/proc/self/ns/user");
    let join = own.and_then(|file| {
        let fd = c_long::from(std::os::fd::AsRawFd::as_raw_fd(&file));
        call(libc::SYS_setns, [fd, 0, 0, 0, 0])
    });
    note(results, "setns user", join);
}

/// Arguments of which the kernel looks at the low 32 bits, with something above them (T61).
fn upper_bits(results: &mut Results) {
    for (name, bits) in [("one bit", 1_i64 << 32), ("the highest", i64::MIN), ("all", !0xffff_ffff)]
    {
        let family = c_long::from(libc::AF_ALG) | bits;
        let kind = c_long::from(libc::SOCK_SEQPACKET);
        note(results, &format!("socket, {name}"), call(libc::SYS_socket, [family, kind, 0, 0, 0]));
        const QUERY: c_long = 0x0002_0000;
        note(
            results,
            &format!("personality, {name}"),
            call(libc::SYS_personality, [QUERY | bits, 0, 0, 0, 0]),
        );
        // TIOCSTI; what is not a terminal says ENOTTY where the filter lets it pass.
        note(
            results,
            &format!("ioctl, {name}"),
            call(libc::SYS_ioctl, [0, 0x5412 | bits, 0, 0, 0]),
        );
        let flags = c_long::from(libc::CLONE_NEWUSER | libc::SIGCHLD) | bits;
        // SAFETY: without CLONE_VM and with a null stack this is fork; the child only ends.
        let cloned = unsafe { sys::call(libc::SYS_clone, [flags, 0, 0, 0, 0]) };
        if cloned.as_ref().is_ok_and(|pid| *pid == 0) {
            sys::exit(0);
        }
        note(results, &format!("clone, {name}"), cloned);
    }
}

/// What became of an attempt in a child: "ok", an errno, or the signal that ended it.
fn in_child(results: &mut Results, name: &str, attempt: impl FnOnce() -> io::Result<c_long>) {
    use nix::sys::wait::{WaitStatus, waitpid};
    let Some(child) = sys::fork().expect("a child") else {
        let errno = match attempt() {
            Ok(_) => 0,
            Err(error) => error.raw_os_error().unwrap_or(255),
        };
        sys::exit(errno);
    };
    let text = match waitpid(Pid::from_raw(child), None) {
        Ok(WaitStatus::Exited(_, 0)) => "ok".to_owned(),
        Ok(WaitStatus::Exited(_, errno)) => format!("{:?}", Errno::from_raw(errno)),
        Ok(WaitStatus::Signaled(_, signal, _)) => signal.to_string(),
        other => format!("{other:?}"),
    };
    results.insert(name.to_owned(), Value::String(text));
}

/// A system call by the gate of 32-bit programs.
#[cfg(target_arch = "x86_64")]
fn int80(number: i32, arguments: [i32; 3]) -> io::Result<c_long> {
    let [first, second, third] = arguments;
    let mut result = number;
    // SAFETY: the calls made this way take numbers, of which none is a valid address; rbx, which
    // cannot be named as an operand, is put back.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov ebx, {first:e}", "int 0x80", "pop rbx",
            first = in(reg) first, inlateout("eax") result, in("ecx") second, in("edx") third,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result.into()) }
}

/// The calls of other binary interfaces that this processor has (T62).
#[cfg(target_arch = "x86_64")]
fn other_abi(results: &mut Results) {
    // unistd_32.h, and the bit of x32.
    const X32: c_long = 0x4000_0000;
    let user = libc::CLONE_NEWUSER;
    for (name, number, arguments) in [
        ("i386 getpid", 20, [0; 3]),
        ("i386 unshare", 310, [user, 0, 0]),
        ("i386 socket", 359, [libc::AF_ALG, libc::SOCK_SEQPACKET, 0]),
        ("i386 socketcall", 102, [1, 0, 0]),
        ("i386 mount", 21, [0; 3]),
        ("i386 umount", 22, [0; 3]),
        ("i386 keyctl", 288, [0, -3, 0]),
        ("i386 setns", 346, [-1, 0, 0]),
        ("i386 clone3", 435, [0; 3]),
        ("i386 mount_setattr", 442, [0; 3]),
    ] {
        in_child(results, name, || int80(number, arguments));
    }
    for (name, number, arguments) in [
        ("x32 getpid", libc::SYS_getpid, [0; 5]),
        ("x32 unshare", libc::SYS_unshare, [c_long::from(user), 0, 0, 0, 0]),
        ("x32 keyctl", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
        ("x32 socket", libc::SYS_socket, [c_long::from(libc::AF_ALG), 5, 0, 0, 0]),
    ] {
        in_child(results, name, || call(number | X32, arguments));
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn other_abi(_: &mut Results) {}

/// Ways to a key of the caller's session, by its number and by its name (T64).
fn keyring(results: &mut Results, argument: &str) {
    const DESCRIBE: c_long = 6;
    const SEARCH: c_long = 10;
    const READ: c_long = 11;
    const SESSION: c_long = -3;
    let serial: c_long = argument.parse().expect("a number");
    let address =
        |text: &std::ffi::CStr| c_long::try_from(text.as_ptr().addr()).expect("an address");
    note(results, "describe", call(libc::SYS_keyctl, [DESCRIBE, serial, 0, 0, 0]));
    note(results, "read", call(libc::SYS_keyctl, [READ, serial, 0, 0, 0]));
    let arguments = [SEARCH, SESSION, address(c"user"), address(c"stockade-test"), 0];
    // SAFETY: both texts end with NUL and live through the call.
    note(results, "search", unsafe { sys::call(libc::SYS_keyctl, arguments) });
}
