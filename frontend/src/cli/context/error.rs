// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of options that cannot be used.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use crate::descriptor::DescriptorError;
use crate::filesystem::token::{PersistError, TokenError};
use crate::flatpak::context::bus::BusNameError;
use crate::flatpak::context::generic::GenericPolicyError;
use crate::flatpak::context::usb::QueryError;
use crate::message::shown;
use crate::permission::WordError;

/// A value that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// An unknown word.
    #[error(transparent)]
    Word(#[from] WordError),
    /// No place.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No path to keep.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// No name on a bus.
    #[error(transparent)]
    BusName(#[from] BusNameError),
    /// No policy.
    #[error(transparent)]
    Policy(#[from] GenericPolicyError),
    /// No query for devices.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// No open descriptor.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A value that is no text.
    #[error("cannot use '{}' for --{option}\nit is not UTF-8", shown(value))]
    Encoding {
        /// The option, without the dashes.
        option: &'static str,
        /// As given.
        value: OsString,
    },
    /// No condition.
    #[error(
        "cannot use '{}' as a grant on a condition\n{reason}\n\
         write it as NAME:CONDITION, as in x11:!has-wayland",
        shown(value)
    )]
    Conditional {
        /// As given.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// No assignment.
    #[error(
        "cannot set '{}'\n\
         it is not of the form VARIABLE=VALUE, or no variable can have such a name here\n\
         write --env=VARIABLE=VALUE",
        shown(text)
    )]
    Assignment {
        /// As given.
        text: OsString,
    },
    /// No name of a variable.
    #[error(
        "cannot unset '{}'\nno variable can have such a name\nwrite --unset-env=VARIABLE",
        shown(name)
    )]
    Variable {
        /// As given.
        name: String,
    },
    /// No number, or that of a standard stream.
    #[error(
        "cannot use '{}' as a file descriptor\n\
         it is no number, or that of a standard stream\n\
         give the number of a descriptor from 3 on",
        shown(value)
    )]
    Number {
        /// As given.
        value: String,
    },
    /// Something that cannot be read.
    #[error("cannot read '{}'\n{error}", shown(name))]
    Read {
        /// A path, or which descriptor it is.
        name: PathBuf,
        /// Why.
        error: io::Error,
    },
}
