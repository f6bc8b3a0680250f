// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why nothing is built, in words for people.

use std::ffi::OsString;
use std::path::PathBuf;

use rustix::io::Errno;

use crate::command::CommandError;
use crate::environment::EnvironmentError;
use crate::flatpak::buses::BusesError;
use crate::flatpak::choice::ChoiceError;
use crate::flatpak::context::ContextError;
use crate::flatpak::data::DataError;
use crate::flatpak::deploy::DeployError;
use crate::flatpak::directory::DirectoryError;
use crate::flatpak::extension::relative::RelativeError;
use crate::flatpak::files::SessionError;
use crate::flatpak::gate::GateError;
use crate::flatpak::info_file::PathError;
use crate::flatpak::instance::InstanceError;
use crate::flatpak::metadata::MetadataError;
use crate::flatpak::permissions::PermissionsError;
use crate::flatpak::reference::{Id, Reference, ReferenceError};
use crate::keyfile::{KeyFileError, ValueError};
use crate::message::shown;
use crate::sandbox::SandboxError;
use crate::seccomp::SeccompError;

/// Why nothing is built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// It is no directory to build in.
    #[error(
        "cannot build in {}\nit has no {}\nmake such a directory with 'flatpak build-init'",
        shown(path),
        shown(missing)
    )]
    NotInitialized {
        /// As given.
        path: PathBuf,
        /// What is not there.
        missing: OsString,
    },
    /// A directory of it cannot be made or opened.
    #[error(
        "cannot use {} for the build\n{errno}\n\
         no component of it below the build directory may be a symlink or a file",
        shown(path)
    )]
    Open {
        /// Where it is.
        path: PathBuf,
        /// Why.
        errno: Errno,
    },
    /// An option names what is not in the build directory.
    #[error("cannot find that part of the build directory\n{0}\nname something in it")]
    Part(#[from] RelativeError),
    /// A part of it cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The metadata is none.
    #[error(
        "cannot understand {}\n{error}\nmend it, or make another directory with 'flatpak build-init'",
        shown(path)
    )]
    Syntax {
        /// Where it is.
        path: PathBuf,
        /// What is wrong with it.
        error: KeyFileError,
    },
    /// A value of the metadata is of the wrong kind.
    #[error("cannot understand the metadata\n{0}")]
    Value(#[from] ValueError),
    /// What the metadata say cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// A name in the metadata is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The metadata say too little.
    #[error("cannot build in {}\nits metadata names no {what}\nadd it to the file", shown(path))]
    Unnamed {
        /// The file.
        path: PathBuf,
        /// What it has to name.
        what: &'static str,
    },
    /// Variables of the runtime cannot be relied on.
    #[error(transparent)]
    Runtime(#[from] PermissionsError),
    /// Permissions in the metadata cannot be relied on.
    #[error("cannot use the permissions in {}\n{error}", shown(path))]
    Permissions {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ContextError,
    },
    /// The runtime, or what is extended, is not installed.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// It cannot be read.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// What is extended has no place for this extension.
    #[error(
        "cannot build the extension {id}\n{parent} has no place for an extension of that name\n\
         name what it extends in ExtensionOf of the metadata"
    )]
    NoPoint {
        /// The extension.
        id: Id,
        /// What it is to extend.
        parent: Box<Reference>,
    },
    /// It has several.
    #[error(
        "cannot build the extension {id}\n{parent} has several places for it\n\
         add the tag of one of them to ExtensionOf of the metadata"
    )]
    SeveralPoints {
        /// The extension.
        id: Id,
        /// What it is to extend.
        parent: Box<Reference>,
    },
    /// The place is not there.
    #[error(
        "cannot build the extension {id}\n{} is no directory in what is mounted there\n\
         the application or runtime has to have a directory where its extensions belong",
        shown(place)
    )]
    NoPlace {
        /// The extension.
        id: Id,
        /// Where it belongs.
        place: PathBuf,
    },
    /// The command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// There is no directory for its data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is no directory for the instance.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// There is no directory to meet services in.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// A path cannot be written down.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A variable cannot be.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// There is no filter for system calls.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The kernel does not run such programs.
    #[error("cannot build for 32-bit machines\n{0}")]
    Personality(Errno),
    /// The sandbox cannot be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A message bus that was asked for is not to be had.
    #[error(transparent)]
    Buses(#[from] BusesError),
    /// There is nothing to hold it back with until it is known.
    #[error(transparent)]
    Gate(#[from] GateError),
}
