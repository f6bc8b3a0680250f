// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stockade's frontend: decides what a sandbox looks like and has the helper build it.
//!
//! Everything in this crate runs with the user's own rights.
#![forbid(unsafe_code)]

pub mod caller;
mod child;
pub mod cli;
pub mod descriptor;
pub mod descriptor_limit;
pub mod device;
pub mod doctor;
pub mod environment;
pub mod exec;
pub mod explanation;
pub mod filesystem;
pub mod helper_path;
pub mod home;
pub mod launch;
pub mod message;
pub mod object;
pub mod permission;
pub mod runtime;
pub mod sandbox;
pub mod scope;
pub mod seccomp;
pub mod socket;
pub mod terminal;
pub mod wire;
