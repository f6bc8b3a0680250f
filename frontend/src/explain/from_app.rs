// SPDX-License-Identifier: MIT OR Apache-2.0
//! The explanation of an installed application.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::Explanation;
use super::from_context::{self, Granted};
use super::grant::{Source, Subject};
use super::mount::{self, Mount, Use};
use super::provenance::Layer;
use crate::caller::Caller;
use crate::filesystem::token::{Access, Place};
use crate::flatpak::choice::Choice;
use crate::flatpak::context::{Context, ContextError};
use crate::flatpak::deploy::Deploy;
use crate::flatpak::files::{self, Wanted};
use crate::flatpak::installation::{Defaults, Owner};
use crate::flatpak::overrides::{Overrides, OverridesError};
use crate::flatpak::reference::Id;
use crate::message::{Notice, shown};
use crate::sandbox::SandboxError;

/// Why an application cannot be explained.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FromAppError {
    /// Its permissions cannot be relied on.
    #[error("cannot trust the permissions in {}\n{error}\ndo not run it", shown(path))]
    Metadata {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ContextError,
    },
    /// Overrides cannot be used.
    #[error(transparent)]
    Overrides(#[from] OverridesError),
    /// The host's files cannot be looked at.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Explains what was chosen to run with what is typed, and gives the notices about what was left out of its
/// permissions.
///
/// # Errors
/// [`FromAppError`].
pub fn explain(
    choice: &Choice,
    typed: &Context,
    defaults: &Defaults,
    caller: &Caller,
) -> Result<(Explanation, Vec<Notice>), FromAppError> {
    let mut notices = Vec::new();
    let mut layers = layers(choice, defaults, &mut notices)?;
    layers.push(Layer { source: Source::CommandLine, context: typed.clone() });
    let runs = choice.app.as_ref().unwrap_or(&choice.runtime);
    let id = &runs.reference.id;
    let runtime_directory = caller.runtime_directory();
    let subject =
        Subject { app: Some(id.as_str()), home: &caller.home, runtime: &runtime_directory };
    let Granted { grants, withdrawn, unknown } = from_context::grants(&layers, &subject);

    let mut merged = Context::default();
    for layer in &layers {
        merged.merge(&layer.context);
    }
    let places: BTreeMap<Place, Access> =
        merged.filesystems.granted().map(|(place, access)| (place.clone(), access)).collect();
    let hidden: BTreeSet<Place> = merged.filesystems.denied().cloned().collect();
    // R88. What was put together by hand has no such file, and no earlier name.
    let data = choice.app.as_ref().and_then(|app| app.data().ok());
    let names = data.map(|data| data.previous_ids).unwrap_or_default();
    let previous: Vec<_> = names.iter().rev().filter_map(|name| Id::new(name).ok()).collect();
    let wanted = Wanted {
        filesystems: &places,
        hidden: &hidden,
        persist: &merged.persist,
        previous: &previous,
        installation: &defaults.user,
    };
    let own = caller.home.join(".var/app").join(id.as_str());
    let mut mounts = vec![
        Mount::own("/app", Use::Read, "the application"),
        Mount::own("/usr", Use::Read, "the runtime"),
        Mount::own("/etc", Use::Read, "the runtime's configuration"),
        Mount::own("/proc", Use::Private, "its own processes"),
        Mount::own("/tmp", Use::Private, "its own"),
        Mount::own(caller.sandbox_runtime_directory(), Use::Private, "its own sockets"),
    ];
    if choice.app.is_none() {
        mounts.remove(0);
    }
    mounts.extend(mount::devices(&grants));
    mounts.extend(mount::of_application(&files::visible(&wanted, id, caller)?, &subject));
    mounts.push(Mount::own(own, Use::Write, "its own files"));

    let mut explanation = Explanation {
        title: id.to_string(),
        details: details(choice),
        grants,
        withdrawn,
        unknown,
        always: always(id.as_str()),
        mounts,
    };
    explanation.sort();
    Ok((explanation, notices))
}

fn details(choice: &Choice) -> Vec<(&'static str, String)> {
    let told = |deploy: &Deploy| format!("{} ({})", deploy.reference, deploy.installation.owner);
    let mut details = Vec::new();
    details.extend(choice.app.as_ref().map(|app| ("Application", told(app))));
    details.push(("Runtime", told(&choice.runtime)));
    details
}

fn always(id: &str) -> Vec<String> {
    vec![
        format!("It keeps its own files in ~/.var/app/{id}"),
        "It reads itself in /app and its runtime in /usr, and can change neither".to_owned(),
        "It sees its own processes and no others".to_owned(),
        "It can use portals: they ask you before they hand out a file, the screen or the camera"
            .to_owned(),
        format!("It can have names on the session bus that begin with {id}"),
    ]
}

/// Who says what, lowest first (R45, R46).
fn layers(
    choice: &Choice,
    defaults: &Defaults,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Layer>, FromAppError> {
    let (path, context) = said_by(&choice.runtime, notices)?;
    let context = context.without_permissions();
    let mut layers = vec![Layer { source: Source::Runtime(path), context }];
    let Some(app) = &choice.app else { return Ok(layers) };
    let (path, context) = said_by(app, notices)?;
    layers.push(Layer { source: Source::Metadata(path), context });
    let system = match app.installation.owner {
        Owner::User => None,
        Owner::System(_) => Some((false, &defaults.system)),
    };
    for (user, installation) in system.into_iter().chain([(true, &defaults.user)]) {
        for (global, id) in [(true, None), (false, Some(&app.reference.id))] {
            let overrides = Overrides::new(installation, id);
            let (context, more) = overrides.context()?;
            notices.extend(more);
            let source = Source::Overrides { user, global, path: overrides.path() };
            layers.push(Layer { source, context });
        }
    }
    Ok(layers)
}

fn said_by(deploy: &Deploy, notices: &mut Vec<Notice>) -> Result<(PathBuf, Context), FromAppError> {
    let path = deploy.path.join("metadata");
    match Context::read(&deploy.metadata) {
        Ok((context, more)) => {
            notices.extend(more);
            Ok((path, context))
        }
        Err(error) => Err(FromAppError::Metadata { path, error }),
    }
}
