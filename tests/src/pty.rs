// SPDX-License-Identifier: MIT OR Apache-2.0
//! A terminal with somebody at it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use crate::launch::Launch;
use crate::process::{Running, patience, readable, remaining};
use crate::{Fixture, sys};

/// A pseudo terminal. What the program writes is kept until it is expected.
#[derive(Debug)]
pub struct Terminal {
    master: File,
    slave: OwnedFd,
    unread: String,
}

impl Terminal {
    /// A new terminal of 24 by 80 that belongs to the user, without echo.
    ///
    /// # Panics
    /// If there is none left.
    #[must_use]
    pub fn open(fixture: &Fixture) -> Self {
        let pair = nix::pty::openpty(None, None).expect("a pseudo terminal");
        let mut settings = tcgetattr(&pair.slave).expect("it is a terminal");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &settings).expect("it is a terminal");
        let master = File::from(pair.master);
        sys::set_window_size(master.as_fd(), 24, 80).expect("it is a terminal");
        let slave = File::from(pair.slave);
        if fixture.is_root() {
            let (uid, gid) = (Some(fixture.user.uid), Some(fixture.user.gid));
            std::os::unix::fs::fchown(&slave, uid, gid).expect("root can give it away");
        }
        Self { master, slave: slave.into(), unread: String::new() }
    }

    /// Starts a program on it, as the leader of a new session.
    #[track_caller]
    pub fn start(&self, launch: Launch) -> Running {
        launch.terminal(&self.slave).start()
    }

    /// The side that programs have.
    #[must_use]
    pub fn slave(&self) -> &OwnedFd {
        &self.slave
    }

    /// Types.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).expect("the terminal takes input");
    }

    /// Waits until `text` was written and gives everything up to its end.
    ///
    /// # Panics
    /// If it does not come.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> String {
        let found = self.expect_within(text, patience());
        found.unwrap_or_else(|| panic!("no {text:?} in {:?}", self.unread))
    }

    /// The same, with nothing if it does not come in time.
    pub fn expect_within(&mut self, text: &str, patience: Duration) -> Option<String> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(at) = self.unread.find(text) {
                let rest = self.unread.split_off(at + text.len());
                return Some(std::mem::replace(&mut self.unread, rest));
            }
            let left = remaining(deadline)?;
            readable(&[self.master.as_fd()], left)?;
            let mut buffer = [0_u8; 4096];
            let count = self.master.read(&mut buffer).ok().filter(|count| *count > 0)?;
            self.unread.push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    }

    /// What was written and not expected yet.
    #[must_use]
    pub fn unread(&self) -> &str {
        &self.unread
    }

    /// Changes the size of the window.
    ///
    /// # Panics
    /// If the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        sys::set_window_size(self.master.as_fd(), rows, columns).expect("it is a terminal");
    }

    /// The process group that gets the keys.
    #[must_use]
    pub fn foreground(&self) -> Option<i32> {
        sys::foreground_group(self.master.as_fd()).ok()
    }
}
