// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which languages the user reads.

use crate::caller::Caller;

/// The languages of the caller, most wanted first, each followed by what it is a kind of: `de_AT`, `de`.
/// As GLib takes them from the environment, `g_get_language_names(3)`.
#[must_use]
pub fn languages(caller: &Caller) -> Vec<String> {
    let named = ["LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"];
    let named = named.iter().find_map(|name| caller.variable(name)).and_then(|text| text.to_str());
    let mut found: Vec<String> = Vec::new();
    for locale in named.unwrap_or_default().split(':').filter(|locale| !locale.is_empty()) {
        for variant in variants(locale) {
            if !found.contains(&variant) {
                found.push(variant);
            }
        }
    }
    found
}

/// `language_TERRITORY.CODESET@MODIFIER` with less and less of it; the code set says nothing.
fn variants(locale: &str) -> Vec<String> {
    let (place, modifier) = match locale.split_once('@') {
        Some((place, modifier)) => (place, format!("@{modifier}")),
        None => (locale, String::new()),
    };
    let place = place.split_once('.').map_or(place, |(place, _)| place);
    let language = place.split_once('_').map_or(place, |(language, _)| language);
    vec![
        format!("{place}{modifier}"),
        format!("{language}{modifier}"),
        place.to_owned(),
        language.to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use std::path::Path;

    fn read(variables: &[(&str, &str)]) -> Vec<String> {
        languages(&caller(Path::new("/h"), variables))
    }

    #[test]
    fn the_first_variable_that_is_set_counts() {
        assert_eq!(read(&[("LANG", "de_AT.UTF-8")]), ["de_AT", "de"]);
        assert_eq!(read(&[("LANG", "de"), ("LC_ALL", ""), ("LC_MESSAGES", "fr")]), ["fr"]);
        let list = read(&[("LANGUAGE", "pt_BR:pt:en"), ("LANG", "de")]);
        assert_eq!(list, ["pt_BR", "pt", "en"]);
        assert_eq!(read(&[]), [""; 0]);
    }

    #[test]
    fn scripts_come_before_languages() {
        let found = read(&[("LANG", "sr_RS.UTF-8@latin")]);
        assert_eq!(found, ["sr_RS@latin", "sr@latin", "sr_RS", "sr"]);
    }
}
