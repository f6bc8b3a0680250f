// SPDX-License-Identifier: MIT OR Apache-2.0
//! What something that is installed may do, before anything is said on the command line (R45, R46).

use super::context::{Context, ContextError};
use super::deploy::Deploy;
use super::installation::Defaults;
use super::overrides::{self, OverridesError};
use super::reference::Reference;
use crate::message::Notice;

/// Why permissions cannot be relied on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PermissionsError {
    /// Those of the metadata.
    #[error("cannot use the metadata of {reference}\n{source}")]
    Metadata {
        /// Whose they are.
        reference: Box<Reference>,
        /// Why.
        source: ContextError,
    },
    /// Those of overrides.
    #[error(transparent)]
    Overrides(#[from] OverridesError),
}

/// What the metadata ask for.
///
/// # Errors
/// [`PermissionsError::Metadata`].
pub fn of_the_metadata(
    deploy: &Deploy,
    notices: &mut Vec<Notice>,
) -> Result<Context, PermissionsError> {
    let (context, told) = Context::read(&deploy.metadata).map_err(|source| {
        PermissionsError::Metadata { reference: Box::new(deploy.reference.clone()), source }
    })?;
    notices.extend(told);
    Ok(context)
}

/// The same with every override.
///
/// # Errors
/// [`PermissionsError`].
pub fn overridden(
    deploy: &Deploy,
    defaults: &Defaults,
    notices: &mut Vec<Notice>,
) -> Result<Context, PermissionsError> {
    let mut context = of_the_metadata(deploy, notices)?;
    let (layers, told) =
        overrides::layers(defaults, &deploy.installation.owner, &deploy.reference.id)?;
    context.merge(&layers);
    notices.extend(told);
    Ok(context)
}
