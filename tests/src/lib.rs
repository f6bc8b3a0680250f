// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the end-to-end suites share.
//!
//! The runner ([`runner`]) lists every case once and runs it in every [`Mode`]. As root it makes
//! throw-away accounts ([`account`]) and a root-owned prefix with the helper installed in each mode
//! ([`prefix`]); each case then works as one of those accounts. As an ordinary user only the
//! unprivileged mode is run, and the others are counted as skipped.
//!
//! A case gets a [`Fixture`]. From it, it starts `stockade exec` ([`frontend`]), or the helper
//! directly with bytes and descriptors of its choice ([`raw`], [`spec`]), or any other program in
//! any state a caller can put it in ([`launch`]). [`pty`] is a terminal for it, [`report`] what the
//! probe saw inside, [`trace`] what the helper asked the kernel for. [`threats`] is the catalogue that
//! the cases answer. After each case the runner looks for what was left behind ([`watch`]).
//!
//! That the cases can fail at all is shown with programs that lack something ([`weakening`],
//! [`weakened`]).

pub mod account;
pub mod binaries;
pub mod case;
pub mod filter;
pub mod fixture;
pub mod frontend;
pub mod inject;
pub mod launch;
pub mod mode;
pub mod prefix;
pub mod process;
pub mod pty;
pub mod raw;
pub mod report;
pub mod runner;
pub mod skips;
pub mod spec;
pub mod sys;

pub mod threats;
pub mod trace;
pub mod watch;
pub mod weakened;
pub mod weakening;

pub use case::{Case, Outcome};
pub use fixture::Fixture;
pub use mode::Mode;
