// SPDX-License-Identifier: MIT OR Apache-2.0
//! Columns that are chosen by name (R543).

use crate::message::shown;

/// A column that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot show the column '{}'\n{why}\nsee --columns=help", shown(name))]
pub struct ColumnError {
    /// As given.
    pub name: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// A column that can be chosen.
pub(super) trait Named {
    /// What it is asked for with.
    fn name(&self) -> &'static str;

    /// What it shows, for people.
    fn help(&self) -> &'static str;
}

/// The column with this name or beginning. How it would be shortened, `:s`, `:m`, `:e` or `:f`, may
/// stand behind it: nothing is shortened here.
pub(super) fn find<'a, C: Named>(columns: &'a [C], text: &str) -> Result<&'a C, ColumnError> {
    let wrong = |why| ColumnError { name: text.to_owned(), why };
    let (name, suffix) = text.split_once(':').unwrap_or((text, "full"));
    let is_suffix = |word: &&str| !suffix.is_empty() && word.starts_with(suffix);
    if !["start", "middle", "end", "full"].iter().any(is_suffix) {
        return Err(wrong("it may be shortened with :s, :m, :e or :f"));
    }
    if let Some(column) = columns.iter().find(|column| column.name() == name) {
        return Ok(column);
    }
    let mut beginning = columns.iter().filter(|column| column.name().starts_with(name));
    match (beginning.next(), beginning.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => Err(wrong("several begin like that")),
        (None, _) => Err(wrong("there is none of that name")),
    }
}

/// The columns, for people.
pub(super) fn help<C: Named>(columns: &[C]) -> String {
    let own = columns.iter().map(|column| (column.name(), column.help()));
    let more = [("all", "Show all columns"), ("help", "Show available columns")];
    let lines = own.chain(more).map(|(name, help)| format!("  {name:<16} {help}\n"));
    format!("Available columns:\n{}", lines.collect::<String>())
}
