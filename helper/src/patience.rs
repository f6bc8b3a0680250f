// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long a sandbox may take to be built, and waiting no longer than that (T77).

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

/// The longest that building may take, in seconds. It takes milliseconds unless a file system hangs.
pub(crate) const SECONDS: u32 = 30;

/// A moment that is not waited beyond.
#[derive(Clone, Copy)]
pub(crate) struct Deadline(Timespec);

/// What came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum First {
    /// Something to read.
    Message,
    /// The caller hung up.
    CallerGone,
    /// The deadline.
    Late,
}

impl Deadline {
    /// So many seconds from now.
    pub(crate) fn in_seconds(seconds: u32) -> Self {
        let mut moment = clock_gettime(ClockId::Monotonic);
        moment.tv_sec = moment.tv_sec.saturating_add(seconds.into());
        Self(moment)
    }

    fn left(self) -> Timespec {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = self.0.tv_sec.saturating_sub(now.tv_sec).max(0);
        Timespec { tv_sec: seconds, tv_nsec: 0 }
    }
}

/// Waits until there is something to read, the caller has hung up, or it is too late.
pub(crate) fn wait_for(
    what: BorrowedFd<'_>,
    caller: BorrowedFd<'_>,
    deadline: Option<Deadline>,
) -> First {
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(what, PollFlags::IN),
            PollFd::from_borrowed_fd(caller, PollFlags::empty()),
        ];
        let left = deadline.map(Deadline::left);
        match rustix::event::poll(&mut fds, left.as_ref()) {
            Ok(0) => return First::Late,
            Ok(_) => {
                let gone = fds.iter().skip(1).any(|fd| !fd.revents().is_empty());
                return if gone { First::CallerGone } else { First::Message };
            }
            Err(Errno::INTR) => {}
            Err(_) => return First::CallerGone,
        }
    }
}
