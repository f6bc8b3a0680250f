// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which layers something comes from.

use super::grant::Source;
use crate::flatpak::context::Context;

/// What somebody says about an application.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Who.
    pub source: Source,
    /// What.
    pub context: Context,
}

/// What a layer says of one thing, from first to last.
pub(super) struct Said<T> {
    /// It takes back what lower layers grant.
    pub(super) denies: bool,
    /// It grants it in this way.
    pub(super) grants: Option<T>,
}

/// Who grants a thing in the end, and who took it back last.
pub(super) struct Provenance {
    pub(super) sources: Vec<Source>,
    /// Only where something had been granted.
    pub(super) denied: Option<Source>,
}

/// Asks every layer, lowest first.
pub(super) fn provenance<T: PartialEq>(
    layers: &[Layer],
    said: impl Fn(&Context) -> Said<T>,
) -> Provenance {
    let mut sources = Vec::new();
    let mut denied = None;
    let mut how = None;
    for layer in layers {
        let Said { denies, grants } = said(&layer.context);
        if denies && !sources.is_empty() {
            sources.clear();
            denied = Some(layer.source.clone());
        }
        if grants.is_some() {
            // Who granted it otherwise has no say any more.
            if how != grants {
                sources.clear();
                how = grants;
            }
            sources.push(layer.source.clone());
        }
    }
    Provenance { sources, denied }
}
