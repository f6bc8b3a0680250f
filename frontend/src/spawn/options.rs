// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named options of `Spawn` (R246), out of the variants in which they travel.

use std::collections::HashMap;
use std::os::fd::{AsFd as _, OwnedFd};

use zbus::{OwnedVariant, Variant};

use super::order::Objects;
use super::request::{Request, RequestError};

/// A value that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// It is of another type.
    #[error("the option '{name}' is not of the type '{signature}'")]
    Type {
        /// Which.
        name: &'static str,
        /// What it should be.
        signature: &'static str,
    },
    /// It asks for what cannot be.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// A descriptor cannot be had.
    #[error("a descriptor of the option '{name}' cannot be had: {error}")]
    Descriptor {
        /// Which.
        name: &'static str,
        /// Why.
        error: std::io::Error,
    },
}

/// Options by their names. Those that are not known are ignored (R246).
#[derive(Debug)]
pub struct Options(pub HashMap<String, OwnedVariant>);

impl Options {
    /// Adds what they say to a request of an instance of `id`, and to its objects.
    ///
    /// # Errors
    /// [`OptionError`].
    pub fn apply(
        &self,
        id: &str,
        request: &mut Request,
        objects: &mut Objects,
    ) -> Result<(), OptionError> {
        if let Some(bits) = self.number("sandbox-flags")? {
            request.keep(bits)?;
        }
        request.unset(self.texts("unset-env")?)?;
        request.own(self.texts("sandbox-a11y-own-names")?, id)?;
        for (name, writable) in [("sandbox-expose", true), ("sandbox-expose-ro", false)] {
            objects.named.extend(self.texts(name)?.into_iter().map(|text| (text, writable)));
        }
        for (name, writable) in [("sandbox-expose-fd", true), ("sandbox-expose-fd-ro", false)] {
            let all = self.descriptors(name)?.into_iter();
            objects.passed.extend(all.map(|descriptor| (descriptor, writable)));
        }
        objects.app = self.descriptor("app-fd")?;
        objects.usr = self.descriptor("usr-fd")?;
        Ok(())
    }

    /// A text, as other calls have it too.
    ///
    /// # Errors
    /// [`OptionError::Type`].
    pub fn text(&self, name: &'static str) -> Result<Option<String>, OptionError> {
        match self.value(name) {
            None => Ok(None),
            Some(Variant::Str(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(OptionError::Type { name, signature: "s" }),
        }
    }

    fn value(&self, name: &str) -> Option<&Variant<'static>> {
        self.0.get(name).map(|value| &**value)
    }

    fn number(&self, name: &'static str) -> Result<Option<u32>, OptionError> {
        match self.value(name) {
            None => Ok(None),
            Some(Variant::U32(number)) => Ok(Some(*number)),
            Some(_) => Err(OptionError::Type { name, signature: "u" }),
        }
    }

    fn texts(&self, name: &'static str) -> Result<Vec<String>, OptionError> {
        let wrong = || OptionError::Type { name, signature: "as" };
        self.items(name, wrong)?
            .iter()
            .map(|item| {
                let Variant::Str(text) = item else { return Err(wrong()) };
                Ok(text.to_string())
            })
            .collect()
    }

    fn descriptors(&self, name: &'static str) -> Result<Vec<OwnedFd>, OptionError> {
        let wrong = || OptionError::Type { name, signature: "ah" };
        let items = self.items(name, wrong)?.iter();
        items.map(|item| owned(name, item).ok_or_else(wrong)?).collect()
    }

    fn descriptor(&self, name: &'static str) -> Result<Option<OwnedFd>, OptionError> {
        let wrong = || OptionError::Type { name, signature: "h" };
        self.value(name).map(|value| owned(name, value).ok_or_else(wrong)?).transpose()
    }

    fn items(
        &self,
        name: &'static str,
        wrong: impl Fn() -> OptionError,
    ) -> Result<&[Variant<'static>], OptionError> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Variant::Array(items)) => Ok(items.inner()),
            Some(_) => Err(wrong()),
        }
    }
}

/// Another descriptor of the same object; none if the value is no descriptor.
fn owned(name: &'static str, value: &Variant<'_>) -> Option<Result<OwnedFd, OptionError>> {
    let Variant::Fd(descriptor) = value else { return None };
    let owned = descriptor.as_fd().try_clone_to_owned();
    Some(owned.map_err(|error| OptionError::Descriptor { name, error }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::bits::Part;

    fn apply(options: &[(&str, Variant<'_>)]) -> Result<(Request, Objects), OptionError> {
        let entry = |(name, value): &(&str, Variant<'_>)| {
            ((*name).to_owned(), value.try_to_owned().unwrap())
        };
        let options = Options(options.iter().map(entry).collect());
        let (mut request, mut objects) = (Request::default(), Objects::default());
        options.apply("org.example.App", &mut request, &mut objects)?;
        Ok((request, objects))
    }

    #[test]
    fn r246_options_are_read_by_their_types() {
        let (reader, _writer) = std::io::pipe().unwrap();
        let fd = || zbus::Fd::from(&reader);
        let (request, objects) = apply(&[
            ("sandbox-flags", 3_u32.into()),
            ("sandbox-expose", vec!["a", "b"].into()),
            ("sandbox-expose-ro", vec!["c"].into()),
            ("sandbox-expose-fd-ro", Variant::new(vec![fd(), fd()])),
            ("app-fd", fd().into()),
            ("unset-env", vec!["X"].into()),
            ("not-known", 3_u32.into()),
        ])
        .unwrap();
        assert!(request.parts.has(Part::Display) && request.unset.contains("X"));
        let named: Vec<_> = objects.named.iter().map(|(name, w)| (name.as_str(), *w)).collect();
        assert_eq!(named, [("a", true), ("b", true), ("c", false)]);
        assert_eq!(objects.passed.len(), 2);
        assert!(objects.app.is_some() && objects.usr.is_none());
    }

    #[test]
    fn r246_other_types_and_values_are_refused() {
        for (name, value) in [
            ("sandbox-flags", Variant::from(1_u64)),
            ("sandbox-flags", Variant::from(1024_u32)),
            ("sandbox-expose", Variant::from("a")),
            ("sandbox-expose-fd", Variant::from(vec![1_u32])),
            ("usr-fd", Variant::from(1_u32)),
            ("unset-env", Variant::from(vec!["A=B"])),
            ("sandbox-a11y-own-names", Variant::from(vec!["org.example.Other.x"])),
        ] {
            assert!(apply(&[(name, value)]).is_err(), "{name}");
        }
    }
}
