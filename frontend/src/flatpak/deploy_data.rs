// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an installation keeps about each version it has, in the file `deploy` (R6).

use super::gvariant::{self, ANY, NUMBER, Part, TEXT};

/// Most bytes of the file: it holds names and summaries in all languages.
pub(super) const BYTES: usize = 4 << 20;

/// `(ssasta{sv})`.
const PARTS: [Part; 5] = [TEXT, TEXT, TEXT, NUMBER, ANY];

/// The content of such a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployData {
    /// The remote it came from.
    pub origin: String,
    /// The version: 64 hexadecimal digits.
    pub commit: String,
    /// The only parts of it that are installed, if there are any.
    pub subpaths: Vec<String>,
    /// Its size, in bytes.
    pub installed_size: u64,
    /// What it was called earlier.
    pub previous_ids: Vec<String>,
    /// Everything else that is text.
    texts: Vec<(String, String)>,
}

/// Why bytes are no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is damaged")]
pub struct DeployDataError;

impl DeployData {
    /// Reads the file. Entries that are damaged, or of a type that is not known, are left out.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, DeployDataError> {
        Self::read(bytes).ok_or(DeployDataError)
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
        let [origin, commit, subpaths, size, more] = gvariant::tuple(bytes, &PARTS)?;
        let mut read = Self {
            origin: gvariant::text(origin)?.to_owned(),
            commit: gvariant::text(commit)?.to_owned(),
            subpaths: owned(gvariant::texts(subpaths)?),
            installed_size: gvariant::big_endian(size)?,
            ..Self::default()
        };
        for (key, value) in gvariant::dictionary(more)? {
            if let Some(text) = value.text() {
                read.texts.push((key.to_owned(), text.to_owned()));
            } else if let Some(ids) = value.texts().filter(|_| key == "previous-ids") {
                read.previous_ids = owned(ids);
            }
        }
        Some(read)
    }

    /// The text of a key: `alt-id`, `eol`, `eolr`, `runtime`, `extension-of`, `appdata-name`,
    /// `appdata-summary`, `appdata-version`, `appdata-license`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| known == key).map(|(_, text)| text.as_str())
    }

    /// The text of a key in the first language it is there in, else the one without a language.
    #[must_use]
    pub fn translated(&self, key: &str, languages: &[String]) -> Option<&str> {
        let mut languages = languages.iter().map(|language| format!("{key}@{language}"));
        languages.find_map(|key| self.text(&key)).or_else(|| self.text(key))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by Flatpak 1.14.10 for an application with a name in two languages, end of life.
    pub(crate) const APP: &[u8] = include_bytes!("deploy_data/app");
    /// The same for a runtime, with hardly anything in it.
    const RUNTIME: &[u8] = include_bytes!("deploy_data/runtime");

    #[test]
    fn r6_what_flatpak_wrote_of_an_application() {
        let data = DeployData::parse(APP).unwrap();
        assert_eq!(data.origin, "local");
        assert_eq!(data.commit, "3ea9acc9e0e501a17fa8a62cc3586afcb2ae7a5575b9e6f416275472dc2ce296");
        assert_eq!(data.subpaths, [""; 0]);
        assert_eq!(data.installed_size, 1536);
        for (key, text) in [
            ("runtime", "org.example.Platform/x86_64/stable"),
            ("eol", "no more"),
            ("appdata-name", "Example"),
            ("appdata-summary", "Does \"nothing\" & more"),
            ("appdata-version", "1.2.3"),
            ("appdata-license", "MIT"),
        ] {
            assert_eq!(data.text(key), Some(text), "{key}");
        }
        // It is there, but no text.
        assert_eq!(data.text("appdata-content-rating"), None);
        let languages =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let german = languages(&["de_DE", "de"]);
        assert_eq!(data.translated("appdata-name", &german), Some("Beispiel"));
        assert_eq!(data.translated("appdata-name", &languages(&["fr"])), Some("Example"));
        assert_eq!(data.translated("appdata-version", &german), Some("1.2.3"));
        assert_eq!(data.translated("alt-id", &german), None);
    }

    #[test]
    fn r6_what_flatpak_wrote_of_a_runtime() {
        let data = DeployData::parse(RUNTIME).unwrap();
        assert_eq!((data.origin.as_str(), data.installed_size), ("local", 1_982_976));
        assert_eq!(data.text("appdata-name"), None);
        assert_eq!(data.previous_ids, [""; 0]);
    }

    #[test]
    fn r6_earlier_names_and_parts() {
        // ('o', 'c', ['/a'], 1, {'previous-ids': <['x', 'y']>})
        let bytes = b"o\0c\0/a\0\x03\0\0\0\0\0\0\0\x01\
            previous-ids\0\0\0\0x\0y\0\x02\x04\0as\x0d\x1a\x08\x04\x02";
        let data = DeployData::parse(bytes).unwrap();
        assert_eq!(
            (data.subpaths, data.previous_ids),
            (vec!["/a".into()], vec!["x".into(), "y".into()])
        );
    }

    #[test]
    fn r6_damaged_files_are_none() {
        for bytes in [&b""[..], b"x", b"\0\0\0", &APP[..APP.len() - 1], &APP[1..]] {
            assert_eq!(DeployData::parse(bytes), Err(DeployDataError), "{bytes:?}");
        }
    }

    proptest! {
        /// A byte that changed gives another content or none, and never ends the program.
        #[test]
        fn r6_changed_bytes_are_survived(
            changes in proptest::collection::vec((0..APP.len(), any::<u8>()), 1..5),
            end in 0..=APP.len(),
        ) {
            let mut bytes = APP.to_vec();
            for (place, byte) in changes {
                bytes[place] = byte;
            }
            bytes.truncate(end);
            if let Ok(data) = DeployData::parse(&bytes) {
                prop_assert!(data.texts.iter().all(|(key, text)| key.len().max(text.len()) < bytes.len()));
            }
        }
    }
}
