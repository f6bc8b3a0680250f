// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows of text: aligned for people, separated by tabs for scripts, as JSON for programs (R543).

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::message::shown;

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What stands above the columns.
    pub titles: Vec<&'static str>,
    /// As many texts per row, or fewer. They may hold anything.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// For whoever reads stdout: a program if it asked for JSON, a person at a terminal, or a script.
    ///
    /// # Errors
    /// Those of [`Table::json`].
    pub fn text(&self, json: bool) -> Result<String, serde_json::Error> {
        if json {
            self.json()
        } else if rustix::termios::isatty(rustix::stdio::stdout()) {
            Ok(self.aligned())
        } else {
            Ok(self.separated())
        }
    }

    /// For a terminal: with titles, in columns.
    #[must_use]
    pub fn aligned(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(|row| harmless(row)).collect();
        let width = |column: usize, title: &str| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
            cells.chain([title]).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> =
            self.titles.iter().enumerate().map(|(column, title)| width(column, title)).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut line = String::new();
            for (cell, width) in cells.zip(&widths) {
                // Nothing fails to be written to a text.
                write!(line, "{cell:width$}  ").ok();
            }
            line.trim_end().to_owned()
        };
        let mut text = String::new();
        if !rows.is_empty() {
            text = format!("{}\n", bold(&line(&mut self.titles.iter().copied())));
        }
        for row in &rows {
            text.push_str(&line(&mut row.iter().map(String::as_str)));
            text.push('\n');
        }
        text
    }

    /// For scripts: a line per row, without titles.
    #[must_use]
    pub fn separated(&self) -> String {
        self.rows.iter().map(|row| harmless(row).join("\t") + "\n").collect()
    }

    /// For programs: an array of objects. The keys are the titles in small letters, with `_` between
    /// words.
    ///
    /// # Errors
    /// None that is known of: there is nothing in it that has no JSON.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        let key = |title: &&str| title.to_lowercase().replace(' ', "_");
        let object = |row: &Vec<String>| {
            let cells = row.iter().map(|text| Value::String(text.clone()));
            Value::Object(self.titles.iter().map(key).zip(cells).collect::<Map<_, _>>())
        };
        let rows: Vec<Value> = self.rows.iter().map(object).collect();
        serde_json::to_string_pretty(&rows).map(|text| text + "\n")
    }
}

/// Text from outside cannot end a cell or change a terminal.
fn harmless(row: &[String]) -> Vec<String> {
    row.iter().map(|text| shown(text).to_string()).collect()
}

/// Text that stands out on a terminal, `console_codes(4)`.
#[must_use]
pub fn bold(text: &str) -> String {
    format!("\x1b[1m{text}\x1b[22m")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let rows = [["a", "long enough"], ["b\t\x1b[2K", ""]];
        let rows = rows.iter().map(|row| row.iter().map(|text| (*text).to_owned()).collect());
        Table { titles: vec!["Application ID", "Name"], rows: rows.collect() }
    }

    #[test]
    fn r543_people_see_columns() {
        let expected = "\x1b[1mApplication ID   Name\x1b[22m\n\
                        a                long enough\n\
                        b\\u{9}\\u{1b}[2K\n";
        assert_eq!(table().aligned(), expected);
        assert_eq!(Table { rows: vec![], ..table() }.aligned(), "");
    }

    #[test]
    fn r543_scripts_see_lines() {
        assert_eq!(table().separated(), "a\tlong enough\nb\\u{9}\\u{1b}[2K\t\n");
    }

    #[test]
    fn r543_programs_see_objects() {
        let read: Value = serde_json::from_str(&table().json().unwrap()).unwrap();
        assert_eq!(read[0]["application_id"], "a");
        assert_eq!(read[1]["application_id"], "b\t\u{1b}[2K");
        assert_eq!(Table::default().json().unwrap(), "[]\n");
    }
}
