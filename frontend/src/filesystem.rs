// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and directories of the host that a sandbox may see.
//!
//! [`token`] reads what people write, [`user_dirs`] knows where the user keeps music and pictures,
//! [`export`] finds the objects on the host and mounts them, [`grant`] brings these together.

pub mod export;
pub mod grant;
pub mod locate;
pub mod token;
pub mod user_dirs;
