// SPDX-License-Identifier: MIT OR Apache-2.0
//! `stockade info`: what is known of something installed, as `flatpak info` tells it (R261, R262).

mod block;
mod extensions;

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use self::block::{Block, aligned};
use super::installations;
use super::size::size;
use crate::caller::{Caller, CallerError};
use crate::flatpak::context::Context;
use crate::flatpak::context::condition::Conditions;
use crate::flatpak::date::utc;
use crate::flatpak::deploy::{Deploy, DeployError};
use crate::flatpak::deploy_data::DeployData;
use crate::flatpak::directory::DirectoryError;
use crate::flatpak::file_access::FileAccess;
use crate::flatpak::files;
use crate::flatpak::installation::{Defaults, Installations};
use crate::flatpak::language::languages;
use crate::flatpak::matching::{MatchError, the_one};
use crate::flatpak::metadata::{Metadata, MetadataError};
use crate::flatpak::permissions::{self, PermissionsError};
use crate::flatpak::reference::{Arch, Branch, Kind, Reference, ReferenceError, Wanted};
use crate::flatpak::repository::Repository;
use crate::flatpak::selection::SelectionError;
use crate::message::{Notice, shown};
use crate::sandbox::SandboxError;
use crate::socket;

/// Why nothing is told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InfoError {
    /// The caller cannot be served.
    #[error(transparent)]
    Caller(#[from] CallerError),
    /// There is no such installation.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// A name is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// It does not mean one thing that is installed.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// What is installed cannot be used.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// An installation cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What it says of itself cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// What it may do cannot be told.
    #[error(transparent)]
    Permissions(#[from] PermissionsError),
    /// What it sees cannot be told.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

/// Everything that is known of something.
struct Known {
    deploy: Deploy,
    data: DeployData,
    metadata: Metadata,
}

/// A value that can be asked for, in the order in which they are told.
struct Field {
    name: &'static str,
    short: Option<char>,
    help: &'static str,
    value: fn(&Known) -> String,
}

const FIELDS: [Field; 7] = [
    Field {
        name: "show-ref",
        short: Some('r'),
        help: "Show the whole name",
        value: |known| known.deploy.reference.to_string(),
    },
    Field {
        name: "show-origin",
        short: Some('o'),
        help: "Show the remote it came from",
        value: |known| known.data.origin.clone(),
    },
    Field {
        name: "show-commit",
        short: Some('c'),
        help: "Show the version",
        value: |known| known.deploy.commit.clone(),
    },
    Field {
        name: "show-size",
        short: Some('s'),
        help: "Show the size in bytes",
        value: |known| known.data.installed_size.to_string(),
    },
    Field {
        name: "show-location",
        short: Some('l'),
        help: "Show the directory",
        value: |known| shown(&known.deploy.path).to_string(),
    },
    Field {
        name: "show-runtime",
        short: None,
        help: "Show the runtime",
        value: |known| named(known.metadata.runtime.as_ref()),
    },
    Field {
        name: "show-sdk",
        short: None,
        help: "Show the SDK",
        value: |known| named(known.metadata.sdk.as_ref()),
    },
];

fn named(reference: Option<&Reference>) -> String {
    reference.map_or_else(|| "-".to_owned(), Reference::without_kind)
}

/// Adds the options of `stockade info` to its command.
#[must_use]
pub fn arguments(command: Command) -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let fields = FIELDS.iter().map(|field| {
        let flag = flag(field.name, field.help);
        match field.short {
            Some(short) => flag.short(short),
            None => flag,
        }
    });
    command
        .args_override_self(true)
        .args(installations::arguments())
        .arg(Arg::new("arch").long("arch").value_name("ARCH").help("Look for this architecture"))
        .args(fields)
        .arg(flag("show-metadata", "Show the metadata").short('m'))
        .arg(flag("show-permissions", "Show what it may do, with every override").short('M'))
        .arg(
            Arg::new("file-access")
                .long("file-access")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("Show what it may do with this file"),
        )
        .arg(flag("show-extensions", "Show the extensions it is used with").short('e'))
        .arg(Arg::new("name").value_name("NAME").required(true).help("What to tell about"))
        .arg(Arg::new("branch").value_name("BRANCH").help("Which branch of it"))
}

/// Runs `stockade info` and gives the status to exit with.
#[must_use]
pub fn run(matches: &ArgMatches) -> u8 {
    let terminal = rustix::termios::isatty(rustix::stdio::stdout());
    let told = Caller::current().map_err(InfoError::from);
    super::tell(told.and_then(|caller| tell(matches, &caller, terminal)), 1)
}

/// The text as it is printed, and what was wrong with the configuration.
fn tell(
    matches: &ArgMatches,
    caller: &Caller,
    terminal: bool,
) -> Result<(String, Vec<Notice>), InfoError> {
    let text = |name| matches.get_one::<String>(name).map(String::as_str).unwrap_or_default();
    let mut wanted = Wanted::parse(text("name").as_ref())?;
    if matches.contains_id("branch") {
        wanted.branch = Some(Branch::new(text("branch"))?);
    }
    if matches.contains_id("arch") {
        wanted.arch = Some(Arch::new(text("arch"))?);
    }
    let (all, mut notices) = Installations::discover(caller);
    let selected = all.select(&installations::selection(matches))?;
    let (installation, reference) = the_one(&wanted, &selected)?;
    let deploy = Deploy::open(installation, &reference, None)?;
    let deploy = deploy.ok_or(MatchError::None { wanted })?;
    let data = deploy.data()?;
    let metadata = Metadata::read(reference.kind, &deploy.metadata)?;
    let known = Known { deploy, data, metadata };

    let asked = |field: &&Field| matches.get_flag(field.name);
    let values: Vec<String> =
        FIELDS.iter().filter(asked).map(|field| (field.value)(&known)).collect();
    let (show, file) = (|name| matches.get_flag(name), matches.get_one::<PathBuf>("file-access"));
    let extensions = if show("show-extensions") {
        extensions::blocks(&known.deploy, &all, caller, &mut notices)
    } else {
        Vec::new()
    };
    let (metadata, permissions) = (show("show-metadata"), show("show-permissions"));
    if values.is_empty() && !metadata && !permissions && file.is_none() {
        let repository = Repository::open(installation)?;
        let (title, mut blocks) = summary(&known, &repository, &languages(caller));
        blocks.extend(extensions);
        return Ok((title + &aligned(&blocks, terminal), notices));
    }

    let mut text = String::new();
    if !values.is_empty() {
        text = values.join(" ") + "\n";
    }
    if metadata {
        text.push_str(&lines(&known.deploy.metadata_file()?));
    }
    if permissions || file.is_some() {
        let context = permissions::overridden(&known.deploy, all.defaults(), &mut notices)?;
        if permissions {
            text.push_str(&context.shown());
        }
        if let Some(file) = file {
            let access = file_access(file, &context, &reference, all.defaults(), caller)?;
            text.push_str(&format!("{access}\n"));
        }
    }
    if !extensions.is_empty() {
        text.push('\n');
        text.push_str(&aligned(&extensions, terminal));
    }
    Ok((text, notices))
}

/// What it may do with a file of the host (R243). A relative path is one from the working directory.
fn file_access(
    file: &Path,
    context: &Context,
    reference: &Reference,
    defaults: &Defaults,
    caller: &Caller,
) -> Result<FileAccess, SandboxError> {
    let conditions = Conditions { has_wayland: socket::has_wayland(caller), has_usb_portal: false };
    let resolved = context.resolve(&conditions);
    let hidden = context.filesystems.denied().cloned().collect();
    let wanted = files::Wanted {
        filesystems: &resolved.permissions.filesystems,
        hidden: &hidden,
        persist: &resolved.permissions.persist,
        previous: &[],
        installation: &defaults.user,
    };
    let directory = caller.directory.as_deref().unwrap_or(Path::new("/"));
    Ok(files::visible(&wanted, &reference.id, caller)?.access(&directory.join(file)))
}

/// A file as it stands, what would change a terminal escaped.
fn lines(bytes: &[u8]) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let line = |line| format!("{}\n", shown(std::ffi::OsStr::from_bytes(line)));
    text.split(|byte| *byte == b'\n').map(line).collect()
}

/// Everything for people: what it is called, and the facts.
fn summary(known: &Known, repository: &Repository, languages: &[String]) -> (String, Vec<Block>) {
    let Known { deploy, data, metadata } = known;
    let reference = &deploy.reference;
    let mut title = String::new();
    if let Some(name) = data.translated("appdata-name", languages) {
        let summary = data.translated("appdata-summary", languages);
        let summary = summary.map_or(String::new(), |summary| format!(" - {}", shown(summary)));
        title = format!("\n{}{summary}\n\n", shown(name));
    }

    let mut what = vec![
        ("ID", reference.id.to_string()),
        ("Ref", reference.to_string()),
        ("Arch", reference.arch.to_string()),
        ("Branch", reference.branch.to_string()),
    ];
    for (label, key) in [("Version", "appdata-version"), ("License", "appdata-license")] {
        what.extend(data.translated(key, languages).map(|value| (label, value.to_owned())));
    }
    what.push(("Origin", data.origin.clone()));
    what.push(("Collection", repository.collection(&data.origin).unwrap_or_default()));
    what.push(("Installation", deploy.installation.owner.to_string()));
    what.push(("Installed Size", size(data.installed_size)));
    if reference.kind == Kind::App {
        what.push(("Runtime", named(metadata.runtime.as_ref())));
        what.push(("Sdk", named(metadata.sdk.as_ref())));
    }

    let mut which = Vec::new();
    match repository.latest(&data.origin, reference).filter(|latest| *latest != deploy.commit) {
        Some(latest) => {
            which.extend([("Active commit", deploy.commit.clone()), ("Latest commit", latest)]);
        }
        None => which.push(("Commit", deploy.commit.clone())),
    }
    if let Some(version) = repository.version(&deploy.commit) {
        which.extend(version.parent.map(|parent| ("Parent", parent)));
        which.push(("Subject", version.subject));
        which.extend(utc(version.time).map(|date| ("Date", date)));
    }
    if !data.subpaths.is_empty() {
        which.push(("Subdirectories", data.subpaths.join(",")));
    }
    let more = [("Alt-id", "alt-id"), ("End-of-life", "eol"), ("End-of-life-rebase", "eolr")];
    for (label, key) in more {
        which.extend(data.text(key).map(|value| (label, value.to_owned())));
    }

    (title, vec![what, which])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::deploy::tests::COMMIT;
    use crate::flatpak::inventory::tests::install_whole;

    const METADATA: &str = "[Application]\nname=org.example.App\n\
         runtime=org.example.Platform/x86_64/1\nsdk=org.example.Sdk/x86_64/1\nx=\u{1b}[2K\n";

    fn whole() -> Scratch {
        let scratch = Scratch::new();
        install_whole(&scratch, "user", "app/org.example.App/x86_64/stable", METADATA);
        install_whole(&scratch, "user", "runtime/org.example.Platform/x86_64/1", "[Runtime]\n");
        scratch
    }

    /// What is printed where stdout is no terminal, or the first line of the error.
    fn told(scratch: &Scratch, arguments: &[&str]) -> String {
        let path = |name| scratch.join(name).to_str().unwrap().to_owned();
        let (user, none) = (path("user"), path("none"));
        let caller = caller(
            &scratch.0,
            &[
                ("FLATPAK_USER_DIR", user.as_str()),
                ("FLATPAK_SYSTEM_DIR", &none),
                ("FLATPAK_CONFIG_DIR", &none),
            ],
        );
        let arguments = ["info"].iter().chain(arguments);
        let matches = super::arguments(Command::new("info")).get_matches_from(arguments);
        match tell(&matches, &caller, false) {
            Ok((text, notices)) => {
                assert_eq!(notices, []);
                text
            }
            Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        }
    }

    #[test]
    fn r261_everything_for_people() {
        let scratch = whole();
        let expected = format!(
            "\nExample - Does \"nothing\" & more\n\n\
            \x20           ID: org.example.App\n\
            \x20          Ref: app/org.example.App/x86_64/stable\n\
            \x20         Arch: x86_64\n\
            \x20       Branch: stable\n\
            \x20      Version: 1.2.3\n\
            \x20      License: MIT\n\
            \x20       Origin: local\n\
            \x20   Collection: \n\
            \x20 Installation: user\n\
            Installed Size: 1.5\u{a0}kB\n\
            \x20      Runtime: org.example.Platform/x86_64/1\n\
            \x20          Sdk: org.example.Sdk/x86_64/1\n\n\
            \x20       Commit: {COMMIT}\n\
            \x20  End-of-life: no more\n"
        );
        assert_eq!(told(&scratch, &["org.example.App"]), expected);
        let runtime = told(&scratch, &["org.example.Platform", "1"]);
        assert!(!runtime.contains("Sdk") && runtime.contains("Ref: runtime/"), "{runtime}");
    }

    #[test]
    fn r261_a_newer_version_is_told() {
        let scratch = whole();
        let newest = "f".repeat(64);
        scratch.file("user/repo/refs/remotes/local/app/org.example.App/x86_64/stable", &newest);
        let text = told(&scratch, &["org.example.App"]);
        let expected = format!("\n Active commit: {COMMIT}\n Latest commit: {newest}\n");
        assert!(text.contains(&expected), "{text}");
    }

    #[test]
    fn r262_values_stand_on_one_line_in_their_order() {
        let scratch = whole();
        let place = scratch.join(&format!("user/app/org.example.App/x86_64/stable/{COMMIT}"));
        let expected = format!(
            "app/org.example.App/x86_64/stable local {COMMIT} 1536 {} \
             org.example.Platform/x86_64/1 org.example.Sdk/x86_64/1\n",
            place.display()
        );
        let arguments = ["--show-sdk", "--show-runtime", "-lscor", "org.example.App"];
        assert_eq!(told(&scratch, &arguments), expected);
        let none = told(&scratch, &["--show-sdk", "org.example.Platform"]);
        assert_eq!(none, "-\n");
        let metadata = METADATA.replace('\u{1b}', "\\u{1b}");
        assert_eq!(told(&scratch, &["-m", "org.example.App"]), metadata);
        let both = told(&scratch, &["-om", "org.example.App"]);
        assert_eq!(both, format!("local\n{metadata}"));
    }

    /// What the user changed about every application.
    fn overridden(text: &str) -> Scratch {
        let scratch = Scratch::new();
        let metadata = "[Application]\n[Context]\nshared=network;ipc;\nfilesystems=~/a;\n\
                        [Environment]\nA=\u{1b}[2K\n";
        install_whole(&scratch, "user", "app/org.example.App/x86_64/stable", metadata);
        scratch.file("user/overrides/global", text);
        scratch
    }

    #[test]
    fn r262_permissions_are_those_that_overrides_leave() {
        let scratch = overridden("[Context]\nshared=!ipc;\nfilesystems=!~/a;~/b:ro;\n");
        let own =
            "[Context]\nshared=network;\nfilesystems=~/b:ro;\n\n[Environment]\nA=\\u{1b}[2K\n";
        assert_eq!(told(&scratch, &["-M", "org.example.App"]), own);
        let both = told(&scratch, &["-oM", "org.example.App"]);
        assert_eq!(both, format!("local\n{own}"));
        install_whole(&scratch, "user", "runtime/org.example.Platform/x86_64/1", "[Runtime]\n");
        let runtime = told(&scratch, &["-M", "org.example.Platform"]);
        assert_eq!(runtime, "[Context]\nfilesystems=~/b:ro;\n");
        // What cannot be read cannot be answered for.
        scratch.file("user/overrides/global", "nonsense");
        let error = told(&scratch, &["-M", "org.example.App"]);
        assert!(error.starts_with("cannot use the overrides in "), "{error}");
    }

    #[test]
    fn r243_file_access() {
        let scratch = overridden("[Context]\nfilesystems=~/b:ro;\n");
        for directory in ["a", "b", "c", ".local/share/flatpak"] {
            scratch.file(&format!("{directory}/file"), "");
        }
        let access = |path: &str| {
            let option = format!("--file-access={}", scratch.join(path).display());
            told(&scratch, &[option.as_str(), "org.example.App"])
        };
        for (path, expected) in [
            ("a", "read-write\n"),
            ("a/file", "read-write\n"),
            ("a/not-yet", "read-write\n"),
            ("b/file", "read-only\n"),
            ("b/not-yet", "hidden\n"),
            ("c/file", "hidden\n"),
            ("c/../a/file", "read-write\n"),
            (".", "hidden\n"),
            (".var/app/org.example.App", "hidden\n"),
        ] {
            assert_eq!(access(path), expected, "{path}");
        }
        let data = scratch.directory(".var/app/org.example.App");
        assert_eq!(access(".var/app/org.example.App/x"), "read-write\n");
        // Asking makes nothing.
        assert_eq!(std::fs::read_dir(data).unwrap().count(), 0);
        let several = told(&scratch, &["-o", "--file-access=/etc/passwd", "org.example.App"]);
        assert_eq!(several, "local\nhidden\n");
    }

    #[test]
    fn r262_extensions_stand_below_in_order_of_priority() {
        let scratch = Scratch::new();
        let metadata = "[Application]\n\
             [Extension org.example.App.Locale]\ndirectory=share/locale\n\
             [Extension org.example.App.Plug]\ndirectory=plug\nsubdirectories=true\nversion=1\n\
             [Extension org.example.App.Absent]\ndirectory=absent\n";
        install_whole(&scratch, "user", "app/org.example.App/x86_64/stable", metadata);
        let locale = "runtime/org.example.App.Locale/x86_64/stable";
        install_whole(&scratch, "user", locale, "[Runtime]\n");
        scratch.directory("user/extension/org.example.App.Plug.one/x86_64/1");
        let expected = format!(
            "\n\
            \x20    Extension: runtime/org.example.App.Plug.one/x86_64/1\n\
            \x20           ID: org.example.App.Plug\n\
            \x20       Origin: -\n\
            \x20       Commit: unmaintained\n\
            Installed Size: unknown\n\n\
            \x20    Extension: {locale}\n\
            \x20           ID: org.example.App.Locale\n\
            \x20       Origin: local\n\
            \x20       Commit: {COMMIT}\n\
            Installed Size: 1.5\u{a0}kB\n"
        );
        let text = told(&scratch, &["-e", "org.example.App"]);
        assert!(text.contains("ID: org.example.App\n") && text.ends_with(&expected), "{text}");
        let values = told(&scratch, &["-eo", "org.example.App"]);
        assert_eq!(values, format!("local\n{expected}"));
        let none = told(&scratch, &["-eo", "org.example.App.Locale"]);
        assert_eq!(none, "local\n");
        scratch.file(&format!("user/{locale}/{COMMIT}/deploy"), "damaged");
        let values = told(&scratch, &["-e", "org.example.App"]);
        assert!(values.contains(&format!("Origin: -\n        Commit: {COMMIT}\n")), "{values}");
    }

    #[test]
    fn r261_names() {
        let scratch = whole();
        let first = |arguments: &[&str]| told(&scratch, &[&["-r"], arguments].concat());
        assert_eq!(first(&["org.example.App//stable"]), "app/org.example.App/x86_64/stable\n");
        assert_eq!(
            first(&["org.example.App", "beta"]),
            "org.example.App/*unspecified*/beta not installed"
        );
        let other = first(&["--arch=i386", "org.example.App"]);
        assert_eq!(other, "org.example.App/i386/*unspecified* not installed");
        let other = first(&["--system", "org.example.App"]);
        assert_eq!(other, "org.example.App/*unspecified*/*unspecified* not installed");
        assert_eq!(first(&["nope"]), "cannot use 'nope' as the name of an application");
    }
}
