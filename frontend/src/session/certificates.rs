// SPDX-License-Identifier: MIT OR Apache-2.0
//! The certificates that the host trusts, served read-only on a socket by p11-kit where that is installed
//! (R111, R254).

use std::ffi::CString;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::retry_on_intr;

use crate::service::child::{self, Order};
use crate::service::children::{Children, Owner};

/// The server, which ends when this process does: setpriv(1), p11-kit(8). The socket follows.
const SERVER: [&str; 12] = [
    "setpriv",
    "--pdeathsig",
    "TERM",
    "--",
    "p11-kit",
    "server",
    "--foreground",
    "--sh",
    "--provider",
    "p11-kit-trust.so",
    "pkcs11:model=p11-kit-trust?write-protected=yes",
    "--name",
];

/// What it says when it listens, before the rest of the line.
const READY: &[u8] = b"P11_KIT_SERVER_PID=";

/// How long it may take until it does.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most of what it says that is kept.
const MOST: u64 = 64 << 10;

/// Has the certificates served in a directory of the user's. The socket, if there is one.
pub(super) fn serve(directory: &Path, children: &Children) -> Option<PathBuf> {
    let socket = directory.join(format!("pkcs11-flatpak-{}", std::process::id()));
    // Somebody else's who had this number before.
    std::fs::remove_file(&socket).ok();
    start(&socket, children)
}

fn start(socket: &Path, children: &Children) -> Option<PathBuf> {
    let (said, says) = std::io::pipe().ok()?;
    let nowhere = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let words = SERVER.iter().map(|word| word.as_bytes()).chain([socket.as_os_str().as_bytes()]);
    let order = Order {
        words: words.map(CString::new).collect::<Result<_, _>>().ok()?,
        directory: Some("/".into()),
        environment: child::environment(std::env::vars_os()).ok()?,
        // What it has to complain about is that there is nothing to serve.
        descriptors: vec![(1, OwnedFd::from(says)), (2, nowhere.ok()?)],
    };
    // Nobody on the bus has such a name, or may send it signals.
    let nobody = Owner { name: "", is_watched: false };
    children.start(order, nobody, |_, _| {}).ok()?;
    is_ready(said).then(|| socket.to_owned())
}

/// Whether a server says in time that it listens.
fn is_ready(mut said: std::io::PipeReader) -> bool {
    let start = Instant::now();
    let mut text: Vec<u8> = Vec::new();
    let mut buffer = [0; 1024];
    while !text.windows(READY.len()).any(|part| part == READY) {
        let left = PATIENCE.saturating_sub(start.elapsed());
        let Ok(left) = Timespec::try_from(left) else { return false };
        let mut ready = [PollFd::from_borrowed_fd(said.as_fd(), PollFlags::IN)];
        let waited = retry_on_intr(|| rustix::event::poll(&mut ready, Some(&left)));
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        if waited != Ok(1) || length > MOST {
            return false;
        }
        match said.read(&mut buffer) {
            Ok(0) | Err(_) => return false,
            Ok(count) => text.extend(buffer.get(..count).unwrap_or_default()),
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn r111_a_server_that_ends_or_says_something_else_is_none() {
        for (text, expected) in [
            ("P11_KIT_SERVER_ADDRESS=unix:path=/a; export P11_KIT_SERVER_ADDRESS;\n", false),
            ("P11_KIT_SERVER_ADDRESS=unix:path=/a;\nP11_KIT_SERVER_PID=7; export\n", true),
            ("", false),
        ] {
            let (said, mut says) = std::io::pipe().unwrap();
            says.write_all(text.as_bytes()).unwrap();
            drop(says);
            assert_eq!(is_ready(said), expected, "{text}");
        }
    }
}
