// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade explain`: what a sandbox can read, write, talk to and see, in plain words and ordered by
//! risk; where each grant comes from, and what would be narrower.
//!
//! An explanation is data. It is made from the layers of an application's permissions or from the
//! options of `exec`, and becomes text, JSON or a page from there. Nothing is started and nothing on
//! the host is changed.

pub mod bus;
pub mod from_app;
pub mod from_context;
pub mod from_exec;
pub mod grant;
pub mod html;
pub mod json;
pub mod judgement;
pub mod mount;
pub mod named;
pub mod place;
pub mod provenance;
pub mod risk;
#[cfg(test)]
mod tests;
pub mod text;
pub mod thing;
pub mod tree;

use grant::{Grant, Withdrawn};
use judgement::Ability;
use mount::Mount;
use risk::Risk;
use thing::{Kind, Thing};

use crate::flatpak::context::area::Area;

/// What is to be said about a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// What runs in it.
    pub title: String,
    /// What is known of that: a label and a value each.
    pub details: Vec<(&'static str, String)>,
    /// What it was granted, worst first.
    pub grants: Vec<Grant>,
    /// What was granted and taken back.
    pub withdrawn: Vec<Withdrawn>,
    /// Names in its permissions that are not known.
    pub unknown: Vec<String>,
    /// What every sandbox of its kind has.
    pub always: Vec<String>,
    /// Its file system.
    pub mounts: Vec<Mount>,
}

impl Explanation {
    /// The worst there is.
    #[must_use]
    pub fn risk(&self) -> Risk {
        self.grants.iter().map(|grant| grant.judgement.risk).min().unwrap_or(Risk::Low)
    }

    /// The grants of a level.
    pub fn of_risk(&self, risk: Risk) -> impl Iterator<Item = &Grant> {
        self.grants.iter().filter(move |grant| grant.judgement.risk == risk)
    }

    /// What it can do something with, worst first.
    #[must_use]
    pub fn objects(&self, ability: Ability) -> Vec<&Grant> {
        let can = |grant: &&Grant| grant.judgement.abilities.contains(&ability);
        self.grants.iter().filter(can).collect()
    }

    /// What it is kept from.
    #[must_use]
    pub fn kept_out(&self) -> Vec<&'static str> {
        let named = |area: Area, names: &[&str]| {
            self.grants.iter().any(|grant| {
                matches!(&grant.thing, Thing::Named(of, name) if *of == area && names.contains(&name.as_str()))
            })
        };
        let places = self
            .grants
            .iter()
            .any(|grant| matches!(grant.thing, Thing::Place(..) | Thing::Project(_)));
        let kind = |kind: Kind| self.grants.iter().any(|grant| grant.thing.kind() == kind);
        // Whoever can leave is kept from nothing.
        if self.risk() == Risk::NoSandbox {
            return Vec::new();
        }
        let kept = [
            ("the network", named(Area::Shares, &["network"])),
            ("your files", places),
            (
                "your screen",
                named(Area::Sockets, &["wayland", "x11", "fallback-x11", "inherit-wayland-socket"]),
            ),
            ("sound and the microphone", named(Area::Sockets, &["pulseaudio"]) || places),
            ("your devices", kind(Kind::Device)),
            ("your other programs", kind(Kind::Bus) || named(Area::Sockets, &["session-bus"])),
        ];
        kept.into_iter().filter(|(_, granted)| !granted).map(|(what, _)| what).collect()
    }

    /// Puts the worst first. What is equally bad stays in its order.
    fn sort(&mut self) {
        self.grants.sort_by_key(|grant| grant.judgement.risk);
    }
}
