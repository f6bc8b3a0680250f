// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is said on stderr: one line each, in the shape that callers match on.

use std::io::Write as _;

use rustix::io::Errno;

use crate::message::is_hidden;

/// The name in front of every message, whatever this program was started as.
const NAME: &str = "bwrap";

/// Why nothing was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault(String);

impl Fault {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `text` and what the errno means.
    pub(crate) fn errno(text: &str, errno: Errno) -> Self {
        Self(format!("{text}: {}", strerror(errno)))
    }

    /// An error of another part of Stockade, whose lines become one.
    pub(crate) fn other(error: &dyn std::fmt::Display) -> Self {
        Self(error.to_string().lines().collect::<Vec<_>>().join("; "))
    }

    /// The same with more behind it.
    pub(crate) fn followed_by(self, text: &str) -> Self {
        Self(self.0 + text)
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// How messages begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Voice {
    /// With the level in front that the journal understands, `sd-daemon(3)`.
    pub(crate) level: bool,
}

impl Voice {
    /// Says why nothing was run.
    pub(crate) fn error(self, fault: &Fault) {
        self.say("<3>", fault.text());
    }

    /// Says what does not stop the launch.
    pub(crate) fn warning(self, text: &str) {
        self.say("<4>", text);
    }

    fn say(self, level: &str, text: &str) {
        let level = if self.level { level } else { "" };
        // Names are escaped where the message is made; this is the net.
        let text: String = text.chars().map(|c| if is_hidden(c) { '?' } else { c }).collect();
        if cfg!(test) {
            // Millions of cases would say it.
            return;
        }
        // A closed stderr is nobody's error.
        std::io::stderr().write_all(format!("{level}{NAME}: {text}\n").as_bytes()).ok();
    }
}

/// What an errno means, in the words of the C library.
pub(crate) fn strerror(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errnos_are_said_as_the_c_library_does() {
        assert_eq!(strerror(Errno::NOENT), "No such file or directory");
        let fault = Fault::errno("Can't find source path /x", Errno::ACCESS);
        assert_eq!(fault.text(), "Can't find source path /x: Permission denied");
    }
}
