// SPDX-License-Identifier: MIT OR Apache-2.0
//! Policies of other programs, which are merged and passed on (R31).

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::Form;
use crate::keyfile;
use crate::message::{is_hidden, shown};

/// Values with whether they are granted or taken back.
type Values = BTreeMap<String, bool>;

/// Values by subsystem and key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GenericPolicies(BTreeMap<(String, String), Values>);

/// A text that is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use '{}' as a policy\n{reason}\nwrite it as SUBSYSTEM.KEY=VALUE", shown(text))]
pub struct GenericPolicyError {
    /// As given.
    pub text: OsString,
    /// What is wrong.
    pub reason: &'static str,
}

impl GenericPolicies {
    /// Adds an item of the list of a key, with `!` in front where it takes back. Tells whether it
    /// could be added: an item without a value cannot, nor can a key that would be read as another.
    #[must_use]
    pub fn read(&mut self, subsystem: &str, key: &str, item: &str) -> bool {
        let (value, granted) = item.strip_prefix('!').map_or((item, true), |value| (value, false));
        let fits = !value.is_empty()
            && keyfile::can_begin_value(value)
            && keyfile::can_be_group(subsystem)
            && !subsystem.contains(is_hidden)
            && keyfile::can_be_key(key);
        if fits {
            let place = (subsystem.to_owned(), key.to_owned());
            self.0.entry(place).or_default().insert(value.to_owned(), granted);
        }
        fits
    }

    /// Grants or takes back what `SUBSYSTEM.KEY=VALUE` says.
    ///
    /// # Errors
    /// [`GenericPolicyError`].
    pub fn set(&mut self, text: &str, granted: bool) -> Result<(), GenericPolicyError> {
        let wrong = |reason| GenericPolicyError { text: text.into(), reason };
        let parts =
            text.split_once('=').and_then(|(place, value)| Some((place.split_once('.')?, value)));
        let ((subsystem, key), value) = parts.ok_or_else(|| wrong("it does not have the form"))?;
        if value.starts_with('!') {
            return Err(wrong("the value begins with '!'"));
        }
        let item = if granted { value.to_owned() } else { format!("!{value}") };
        if self.read(subsystem, key, &item) {
            Ok(())
        } else {
            Err(wrong(
                "the subsystem, the key or the value is empty or cannot be written to a file",
            ))
        }
    }

    /// Every value: subsystem, key, value, and whether it is granted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str, bool)> {
        self.0.iter().flat_map(|((subsystem, key), values)| {
            let of_key = |(value, granted)| (subsystem.as_str(), key.as_str(), value, granted);
            values.iter().map(|(value, granted)| (value.as_str(), *granted)).map(of_key)
        })
    }

    /// The lists as they are written: subsystem, key, items.
    pub fn lists(&self, form: Form) -> impl Iterator<Item = (&str, &str, Vec<String>)> {
        let lists = self.0.iter().map(move |((subsystem, key), values)| {
            let kept = values.iter().filter(move |(_, granted)| form == Form::Stored || **granted);
            let item = |(value, granted): (&String, &bool)| {
                if *granted { value.clone() } else { format!("!{value}") }
            };
            (subsystem.as_str(), key.as_str(), kept.map(item).collect::<Vec<_>>())
        });
        lists.filter(|(_, _, items)| !items.is_empty())
    }

    /// Puts a layer above this one (R47).
    pub fn merge(&mut self, upper: &Self) {
        for (place, values) in &upper.0 {
            let values = values.iter().map(|(value, granted)| (value.clone(), *granted));
            self.0.entry(place.clone()).or_default().extend(values);
        }
    }

    /// Whether nothing is granted here that is not granted there.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().filter(|(_, _, _, granted)| *granted).all(|(subsystem, key, value, _)| {
            other.iter().any(|known| known == (subsystem, key, value, true))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(items: &[&str]) -> GenericPolicies {
        let mut policies = GenericPolicies::default();
        for item in items {
            assert!(policies.read("dconf", "write", item), "{item}");
        }
        policies
    }

    fn written(policies: &GenericPolicies, form: Form) -> Vec<String> {
        policies.lists(form).flat_map(|(_, _, items)| items).collect()
    }

    #[test]
    fn r47_an_item_replaces_that_of_the_same_value() {
        let mut lower = policies(&["a", "!b", "c"]);
        lower.merge(&policies(&["!a", "b"]));
        assert_eq!(written(&lower, Form::Stored), ["!a", "b", "c"]);
        assert_eq!(written(&lower, Form::Flattened), ["b", "c"]);
        assert!(policies(&["b", "!z"]).is_subset_of(&lower));
        assert!(!policies(&["a"]).is_subset_of(&lower));
    }

    #[test]
    fn r236_options_name_subsystem_key_and_value() {
        let mut policies = GenericPolicies::default();
        policies.set("a.b.c=v=w", true).unwrap();
        policies.set("a.b=x", false).unwrap();
        let lists: Vec<_> = policies.lists(Form::Stored).collect();
        assert_eq!(
            lists,
            [("a", "b", vec!["!x".to_owned()]), ("a", "b.c", vec!["v=w".to_owned()])]
        );
        for text in
            ["", "a", "a.b", "a=v", ".b=v", "a.=v", "a.b=", "a.b=!v", "a].b=v", "a.b\n[C]=v"]
        {
            assert!(policies.set(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_that_would_be_something_else_are_refused() {
        let mut policies = GenericPolicies::default();
        for (subsystem, key, item) in [
            ("a", "#b", "c"),
            ("", "b", "c"),
            ("a", "b[de]", "c"),
            ("a", "b", ""),
            ("a", "b", "!"),
            ("a", "b", "\u{c}c"),
        ] {
            assert!(!policies.read(subsystem, key, item), "{subsystem}.{key}={item}");
        }
        assert_eq!(policies, GenericPolicies::default());
    }
}
