// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why an application does not run, in words for people.

use crate::command::CommandError;
use crate::environment::EnvironmentError;
use crate::flatpak::buses::BusesError;
use crate::flatpak::choice::ChoiceError;
use crate::flatpak::data::DataError;
use crate::flatpak::deploy::DeployError;
use crate::flatpak::files::SessionError;
use crate::flatpak::forward::ForwardError;
use crate::flatpak::gate::GateError;
use crate::flatpak::info_file::PathError;
use crate::flatpak::instance::InstanceError;
use crate::flatpak::library_cache::LibraryCacheError;
use crate::flatpak::metadata::MetadataError;
use crate::flatpak::parental_controls::ParentalControlsError;
use crate::flatpak::permissions::PermissionsError;
use crate::flatpak::reference::Reference;
use crate::sandbox::SandboxError;
use crate::seccomp::SeccompError;

/// Why an application does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Nothing says what to run in it (R77).
    #[error(
        "cannot run {application}\nits metadata names no command\nname one with --command=COMMAND"
    )]
    NoCommand {
        /// The application.
        application: Box<Reference>,
    },
    /// The command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// There is no such application, or no runtime for it.
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    /// The administrator does not allow it (R17).
    #[error(transparent)]
    ParentalControls(#[from] ParentalControlsError),
    /// Its metadata are damaged.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// It cannot be read.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// Permissions cannot be relied on.
    #[error(transparent)]
    Permissions(#[from] PermissionsError),
    /// There is no directory for its data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// There is no directory for the instance.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// There is no directory to meet services in.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// There is no library cache.
    #[error(transparent)]
    LibraryCache(#[from] LibraryCacheError),
    /// A path cannot be written down.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A file on the command line cannot be shown to it.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// A variable cannot be.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A message bus that it cannot do without is not to be had.
    #[error(transparent)]
    Buses(#[from] BusesError),
    /// There is nothing to hold it back with until it is known.
    #[error(transparent)]
    Gate(#[from] GateError),
    /// There is no filter for system calls.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// The sandbox cannot be described.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
