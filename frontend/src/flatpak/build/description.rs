// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `.flatpak-info` says of a build.

use std::path::Path;

use super::BuildError;
use super::base::Base;
use super::project::Project;
use crate::flatpak::context::{Context, Form, Resolved};
use crate::flatpak::extension::Extensions;
use crate::flatpak::info_file::{Description, Part};
use crate::flatpak::instance::InstanceId;
use crate::flatpak::reference::{Kind, Reference};
use crate::keyfile::KeyFile;
use crate::permission::Socket;

/// What it says besides what is built on what.
pub(super) struct Facts<'a> {
    pub(super) instance: InstanceId,
    pub(super) data: Option<&'a Path>,
    pub(super) app_extensions: Option<&'a Extensions>,
    pub(super) runtime_extensions: Option<&'a Extensions>,
    pub(super) context: &'a Context,
    pub(super) typed: &'a Context,
    pub(super) resolved: &'a Resolved,
}

/// The text of `.flatpak-info` (R240, R241, R263): no version and no branch of what is built.
pub(super) fn describe(
    project: &Project,
    base: &Base,
    facts: &Facts<'_>,
) -> Result<Vec<u8>, BuildError> {
    let list = |extensions: Option<&Extensions>| {
        extensions.and_then(Extensions::info).into_iter().collect::<Vec<_>>()
    };
    let app_extensions = list(facts.app_extensions);
    let runtime_extensions = list(facts.runtime_extensions);
    // Whatever is in /app makes it an application.
    let kind = if base.app.is_some() { Kind::App } else { Kind::Runtime };
    let extra = facts.typed.options();
    let app = base.app.as_ref().map(|app| Part {
        path: app.path(),
        original: None,
        commit: None,
        extensions: &app_extensions,
    });
    let sockets = &facts.resolved.permissions.sockets;
    let description = Description {
        reference: &Reference { kind, ..project.reference.clone() },
        branch: None,
        runtime_reference: &project.runtime,
        instance: Some(facts.instance),
        data: facts.data,
        app,
        original_app: None,
        runtime: Part {
            path: base.usr.path(),
            original: None,
            commit: base.runtime.as_ref().map(|runtime| runtime.commit.as_str()),
            extensions: &runtime_extensions,
        },
        session_bus_proxy: !sockets.contains(&Socket::SessionBus),
        system_bus_proxy: !sockets.contains(&Socket::SystemBus),
        sandbox: false,
        build: true,
        devel: true,
        extra_arguments: &extra,
    };
    let mut file = KeyFile::default();
    description.write(&mut file)?;
    facts.context.write(&mut file, Form::Flattened);
    Ok(file.to_string().into_bytes())
}
