// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade list`: what is installed, with the options and columns of `flatpak list` (R544).

mod column;

use std::cmp::Ordering;

use clap::{Arg, ArgAction, ArgMatches, Command};

use self::column::{COLUMNS, Column, View, everything};
use super::column::{ColumnError, find, help};
use super::installations;
use super::table::Table;
use crate::caller::{Caller, CallerError};
use crate::flatpak::installation::{DEFAULT, Installations, Owner};
use crate::flatpak::inventory::{Item, inventory};
use crate::flatpak::language::languages;
use crate::flatpak::matching::is_meant;
use crate::flatpak::reference::{Arch, Kind, ReferenceError, Wanted};
use crate::flatpak::selection::SelectionError;
use crate::flatpak::title::is_part;
use crate::message::Notice;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// The caller cannot be served.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// There is no such installation.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// An architecture or a runtime is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A column that is none.
    #[error(transparent)]
    Column(#[from] ColumnError),
    /// It cannot be printed as JSON.
    #[error("cannot print the list as JSON\n{0}")]
    Json(#[from] serde_json::Error),
}

/// Adds the options of `stockade list` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let value = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    command
        .args_override_self(true)
        .args(installations::arguments())
        .arg(flag("show-details", "Show all columns").short('d'))
        .arg(flag("app", "List applications"))
        .arg(flag("runtime", "List runtimes"))
        .arg(flag("all", "List translations and debug symbols too").short('a'))
        .arg(value("arch", "ARCH", "List only what is for this architecture"))
        .arg(value("app-runtime", "RUNTIME", "List the applications that use this runtime"))
        .arg(
            value("columns", "COLUMN,...", "Show these columns; --columns=help names them")
                .action(ArgAction::Append),
        )
        .arg(flag("json", "Print JSON, for programs").short('j'))
}

/// Runs `stockade list` and gives the status to exit with.
#[must_use]
pub fn run(matches: &ArgMatches) -> u8 {
    let listed = Caller::current().map_err(ListError::from);
    super::tell(listed.and_then(|caller| list(matches, &caller)), 1)
}

/// The list as it is printed, and what could not be listed.
fn list(matches: &ArgMatches, caller: &Caller) -> Result<(String, Vec<Notice>), ListError> {
    let text = |name| matches.get_one::<String>(name);
    let flag = |name| matches.get_flag(name);
    let names: Vec<&String> = matches.get_many("columns").into_iter().flatten().collect();
    if names.iter().any(|names| names.as_str() == "help") {
        return Ok((help(&COLUMNS), Vec::new()));
    }
    let arch = text("arch").map(Arch::new).transpose()?;
    let runtime = text("app-runtime").map(|name| Wanted::parse(name.as_ref())).transpose()?;
    let kinds: &[Kind] = match (flag("app"), flag("runtime")) {
        (false, false) if runtime.is_some() => &[Kind::App],
        (true, false) => &[Kind::App],
        (false, true) => &[Kind::Runtime],
        (true, true) | (false, false) => &[Kind::App, Kind::Runtime],
    };

    let (all, mut notices) = Installations::discover(caller);
    let selected = all.select(&installations::selection(matches))?;
    let (mut items, more) = inventory(&selected, kinds);
    notices.extend(more);
    if !flag("all") {
        items = worth_a_line(items, kinds);
    }
    items.retain(|item| {
        let runs_on =
            |wanted: &Wanted| item.runtime.as_ref().is_some_and(|at| is_meant(wanted, at));
        arch.as_ref().is_none_or(|arch| *arch == item.reference.arch)
            && (item.reference.kind == Kind::Runtime || runtime.as_ref().is_none_or(runs_on))
    });
    items.sort_by(order);

    let several = selected.len() > 1;
    let columns = columns(&names, flag("show-details"), &items, several)?;
    let view = View { languages: languages(caller), several, apps: kinds.contains(&Kind::App) };
    let row = |item: &Item| columns.iter().map(|column| (column.cell)(item, &view)).collect();
    let table = Table {
        titles: columns.iter().map(|column| column.title).collect(),
        rows: items.iter().map(row).collect(),
    };
    let text = table.text(flag("json"))?;
    Ok((if columns.is_empty() { String::new() } else { text }, notices))
}

/// Without parts of what is installed in the same place. Where applications are not looked at, every
/// part counts as one of something that is.
fn worth_a_line(items: Vec<Item>, kinds: &[Kind]) -> Vec<Item> {
    let whole: Vec<(Owner, String)> =
        items.iter().map(|item| (item.owner.clone(), item.reference.to_string())).collect();
    let is_there = |item: &Item, extended: &str| {
        whole.iter().any(|(owner, reference)| *owner == item.owner && reference == extended)
    };
    let is_hidden = |item: &Item| {
        let extended = item.data.text("extension-of");
        let all_there = !kinds.contains(&Kind::App);
        is_part(&item.reference.id)
            && extended.is_some_and(|extended| all_there || is_there(item, extended))
    };
    items.into_iter().filter(|item| !is_hidden(item)).collect()
}

/// By name; of one name the default installation of the system first, then that of the user.
fn order(one: &Item, other: &Item) -> Ordering {
    let place = |owner: &Owner| match owner {
        Owner::User => 1,
        Owner::System(id) if id == DEFAULT => 0,
        Owner::System(_) => 2,
    };
    let (this, that) = (&one.reference, &other.reference);
    (&this.id, &this.branch, &this.arch, this.kind, place(&one.owner)).cmp(&(
        &that.id,
        &that.branch,
        &that.arch,
        that.kind,
        place(&other.owner),
    ))
}

/// The columns that are shown: those that were named, or those that tell something.
fn columns(
    names: &[&String],
    details: bool,
    items: &[Item],
    several: bool,
) -> Result<Vec<&'static Column>, ListError> {
    if details {
        return Ok(everything().collect());
    }
    let mut columns = Vec::new();
    if names.is_empty() {
        let differ = |cell: fn(&Item) -> &str| {
            items.windows(2).any(|two| match two {
                [one, other] => cell(one) != cell(other),
                _ => false,
            })
        };
        let is_shown = |column: &&Column| match column.name {
            "name" | "application" | "version" | "branch" => true,
            "arch" => differ(|item| item.reference.arch.as_str()),
            "origin" => differ(|item| &item.data.origin),
            "installation" => several,
            _ => false,
        };
        return Ok(COLUMNS.iter().filter(is_shown).collect());
    }
    for name in names.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty()) {
        match name {
            "all" => columns.extend(everything()),
            name => columns.push(find(&COLUMNS, name)?),
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::inventory::tests::install_whole;
    use std::os::unix::fs::symlink;

    /// What is printed where stdout is no terminal, or the first line of the error.
    fn listed(scratch: &Scratch, arguments: &[&str]) -> String {
        let path = |name| scratch.join(name).to_str().unwrap().to_owned();
        let (user, system, none) = (path("user"), path("system"), path("none"));
        let caller = caller(
            &scratch.0,
            &[
                ("FLATPAK_USER_DIR", user.as_str()),
                ("FLATPAK_SYSTEM_DIR", &system),
                ("FLATPAK_CONFIG_DIR", &none),
                ("LANG", "de_DE.UTF-8"),
            ],
        );
        let arguments = ["list"].iter().chain(arguments);
        let matches = super::arguments(Command::new("list")).get_matches_from(arguments);
        match list(&matches, &caller) {
            Ok((text, notices)) => {
                assert_eq!(notices, []);
                text
            }
            Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        }
    }

    fn whole() -> Scratch {
        let scratch = Scratch::new();
        let metadata = "[Application]\nruntime=org.example.Platform/x86_64/1\n";
        install_whole(&scratch, "user", "app/org.example.App/x86_64/stable", metadata);
        install_whole(&scratch, "user", "runtime/org.example.Platform/x86_64/1", "[Runtime]\n");
        symlink("x86_64/stable", scratch.join("user/app/org.example.App/current")).unwrap();
        scratch
    }

    #[test]
    fn r544_lines_for_scripts() {
        let scratch = whole();
        assert_eq!(
            listed(&scratch, &[]),
            "Beispiel\torg.example.App\t1.2.3\tstable\tuser\n\
             Beispiel\torg.example.Platform\t1.2.3\t1\tuser\n"
        );
        assert_eq!(
            listed(&scratch, &["--user", "--app"]),
            "Beispiel\torg.example.App\t1.2.3\tstable\n"
        );
        assert_eq!(listed(&scratch, &["--system"]), "");
        assert_eq!(listed(&scratch, &["--arch=i386"]), "");
        let refs = |arguments: &[&str]| listed(&scratch, &[&["--columns=ref"], arguments].concat());
        assert_eq!(refs(&["--runtime"]), "org.example.Platform/x86_64/1\n");
        assert_eq!(
            refs(&["--app-runtime=org.example.Platform"]),
            "org.example.App/x86_64/stable\n"
        );
        assert_eq!(refs(&["--app-runtime=org.example.Platform//2"]), "");
    }

    #[test]
    fn r544_columns() {
        let scratch = whole();
        assert_eq!(
            listed(&scratch, &["--app", "-d"]),
            "Beispiel\tTut nichts\torg.example.App\t1.2.3\tstable\tx86_64\tlocal\tuser\t\
             org.example.App/x86_64/stable\t0123456789ab\t-\t1.5\u{a0}kB\tuser,current,eol=no more\n"
        );
        let options = listed(&scratch, &["--user", "--columns=options,runtime"]);
        assert_eq!(
            options,
            "current,eol=no more\torg.example.Platform/x86_64/1\nruntime,eol=no more\t\n"
        );
        assert_eq!(
            listed(&scratch, &["--app", "--columns=app:f", "--columns=b"]),
            "org.example.App\tstable\n"
        );
        assert_eq!(listed(&scratch, &["--columns="]), "");
        for (name, said) in
            [("a", "'a'"), ("nope", "'nope'"), ("ref:x", "'ref:x'"), ("ref:", "'ref:'")]
        {
            let argument = format!("--columns={name}");
            assert_eq!(listed(&scratch, &[&argument]), format!("cannot show the column {said}"));
        }
        assert_eq!(listed(&scratch, &["--installation=x"]), "cannot find the installation x");
    }

    #[test]
    fn r544_several_places_are_told_apart() {
        let scratch = whole();
        install_whole(&scratch, "system", "app/org.example.App/x86_64/stable", "[Application]\n");
        install_whole(&scratch, "system", "app/org.example.App/i386/beta", "[Application]\n");
        assert_eq!(
            listed(&scratch, &["--app", "--columns=branch,arch,installation"]),
            "beta\ti386\tsystem\nstable\tx86_64\tsystem\nstable\tx86_64\tuser\n"
        );
        // The architectures differ, the origins do not.
        let first = listed(&scratch, &["--app"]).lines().next().unwrap().to_owned();
        assert_eq!(first, "Beispiel\torg.example.App\t1.2.3\tbeta\ti386\tsystem");
    }

    #[test]
    fn r544_parts_of_what_is_there_are_left_out() {
        let part = |extended: &str| {
            let scratch = whole();
            install_whole(
                &scratch,
                "user",
                "runtime/org.example.App.Locale/x86_64/stable",
                "[Runtime]\n",
            );
            // ('o', 'c', [], 0, {'extension-of': <extended>})
            let data = scratch.join(&format!(
                "user/runtime/org.example.App.Locale/x86_64/stable/{}/deploy",
                crate::flatpak::deploy::tests::COMMIT
            ));
            let mut bytes = b"o\0c\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
            let mut entry = b"extension-of\0\0\0\0".to_vec();
            entry.extend(extended.as_bytes());
            entry.extend(b"\0\0s\x0d");
            let end = u8::try_from(entry.len()).unwrap();
            bytes.extend(entry);
            bytes.push(end);
            bytes.extend(b"\x04\x04\x02");
            std::fs::write(data, bytes).unwrap();
            let listed = |arguments| listed(&scratch, arguments).contains("Locale");
            let all = listed(&["--columns=ref", "--all"]);
            (listed(&["--columns=ref"]), listed(&["--columns=ref", "--runtime"]), all)
        };
        assert_eq!(part("app/org.example.App/x86_64/stable"), (false, false, true));
        assert_eq!(part("app/org.example.App/x86_64/beta"), (true, false, true));
    }
}
