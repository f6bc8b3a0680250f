// SPDX-License-Identifier: MIT OR Apache-2.0
//! One test, before it meets a mode.

use std::time::Duration;

use crate::{Fixture, Mode};

/// How a case ended that did not panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything it looked at was as it should be.
    Passed,
    /// It could not be tried here, for this reason. `allowed-skips.txt` says whether it may.
    Skipped(String),
}

/// A test. It fails by panicking.
#[derive(Clone, Copy)]
pub struct Case {
    /// `suite::noun::outcome`.
    pub name: &'static str,
    /// Where it makes sense.
    pub modes: &'static [Mode],
    /// Whether it changes ids or the machine, and so needs a runner that is root.
    pub needs_root: bool,
    /// Whether it is about a kernel that refuses user namespaces, and runs where that is so even
    /// without privilege.
    pub without_user_namespaces: bool,
    /// Whether it runs only when a filter asks for it.
    pub on_request: bool,
    /// The entries of the threat catalogue it tries besides the one it may be named after, as `T01`.
    pub entries: &'static [&'static str],
    /// It is killed after this, and has then failed.
    pub timeout: Duration,
    /// The test.
    pub run: fn(&Fixture) -> Outcome,
}

impl Case {
    /// A case for all modes that takes well below a minute.
    #[must_use]
    pub const fn new(name: &'static str, run: fn(&Fixture) -> Outcome) -> Self {
        Self {
            name,
            modes: Mode::ALL,
            needs_root: false,
            without_user_namespaces: false,
            on_request: false,
            entries: &[],
            timeout: Duration::from_secs(60),
            run,
        }
    }

    /// The same case, only in these modes.
    #[must_use]
    pub const fn modes(mut self, modes: &'static [Mode]) -> Self {
        self.modes = modes;
        self
    }

    /// The same case, only where the runner is root.
    #[must_use]
    pub const fn as_root(mut self) -> Self {
        self.needs_root = true;
        self
    }

    /// The same case, run without user namespaces too.
    #[must_use]
    pub const fn even_without_user_namespaces(mut self) -> Self {
        self.without_user_namespaces = true;
        self
    }

    /// The same case, left out unless a filter asks for it.
    #[must_use]
    pub const fn on_request(mut self) -> Self {
        self.on_request = true;
        self
    }

    /// The same case, which tries these entries of the threat catalogue as well.
    #[must_use]
    pub const fn entries(mut self, entries: &'static [&'static str]) -> Self {
        self.entries = entries;
        self
    }

    /// Whether it tries this entry of the threat catalogue: by its name, which then begins with
    /// `t01_`, or because it says so.
    #[must_use]
    pub fn tries(&self, entry: &str) -> bool {
        let function = self.name.rsplit("::").next().unwrap_or(self.name);
        let named = function.split('_').next().is_some_and(|id| id.eq_ignore_ascii_case(entry));
        named || self.entries.contains(&entry)
    }

    /// The same case, with more time.
    #[must_use]
    pub const fn within(mut self, seconds: u64) -> Self {
        self.timeout = Duration::from_secs(seconds);
        self
    }
}

/// A case named after its module and function: `case!(function)`.
#[macro_export]
macro_rules! case {
    ($function:ident) => {
        $crate::Case::new(concat!(module_path!(), "::", stringify!($function)), $function)
    };
}
