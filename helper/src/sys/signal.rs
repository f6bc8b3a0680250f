// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signal dispositions, the signal mask, interval timers.

use rustix::io::Errno;

use super::result;

/// Highest signal number of the kernel.
pub(crate) const LAST: libc::c_int = 64;

/// `struct sigaction` as `rt_sigaction(2)` takes it on 64-bit machines.
#[repr(C)]
struct KernelAction {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// What a signal does. There are no handlers in this program.
#[derive(Clone, Copy)]
pub(crate) enum Disposition {
    Default,
    Ignore,
}

/// `rt_sigaction(2)`: sets what one signal does.
pub(crate) fn set_disposition(signal: libc::c_int, what: Disposition) -> Result<(), Errno> {
    let handler = match what {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignore => libc::SIG_IGN,
    };
    let action = KernelAction { handler, flags: 0, restorer: 0, mask: 0 };
    // SAFETY: `action` is laid out as the kernel wants it and outlives the call; no old action is
    // asked for. The raw call reaches the two signals that the C library hides.
    let value = unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            &raw const action,
            std::ptr::null::<KernelAction>(),
            size_of::<u64>(),
        )
    };
    result(value).map(drop)
}

/// Gives every signal its default disposition (T23, I14).
pub(crate) fn reset_dispositions() -> Result<(), Errno> {
    for signal in 1..=LAST {
        if signal != libc::SIGKILL && signal != libc::SIGSTOP {
            set_disposition(signal, Disposition::Default)?;
        }
    }
    Ok(())
}

/// `rt_sigprocmask(2)`: blocks the signals of `mask`, bit N-1 for signal N, and no others.
pub(crate) fn set_mask(mask: u64) -> Result<(), Errno> {
    // SAFETY: `mask` has the size that is passed and outlives the call.
    let value = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            std::ptr::null::<u64>(),
            size_of::<u64>(),
        )
    };
    result(value).map(drop)
}

/// The mask that blocks one signal.
pub(crate) fn mask_of(signal: libc::c_int) -> u64 {
    u32::try_from(signal.saturating_sub(1)).ok().and_then(|bit| 1_u64.checked_shl(bit)).unwrap_or(0)
}

/// `alarm(2)`: SIGALRM, and with it the end of this process, after so many seconds.
pub(crate) fn alarm(seconds: u32) {
    // SAFETY: the call takes a number and cannot fail.
    unsafe { libc::alarm(seconds) };
}

/// `setitimer(2)`: stops the interval timers, which survive exec (T23).
pub(crate) fn stop_timers() -> Result<(), Errno> {
    // SAFETY: `struct itimerval` is plain data for which all zeroes is a value.
    let off: libc::itimerval = unsafe { std::mem::zeroed() };
    for which in [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF] {
        // SAFETY: `off` outlives the call; no old value is asked for.
        let value = unsafe {
            libc::syscall(libc::SYS_setitimer, which, &raw const off, std::ptr::null::<u8>())
        };
        result(value)?;
    }
    Ok(())
}
