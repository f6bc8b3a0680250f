// SPDX-License-Identifier: MIT OR Apache-2.0
//! The instance that asks for a sub-sandbox, as its `.flatpak-info` describes it (R240, R241, R245).
//!
//! The launcher wrote that file and nothing in the sandbox can change it (R344); it is read as
//! carefully as if it could, for what is in it becomes part of a command line.

use std::path::PathBuf;

use crate::cli::context as options;
use crate::flatpak::context::{Context, ContextError};
use crate::flatpak::deploy;
use crate::flatpak::instance::InstanceId;
use crate::flatpak::reference::{Arch, Branch, Id, Kind, Reference, ReferenceError};
use crate::keyfile::{Group, KeyFile, ValueError};
use crate::message::shown;

/// An instance, with what its children get of it.
#[derive(Clone, Debug)]
pub struct Parent {
    /// Its number.
    pub instance: InstanceId,
    /// The application, or the runtime that runs by itself.
    pub reference: Reference,
    /// Its version.
    pub commit: Option<String>,
    /// What it runs on.
    pub runtime: Reference,
    /// The version of that.
    pub runtime_commit: Option<String>,
    /// The directory of its data on the host; none with `--sandbox`.
    pub data: Option<PathBuf>,
    /// What it sees as `/app`.
    pub app_files: Option<PathBuf>,
    /// What it sees as `/usr`.
    pub runtime_files: Option<PathBuf>,
    /// What it may do.
    pub context: Context,
    /// What of that was said on its command line.
    pub typed: Context,
    /// Whether it has lost its application's permissions itself.
    pub sandbox: bool,
    /// Whether it may use debuggers.
    pub devel: bool,
}

/// Why an instance cannot have children.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParentError {
    /// It has no group of that name, or no such key in it.
    #[error("its .flatpak-info has no '{key}' in [{group}]")]
    Missing {
        /// Where.
        group: &'static str,
        /// What.
        key: &'static str,
    },
    /// A value is not what it has to be.
    #[error("its .flatpak-info is damaged: '{}' is no {kind}", shown(value))]
    Odd {
        /// As it stands there.
        value: String,
        /// What it should be.
        kind: &'static str,
    },
    /// A name is none.
    #[error("its .flatpak-info is damaged: {0}")]
    Reference(#[from] ReferenceError),
    /// A value cannot be read.
    #[error("its .flatpak-info is damaged: {0}")]
    Value(#[from] ValueError),
    /// Permissions cannot be read.
    #[error("its .flatpak-info is damaged: {0}")]
    Context(#[from] ContextError),
    /// It is being built, and is not what is installed under its name.
    #[error("it is being built: there is no installed application that could be started again")]
    Build,
}

const INSTANCE: &str = "Instance";

impl Parent {
    /// Reads what an instance says of itself.
    ///
    /// # Errors
    /// [`ParentError`].
    pub fn read(info: &KeyFile) -> Result<Self, ParentError> {
        let (kind, group) = match (info.group("Application"), info.group("Runtime")) {
            (Some(group), None) => (Kind::App, group),
            (None, Some(group)) => (Kind::Runtime, group),
            (None, None) | (Some(_), Some(_)) => {
                return Err(ParentError::Missing { group: "Application", key: "name" });
            }
        };
        let missing = |group, key| ParentError::Missing { group, key };
        let name = group.string("name")?.ok_or_else(|| missing("Application", "name"))?;
        let runtime = group.string("runtime")?.ok_or_else(|| missing("Application", "runtime"))?;
        let runtime = Reference::parse(&runtime)?;

        let group = info.group(INSTANCE).ok_or_else(|| missing(INSTANCE, "instance-id"))?;
        let text = |key: &'static str| -> Result<String, ParentError> {
            group.string(key)?.ok_or_else(|| missing(INSTANCE, key))
        };
        if is_true(group, "build")? {
            return Err(ParentError::Build);
        }
        let instance = text("instance-id")?;
        let odd = |value: &str, kind| ParentError::Odd { value: value.to_owned(), kind };
        let number = InstanceId::parse(&instance);
        let number = number.ok_or_else(|| odd(&instance, "number of an instance"))?;
        let typed = group.list("extra-args")?;
        let given = options::written(&typed);
        let given = given.ok_or_else(|| odd(&typed.join(" "), "list of permissions"))?;
        let (context, _) = Context::read(info)?;
        Ok(Self {
            instance: number,
            reference: Reference {
                kind,
                id: Id::new(name)?,
                arch: Arch::new(text("arch")?)?,
                branch: Branch::new(text("branch")?)?,
            },
            commit: commit(group, "app-commit")?,
            runtime,
            runtime_commit: commit(group, "runtime-commit")?,
            data: path(group, "instance-path")?,
            app_files: path(group, "app-path")?,
            runtime_files: path(group, "runtime-path")?,
            context,
            typed: given.context,
            sandbox: is_true(group, "sandbox")?,
            devel: is_true(group, "devel")?,
        })
    }
}

fn is_true(group: &Group, key: &str) -> Result<bool, ValueError> {
    Ok(group.boolean(key)?.unwrap_or(false))
}

fn commit(group: &Group, key: &str) -> Result<Option<String>, ParentError> {
    match group.string(key)? {
        Some(value) if !deploy::is_commit(&value) => {
            Err(ParentError::Odd { value, kind: "version" })
        }
        found => Ok(found),
    }
}

fn path(group: &Group, key: &str) -> Result<Option<PathBuf>, ParentError> {
    match group.string(key)? {
        Some(value) if !value.starts_with('/') => Err(ParentError::Odd { value, kind: "path" }),
        found => Ok(found.map(PathBuf::from)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const INFO: &str = "[Application]\n\
        name=org.example.App\n\
        runtime=runtime/org.example.Platform/x86_64/24.08\n\
        [Instance]\n\
        instance-id=7\n\
        instance-path=/home/u/.var/app/org.example.App\n\
        app-path=/inst/app/files\n\
        app-commit=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n\
        runtime-path=/inst/runtime/files\n\
        runtime-commit=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n\
        branch=stable\n\
        arch=x86_64\n";

    /// An instance of which this is said besides.
    pub(crate) fn parent(more: &str) -> Parent {
        read(&format!("{INFO}{more}")).unwrap()
    }

    fn read(text: &str) -> Result<Parent, ParentError> {
        Parent::read(&KeyFile::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn r240_what_an_instance_says_of_itself() {
        let parent = parent(
            "devel=true\nextra-args=--share=network;--env=A=b\\;c;--usb-list=;\n\
             [Context]\nshared=network;ipc;\n",
        );
        assert_eq!(parent.reference.to_string(), "app/org.example.App/x86_64/stable");
        assert_eq!(parent.runtime.to_string(), "runtime/org.example.Platform/x86_64/24.08");
        assert_eq!(parent.instance.to_string(), "7");
        assert_eq!(parent.commit.unwrap().len(), 64);
        assert!(parent.devel && !parent.sandbox);
        assert_eq!(parent.typed.environment["A"].as_deref(), Some("b;c"));
        assert_eq!(parent.context.shares.iter().count(), 2);
        let alone = read(&INFO.replace("[Application]", "[Runtime]")).unwrap();
        assert_eq!(alone.reference.kind, Kind::Runtime);
    }

    #[test]
    fn r245_r344_what_cannot_be_relied_on_is_refused() {
        for (from, to) in [
            ("[Application]", "[Other]"),
            ("name=org.example.App", "name=--command=x"),
            ("name=org.example.App", "title=x"),
            ("runtime=runtime/", "runtime="),
            ("instance-id=7", "instance-id=../7"),
            ("instance-id=7\n", ""),
            ("branch=stable", "branch=-x/y"),
            ("branch=stable\n", ""),
            ("app-commit=a", "app-commit=-"),
            ("instance-path=/", "instance-path="),
            ("arch=x86_64", "arch=x86_64\nextra-args=sh;"),
            ("arch=x86_64", "arch=x86_64\nextra-args=--env-fd=0;"),
            ("arch=x86_64", "arch=x86_64\nextra-args=--usb-list-file=/etc/passwd;"),
            ("arch=x86_64", "arch=x86_64\nextra-args=--command=sh;"),
            ("arch=x86_64", "arch=x86_64\nextra-args=--share=everything;"),
            ("arch=x86_64", "arch=x86_64\nbuild=true"),
        ] {
            assert!(INFO.contains(from), "{from}");
            assert!(read(&INFO.replacen(from, to, 1)).is_err(), "{to}");
        }
        assert!(read(&format!("{INFO}[Runtime]\nname=org.example.Other\n")).is_err());
    }
}
