// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade ps`: which applications run (R257).

use std::fmt::Write as _;

use clap::{Arg, ArgAction, ArgMatches, Command};

use crate::caller::{Caller, CallerError};
use crate::flatpak::instance::running::Running;
use crate::flatpak::instance::{InstanceError, Instances};
use crate::flatpak::reference::Reference;
use crate::message::{self, shown};

/// Exit status of a failure, as with Flatpak.
const FAILED: u8 = 1;

/// How many digits of a version are shown.
const COMMIT: usize = 12;

/// Between aligned columns.
const GAP: &str = "  ";

/// Why nothing is listed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PsError {
    /// There is no caller to speak of.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// Instances cannot be looked at.
    #[error(transparent)]
    Instances(#[from] InstanceError),
    /// There is no such column.
    #[error(
        "cannot show the column '{}'\nthere is none of that name\nsee 'stockade ps --columns=help'",
        shown(name)
    )]
    Column {
        /// As given.
        name: String,
    },
    /// JSON cannot be made.
    #[error("cannot write JSON\n{0}")]
    Json(serde_json::Error),
}

/// A column: its name, its title, what it shows, and its value for an instance.
struct Column {
    name: &'static str,
    title: &'static str,
    about: &'static str,
    value: fn(&Running) -> Option<String>,
}

/// What a desktop knows of an application where it is asked; it is not.
fn unknown(_: &Running) -> Option<String> {
    Some("?".into())
}

const COLUMNS: [Column; 12] = [
    Column {
        name: "instance",
        title: "Instance",
        about: "Number of the instance",
        value: |one| Some(one.id.to_string()),
    },
    Column {
        name: "pid",
        title: "PID",
        about: "Process outside of the sandbox",
        value: |one| Some(one.pid.to_string()),
    },
    Column {
        name: "child-pid",
        title: "Child-PID",
        about: "First process of the sandbox",
        value: |one| Some(one.child().unwrap_or(0).to_string()),
    },
    Column {
        name: "application",
        title: "Application",
        about: "Name of the application",
        value: Running::application,
    },
    Column { name: "arch", title: "Arch", about: "Architecture", value: |one| one.detail("arch") },
    Column {
        name: "branch",
        title: "Branch",
        about: "Branch of the application",
        value: |one| one.detail("branch"),
    },
    Column {
        name: "commit",
        title: "Commit",
        about: "Version of the application",
        value: |one| one.detail("app-commit").map(short),
    },
    Column {
        name: "runtime",
        title: "Runtime",
        about: "Name of the runtime",
        value: |one| one.runtime().map(|Reference { id, .. }| id.to_string()),
    },
    Column {
        name: "runtime-branch",
        title: "R.-Branch",
        about: "Branch of the runtime",
        value: |one| one.runtime().map(|Reference { branch, .. }| branch.to_string()),
    },
    Column {
        name: "runtime-commit",
        title: "R.-Commit",
        about: "Version of the runtime",
        value: |one| one.detail("runtime-commit").map(short),
    },
    Column {
        name: "active",
        title: "Active",
        about: "Whether it has a window in front; '?' if the desktop does not say",
        value: unknown,
    },
    Column {
        name: "background",
        title: "Background",
        about: "Whether it has no window; '?' if the desktop does not say",
        value: unknown,
    },
];

/// The columns that are shown if none is named.
const DEFAULT: [&str; 4] = ["instance", "pid", "application", "runtime"];

fn short(commit: String) -> String {
    commit.chars().take(COMMIT).collect()
}

/// The arguments.
pub(super) fn arguments(command: Command) -> Command {
    command
        .arg(
            Arg::new("columns")
                .long("columns")
                .value_name("COLUMN,…")
                .action(ArgAction::Append)
                .value_delimiter(',')
                .help("What to show: names of columns, 'all', or 'help' to list them"),
        )
        .arg(
            Arg::new("json")
                .short('j')
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Answer with a JSON array of objects, for programs"),
        )
}

/// Lists what runs and gives the status to exit with.
pub(super) fn run(matches: &ArgMatches) -> u8 {
    let names: Vec<&str> =
        matches.get_many::<String>("columns").into_iter().flatten().map(String::as_str).collect();
    let terminal = rustix::termios::isatty(rustix::stdio::stdout());
    match list(&names, matches.get_flag("json"), terminal) {
        Ok(text) => match super::print(&text) {
            0 => 0,
            _ => FAILED,
        },
        Err(error) => {
            message::error(&error);
            FAILED
        }
    }
}

fn list(names: &[&str], json: bool, terminal: bool) -> Result<String, PsError> {
    if names.contains(&"help") {
        return Ok(help());
    }
    let columns = columns(names)?;
    let instances = Instances::open(&Caller::current()?)?;
    let running = instances.map_or_else(Vec::new, |instances| instances.running());
    let rows: Vec<Vec<String>> = running
        .iter()
        .map(|one| columns.iter().map(|column| (column.value)(one).unwrap_or_default()).collect())
        .collect();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    if rows.is_empty() {
        Ok(String::new())
    } else if json {
        as_json(&titles, &rows).map_err(PsError::Json)
    } else {
        Ok(table(&titles, &rows, terminal))
    }
}

/// The columns of these names, in this order. Behind a colon may stand how Flatpak shortens them, which
/// is not done here.
fn columns(names: &[&str]) -> Result<Vec<&'static Column>, PsError> {
    let names = if names.is_empty() { &DEFAULT[..] } else { names };
    let mut columns = Vec::new();
    for name in names {
        let plain = name.split_once(':').map_or(*name, |(plain, _)| plain);
        if plain == "all" {
            columns.extend(&COLUMNS);
            continue;
        }
        let known = COLUMNS.iter().find(|column| column.name == plain);
        columns.push(known.ok_or_else(|| PsError::Column { name: (*name).to_owned() })?);
    }
    Ok(columns)
}

fn help() -> String {
    let mut text = String::from("Columns:\n");
    for Column { name, about, .. } in &COLUMNS {
        writeln!(text, "  {name:<16}{about}").ok();
    }
    text.push_str("  all             All of them\n  help            This list\n");
    text
}

/// One object per instance; the keys are the titles, as with Flatpak.
fn as_json(titles: &[&str], rows: &[Vec<String>]) -> Result<String, serde_json::Error> {
    let object = |row: &Vec<String>| -> serde_json::Map<String, serde_json::Value> {
        titles.iter().zip(row).map(|(key, value)| ((*key).into(), value.as_str().into())).collect()
    };
    let objects: Vec<_> = rows.iter().map(object).collect();
    serde_json::to_string_pretty(&objects).map(|text| text + "\n")
}

/// Lines for people, with titles and aligned, or for programs, with tabs.
fn table(titles: &[&str], rows: &[Vec<String>], terminal: bool) -> String {
    // What an instance says of itself comes from elsewhere (R53).
    let cell = |value: &String| shown(value).to_string();
    let mut lines: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    if !terminal {
        return lines.into_iter().map(|line| line.join("\t") + "\n").collect();
    }
    lines.insert(0, titles.iter().map(|title| (*title).to_owned()).collect());
    let width = |cell: &String| cell.chars().count();
    let widths: Vec<usize> = (0..titles.len())
        .map(|at| lines.iter().filter_map(|line| line.get(at)).map(width).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for line in lines {
        let padded: Vec<String> =
            line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(padded.join(GAP).trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![row(["7", "org.a.B", ""]), row(["4294967295", "a\tb\u{1b}[2K", "\"x\""])]
    }

    #[test]
    fn r257_columns_are_chosen_by_name() {
        let names = |wanted: &[&str]| -> Vec<&str> {
            columns(wanted).unwrap().iter().map(|column| column.name).collect()
        };
        assert_eq!(names(&[]), DEFAULT);
        assert_eq!(names(&["commit:s", "pid"]), ["commit", "pid"]);
        assert_eq!(names(&["all"]).len(), COLUMNS.len());
        for wrong in ["", "PID", "comm", "pid,pid"] {
            assert!(matches!(columns(&[wrong]), Err(PsError::Column { .. })), "{wrong}");
        }
        let listed = help();
        assert!(COLUMNS.iter().all(|column| listed.contains(&format!("\n  {} ", column.name))));
        assert_eq!(short("0123456789abcdef".into()), "0123456789ab");
        assert_eq!(short("local".into()), "local");
    }

    #[test]
    fn r257_programs_get_tabs_and_people_a_header() {
        let titles = ["Instance", "Application", "X"];
        assert_eq!(
            table(&titles, &rows(), false),
            "7\torg.a.B\t\n4294967295\ta\\u{9}b\\u{1b}[2K\t\"x\"\n"
        );
        assert_eq!(
            table(&titles, &rows(), true),
            "Instance    Application       X\n\
             7           org.a.B\n\
             4294967295  a\\u{9}b\\u{1b}[2K  \"x\"\n"
        );
    }

    #[test]
    fn r257_json_has_the_titles_as_keys() {
        let text = as_json(&["Instance", "Application", "X"], &rows()).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            read[0],
            serde_json::json!({"Instance": "7", "Application": "org.a.B", "X": ""})
        );
        assert_eq!(read[1]["Application"], "a\tb\u{1b}[2K");
    }
}
