// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the programs of the benchmark share.
//!
//! `stockade exec` is run once against `stockade-record`, which stands in for the helper and keeps
//! the request and the host paths of its descriptors. From that one [`recording::Recording`] come
//! the bytes that `stockade-launch-bench` sends, the [`plan`] of the floor and the argument list of
//! [`bubblewrap`]: all of them make the same sandbox. [`flatpak`] is a list that was recorded from a
//! caller instead; there the recording is made by `stockade-bwrap`.
#![forbid(unsafe_code)]

pub mod bubblewrap;
pub mod flatpak;
pub mod plan;
pub mod recording;
#[cfg(test)]
mod sample;
