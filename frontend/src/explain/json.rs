// SPDX-License-Identifier: MIT OR Apache-2.0
//! An explanation for programs. One object; fields are only ever added, and a change that is not an
//! addition raises `format`.
//!
//! | field | what |
//! | --- | --- |
//! | `format` | 1 |
//! | `title` | what runs in the sandbox |
//! | `details` | list of `label` and `value` |
//! | `risk` | the worst of `grants`: `no_sandbox`, `high`, `some`, `little` |
//! | `grants` | list of grants, worst first |
//! | `withdrawn` | list of `option` and `by`, a source: what was granted and taken back |
//! | `unknown` | list of names that are not known, and grant nothing |
//! | `always` | list of sentences: what every sandbox of the kind has |
//! | `kept_out` | list of what the sandbox is kept from |
//! | `mounts` | list of `path`, `access` (`read`, `write`, `private`, `hidden`, `link`), `what`, `risk` |
//!
//! A grant has `option`, `kind` (`files`, `socket`, `bus`, `device`, `share`, `feature`, `policy`,
//! `environment`), `risk`, `abilities` (`read`, `write`, `talk`, `see`), `object`, `effect` and `reason`
//! (words for people), `conditions` (one of them has to be met; empty: always granted), `sources` and
//! `narrower`: null, or `words` and `command`, which may be null. A source has `layer`
//! (`runtime_metadata`, `metadata`, `system_global_override`, `system_override`,
//! `user_global_override`, `user_override`, `command_line`) and `path`, which may be null. Bytes that
//! are no UTF-8 become U+FFFD.

use std::fmt::Write as _;

use serde::Serialize;

use super::Explanation;
use super::grant::{Grant, Source};
use super::judgement::Ability;
use super::mount::{Mount, Use};
use super::risk::Risk;
use super::thing::Kind;
use crate::message::is_hidden;

#[derive(Serialize)]
struct Document<'a> {
    format: u32,
    title: &'a str,
    details: Vec<Detail<'a>>,
    risk: Risk,
    grants: Vec<Told<'a>>,
    withdrawn: Vec<TakenBack<'a>>,
    unknown: &'a [String],
    always: &'a [String],
    kept_out: Vec<&'static str>,
    mounts: Vec<Place<'a>>,
}

#[derive(Serialize)]
struct Detail<'a> {
    label: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct Told<'a> {
    option: String,
    kind: Kind,
    risk: Risk,
    abilities: &'a [Ability],
    object: &'a str,
    effect: &'a str,
    reason: &'a str,
    conditions: &'a [String],
    sources: Vec<From>,
    narrower: Option<Narrower<'a>>,
}

#[derive(Serialize)]
struct From {
    layer: &'static str,
    path: Option<String>,
}

#[derive(Serialize)]
struct Narrower<'a> {
    words: &'a str,
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct TakenBack<'a> {
    option: std::borrow::Cow<'a, str>,
    by: From,
}

#[derive(Serialize)]
struct Place<'a> {
    path: std::borrow::Cow<'a, str>,
    access: Use,
    what: &'a str,
    risk: Risk,
}

/// The object.
///
/// # Errors
/// Never for an explanation; the library has such a result.
pub fn json(explanation: &Explanation) -> Result<String, serde_json::Error> {
    let details = explanation.details.iter();
    let withdrawn = explanation.withdrawn.iter();
    let document = Document {
        format: 1,
        title: &explanation.title,
        details: details.map(|(label, value)| Detail { label, value }).collect(),
        risk: explanation.risk(),
        grants: explanation.grants.iter().map(told).collect(),
        withdrawn: withdrawn
            .map(|it| TakenBack { option: it.what.to_string_lossy(), by: from(&it.by) })
            .collect(),
        unknown: &explanation.unknown,
        always: &explanation.always,
        kept_out: explanation.kept_out(),
        mounts: explanation.mounts.iter().map(place).collect(),
    };
    let mut text = escaped(&serde_json::to_string_pretty(&document)?);
    text.push('\n');
    Ok(text)
}

fn told(grant: &Grant) -> Told<'_> {
    let judgement = &grant.judgement;
    let narrower = grant.advice.as_ref();
    Told {
        option: grant.thing.option().to_string_lossy().into_owned(),
        kind: grant.thing.kind(),
        risk: judgement.risk,
        abilities: judgement.abilities,
        object: &judgement.object,
        effect: &judgement.effect,
        reason: judgement.reason,
        conditions: &grant.conditions,
        sources: grant.sources.iter().map(from).collect(),
        narrower: narrower
            .map(|advice| Narrower { words: &advice.words, command: advice.command.as_deref() }),
    }
}

fn from(source: &Source) -> From {
    let path = source.path().map(|path| path.to_string_lossy().into_owned());
    From { layer: source.word(), path }
}

fn place(mount: &Mount) -> Place<'_> {
    Place {
        path: mount.path.to_string_lossy(),
        access: mount.access,
        what: mount.what,
        risk: mount.risk,
    }
}

/// The same JSON without characters that would change how a terminal shows it: outside of strings
/// there is only the newline among them.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || !is_hidden(c) {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Nothing fails to be written to a text.
            write!(text, "\\u{unit:04x}").ok();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_escaped_and_mean_the_same() {
        let title = "a\u{1b}[2K\u{202e}\u{9b}\u{7f}\u{e0041}\n\"ä";
        let explanation = Explanation { title: title.to_owned(), ..Explanation::default() };
        let text = json(&explanation).unwrap();
        assert!(!text.contains(|c: char| c != '\n' && is_hidden(c)), "{text:?}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["title"], title);
        assert_eq!(read["risk"], "little");
    }
}
