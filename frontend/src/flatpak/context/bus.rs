// SPDX-License-Identifier: MIT OR Apache-2.0
//! What may be done with names on a message bus (R28).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::Form;
use crate::message::shown;

/// Longest name, by the D-Bus specification.
const NAME_BYTES: usize = 255;

/// A name on a bus, or one with every name below it: `org.example.App`, `org.example.App.*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BusName(String);

/// A text that is no name on a bus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use '{}' as a name on a message bus\n\
     it is no well-known name\n\
     write it like org.example.App, or org.example.App.* with everything below it",
    shown(text)
)]
pub struct BusNameError {
    /// As given.
    pub text: OsString,
}

impl BusName {
    /// Checks a text.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(text: &str) -> Result<Self, BusNameError> {
        let name = text.strip_suffix(".*").unwrap_or(text);
        let element = |element: &str| {
            !element.is_empty()
                && !element.starts_with(|c: char| c.is_ascii_digit())
                && element.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
        };
        if name.len() <= NAME_BYTES && name.contains('.') && name.split('.').all(element) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BusNameError { text: text.into() })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether every name that the other one stands for is one that this stands for. `NAME.*` stands
    /// for NAME too (R208).
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let Some(top) = self.0.strip_suffix(".*") else { return self == other };
        let below = other.0.strip_prefix(top);
        below.is_some_and(|below| below.is_empty() || below.starts_with('.'))
    }
}

impl fmt::Display for BusName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What may be done with a name, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BusPolicy {
    /// Nothing.
    None,
    /// Knowing that it is there.
    See,
    /// Talking to it.
    Talk,
    /// Being it.
    Own,
}

impl BusPolicy {
    /// Reads a word. None if it is not known.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        [Self::None, Self::See, Self::Talk, Self::Own]
            .into_iter()
            .find(|policy| policy.word() == word)
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::See => "see",
            Self::Talk => "talk",
            Self::Own => "own",
        }
    }
}

/// The names of one bus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BusPolicies(BTreeMap<BusName, BusPolicy>);

impl BusPolicies {
    /// Says what may be done with a name.
    pub fn set(&mut self, name: BusName, policy: BusPolicy) {
        self.0.insert(name, policy);
    }

    /// Every name, with those that nothing may be done with.
    pub fn iter(&self) -> impl Iterator<Item = (&BusName, BusPolicy)> {
        self.0.iter().map(|(name, policy)| (name, *policy))
    }

    /// The names that something may be done with.
    pub fn granted(&self) -> impl Iterator<Item = (&BusName, BusPolicy)> {
        self.iter().filter(|(_, policy)| *policy != BusPolicy::None)
    }

    /// What stands in a file.
    pub fn entries(&self, form: Form) -> impl Iterator<Item = (&BusName, BusPolicy)> {
        self.iter().filter(move |(_, policy)| form == Form::Stored || *policy != BusPolicy::None)
    }

    /// Puts a layer above this one (R47).
    pub fn merge(&mut self, upper: &Self) {
        self.0.extend(upper.0.iter().map(|(name, policy)| (name.clone(), *policy)));
    }

    /// Whether nothing is granted here that is not granted there. Of several policies for a name the
    /// strongest counts.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.granted().all(|(name, policy)| {
            other.granted().any(|(known, most)| known.covers(name) && most >= policy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(entries: &[(&str, BusPolicy)]) -> BusPolicies {
        let mut policies = BusPolicies::default();
        for (name, policy) in entries {
            policies.set(BusName::new(name).unwrap(), *policy);
        }
        policies
    }

    #[test]
    fn r28_names_are_well_known_ones() {
        for name in ["a.b", "org.example.App", "org.example.*", "a.b-c._9", "a.b.*"] {
            assert_eq!(BusName::new(name).map(|name| name.to_string()), Ok(name.to_owned()));
        }
        let long = format!("a.{}", "b".repeat(254));
        for name in [
            "", "a", "a.*", "*", ":1.2", "a..b", ".a.b", "a.9b", "a.b*", "a.*.b", "a.b\n", "é.b",
            &long,
        ] {
            assert!(BusName::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn r28_policies_are_ordered() {
        let words = ["none", "see", "talk", "own"];
        let read = words.map(|word| BusPolicy::read(word).unwrap());
        assert!(read.is_sorted());
        assert_eq!(read.map(BusPolicy::word), words);
        assert_eq!(BusPolicy::read("Talk"), None);
    }

    #[test]
    fn r208_wildcards_stand_for_the_name_and_all_below_it() {
        let covers = |a: &str, b: &str| BusName::new(a).unwrap().covers(&BusName::new(b).unwrap());
        for name in ["a.b", "a.b.c", "a.b.*", "a.b.c.*"] {
            assert!(covers("a.b.*", name), "{name}");
        }
        for name in ["a.bc", "a.c", "a.bc.*"] {
            assert!(!covers("a.b.*", name), "{name}");
        }
        assert!(covers("a.b", "a.b") && !covers("a.b", "a.b.*") && !covers("a.b", "a.b.c"));
    }

    #[test]
    fn r47_the_policy_of_the_upper_layer_replaces() {
        let mut lower = policies(&[("a.b", BusPolicy::Own), ("c.d", BusPolicy::Talk)]);
        lower.merge(&policies(&[("a.b", BusPolicy::None)]));
        assert_eq!(lower, policies(&[("a.b", BusPolicy::None), ("c.d", BusPolicy::Talk)]));
        assert_eq!(lower.entries(Form::Stored).count(), 2);
        assert_eq!(lower.entries(Form::Flattened).count(), 1);
    }

    #[test]
    fn t71_more_is_asked_for_by_stronger_policies_and_other_names() {
        let old = policies(&[("a.b.*", BusPolicy::Talk), ("c.d", BusPolicy::None)]);
        assert!(
            policies(&[("a.b.c", BusPolicy::See), ("c.d", BusPolicy::None)]).is_subset_of(&old)
        );
        assert!(!policies(&[("a.b.c", BusPolicy::Own)]).is_subset_of(&old));
        assert!(!policies(&[("c.d", BusPolicy::See)]).is_subset_of(&old));
    }
}
