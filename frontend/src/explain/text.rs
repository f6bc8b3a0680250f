// SPDX-License-Identifier: MIT OR Apache-2.0
//! An explanation as people read it in a terminal.

use std::fmt::Write as _;

use super::Explanation;
use super::grant::Grant;
use super::judgement::Ability;
use super::risk::Risk;
use crate::cli::table::bold;
use crate::message::{is_hidden, shown};

/// Longest line in characters, where it can be broken.
const WIDTH: usize = 79;
/// Where the lists of the summary begin.
const LIST: usize = 12;

/// The whole text. Headings stand out where a terminal shows them.
#[must_use]
pub fn text(explanation: &Explanation, terminal: bool) -> String {
    let heading = |text: &str| if terminal { bold(text) } else { text.to_owned() };
    let risk = explanation.risk();
    let mut out = String::new();
    line(&mut out, &heading(&format!("{}: {}", shown(&explanation.title), risk.verdict())));
    for (label, value) in &explanation.details {
        paragraph(&mut out, 2, &format!("{label}: "), &shown(value).to_string());
    }
    line(&mut out, "");
    summary(&mut out, explanation);
    for risk in Risk::ALL {
        let mut grants = explanation.of_risk(risk).peekable();
        if grants.peek().is_some() {
            let title = format!("{} {}: {}", risk.mark(), risk.word(), risk.meaning());
            line(&mut out, &format!("\n{}", heading(&title)));
        }
        for one in grants {
            grant(&mut out, one, &heading);
        }
    }
    line(&mut out, &format!("\n{}", heading("what every sandbox of this kind has")));
    list(&mut out, explanation.always.iter().map(|text| shown(text).to_string()));
    if !explanation.withdrawn.is_empty() {
        line(&mut out, &format!("\n{}", heading("taken back, and not granted")));
        let told = explanation.withdrawn.iter();
        list(&mut out, told.map(|it| format!("{} by {}", shown(&it.what), it.by)));
    }
    if !explanation.unknown.is_empty() {
        line(
            &mut out,
            &format!("\n{}", heading("names that mean nothing here, and grant nothing")),
        );
        list(&mut out, explanation.unknown.iter().map(|text| shown(text).to_string()));
    }
    out
}

fn line(out: &mut String, text: &str) {
    // Nothing fails to be written to a text.
    writeln!(out, "{text}").ok();
}

fn summary(out: &mut String, explanation: &Explanation) {
    for ability in Ability::ALL {
        let objects = explanation.objects(ability);
        let mut names: Vec<_> =
            objects.iter().map(|grant| shown(&grant.judgement.object).to_string()).collect();
        names.dedup();
        let text = if names.is_empty() { "nothing more".to_owned() } else { names.join("; ") };
        paragraph(out, 2, &format!("{:LIST$}", ability.verb()), &text);
    }
    let kept_out = explanation.kept_out();
    if !kept_out.is_empty() {
        paragraph(out, 2, &format!("{:LIST$}", "not"), &kept_out.join(", "));
    }
}

fn grant(out: &mut String, grant: &Grant, heading: &impl Fn(&str) -> String) {
    line(out, &format!("\n  {}", heading(&shown(&grant.thing.option()).to_string())));
    let judgement = &grant.judgement;
    let told = |out: &mut String, label: &str, text: &str| paragraph(out, 4, label, text);
    told(out, "", &format!("{}.", shown(&judgement.effect)));
    if !grant.conditions.is_empty() {
        let conditions: Vec<_> = grant.conditions.iter().map(|it| shown(it).to_string()).collect();
        told(out, "Only if:  ", &conditions.join(" or "));
    }
    if judgement.risk != Risk::Low {
        told(out, "Why:      ", judgement.reason);
    }
    let sources: Vec<_> = grant.sources.iter().map(ToString::to_string).collect();
    told(out, "From:     ", &sources.join("; "));
    if let Some(advice) = &grant.advice {
        told(out, "Narrower: ", &shown(&advice.words).to_string());
        if let Some(command) = &advice.command {
            // It is copied as a whole.
            line(out, &format!("      {}", shown(command)));
        }
    }
}

fn list(out: &mut String, items: impl Iterator<Item = String>) {
    for item in items {
        paragraph(out, 2, "- ", &item);
    }
}

/// A text after a label, broken between words, its lines below each other.
fn paragraph(out: &mut String, indent: usize, label: &str, text: &str) {
    let margin = indent.saturating_add(label.chars().count());
    let mut line = format!("{:indent$}{label}", "");
    let mut length = margin;
    let mut first = true;
    for word in text.split(' ') {
        let word: String = word.chars().filter(|c| !is_hidden(*c)).collect();
        let characters = word.chars().count();
        let fits = length.saturating_add(characters) < WIDTH;
        if !first && fits {
            line.push(' ');
        } else if !first {
            out.push_str(line.trim_end());
            out.push('\n');
            line = format!("{:margin$}", "");
            length = margin;
        }
        line.push_str(&word);
        length = length.saturating_add(characters).saturating_add(1);
        first = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_broken_between_words() {
        let mut out = String::new();
        paragraph(&mut out, 2, "Why: ", &"word ".repeat(30));
        let lines: Vec<_> = out.lines().collect();
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{out}");
        assert!(lines.len() > 1 && lines[1].starts_with("       word"), "{out}");
        let mut out = String::new();
        let long = "x".repeat(200);
        paragraph(&mut out, 0, "", &long);
        assert_eq!(out, format!("{long}\n"));
    }
}
