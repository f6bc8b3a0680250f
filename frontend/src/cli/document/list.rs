// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade document-list` (R329).

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{DocumentError, place, with_portal};
use crate::cli::column::{Named, find, help};
use crate::cli::table::Table;
use crate::portal::documents::{Document, Documents};

/// A document with an application that sees it, if there is one.
struct Row<'a> {
    id: &'a str,
    place: PathBuf,
    origin: &'a Path,
    application: Option<(&'a str, &'a [String])>,
    /// It is the first of its document, whose others do not tell again what they share.
    first: bool,
}

struct Column {
    name: &'static str,
    title: &'static str,
    help: &'static str,
    /// It is about applications.
    several: bool,
    cell: fn(&Row<'_>) -> String,
}

const COLUMNS: [Column; 5] = [
    Column {
        name: "id",
        title: "ID",
        help: "Show the document ID",
        several: false,
        cell: |row| row.id.to_owned(),
    },
    Column {
        name: "path",
        title: "Path",
        help: "Show where applications find it",
        several: false,
        cell: |row| row.place.to_string_lossy().into_owned(),
    },
    Column {
        name: "origin",
        title: "Origin",
        help: "Show where the file is",
        several: false,
        cell: |row| row.origin.to_string_lossy().into_owned(),
    },
    Column {
        name: "application",
        title: "Application",
        help: "Show applications that see it",
        several: true,
        cell: |row| row.application.map_or("", |(name, _)| name).to_owned(),
    },
    Column {
        name: "permissions",
        title: "Permissions",
        help: "Show what applications may do with it",
        several: true,
        cell: |row| row.application.map_or_else(String::new, |(_, words)| words.join(" ")),
    },
];

/// What is shown if nothing is asked for.
const DEFAULT: [&str; 2] = ["id", "origin"];

impl Named for Column {
    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("columns")
                .long("columns")
                .value_name("COLUMN,...")
                .action(ArgAction::Append)
                .help("Show these columns; --columns=help names them"),
        )
        .arg(
            Arg::new("json")
                .short('j')
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Print JSON, for programs"),
        )
        .arg(
            Arg::new("application")
                .value_name("APPID")
                .help("Only what this application was given"),
        )
}

/// The list as it is printed. Nobody has to be asked for the columns that there are.
pub(super) fn run(matches: &ArgMatches) -> Result<String, DocumentError> {
    let names: Vec<&String> = matches.get_many("columns").into_iter().flatten().collect();
    if names.iter().any(|names| names.as_str() == "help") {
        return Ok(help(&COLUMNS));
    }
    let columns = columns(&names)?;
    let application = matches.get_one::<String>("application").map(String::as_str);
    let json = matches.get_flag("json");
    let rows = with_portal(|portal, _| rows(portal, application, &columns))?;
    text(rows, &columns, json)
}

fn columns(names: &[&String]) -> Result<Vec<&'static Column>, DocumentError> {
    let mut columns = Vec::new();
    let given = names.iter().flat_map(|names| names.split(','));
    let names = if names.is_empty() { DEFAULT.to_vec() } else { given.collect() };
    for name in names.into_iter().filter(|name| !name.is_empty()) {
        match name {
            "all" => columns.extend(&COLUMNS),
            name => columns.push(find(&COLUMNS, name)?),
        }
    }
    Ok(columns)
}

/// The rows of all documents, or of those that this application sees.
fn rows(
    portal: &mut Documents,
    application: Option<&str>,
    columns: &[&Column],
) -> Result<Vec<Vec<String>>, DocumentError> {
    let mount_point = portal.mount_point()?;
    let mut rows = Vec::new();
    for (id, origin) in portal.list(application)? {
        let document = portal.info(&id)?;
        rows.extend(rows_of(&id, &origin, &mount_point, &document, columns));
    }
    Ok(rows)
}

/// The rows of a document: one for each application if these are shown, but at least one.
fn rows_of(
    id: &str,
    origin: &Path,
    mount_point: &Path,
    document: &Document,
    columns: &[&Column],
) -> Vec<Vec<String>> {
    let mut applications: Vec<_> = document
        .applications
        .iter()
        .map(|(name, permissions)| Some((name.as_str(), permissions.as_slice())))
        .collect();
    if applications.is_empty() {
        applications.push(None);
    }
    if !columns.iter().any(|column| column.several) {
        applications.truncate(1);
    }
    let place = place(mount_point, id, origin);
    let row = |(index, application)| Row {
        id,
        place: place.clone(),
        origin,
        application,
        first: index == 0,
    };
    let cells = |row: Row<'_>| {
        let cell = |column: &&Column| {
            if row.first || column.several { (column.cell)(&row) } else { String::new() }
        };
        columns.iter().map(cell).collect()
    };
    applications.into_iter().enumerate().map(row).map(cells).collect()
}

/// As it is printed.
fn text(
    mut rows: Vec<Vec<String>>,
    columns: &[&Column],
    json: bool,
) -> Result<String, DocumentError> {
    if columns.is_empty() {
        return Ok(String::new());
    }
    if rows.is_empty() && !json {
        return Ok("No documents found\n".into());
    }
    if !json {
        // Lines end with what there is.
        for row in &mut rows {
            let end = row.iter().rposition(|cell| !cell.is_empty()).unwrap_or(0);
            row.truncate(end.saturating_add(1));
        }
    }
    let titles = columns.iter().map(|column| column.title).collect();
    Ok(Table { titles, rows }.text(json)?)
}

#[cfg(test)]
mod tests;
