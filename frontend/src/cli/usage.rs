// SPDX-License-Identifier: MIT OR Apache-2.0
//! Wrong calls in our own words: what, why, what to do.

use std::ffi::OsStr;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The message for a call that clap refused. `subcommand` is the first argument.
#[must_use]
pub fn explain(error: &clap::Error, subcommand: Option<&OsStr>) -> String {
    let command = super::command();
    let known = subcommand.and_then(|name| command.find_subcommand(name)).map(Command::get_name);
    let help = match known {
        Some(name) => format!("see 'stockade {name} --help'"),
        None => "see 'stockade --help'".to_owned(),
    };
    let about = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let argument = about(ContextKind::InvalidArg);
    let value = about(ContextKind::InvalidValue);
    let kind = error.kind();

    if kind == ErrorKind::UnknownArgument {
        format!("cannot understand '{argument}'\nthere is no such option or argument here\n{help}")
    } else if kind == ErrorKind::InvalidSubcommand {
        let name = about(ContextKind::InvalidSubcommand);
        format!("cannot understand '{name}'\nthere is no such command of stockade\n{help}")
    } else if kind == ErrorKind::MissingSubcommand {
        format!("cannot tell what to do\nno command was given\n{help}")
    } else if kind == ErrorKind::MissingRequiredArgument && known == Some("explain") {
        format!(
            "cannot explain nothing\nno application was given, and no options behind '--'\n{help}"
        )
    } else if kind == ErrorKind::MissingRequiredArgument && matches!(known, Some("exec" | "run")) {
        format!("cannot tell what to run\nno command was given: COMMAND is missing\n{help}")
    } else if kind == ErrorKind::MissingRequiredArgument {
        let missing = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(names)) => names.join(", "),
            _ => String::from("argument"),
        };
        format!("cannot tell what is meant\nthere is no {missing}\n{help}")
    } else if kind == ErrorKind::InvalidValue && value.is_empty() {
        format!("cannot use '{argument}' without a value\n{help}")
    } else if kind == ErrorKind::InvalidValue || kind == ErrorKind::ValueValidation {
        format!("cannot use '{value}' for '{argument}'\nit is not a number that fits\n{help}")
    } else if kind == ErrorKind::TooManyValues {
        format!("cannot use '{value}' for '{argument}'\nthe option takes no value\n{help}")
    } else {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let first = first.strip_prefix("error: ").unwrap_or(first);
        format!("cannot understand the arguments\n{first}\n{help}")
    }
}
