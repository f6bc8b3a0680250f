// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `.flatpak-info` says of what is run.

use std::path::Path;

use super::attached::Attached;
use super::{Opened, RunError};
use crate::flatpak::context::{Context, Form, Resolved};
use crate::flatpak::extension::Extensions;
use crate::flatpak::info_file::{Description, Part};
use crate::flatpak::instance::Instance;
use crate::flatpak::layout::base::Substitute;
use crate::flatpak::tree::Tree;
use crate::keyfile::KeyFile;
use crate::permission::Socket;

/// What `.flatpak-info` says besides versions.
pub(super) struct Facts<'a> {
    pub(super) sandbox: bool,
    pub(super) devel: bool,
    pub(super) data: Option<&'a Path>,
    pub(super) resolved: &'a Resolved,
}

/// The text of `.flatpak-info` (R240, R241).
pub(super) fn describe(
    opened: &Opened,
    extensions: &Attached,
    context: &Context,
    typed: &Context,
    instance: &Instance,
    facts: Facts<'_>,
) -> Result<Vec<u8>, RunError> {
    let one = |info: Option<String>| info.into_iter().collect::<Vec<_>>();
    let app_extensions = one(extensions.app.as_ref().and_then(Extensions::info));
    let runtime_extensions = one(extensions.runtime.info());
    let app_path = opened.app.as_ref().map(|app| app.path.join("files"));
    let runtime_path = opened.runtime.path.join("files");
    let original = app_path.as_deref();
    let (shown, is_replaced) = match &opened.base.app_instead {
        None => (original, false),
        Some(Substitute::Empty) => (None, true),
        Some(Substitute::Tree(tree)) => (Some(tree.path()), true),
    };
    let app = opened.app.as_ref().zip(shown).map(|(app, path)| Part {
        path,
        original: original.filter(|_| is_replaced),
        commit: Some(app.commit.as_str()),
        extensions: &app_extensions,
    });
    let usr = opened.base.usr_instead.as_ref().map(Tree::path);
    let runtime = Part {
        path: usr.unwrap_or(&runtime_path),
        original: usr.map(|_| runtime_path.as_path()),
        commit: Some(opened.runtime.commit.as_str()),
        extensions: &runtime_extensions,
    };
    let extra = typed.options();
    let sockets = &facts.resolved.permissions.sockets;
    let description = Description {
        reference: &opened.main().reference,
        branch: Some(&opened.main().reference.branch),
        runtime_reference: &opened.runtime.reference,
        instance: Some(instance.id()),
        data: facts.data,
        original_app: original.filter(|_| app.is_none()),
        app,
        runtime,
        session_bus_proxy: !sockets.contains(&Socket::SessionBus),
        system_bus_proxy: !sockets.contains(&Socket::SystemBus),
        sandbox: facts.sandbox,
        build: false,
        devel: facts.devel,
        extra_arguments: &extra,
    };
    let mut file = KeyFile::default();
    description.write(&mut file)?;
    context.write(&mut file, Form::Flattened);
    Ok(file.to_string().into_bytes())
}
