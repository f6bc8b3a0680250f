// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why something of the host is not in the sandbox, in words for people.

use std::path::PathBuf;

use crate::filesystem::locate::LocateError;
use crate::message::shown;
use crate::sandbox::SandboxError;

/// Why a path cannot be exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// It is the sandbox's own.
    #[error(
        "cannot share {} with the sandbox\n\
         {} is the sandbox's own; the system's directories are in it already, read-only\n\
         leave the option out, or see the host's through host-os and host-etc below /run/host",
        shown(path),
        shown(reserved)
    )]
    Reserved {
        /// As resolved.
        path: PathBuf,
        /// The reserved place it collides with.
        reserved: &'static str,
    },
    /// What is the sandbox's own is in it.
    #[error(
        "cannot share {} with the sandbox\n\
         {} is in it, which is the sandbox's own\n\
         name what is needed in it",
        shown(path),
        shown(reserved)
    )]
    AboveReserved {
        /// As resolved.
        path: PathBuf,
        /// The reserved place in it.
        reserved: &'static str,
    },
    /// It does not exist.
    #[error(
        "cannot share {} with the sandbox\n\
         there is no such file or directory\n\
         make it first, or put ':create' behind it to have the directory made",
        shown(path)
    )]
    Missing {
        /// As given.
        path: PathBuf,
    },
    /// It is a device, a FIFO or the like.
    #[error(
        "cannot share {} with the sandbox\n\
         it is neither a directory nor a regular file nor a socket\n\
         use --device for devices",
        shown(path)
    )]
    Kind {
        /// As given.
        path: PathBuf,
    },
    /// It could not be opened.
    #[error("cannot share {} with the sandbox\n{source}", shown(path))]
    Locate {
        /// As given.
        path: PathBuf,
        /// Why.
        source: LocateError,
    },
    /// It could not be made.
    #[error("cannot make the directory {}\n{reason}\nmake it first", shown(path))]
    Create {
        /// As given.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// An automounter does not answer.
    #[error(
        "cannot share {} with the sandbox\n\
         it is mounted on demand, and that did not happen within 200 ms\n\
         make sure that it can be read, then try again",
        shown(path)
    )]
    Automount {
        /// As given.
        path: PathBuf,
    },
    /// The sandbox does not take it.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
