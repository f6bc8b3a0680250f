// SPDX-License-Identifier: MIT OR Apache-2.0
//! What programs have in common that serve others on a message bus: a name there, and processes that
//! they start for a caller.
//!
//! They are programs of their own with threads, unlike the one that launches a sandbox.

pub mod apart;
pub mod child;
pub mod children;
pub mod presence;
pub(crate) mod program;
