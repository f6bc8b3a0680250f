// SPDX-License-Identifier: MIT OR Apache-2.0
//! What something is called that has no name for people.

use super::reference::Id;

/// Parts of something larger, which are not worth a line where that is listed.
const PARTS: [&str; 3] = [".Locale", ".Debug", ".Sources"];

/// What the last parts of a name say, those of a part of something before those of the whole.
const MEANINGS: [&[(&str, &str)]; 2] = [
    &[
        (".Locale", "translations"),
        (".Debug", "debug symbols"),
        (".Sources", "sourcecode"),
        (".Docs", "docs"),
    ],
    &[
        (".Sdk", "development platform"),
        (".Platform", "platform"),
        (".BaseApp", "application base"),
    ],
];

/// Words for a name, as `flatpak list` has them: `gnome platform translations` for
/// `org.gnome.Platform.Locale`.
#[must_use]
pub fn title(id: &Id) -> String {
    let (mut rest, mut words) = (id.as_str(), Vec::new());
    for meanings in MEANINGS {
        let found = meanings.iter().find_map(|(end, word)| Some((rest.strip_suffix(end)?, *word)));
        if let Some((front, word)) = found {
            rest = front;
            words.push(word);
        }
    }
    words.push(rest.rsplit('.').next().unwrap_or(rest));
    words.reverse();
    words.join(" ")
}

/// Whether something is only a part of what its metadata says it extends.
#[must_use]
pub fn is_part(id: &Id) -> bool {
    PARTS.iter().any(|end| id.as_str().ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Flatpak 1.14.10 made of the same names.
    #[test]
    fn words_of_flatpak_list() {
        for (id, text) in [
            ("org.zzz.App", "App"),
            ("org.ex.BaseApp", "ex application base"),
            ("org.ex.Debug", "ex debug symbols"),
            ("org.ex.Plat.Debug", "Plat debug symbols"),
            ("org.ex.Platform", "ex platform"),
            ("org.ex.Platform.GL.default", "default"),
            ("org.ex.Platform.Locale", "ex platform translations"),
            ("org.ex.PlatformX", "PlatformX"),
            ("org.ex.Sdk.Docs", "ex development platform docs"),
            ("org.ex.Sdk.Sources", "ex development platform sourcecode"),
            ("org.ex.Some_Docs", "Some_Docs"),
        ] {
            assert_eq!(title(&Id::new(id).unwrap()), text);
        }
    }

    #[test]
    fn documentation_is_no_part() {
        let part = |id| is_part(&Id::new(id).unwrap());
        assert!(
            part("org.ex.App.Locale") && part("org.ex.App.Debug") && part("org.ex.Sdk.Sources")
        );
        assert!(!part("org.ex.App.Docs") && !part("org.ex.App.GL.x") && !part("org.ex.Sdk"));
    }
}
