// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether two directories of settings belong to one application (R127): before it was packed it may have
//! been written otherwise.

/// Whether they have the same parts, but for capital letters, hyphens in their place
/// (`SoundJuicer`, `sound-juicer`), and a number behind the last part.
pub(super) fn are_similar(one: &str, other: &str) -> bool {
    let parts = |path: &str| -> Option<Vec<String>> {
        let inner = path.strip_prefix('/')?.strip_suffix('/')?;
        let parts: Vec<_> = inner.split('/').map(str::to_owned).collect();
        (!parts.iter().any(String::is_empty)).then_some(parts)
    };
    let (Some(mut one), Some(mut other)) = (parts(one), parts(other)) else { return false };
    for parts in [&mut one, &mut other] {
        if let Some(last) = parts.last_mut() {
            let name = last.trim_end_matches(|c: char| c.is_ascii_digit());
            if !name.is_empty() {
                *last = name.to_owned();
            }
        }
    }
    let alike = |(one, other): (&String, &String)| {
        one.eq_ignore_ascii_case(other) || hyphenated(one) == hyphenated(other)
    };
    one.len() == other.len() && one.iter().zip(&other).all(alike)
}

/// A name with hyphens in front of its capital letters, in small ones.
fn hyphenated(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !text.is_empty() && !text.ends_with('-') {
            text.push('-');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r127_one_application_written_in_different_ways() {
        for (one, other, expected) in [
            ("/org/gnome/Builder/", "/org/gnome/Builder/", true),
            ("/org/gnome/Builder/", "/org/gnome/Buildex/", false),
            ("/org/gnome/Rhythmbox3/", "/org/gnome/rhythmbox/", true),
            ("/org/gnome/Rhythmbox3/", "/org/gnome/rhythmbox", false),
            ("/org/gnome1/Rhythmbox/", "/org/gnome/rhythmbox/", false),
            ("/org/gnome/Rhythmbox3plus/", "/org/gnome/rhythmbox/", false),
            ("/org/gnome/SoundJuicer/", "/org/gnome/sound-juicer/", true),
            ("/org/gnome/Sound-Juicer/", "/org/gnome/sound-juicer/", true),
            ("/org/gnome/Soundjuicer/", "/org/gnome/sound-juicer/", false),
            ("/org/gnome/", "/org/gnome/Builder/", false),
            ("/", "/", false),
            ("/org//a/", "/org//a/", false),
        ] {
            assert_eq!(are_similar(one, other), expected, "{one} {other}");
            assert_eq!(are_similar(other, one), expected, "{other} {one}");
        }
    }
}
