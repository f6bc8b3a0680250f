// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no sandbox, in words for people.

use std::ffi::OsString;
use std::path::PathBuf;

use stockade_protocol::text::TextFault;

use crate::bus::supply::SupplyError;
use crate::command::CommandError;
use crate::descriptor::DescriptorError;
use crate::environment::EnvironmentError;
use crate::filesystem::export::ExportError;
use crate::filesystem::grant::GrantError;
use crate::flatpak::context::bus::BusNameError;
use crate::home::HomeError;
use crate::message::shown;
use crate::sandbox::SandboxError;
use crate::scope::ScopeError;
use crate::seccomp::SeccompError;

/// Why there is no sandbox.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The command cannot be run.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The host name breaks a rule.
    #[error(
        "cannot use '{}' as the host name\n{fault}\nuse 1 to 63 of A-Z, a-z, 0-9, '.' and '-'",
        shown(hostname)
    )]
    Hostname {
        /// As given.
        hostname: OsString,
        /// What is wrong.
        fault: TextFault,
    },
    /// The project would be the whole home or more.
    #[error(
        "cannot use {} as the project\n\
         that would share {} with the sandbox\n\
         go into the directory of the project, or share the rest by name with --filesystem",
        shown(path),
        what
    )]
    Project {
        /// As resolved.
        path: PathBuf,
        /// What would be shared.
        what: &'static str,
    },
    /// The project is no directory.
    #[error("cannot use {} as the project\nit is not a directory", shown(path))]
    ProjectKind {
        /// As given.
        path: PathBuf,
    },
    /// A relative path where there is no directory it could be relative to.
    #[error(
        "cannot find {}\nthe current directory does not exist any more\ngive an absolute path",
        shown(path)
    )]
    Nowhere {
        /// As given.
        path: PathBuf,
    },
    /// A path that is to be resolved on the host cannot be.
    #[error("cannot find {}\n{reason}", shown(path))]
    Path {
        /// As given.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The standard descriptors are passed anyway.
    #[error(
        "cannot pass the file descriptor {number} separately\n\
         0, 1 and 2 are always passed\nleave the option out"
    )]
    Standard {
        /// As given.
        number: u32,
    },
    /// A descriptor was given twice.
    #[error("cannot pass the file descriptor {number} twice\nname it once")]
    Twice {
        /// As given.
        number: u32,
    },
    /// A descriptor cannot be passed.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A place cannot be shared.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// The project cannot be shared.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// There is no home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A variable cannot be passed.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A name on a bus cannot be one.
    #[error(transparent)]
    BusName(#[from] BusNameError),
    /// A message bus cannot be shared.
    #[error(transparent)]
    Buses(#[from] SupplyError),
    /// There is no system call filter.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
    /// There is no Landlock ruleset.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The description cannot be made.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}
