// SPDX-License-Identifier: MIT OR Apache-2.0
//! The entry from the C start-up code, before anything of the standard library has run, and the
//! only ways out.
//!
//! Rust's own start-up is left out: it would open files, install signal handlers and ignore SIGPIPE
//! before no_new_privs is set (I2).

use crate::Status;

/// Called by the C library's start-up code.
#[unsafe(no_mangle)]
extern "C" fn main(argc: libc::c_int, _argv: *const *const libc::c_char) -> libc::c_int {
    if let Err(status) = no_new_privs() {
        exit(status);
    }
    // SAFETY: the process has one thread, and nothing holds a pointer into the environment.
    let cleared = unsafe { libc::clearenv() };
    if cleared != 0 {
        exit(Status::Memory);
    }
    std::panic::set_hook(Box::new(|_| exit(Status::Defect)));
    exit(crate::run(argc > 1))
}

/// I2: the first system call of this program's own. Not through rustix, to have nothing before it.
fn no_new_privs() -> Result<(), Status> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes numbers only.
    let set = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_u64, 0_u64, 0_u64, 0_u64) };
    if set == 0 { Ok(()) } else { Err(Status::Defect) }
}

/// Ends the process at once: no destructor, no handler, no buffer.
pub(crate) fn exit(status: Status) -> ! {
    // SAFETY: _exit has no condition.
    unsafe { libc::_exit(status as libc::c_int) }
}
