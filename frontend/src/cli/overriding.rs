// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade override`: what people change about the permissions of applications (R260).

use std::ffi::OsString;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::context::{self, Given, OptionError};
use crate::caller::{Caller, CallerError};
use crate::flatpak::context::{Context, shown_lines};
use crate::flatpak::installation::Defaults;
use crate::flatpak::overrides::{Overrides, OverridesError};
use crate::flatpak::reference::{Id, ReferenceError};
use crate::launch::FAILED;
use crate::message::Notice;

/// Adds the options of `stockade override` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    context::arguments(command)
        .override_usage("stockade override [OPTIONS] [APP]")
        .args_override_self(true)
        .arg(
            flag("user", "Change what counts for you")
                .short('u')
                .conflicts_with_all(["system", "installation"]),
        )
        .arg(flag("system", "Change what counts for everyone, as without --user"))
        .arg(
            Arg::new("installation")
                .long("installation")
                .value_name("NAME")
                .value_parser(value_parser!(OsString))
                .help("The same as --system: every installation of the system has its overrides"),
        )
        .arg(flag("show", "Show what is changed").conflicts_with("reset"))
        .arg(flag("reset", "Take every change back"))
        .arg(
            Arg::new("app")
                .value_name("APP")
                .value_parser(value_parser!(OsString))
                .help("The application; without it, all of them"),
        )
}

/// Why nothing was changed or shown.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Overrides(#[from] OverridesError),
    #[error(
        "cannot change permissions with --{option}\n\
         it leaves no place for changes\n\
         give either --{option} or permissions"
    )]
    Both { option: &'static str },
}

/// Runs `stockade override` and gives the status to exit with.
#[must_use]
pub fn run(matches: ArgMatches) -> u8 {
    let answer = Caller::current()
        .map_err(Failure::from)
        .and_then(|caller| answer(&matches, &Defaults::of(&caller)));
    super::tell(answer, FAILED)
}

/// Does what was asked. Gives what is to be printed.
fn answer(matches: &ArgMatches, defaults: &Defaults) -> Result<(String, Vec<Notice>), Failure> {
    let Given { mut context, mut notices } = context::read(matches)?;
    let app = matches.get_one::<OsString>("app").map(Id::new).transpose()?;
    let user = matches.get_flag("user");
    let installation = if user { &defaults.user } else { &defaults.system };
    let overrides = Overrides::new(installation, app.as_ref());
    // R29: nobody reads it from there.
    if !std::mem::take(&mut context.accessibility_bus).is_empty() {
        notices.push(Notice::Warning(
            "ignoring --a11y-own-name\nit counts only for the run that it is given to".to_owned(),
        ));
    }
    let changes = context != Context::default();
    if let Some(option) = ["show", "reset"].into_iter().find(|option| matches.get_flag(option)) {
        if changes {
            return Err(Failure::Both { option });
        }
        let mut text = String::new();
        if option == "show" {
            let bytes = overrides.bytes()?.unwrap_or_default();
            text = shown_lines(&String::from_utf8_lossy(&bytes));
        } else {
            overrides.reset()?;
        }
        return Ok((text, notices));
    }
    if changes {
        notices.extend(overrides.change(&context)?);
    }
    Ok((String::new(), notices))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;

    struct Place {
        scratch: Scratch,
        defaults: Defaults,
    }

    impl Place {
        fn new() -> Self {
            let scratch = Scratch::new();
            let defaults = Defaults { system: scratch.join("system"), user: scratch.join("user") };
            Self { scratch, defaults }
        }

        fn run(&self, arguments: &[&str]) -> Result<(String, Vec<Notice>), Failure> {
            let all = ["stockade", "override"].iter().chain(arguments);
            let matches = crate::cli::command().try_get_matches_from(all).unwrap();
            answer(matches.subcommand().unwrap().1, &self.defaults)
        }

        fn quiet(&self, arguments: &[&str]) -> String {
            let (text, notices) = self.run(arguments).unwrap();
            assert_eq!(notices, [], "{arguments:?}");
            text
        }

        fn content(&self, path: &str) -> Option<String> {
            std::fs::read_to_string(self.scratch.join(path)).ok()
        }
    }

    #[test]
    fn r260_changes_go_where_they_belong() {
        let place = Place::new();
        place.quiet(&["--share=ipc"]);
        place.quiet(&["--share=network", "org.example.App"]);
        place.quiet(&["--user", "--socket=cups"]);
        place.quiet(&["-u", "--device=dri", "org.example.App"]);
        place.quiet(&["--installation=extra", "--allow=devel", "org.example.Other"]);
        place.quiet(&["--system", "--unshare=ipc", "org.example.App"]);
        for (path, content) in [
            ("system/overrides/global", "[Context]\nshared=ipc;\n"),
            ("system/overrides/org.example.App", "[Context]\nshared=!ipc;network;\n"),
            ("user/overrides/global", "[Context]\nsockets=cups;\n"),
            ("user/overrides/org.example.App", "[Context]\ndevices=dri;\n"),
            ("system/overrides/org.example.Other", "[Context]\nfeatures=devel;\n"),
        ] {
            assert_eq!(place.content(path).as_deref(), Some(content), "{path}");
        }
    }

    #[test]
    fn r260_showing_and_resetting() {
        let place = Place::new();
        assert_eq!(place.quiet(&["--show"]), "");
        let stored = "# mine\n[Context]\nshared = ipc\n[Other]\nk=\u{1b}[2K\u{202e}";
        place.scratch.file("user/overrides/org.example.App", stored);
        assert_eq!(
            place.quiet(&["--user", "--show", "org.example.App"]),
            "# mine\n[Context]\nshared = ipc\n[Other]\nk=\\u{1b}[2K\\u{202e}\n"
        );
        place.quiet(&["--user", "--reset", "org.example.App"]);
        assert_eq!(place.content("user/overrides/org.example.App"), None);
        place.quiet(&["--user", "--reset"]);
    }

    #[test]
    fn no_change_makes_no_file() {
        let place = Place::new();
        place.quiet(&[]);
        place.quiet(&["--no-desktop"]);
        assert_eq!(place.run(&["--a11y-own-name=a.b"]).unwrap().1.len(), 1);
        assert!(!place.scratch.join("system").exists());
    }

    #[test]
    fn wrong_calls_change_nothing() {
        let place = Place::new();
        for arguments in [
            &["--share=ipc", "../x"][..],
            &["--share=ipc", "global"],
            &["--share=net"],
            &["--show", "--share=ipc"],
            &["--reset", "--share=ipc"],
        ] {
            let text = place.run(arguments).unwrap_err().to_string();
            assert!(text.starts_with("cannot ") && text.lines().count() >= 2, "{text}");
        }
        assert!(!place.scratch.join("system").exists());
        for arguments in [&["--user", "--system"][..], &["--show", "--reset"], &["a.b.C", "a.b.D"]]
        {
            let all = ["stockade", "override"].iter().chain(arguments);
            assert!(crate::cli::command().try_get_matches_from(all).is_err(), "{arguments:?}");
        }
    }
}
