// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stockade's frontend: decides what a sandbox looks like and has the helper build it.
//!
//! Everything in this crate runs with the user's own rights.
#![forbid(unsafe_code)]

pub mod sandbox;
