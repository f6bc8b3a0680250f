// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verdict for people.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::finding::{Finding, Remedy, State};
use super::trial;
use super::verdict::Verdict;
use crate::explanation;

/// Columns that sentences are kept within. Commands are never broken.
const WIDTH: usize = 96;

/// Where a finding's detail is continued.
const DETAIL: &str = "                           ";

/// Where its cost and its remedies begin: commands are long.
const BELOW: &str = "         ";

pub(super) fn write(verdict: &Verdict, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(text(verdict).as_bytes())
}

fn text(verdict: &Verdict) -> String {
    let mut text = String::new();
    match verdict.mode {
        Some(mode) => {
            line(&mut text, &format!("sandboxes work here, in mode {}", trial::word(mode)));
            line(&mut text, explanation::mode(mode).as_str());
        }
        None => {
            let culprits = verdict.culprits().join(", ");
            let because = if culprits.is_empty() { String::new() } else { format!(": {culprits}") };
            line(&mut text, &format!("sandboxes do not work here{because}"));
            ways(&mut text, verdict);
        }
    }
    line(&mut text, "");
    for finding in &verdict.findings {
        describe(&mut text, finding);
    }
    text
}

fn ways(text: &mut String, verdict: &Verdict) {
    for (number, first) in verdict.first.iter().enumerate() {
        if number == 0 {
            line(text, "");
        }
        steps(text, if number == 0 { "" } else { "or: " }, "", first);
    }
    if !verdict.ways.is_empty() {
        line(text, "");
        line(text, "one of these makes them work:");
        for (number, way) in (1_u32..).zip(&verdict.ways) {
            steps(text, &format!("  {number}. "), "     ", way);
        }
    }
}

fn describe(text: &mut String, finding: &Finding) {
    let state = match finding.state {
        State::Good => "good",
        State::Limited => "limited",
        State::Bad => "bad",
    };
    let front = format!("{state:<9}{:<18}", finding.name);
    wrapped(text, &front, DETAIL, &finding.detail);
    if let Some(cost) = &finding.cost {
        wrapped(text, &format!("{BELOW}costs: "), &format!("{BELOW}       "), cost);
    }
    for (number, remedy) in finding.remedy.iter().enumerate() {
        let word = if number == 0 { "mend: " } else { "or: " };
        steps(text, &format!("{BELOW}{word}"), BELOW, remedy);
    }
}

fn steps(text: &mut String, front: &str, indent: &str, remedy: &Remedy) {
    wrapped(text, front, indent, &remedy.what);
    for command in &remedy.commands {
        line(text, &format!("{indent}  {}", printable(command)));
    }
}

fn line(text: &mut String, words: &str) {
    text.push_str(words);
    text.push('\n');
}

/// `words` behind `front`, continued behind `indent`.
fn wrapped(text: &mut String, front: &str, indent: &str, words: &str) {
    let mut row = front.to_owned();
    let mut column = front.chars().count();
    let mut fresh = true;
    for word in printable(words).split(' ') {
        let length = word.chars().count();
        if !fresh && column.saturating_add(length).saturating_add(1) > WIDTH {
            line(text, &row);
            row = indent.to_owned();
            column = indent.chars().count();
            fresh = true;
        }
        if !fresh {
            row.push(' ');
            column = column.saturating_add(1);
        }
        row.push_str(word);
        column = column.saturating_add(length);
        fresh = false;
    }
    line(text, &row);
}

/// What a terminal would obey is spelt out: paths and other programs' words are not ours.
fn printable(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        if c.is_control() {
            // Writing to a string cannot fail.
            if write!(text, "{}", c.escape_default()).is_err() {
                return text;
            }
        } else {
            text.push(c);
        }
    }
    text
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::doctor) fn rendered(verdict: &Verdict) -> String {
        text(verdict)
    }

    #[test]
    fn sentences_are_wrapped_and_commands_are_not() {
        let words = "word ".repeat(40);
        let mut text = String::new();
        wrapped(&mut text, "a: ", "   ", words.trim());
        assert!(text.lines().all(|line| line.len() <= WIDTH));
        assert!(text.lines().skip(1).all(|line| line.starts_with("   word")));
        let command = "x".repeat(200);
        let mut text = String::new();
        steps(&mut text, "", "", &Remedy::new("mend it", [command.clone()]));
        assert_eq!(text, format!("mend it\n  {command}\n"));
    }

    #[test]
    fn nothing_reaches_the_terminal_that_it_would_obey() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\nd"), "a\\u{1b}[2Jb\\u{9b}c\\nd");
    }
}
