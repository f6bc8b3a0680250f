// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade exec`: its options as typed, and what becomes of them.
//!
//! Permissions are one table: each option with the change it stands for. Changes are applied in
//! the order in which they were typed, whatever the option.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::limit;
use crate::bus::proxy::{Proxy, ProxyError};
use crate::caller::{Caller, CallerError};
use crate::command::CommandError;
use crate::descriptor::{self, DescriptorError};
use crate::descriptor_limit;
use crate::exec::{self, ExecError};
use crate::filesystem::token::{self, Access, PersistError, Place, Suffix, TokenError};
use crate::flatpak::context::bus::{BusName, BusNameError, BusPolicy};
use crate::home::{Name, NameError};
use crate::launch::{self, FAILED, Helper, NOT_FOUND};
use crate::message::{self, shown};
use crate::permission::{Change, Device, Feature, Permissions, Share, Socket, WordError};
use crate::systemd::limit::{LimitError, Limits};
use crate::systemd::unit::Scope;
use crate::systemd::{self, SystemdError};

/// A value that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// An unknown word.
    #[error(transparent)]
    Word(#[from] WordError),
    /// No place.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No path to keep.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// No name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// No name on a bus.
    #[error(transparent)]
    BusName(#[from] BusNameError),
    /// No assignment.
    #[error(
        "cannot set '{}'\nit is not of the form VARIABLE=VALUE\nwrite --env=VARIABLE=VALUE",
        shown(text)
    )]
    Assignment {
        /// As given.
        text: OsString,
    },
    /// No name of a variable.
    #[error(
        "cannot unset '{}'\nit is no name of a variable\nwrite --unset-env=VARIABLE",
        shown(text)
    )]
    Variable {
        /// As given.
        text: OsString,
    },
}

/// An option that changes permissions.
struct Permission {
    name: &'static str,
    value: &'static str,
    help: &'static str,
    change: fn(&OsStr) -> Result<Change, UsageError>,
}

const PERMISSIONS: [Permission; 19] = [
    Permission {
        name: "share",
        value: "WHAT",
        help: "Share a part of the system: network, ipc",
        change: |word| Ok(Change::Share(Share::parse(word)?, true)),
    },
    Permission {
        name: "unshare",
        value: "WHAT",
        help: "Take --share back",
        change: |word| Ok(Change::Share(Share::parse(word)?, false)),
    },
    Permission {
        name: "filesystem",
        value: "PLACE[:ro|:rw|:create]",
        help: "Share files: /PATH, ~/PATH, home, host, host-os, host-etc, xdg-download, …",
        change: |text| {
            let (place, suffix) = token::parse(text)?;
            let access = match suffix {
                None => Access::ReadWrite,
                Some(Suffix::Access(access)) => access,
                Some(Suffix::Reset) => {
                    return Err(TokenError::Suffix { suffix: "reset".into() }.into());
                }
            };
            Ok(Change::Filesystem(place, access))
        },
    },
    Permission {
        name: "nofilesystem",
        value: "PLACE",
        help: "Take --filesystem back for the same place; host:reset for every place",
        change: |text| match token::parse(text)? {
            (Place::Host, Some(Suffix::Reset)) => Ok(Change::ResetFilesystems),
            (_, Some(Suffix::Reset)) => Err(TokenError::Suffix { suffix: "reset".into() }.into()),
            (place, _) => Ok(Change::NoFilesystem(place)),
        },
    },
    Permission {
        name: "socket",
        value: "SOCKET",
        help: "Reach a service: wayland, x11, fallback-x11, pulseaudio, ssh-auth, pcsc, cups, \
               gpg-agent, session-bus, system-bus",
        change: |word| Ok(Change::Socket(Socket::parse(word)?, true)),
    },
    Permission {
        name: "nosocket",
        value: "SOCKET",
        help: "Take --socket back",
        change: |word| Ok(Change::Socket(Socket::parse(word)?, false)),
    },
    Permission {
        name: "own-name",
        value: "NAME",
        help: "Own a name on the session bus, which is filtered",
        change: |name| Ok(Change::SessionName(bus_name(name)?, BusPolicy::Own)),
    },
    Permission {
        name: "talk-name",
        value: "NAME",
        help: "Talk to a name on the session bus, which is filtered",
        change: |name| Ok(Change::SessionName(bus_name(name)?, BusPolicy::Talk)),
    },
    Permission {
        name: "no-talk-name",
        value: "NAME",
        help: "Take --own-name and --talk-name back",
        change: |name| Ok(Change::SessionName(bus_name(name)?, BusPolicy::None)),
    },
    Permission {
        name: "system-own-name",
        value: "NAME",
        help: "Own a name on the system bus, which is filtered",
        change: |name| Ok(Change::SystemName(bus_name(name)?, BusPolicy::Own)),
    },
    Permission {
        name: "system-talk-name",
        value: "NAME",
        help: "Talk to a name on the system bus, which is filtered",
        change: |name| Ok(Change::SystemName(bus_name(name)?, BusPolicy::Talk)),
    },
    Permission {
        name: "system-no-talk-name",
        value: "NAME",
        help: "Take --system-own-name and --system-talk-name back",
        change: |name| Ok(Change::SystemName(bus_name(name)?, BusPolicy::None)),
    },
    Permission {
        name: "device",
        value: "DEVICE",
        help: "Use devices: dri, kvm, shm, input, usb, all",
        change: |word| Ok(Change::Device(Device::parse(word)?, true)),
    },
    Permission {
        name: "nodevice",
        value: "DEVICE",
        help: "Take --device back",
        change: |word| Ok(Change::Device(Device::parse(word)?, false)),
    },
    Permission {
        name: "allow",
        value: "FEATURE",
        help: "Allow system calls for: devel, multiarch, bluetooth, canbus",
        change: |word| Ok(Change::Feature(Feature::parse(word)?, true)),
    },
    Permission {
        name: "disallow",
        value: "FEATURE",
        help: "Take --allow back",
        change: |word| Ok(Change::Feature(Feature::parse(word)?, false)),
    },
    Permission {
        name: "persist",
        value: "PATH",
        help: "With --name, keep only this path below the home",
        change: |path| Ok(Change::Persist(token::parse_persist(path)?)),
    },
    Permission {
        name: "env",
        value: "VARIABLE=VALUE",
        help: "Set an environment variable",
        change: |text| {
            let mut parts = text.as_bytes().splitn(2, |byte| *byte == b'=');
            match (parts.next(), parts.next()) {
                (Some(name @ [_, ..]), Some(value)) => Ok(Change::Variable(
                    OsStr::from_bytes(name).to_owned(),
                    Some(OsStr::from_bytes(value).to_owned()),
                )),
                _ => Err(UsageError::Assignment { text: text.to_owned() }),
            }
        },
    },
    Permission {
        name: "unset-env",
        value: "VARIABLE",
        help: "Unset an environment variable",
        change: |name| {
            if name.is_empty() || name.as_bytes().contains(&b'=') {
                return Err(UsageError::Variable { text: name.to_owned() });
            }
            Ok(Change::Variable(name.to_owned(), None))
        },
    },
];

fn bus_name(text: &OsStr) -> Result<BusName, BusNameError> {
    // What is no text is no name either.
    let name = text.to_str().ok_or_else(|| BusNameError { text: text.to_owned() })?;
    BusName::new(name)
}

/// Adds the options of `stockade exec` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let value =
        |name: &'static str, value: &'static str, parser: ValueParser, help: &'static str| {
            Arg::new(name)
                .long(name)
                .value_name(value)
                .value_parser(parser)
                .action(ArgAction::Set)
                .help(help)
        };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let text = || value_parser!(OsString);
    let path = || value_parser!(PathBuf);
    let number = || value_parser!(u32).into();
    let port = || value_parser!(u16).into();
    let many = |argument: Arg| argument.action(ArgAction::Append);

    let permissions = PERMISSIONS.iter().map(|permission| {
        many(value(permission.name, permission.value, text(), permission.help))
            .help_heading("Permissions")
    });
    command
        .override_usage("stockade exec [OPTIONS] [--] COMMAND [ARGUMENTS]...")
        .args_override_self(true)
        .args(permissions)
        .arg(
            value(
                "project",
                "DIR",
                path(),
                "Share a directory, this one if none is named, and work in it",
            )
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("."),
        )
        .arg(value("name", "NAME", text(), "Keep the home of this sandbox under a name"))
        .arg(value("cwd", "DIR", path(), "Start in this directory of the sandbox"))
        .arg(value("hostname", "NAME", text(), "Set the host name"))
        .arg(flag("clear-env", "Start from an empty environment"))
        .arg(many(value(
            "allow-tcp-connect",
            "PORT",
            port(),
            "Allow TCP connections to this port only",
        )))
        .arg(many(value("allow-tcp-bind", "PORT", port(), "Allow TCP servers on this port only")))
        .arg(limit::argument())
        .arg(many(value(
            "pass-fd",
            "N",
            number(),
            "Let the command inherit an open file descriptor",
        )))
        .arg(flag("new-session", "Give the command a session of its own, without a terminal"))
        .arg(flag("die-with-parent", "End the sandbox when the caller ends"))
        .arg(value(
            "json-status-fd",
            "N",
            number(),
            "Report start and end as JSON to this descriptor",
        ))
        .arg(flag("print-spec", "Print the sandbox as JSON instead of running anything"))
        .arg(flag("verbose", "Say what was left out"))
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .required(true)
                .num_args(1..)
                .trailing_var_arg(true)
                .value_parser(value_parser!(OsString))
                .help("The command to run, and its arguments"),
        )
}

/// What was typed, as it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// The sandbox.
    pub options: exec::Options,
    /// What it may use.
    pub limits: Limits,
    /// Prints it and stops.
    pub print_spec: bool,
    /// Ends with the caller.
    pub die_with_parent: bool,
    /// Where events go.
    pub json_status: Option<u32>,
    /// Says more.
    pub verbose: bool,
}

/// Reads what clap took apart.
///
/// # Errors
/// [`UsageError`], for the first value that cannot be used.
pub fn read(matches: &ArgMatches) -> Result<Arguments, UsageError> {
    let all = |name| matches.get_many(name).into_iter().flatten().copied().collect();
    let text = |name| matches.get_one::<OsString>(name);
    let path = |name| matches.get_one::<PathBuf>(name).cloned();
    let command = matches.get_many("command").into_iter().flatten().cloned().collect();
    let limits = limit::read(matches)?;
    let options = exec::Options {
        permissions: permissions(matches)?,
        name: text("name").map(|name| Name::new(name)).transpose()?,
        project: path("project"),
        clear_environment: matches.get_flag("clear-env"),
        directory: path("cwd"),
        hostname: text("hostname").cloned(),
        pass: matches.get_many("pass-fd").into_iter().flatten().copied().collect(),
        new_session: matches.get_flag("new-session"),
        tcp_connect: all("allow-tcp-connect"),
        tcp_bind: all("allow-tcp-bind"),
        command,
    };
    Ok(Arguments {
        options,
        limits,
        print_spec: matches.get_flag("print-spec"),
        die_with_parent: matches.get_flag("die-with-parent"),
        json_status: matches.get_one("json-status-fd").copied(),
        verbose: matches.get_flag("verbose"),
    })
}

/// The changes in the order in which they were typed.
fn permissions(matches: &ArgMatches) -> Result<Permissions, UsageError> {
    let options = PERMISSIONS.iter().map(|permission| (permission.name, permission.change));
    let mut permissions = Permissions::default();
    for (change, value) in super::order::typed(matches, options) {
        permissions.apply(change(value)?);
    }
    Ok(permissions)
}

/// Why nothing was run.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Usage(#[from] UsageError),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Exec(#[from] ExecError),
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    #[error("cannot print the sandbox as JSON\n{0}")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error(transparent)]
    Launch(#[from] launch::LaunchError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Launch(error) => error.exit_code(),
            Self::Exec(ExecError::Command(CommandError::Nameless)) => NOT_FOUND,
            Self::Usage(_)
            | Self::Caller(_)
            | Self::Exec(_)
            | Self::Descriptor(_)
            | Self::Json(_)
            | Self::Systemd(_)
            | Self::Proxy(_) => FAILED,
        }
    }
}

/// Runs `stockade exec` and gives the status to exit with.
#[must_use]
pub fn run(matches: ArgMatches) -> u8 {
    match try_run(matches) {
        Ok(code) => code,
        Err(failure) => {
            message::error(&failure);
            failure.exit_code()
        }
    }
}

fn try_run(matches: ArgMatches) -> Result<u8, Failure> {
    let arguments = read(&matches)?;
    // It holds every value twice; the plan gets by with the memory.
    drop(matches);
    // First of all: what is opened later would look like the caller's.
    let passed = exec::inherit(&arguments.options.pass)?;
    let json_status = arguments.json_status.map(descriptor::inherited).transpose()?;
    let limit = descriptor_limit::raise();
    let helper = if arguments.print_spec {
        None
    } else {
        // The helper, and with it the sandbox, is in the scope from its first moment.
        confine(&arguments)?;
        Some(Helper::start()?)
    };
    let caller = Caller::current()?;
    let mut plan = exec::plan(&arguments.options, &caller, passed)?;
    plan.sandbox.request.payload.limits.extend(limit);
    let Some(helper) = helper else {
        message::notices(&plan.notices, arguments.verbose);
        let mut text = serde_json::to_string_pretty(&plan.sandbox.request)?;
        text.push('\n');
        return Ok(super::print(&text));
    };
    let proxy = plan.proxy.map(|proxy| proxy.start(&caller, &mut plan.notices)).transpose()?;
    message::notices(&plan.notices, arguments.verbose);
    if let Some(proxy) = &proxy {
        proxy.mount(&mut plan.sandbox)?;
    }
    let on_start = |_: u32, _: &[_]| {
        if let Some(proxy) = &proxy {
            proxy.hide();
        }
    };
    let options = launch::Options {
        die_with_parent: arguments.die_with_parent,
        json_status,
        verbose: arguments.verbose,
        on_start: Some(&on_start),
        attendant: proxy.as_ref().map(Proxy::attendant),
    };
    Ok(helper.run(plan.sandbox, &options)?.exit_code())
}

/// Moves this process to where the limits hold. Without any, systemd is not asked for anything.
fn confine(arguments: &Arguments) -> Result<(), SystemdError> {
    if !arguments.limits.is_empty() {
        let scope = scope(&arguments.options, std::process::id());
        let notice = systemd::join(&scope, &arguments.limits)?;
        message::notices(notice.as_slice(), arguments.verbose);
    }
    Ok(())
}

/// The scope of a sandbox: called as it is, or as the command.
fn scope(options: &exec::Options, pid: u32) -> Scope {
    let command = options
        .command
        .first()
        .map_or(OsStr::new(""), |command| Path::new(command).file_name().unwrap_or(command));
    let name = options.name.as_ref().map_or(command, |name| OsStr::new(name.as_str()));
    Scope::new("stockade", name, &pid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::limit::Limit;
    use std::collections::BTreeSet;

    fn parse(arguments: &[&str]) -> Result<Arguments, UsageError> {
        let all = ["stockade", "exec"].iter().chain(arguments);
        let matches = crate::cli::command().try_get_matches_from(all).unwrap();
        let (_, matches) = matches.subcommand().unwrap();
        read(matches)
    }

    fn parsed(arguments: &[&str]) -> Arguments {
        parse(arguments).unwrap()
    }

    #[test]
    fn t67_everything_behind_the_command_is_the_commands() {
        for (arguments, command) in [
            (&["ls", "-l", "--share=network"][..], &["ls", "-l", "--share=network"][..]),
            (&["--", "ls", "--", "-x"], &["ls", "--", "-x"]),
            (&["--", "--weird", "--help"], &["--weird", "--help"]),
            (&["ls", "--", "--help", "@@", "a\nb"], &["ls", "--", "--help", "@@", "a\nb"]),
            (&["ls", "--version"], &["ls", "--version"]),
            (&["exec", "exec"], &["exec", "exec"]),
            (&["ls", ""], &["ls", ""]),
        ] {
            let arguments = parsed(arguments);
            assert_eq!(arguments.options.command, command);
            assert_eq!(arguments.options.permissions, Permissions::default());
        }
    }

    #[test]
    fn permissions_apply_in_the_order_typed() {
        let sockets = |arguments: &[&str]| parsed(arguments).options.permissions.sockets;
        assert!(sockets(&["--socket=x11", "--nosocket=x11", "ls"]).is_empty());
        assert_eq!(sockets(&["--nosocket=x11", "--socket=x11", "ls"]), [Socket::X11].into());
        let environment = |arguments: &[&str]| parsed(arguments).options.permissions.environment;
        let unset = environment(&["--env=A=b", "--unset-env=A", "ls"]);
        assert_eq!(unset, [("A".into(), None)].into());
        let set = environment(&["--unset-env=A", "--env", "A==b=", "ls"]);
        assert_eq!(set, [("A".into(), Some("=b=".into()))].into());
    }

    #[test]
    fn a_project_is_the_current_directory_or_the_one_named() {
        assert_eq!(parsed(&["ls"]).options.project, None);
        assert_eq!(parsed(&["--project", "ls"]).options.project, Some(".".into()));
        assert_eq!(parsed(&["--project=/a", "ls"]).options.project, Some("/a".into()));
        assert_eq!(parsed(&["--project", "ls"]).options.command, ["ls"]);
    }

    #[test]
    fn repeatable_options_are_collected_and_others_replaced() {
        let arguments = parsed(&[
            "--pass-fd=5",
            "--pass-fd",
            "6",
            "--allow-tcp-connect",
            "443",
            "--allow-tcp-connect=80",
            "--cwd=/a",
            "--cwd=/b",
            "--json-status-fd=2",
            "ls",
        ]);
        assert_eq!(arguments.options.pass, [5, 6]);
        assert_eq!(arguments.options.tcp_connect, [443, 80]);
        assert_eq!(arguments.options.directory, Some("/b".into()));
        assert_eq!(arguments.json_status, Some(2));
    }

    #[test]
    fn r38_wrong_values_are_errors_with_advice() {
        for argument in [
            "--share=net",
            "--socket=bus",
            "--talk-name=not a name",
            "--own-name=a",
            "--system-talk-name=:1.2",
            "--device=gpu",
            "--allow=all",
            "--filesystem=/a:wr",
            "--filesystem=/",
            "--filesystem=~/../x",
            "--filesystem=host:reset",
            "--nofilesystem=home:reset",
            "--persist=/etc",
            "--env=A",
            "--env==b",
            "--unset-env=A=b",
            "--name=../x",
            "--limit=memory=0",
            "--limit=swap=1G",
        ] {
            let text = parse(&[argument, "ls"]).unwrap_err().to_string();
            assert!(text.starts_with("cannot ") && text.lines().count() >= 2, "{argument}: {text}");
        }
    }

    #[test]
    fn of_two_limits_of_a_kind_the_later_one_holds() {
        let arguments =
            parsed(&["--limit=memory=1G", "--limit", "tasks=9", "--limit=memory=2G", "ls"]);
        let limits: Vec<_> = arguments.limits.iter().collect();
        assert_eq!(limits, [Limit::Memory(2 << 30), Limit::Tasks(9)]);
        assert!(parsed(&["ls", "--limit=memory=1G"]).limits.is_empty());
    }

    #[test]
    fn r151_a_scope_is_called_as_the_sandbox_or_the_command() {
        let name = |arguments: &[&str]| scope(&parsed(arguments).options, 7).name().to_owned();
        assert_eq!(name(&["/usr/bin/g++"]), "app-stockade-g\\x2b\\x2b-7.scope");
        assert_eq!(name(&["/.."]), "app-stockade-\\x2f..-7.scope");
        assert_eq!(name(&["--name=a-b", "ls"]), "app-stockade-a\\x2db-7.scope");
    }

    #[test]
    fn help_lists_the_words_there_are() {
        let listed: [(&str, BTreeSet<&str>); 4] = [
            ("share", Share::ALL.iter().map(|share| share.word()).collect()),
            ("socket", Socket::ALL.iter().map(|socket| socket.word()).collect()),
            ("device", Device::ALL.iter().map(|device| device.word()).collect()),
            ("allow", Feature::ALL.iter().map(|feature| feature.word()).collect()),
        ];
        for (name, words) in listed {
            let permission = PERMISSIONS.iter().find(|option| option.name == name).unwrap();
            let (_, help) = permission.help.split_once(": ").unwrap();
            assert_eq!(help.split(", ").collect::<BTreeSet<_>>(), words, "{name}");
        }
    }

    #[test]
    fn r48_reset_takes_every_place_back() {
        let typed = ["--filesystem=home", "--filesystem=/a:ro", "--nofilesystem=host:reset", "ls"];
        assert!(parsed(&typed).options.permissions.filesystems.is_empty());
    }
}
