// SPDX-License-Identifier: MIT OR Apache-2.0
//! Stockade's frontend: decides what a sandbox looks like and has the helper build it.
//!
//! Everything in this crate runs with the user's own rights.
#![forbid(unsafe_code)]

pub mod attendant;
mod bpf;
#[cfg(feature = "exec")]
pub mod bus;
pub mod bwrap;
#[cfg(feature = "exec")]
pub mod caller;
mod child;
#[cfg(feature = "exec")]
pub mod cli;
#[cfg(feature = "exec")]
pub mod command;
pub mod descriptor;
pub mod descriptor_limit;
#[cfg(feature = "exec")]
pub mod device;
#[cfg(feature = "exec")]
pub mod doctor;
pub mod entry;
#[cfg(feature = "exec")]
pub mod environment;
#[cfg(feature = "exec")]
pub mod exec;
#[cfg(feature = "exec")]
pub mod explain;
pub mod explanation;
#[cfg(feature = "exec")]
pub mod filesystem;
#[cfg(feature = "exec")]
pub mod flatpak;
#[cfg(test)]
mod fuzz;
pub mod helper_path;
#[cfg(feature = "exec")]
pub mod home;
#[cfg(feature = "exec")]
pub mod keyfile;
pub mod launch;
pub mod lookup;
pub mod message;
pub mod object;
#[cfg(feature = "exec")]
pub mod permission;
#[cfg(feature = "exec")]
pub mod portal;
#[cfg(feature = "exec")]
pub mod runtime;
pub mod sandbox;
pub mod scope;
#[cfg(feature = "exec")]
pub mod seccomp;
#[cfg(feature = "session")]
pub mod service;
#[cfg(feature = "session")]
pub mod session;
#[cfg(feature = "exec")]
pub mod socket;
#[cfg(feature = "exec")]
pub mod spawn;
#[cfg(feature = "exec")]
pub mod systemd;
pub mod terminal;
pub mod wire;
