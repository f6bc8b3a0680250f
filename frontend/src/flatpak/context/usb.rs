// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which USB devices the portal may hand out (R32, R239).

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;

use crate::message::shown;

/// A query for devices: all of them, or those that fit every rule it has.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// Class, and subclass unless any will do.
    class: Option<(u8, Option<u8>)>,
    vendor: Option<u16>,
    /// Only with a vendor.
    product: Option<u16>,
}

/// A text that is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot use '{}' as a query for USB devices\n\
     it is none\n\
     write all, or one or more of cls:CC:SS, cls:CC:*, vnd:VVVV and dev:PPPP with '+' between them, \
     in hexadecimal digits, and dev only together with vnd",
    shown(text)
)]
pub struct QueryError {
    /// As given.
    pub text: OsString,
}

impl Query {
    /// Reads a query.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        if text == "all" {
            return Ok(Self::default());
        }
        Self::rules(text).ok_or_else(|| QueryError { text: text.into() })
    }

    fn rules(text: &str) -> Option<Self> {
        let mut query = Self::default();
        for rule in text.split('+') {
            let (kind, value) = rule.split_once(':')?;
            let second = match kind {
                "cls" => {
                    let (class, subclass) = value.split_once(':')?;
                    let subclass = if subclass == "*" { None } else { Some(byte(subclass)?) };
                    query.class.replace((byte(class)?, subclass)).is_some()
                }
                "vnd" => query.vendor.replace(word(value)?).is_some(),
                "dev" => query.product.replace(word(value)?).is_some(),
                _ => return None,
            };
            if second {
                return None;
            }
        }
        (query.product.is_none() || query.vendor.is_some()).then_some(query)
    }

    /// Whether every device that fits the other one fits this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let class = match (self.class, other.class) {
            (None, _) => true,
            (Some((class, None)), Some((other, _))) => class == other,
            (class @ Some((_, Some(_))), other) => class == other,
            (Some(_), None) => false,
        };
        class
            && (self.vendor.is_none() || self.vendor == other.vendor)
            && (self.product.is_none() || self.product == other.product)
    }
}

/// Two hexadecimal digits.
fn byte(text: &str) -> Option<u8> {
    let fits = text.len() == 2 && text.chars().all(|c| c.is_ascii_hexdigit());
    fits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// Four hexadecimal digits.
fn word(text: &str) -> Option<u16> {
    let fits = text.len() == 4 && text.chars().all(|c| c.is_ascii_hexdigit());
    fits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

/// As it is written.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.class.map(|(class, subclass)| match subclass {
            Some(subclass) => format!("cls:{class:02x}:{subclass:02x}"),
            None => format!("cls:{class:02x}:*"),
        });
        let vendor = self.vendor.map(|vendor| format!("vnd:{vendor:04x}"));
        let product = self.product.map(|product| format!("dev:{product:04x}"));
        let rules: Vec<_> = [class, vendor, product].into_iter().flatten().collect();
        f.write_str(if rules.is_empty() { "all" } else { "" })?;
        f.write_str(&rules.join("+"))
    }
}

/// The devices of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usb {
    /// What the portal may hand out.
    pub enumerable: BTreeSet<Query>,
    /// What it may not, even if it is among the former.
    pub hidden: BTreeSet<Query>,
}

impl Usb {
    /// Adds the queries of a list: `;` or a new line between them, `!` in front of what is hidden,
    /// lines that begin with `#` are left out (R239). Gives what is no query.
    #[must_use]
    pub fn read<'a>(&mut self, list: &'a str) -> Vec<&'a str> {
        let lines = list.lines().filter(|line| !line.starts_with('#'));
        let items = lines.flat_map(|line| line.split(';')).map(str::trim);
        let mut odd = Vec::new();
        for item in items.filter(|item| !item.is_empty()) {
            let (query, set) = match item.strip_prefix('!') {
                Some(query) => (query, &mut self.hidden),
                None => (item, &mut self.enumerable),
            };
            match Query::parse(query) {
                Ok(query) => {
                    set.insert(query);
                }
                Err(QueryError { .. }) => odd.push(item),
            }
        }
        odd
    }

    /// Puts a layer above this one: what either has (R47).
    pub fn merge(&mut self, upper: &Self) {
        self.enumerable.extend(upper.enumerable.iter().cloned());
        self.hidden.extend(upper.hidden.iter().cloned());
    }

    /// Whether no device is handed out here that is not handed out there.
    #[must_use]
    pub fn is_subset_of(&self, other: &Self) -> bool {
        let covered =
            |query: &Query, by: &BTreeSet<Query>| by.iter().any(|known| known.covers(query));
        let mut enumerable = self.enumerable.iter().filter(|query| !covered(query, &self.hidden));
        let all_known = enumerable.clone().all(|query| covered(query, &other.enumerable));
        let none = enumerable.next().is_none();
        none || all_known && other.hidden.iter().all(|query| covered(query, &self.hidden))
    }

    /// What stands in a file: what is handed out, and what is hidden. Both forms have both, for the
    /// portal goes by what it finds.
    #[must_use]
    pub fn lists(&self) -> (Vec<String>, Vec<String>) {
        let texts = |set: &BTreeSet<Query>| set.iter().map(Query::to_string).collect();
        (texts(&self.enumerable), texts(&self.hidden))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::parse(text).unwrap()
    }

    fn usb(list: &str) -> Usb {
        let mut usb = Usb::default();
        assert_eq!(usb.read(list), [""; 0]);
        usb
    }

    #[test]
    fn r32_queries_are_read_and_written() {
        for text in ["all", "cls:01:02", "cls:0a:*", "vnd:12ab", "cls:01:*+vnd:12ab+dev:00ff"] {
            assert_eq!(query(text).to_string(), text);
        }
        assert_eq!(query("dev:00FF+vnd:12AB").to_string(), "vnd:12ab+dev:00ff");
    }

    #[test]
    fn r32_wrong_queries_are_refused() {
        for text in [
            "",
            "ALL",
            "all+vnd:1234",
            "vnd:1234+all",
            "dev:1234",
            "vnd:123",
            "vnd:12345",
            "vnd:+123",
            "vnd:12g4",
            "cls:01",
            "cls:1:02",
            "cls:*:*",
            "cls:01:02:03",
            "vnd:1234+vnd:1234",
            "vnd:1234+",
            "cls:01:*+cls:01:*",
            "foo:1234",
            "!all",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn r239_lists_have_comments_and_hidden_devices() {
        let mut read = Usb::default();
        let odd = read.read("# vnd:0001;\nvnd:0002;!vnd:0003; cls:01:*\n\n;x;!y\nall");
        assert_eq!(odd, ["x", "!y"]);
        assert_eq!(read, usb("vnd:0002;cls:01:*;all;!vnd:0003"));
        assert_eq!(read.enumerable.len(), 3);
    }

    #[test]
    fn r47_layers_are_united() {
        let mut lower = usb("vnd:0001;!vnd:0002");
        lower.merge(&usb("vnd:0002;!vnd:0003"));
        assert_eq!(lower, usb("vnd:0001;vnd:0002;!vnd:0002;!vnd:0003"));
    }

    #[test]
    fn t71_more_devices_or_fewer_hidden_ones_are_more() {
        let old = usb("vnd:0001;cls:02:*;!vnd:0009");
        for list in
            ["", "vnd:0001;!vnd:0009", "vnd:0001+dev:0002;!all", "cls:02:03;!vnd:0009", "!all"]
        {
            assert!(usb(list).is_subset_of(&old), "{list}");
        }
        for list in ["vnd:0001", "all;!vnd:0009", "vnd:0002;!vnd:0009", "cls:03:*;!vnd:0009"] {
            assert!(!usb(list).is_subset_of(&old), "{list}");
        }
        assert!(
            !query("vnd:0001").covers(&query("all"))
                && !query("cls:01:02").covers(&query("cls:01:*"))
        );
    }
}
