// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is thought of something that can be granted, whoever granted it.

use serde::Serialize;

use super::risk::Risk;

/// What a grant lets a program do with its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// Read files.
    Read,
    /// Change files.
    Write,
    /// Talk to a service, a device or another machine.
    Talk,
    /// See what others do.
    See,
}

impl Ability {
    /// Every ability, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Talk, Self::See];

    /// What stands in front of the objects.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Read => "reads",
            Self::Write => "writes",
            Self::Talk => "talks to",
            Self::See => "sees",
        }
    }
}

/// What would do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Narrower {
    /// In words.
    pub words: &'static str,
    /// The options that grant it; none if it takes no grant.
    pub options: &'static [&'static str],
}

/// An opinion with its reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The level.
    pub risk: Risk,
    /// What it is about, in a few words, to stand in a list.
    pub object: String,
    /// What can be done with that.
    pub abilities: &'static [Ability],
    /// What the program can do, as a sentence.
    pub effect: String,
    /// Why the level is what it is.
    pub reason: &'static str,
    /// What would do instead of it.
    pub narrower: Option<Narrower>,
    /// What a portal has that would do instead of it, without a grant; `exec` has no portals.
    pub portal: Option<&'static str>,
}

impl Judgement {
    /// One without anything narrower than to do without.
    #[must_use]
    pub fn new(
        risk: Risk,
        object: impl Into<String>,
        abilities: &'static [Ability],
        effect: impl Into<String>,
        reason: &'static str,
    ) -> Self {
        let (object, effect) = (object.into(), effect.into());
        Self { risk, object, abilities, effect, reason, narrower: None, portal: None }
    }

    /// The same with something that a portal has.
    #[must_use]
    pub fn or_portal(mut self, words: &'static str) -> Self {
        self.portal = Some(words);
        self
    }

    /// The same with something that would do instead.
    #[must_use]
    pub fn or(mut self, words: &'static str, options: &'static [&'static str]) -> Self {
        self.narrower = Some(Narrower { words, options });
        self
    }
}
