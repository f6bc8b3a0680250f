// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade explain`: of an installed application, with what one would give it besides, or of options of
//! `exec`.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::context::{self, Given, OptionError};
use super::exec::{self, UsageError};
use super::installations;
use super::usage;
use crate::caller::{Caller, CallerError};
use crate::explain::from_app::{self, FromAppError};
use crate::explain::{Explanation, from_exec, html, json, text};
use crate::flatpak::choice::{self, Choice, ChoiceError};
use crate::flatpak::installation::Installations;
use crate::flatpak::reference::{Arch, Branch, ReferenceError, Wanted};
use crate::launch::FAILED;
use crate::message::{Notice, shown};

/// Adds the options of `stockade explain` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help)
    };
    let command = command
        .override_usage(
            "stockade explain [OPTIONS] APP [PERMISSIONS]\n       stockade explain [OPTIONS] -- [OPTIONS OF EXEC] [COMMAND]",
        )
        .args_override_self(true)
        .args(installations::arguments())
        .arg(text("arch", "ARCH", "Look for this architecture"))
        .arg(text("branch", "BRANCH", "Look for this branch"))
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("Answer with one JSON object, for programs"),
        )
        .arg(
            text("html", "FILE", "Write a page with a picture of the sandbox to FILE")
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(
            Arg::new("app")
                .value_name("APP")
                .value_parser(value_parser!(OsString))
                .required_unless_present("exec")
                .conflicts_with("exec")
                .help("The application"),
        )
        .arg(
            Arg::new("exec")
                .value_name("OPTIONS OF EXEC")
                .value_parser(value_parser!(OsString))
                .last(true)
                .num_args(0..)
                .help("What would stand behind 'stockade exec'"),
        );
    context::arguments(command)
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Permissions(#[from] OptionError),
    #[error(
        "cannot explain permissions of nothing\nno application was given that would have them\n\
         name one, or put options of exec behind '--'"
    )]
    NoApplication,
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Choice(#[from] ChoiceError),
    #[error(transparent)]
    FromApp(#[from] FromAppError),
    /// What clap says of options of `exec`.
    #[error("{0}")]
    Options(String),
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error("cannot put the explanation into JSON\n{0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write {}\n{error}\nname a file that you may write", shown(path))]
    Write { path: PathBuf, error: io::Error },
}

/// Runs `stockade explain` and gives the status to exit with.
#[must_use]
pub fn run(matches: &ArgMatches) -> u8 {
    let terminal = rustix::termios::isatty(rustix::stdio::stdout());
    let caller = Caller::current().map_err(Failure::from);
    let told = caller.and_then(|caller| {
        let (explanation, notices) = explain(matches, &caller)?;
        Ok((answer(matches, &explanation, terminal)?, notices))
    });
    super::tell(told, FAILED)
}

fn explain(matches: &ArgMatches, caller: &Caller) -> Result<(Explanation, Vec<Notice>), Failure> {
    let given = context::read(matches)?;
    let Some(app) = matches.get_one::<OsString>("app") else {
        if given != Given::default() {
            return Err(Failure::NoApplication);
        }
        let typed = matches.get_many::<OsString>("exec").into_iter().flatten();
        let command = exec::arguments(Command::new("stockade exec"))
            .mut_arg("command", |command| command.required(false))
            .disable_help_flag(true)
            .no_binary_name(true);
        let matches = command
            .try_get_matches_from(typed)
            .map_err(|error| Failure::Options(usage::explain(&error, Some("exec".as_ref()))))?;
        return Ok(from_exec::explain(&exec::read(&matches)?.options, caller));
    };
    let text = |name| matches.get_one::<String>(name);
    let wanted = Wanted::parse(app)?;
    let options = choice::Options {
        selection: installations::selection(matches),
        arch: text("arch").map(Arch::new).transpose()?,
        branch: text("branch").map(Branch::new).transpose()?,
        ..choice::Options::default()
    };
    let (installations, mut notices) = Installations::discover(caller);
    notices.extend(given.notices);
    let choice = Choice::make(&wanted, &options, &installations)?;
    let defaults = installations.defaults();
    let (explanation, more) = from_app::explain(&choice, &given.context, defaults, caller)?;
    notices.extend(more);
    Ok((explanation, notices))
}

/// Writes the page if there is to be one. Gives what is to be printed.
fn answer(
    matches: &ArgMatches,
    explanation: &Explanation,
    terminal: bool,
) -> Result<String, Failure> {
    let page = matches.get_one::<PathBuf>("html");
    if let Some(path) = page {
        write(path, &html::page(explanation))
            .map_err(|error| Failure::Write { path: path.clone(), error })?;
    }
    if matches.get_flag("json") {
        return Ok(json::json(explanation)?);
    }
    Ok(if page.is_some() { String::new() } else { text::text(explanation, terminal) })
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::deploy::tests::install;
    use crate::flatpak::reference::Arch;

    /// What is printed, or the first line of the error.
    fn told(scratch: &Scratch, arguments: &[&str]) -> String {
        let path = |name| scratch.join(name).to_str().unwrap().to_owned();
        let (user, none) = (path("user"), path("none"));
        let variables = [
            ("FLATPAK_USER_DIR", user.as_str()),
            ("FLATPAK_SYSTEM_DIR", &none),
            ("FLATPAK_CONFIG_DIR", &none),
        ];
        let caller = caller(&scratch.0, &variables);
        let arguments = ["explain"].iter().chain(arguments);
        let matches =
            match super::arguments(Command::new("explain")).try_get_matches_from(arguments) {
                Ok(matches) => matches,
                Err(error) => return usage::explain(&error, Some("explain".as_ref())),
            };
        let told = super::explain(&matches, &caller)
            .and_then(|(explanation, _)| answer(&matches, &explanation, false));
        let first = |error: Failure| error.to_string().lines().next().unwrap().to_owned();
        told.unwrap_or_else(first)
    }

    fn with_application() -> Scratch {
        let scratch = Scratch::new();
        let arch = Arch::native();
        let metadata = format!(
            "[Application]\nname=org.example.App\nruntime=org.example.Platform/{arch}/1\n\
             [Context]\nsockets=x11;\n"
        );
        let app = format!("app/org.example.App/{arch}/master");
        install(&scratch, "user", &app, &metadata);
        let runtime = format!("runtime/org.example.Platform/{arch}/1");
        install(&scratch, "user", &runtime, "[Runtime]\n");
        scratch
    }

    #[test]
    fn an_application_is_explained_as_text_json_or_page() {
        let scratch = with_application();
        let text = told(&scratch, &["org.example.App"]);
        assert!(text.starts_with("org.example.App: no sandbox"), "{text}");
        let json = told(&scratch, &["--json", "--user", "org.example.App//master"]);
        assert!(json.starts_with("{\n  \"format\": 1,"), "{json}");
        let page = scratch.join("page.html");
        let arguments = ["--html", page.to_str().unwrap(), "org.example.App"];
        assert_eq!(told(&scratch, &arguments), "");
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
        let nowhere = scratch.join("none/page").to_str().unwrap().to_owned();
        let failed = told(&scratch, &["--html", &nowhere, "org.example.App"]);
        assert_eq!(failed, format!("cannot write {nowhere}"));
    }

    #[test]
    fn r45_permissions_that_would_be_typed_count_too() {
        let scratch = with_application();
        let text = told(&scratch, &["org.example.App", "--nosocket=x11", "--device=dri"]);
        assert!(text.starts_with("org.example.App: a sandbox"), "{text}");
        assert!(text.contains("the command line"), "{text}");
        let json = told(&scratch, &["--json", "--filesystem=home", "org.example.App"]);
        assert!(json.contains("\"command_line\""), "{json}");
        let own = told(&scratch, &["--json", "org.example.App"]);
        assert!(!own.contains("\"command_line\""), "{own}");
    }

    #[test]
    fn options_of_exec_stand_behind_two_dashes() {
        let scratch = Scratch::new();
        let text = told(&scratch, &["--", "--filesystem=home", "--share=network", "make", "-j4"]);
        assert!(text.starts_with("make -j4: no sandbox"), "{text}");
        // `exec` would not start, and it is still worth knowing why one should not want it.
        let text = told(&scratch, &["--", "--filesystem=~/nope", "--filesystem=xdg-run/bus"]);
        assert!(text.starts_with("a command: no sandbox"), "{text}");
        let text = told(&scratch, &["--", "--device=dri"]);
        assert!(text.starts_with("a command: a sandbox"), "{text}");
    }

    #[test]
    fn wrong_calls_are_answered() {
        let scratch = with_application();
        for (arguments, expected) in [
            (&[][..], "cannot explain nothing"),
            (&["org.example.App", "--", "true"], "cannot understand the arguments"),
            (&["--", "--nope"], "cannot understand '--nope'"),
            (&["--socket=x11", "--", "true"], "cannot explain permissions of nothing"),
            (&["org.example.App", "--device=nope"], "cannot use 'nope' as a device"),
            (&["--", "--device=nope"], "cannot use 'nope' as a device"),
            (&["nope"], "cannot use 'nope' as the name of an application"),
            (&["--system", "org.example.App"], "app/org.example.App/"),
        ] {
            let told = told(&scratch, arguments);
            assert!(told.starts_with(expected), "{arguments:?}: {told}");
        }
    }
}
