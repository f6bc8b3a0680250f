// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which version of which application runs on which version of which runtime (R11-R15).

use std::ffi::{OsStr, OsString};

use super::deploy::{self, Deploy, DeployError};
use super::directory::DirectoryError;
use super::installation::{Installation, Installations};
use super::matching::{MatchError, the_one};
use super::metadata::{Metadata, MetadataError};
use super::reference::{Arch, Branch, Id, Kind, Reference, ReferenceError, Wanted};
use super::selection::{Selection, SelectionError};
use crate::message::shown;

/// What was asked for besides the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Where the application is looked for; its runtime is looked for everywhere.
    pub selection: Selection,
    /// `--arch`, for a name without one.
    pub arch: Option<Arch>,
    /// `--branch`, for a name without one.
    pub branch: Option<Branch>,
    /// `--commit`.
    pub commit: Option<OsString>,
    /// `--runtime`.
    pub runtime: RuntimeParts,
    /// `--runtime-version`, which wins over the branch in `--runtime`.
    pub runtime_version: Option<Branch>,
    /// `--runtime-commit`.
    pub runtime_commit: Option<OsString>,
    /// `--devel`: on the SDK.
    pub devel: bool,
}

/// What `--runtime` replaces of the runtime an application names: `[ID][/[ARCH][/[BRANCH]]]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuntimeParts {
    id: Option<Id>,
    arch: Option<Arch>,
    branch: Option<Branch>,
}

impl RuntimeParts {
    /// Reads the option's value.
    ///
    /// # Errors
    /// If a part of it is none.
    pub fn parse(text: &OsStr) -> Result<Self, ReferenceError> {
        let wrong = || ReferenceError {
            text: text.to_owned(),
            kind: "a runtime",
            rule: "it has the form ID, ID//BRANCH, ID/ARCH or ID/ARCH/BRANCH",
        };
        let mut parts = text.to_str().ok_or_else(wrong)?.split('/').map(Some);
        let mut part = || parts.next().flatten().filter(|part| !part.is_empty());
        let read = Self {
            id: part().map(Id::new).transpose()?,
            arch: part().map(Arch::new).transpose()?,
            branch: part().map(Branch::new).transpose()?,
        };
        if parts.next().is_some() { Err(wrong()) } else { Ok(read) }
    }

    /// The runtime that is meant, where an application names this one.
    #[must_use]
    pub fn apply(&self, named: Reference, version: Option<&Branch>) -> Reference {
        Reference {
            kind: Kind::Runtime,
            id: self.id.clone().unwrap_or(named.id),
            arch: self.arch.clone().unwrap_or(named.arch),
            branch: version.or(self.branch.as_ref()).cloned().unwrap_or(named.branch),
        }
    }
}

/// What is going to run.
#[derive(Debug)]
pub struct Choice {
    /// The application; none if it is the runtime itself that runs (R13).
    pub app: Option<Deploy>,
    /// What it runs on.
    pub runtime: Deploy,
}

/// Why nothing can run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChoiceError {
    /// It is not there (R15).
    #[error("{reference}{} not installed\n{}", in_commit(commit.as_ref()), advice(reference))]
    NotInstalled {
        /// What was looked for.
        reference: Reference,
        /// The version that had to be.
        commit: Option<OsString>,
    },
    /// An application names no runtime.
    #[error(
        "cannot run {app}\nits metadata names no {what}\ninstall it again, or name one with --runtime"
    )]
    NoRuntime {
        /// The application.
        app: Reference,
        /// Which kind of runtime.
        what: &'static str,
    },
    /// What an application says of itself cannot be used.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// It is not definite which runtime is meant.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// There is no such installation.
    #[error(transparent)]
    Selection(#[from] SelectionError),
    /// An installation cannot be read.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// What is installed cannot be used.
    #[error(transparent)]
    Deploy(#[from] DeployError),
}

fn in_commit(commit: Option<&OsString>) -> String {
    commit.map_or(String::new(), |commit| format!(" (commit {})", shown(commit)))
}

fn advice(reference: &Reference) -> String {
    format!(
        "see 'stockade list --all' for what is, or install it with 'flatpak install {reference}'"
    )
}

impl Choice {
    /// Chooses the application and its runtime; where there is no such application and it need not be
    /// one, a runtime of that name.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn make(
        wanted: &Wanted,
        options: &Options,
        installations: &Installations,
    ) -> Result<Self, ChoiceError> {
        let selected = installations.select(&options.selection)?;
        let name = name(wanted, options, installations)?;
        let kinds = wanted.kind.map_or(&[Kind::App, Kind::Runtime][..], |kind| match kind {
            Kind::App => &[Kind::App],
            Kind::Runtime => &[Kind::Runtime],
        });
        for kind in kinds {
            let reference = Reference { kind: *kind, ..name.clone() };
            let found = match kind {
                Kind::App => find(&selected, &reference, options.commit.as_deref())?,
                Kind::Runtime => {
                    let commit = options.commit.as_ref().or(options.runtime_commit.as_ref());
                    let reference = runtime(wanted, options, reference, &selected)?;
                    find(&selected, &reference, commit.map(OsString::as_os_str))?
                }
            };
            if let Some(found) = found {
                return Self::on_runtime(found, options, installations);
            }
        }
        let missing = Reference { kind: wanted.kind.unwrap_or(Kind::App), ..name };
        Err(not_installed(&missing, options.commit.as_deref()))
    }

    fn on_runtime(
        found: Deploy,
        options: &Options,
        installations: &Installations,
    ) -> Result<Self, ChoiceError> {
        let named = match found.reference.kind {
            Kind::App => runtime_of(&found, options.devel)?,
            Kind::Runtime => found.reference.clone(),
        };
        let wanted = options.runtime.apply(named, options.runtime_version.as_ref());
        if wanted == found.reference {
            return Ok(Self { app: None, runtime: found });
        }
        let everywhere: Vec<_> = installations.iter().collect();
        let commit = options.runtime_commit.as_deref();
        let runtime = find(&everywhere, &wanted, commit)?;
        let runtime = runtime.ok_or_else(|| not_installed(&wanted, commit))?;
        let app = match found.reference.kind {
            Kind::App => Some(found),
            Kind::Runtime => None,
        };
        Ok(Self { app, runtime })
    }
}

/// The whole name of an application: what is not definite comes from the options, then from what is
/// current in any installation, then from the defaults (R11, R12).
fn name(
    wanted: &Wanted,
    options: &Options,
    installations: &Installations,
) -> Result<Reference, ChoiceError> {
    let arch = wanted.arch.clone().or_else(|| options.arch.clone());
    let branch = wanted.branch.clone().or_else(|| options.branch.clone());
    let current = match (&arch, &branch) {
        (Some(_), Some(_)) => None,
        (None, _) | (_, None) => current(installations, &wanted.id)?,
    };
    let (current_arch, current_branch) = current.unzip();
    Ok(Reference {
        kind: Kind::App,
        id: wanted.id.clone(),
        arch: arch.or(current_arch).unwrap_or_else(Arch::native),
        branch: branch.or(current_branch).unwrap_or_else(Branch::master),
    })
}

/// The runtime that is meant (R13): it has no current branch, but often there is only one.
fn runtime(
    wanted: &Wanted,
    options: &Options,
    by_default: Reference,
    installations: &[&Installation],
) -> Result<Reference, ChoiceError> {
    let branch = wanted.branch.clone().or_else(|| options.branch.clone());
    let arch = Some(by_default.arch.clone());
    let wanted = Wanted { kind: Some(Kind::Runtime), id: wanted.id.clone(), arch, branch };
    match the_one(&wanted, installations) {
        Ok((_, reference)) => Ok(reference),
        // Said of an application, if nothing else is found.
        Err(MatchError::None { .. }) => Ok(by_default),
        Err(error @ (MatchError::Several { .. } | MatchError::Directory(_))) => Err(error.into()),
    }
}

fn current(
    installations: &Installations,
    id: &Id,
) -> Result<Option<(Arch, Branch)>, DirectoryError> {
    for installation in installations.iter() {
        if let Some(current) = deploy::current(installation, id)? {
            return Ok(Some(current));
        }
    }
    Ok(None)
}

/// The first version of that name, installation by installation.
///
/// # Errors
/// [`DeployError`], if one is there and cannot be used.
pub fn find<'a>(
    installations: impl IntoIterator<Item = &'a &'a Installation>,
    reference: &Reference,
    commit: Option<&OsStr>,
) -> Result<Option<Deploy>, DeployError> {
    // What is no text is no version either.
    let commit = commit.map(|commit| commit.to_str().unwrap_or_default());
    for installation in installations {
        if let Some(deploy) = Deploy::open(installation, reference, commit)? {
            return Ok(Some(deploy));
        }
    }
    Ok(None)
}

fn not_installed(reference: &Reference, commit: Option<&OsStr>) -> ChoiceError {
    let commit = commit.map(OsStr::to_owned);
    ChoiceError::NotInstalled { reference: reference.clone(), commit }
}

/// What an application names as its runtime, or as its SDK (R14).
fn runtime_of(app: &Deploy, devel: bool) -> Result<Reference, ChoiceError> {
    let metadata = Metadata::read(Kind::App, &app.metadata)?;
    let (named, what) = if devel { (metadata.sdk, "SDK") } else { (metadata.runtime, "runtime") };
    named.ok_or_else(|| ChoiceError::NoRuntime { app: app.reference.clone(), what })
}

#[cfg(test)]
mod tests {
    use super::super::deploy::tests::{COMMIT, install};
    use super::*;
    use crate::caller::tests::caller;
    use crate::filesystem::locate::tests::Scratch;
    use std::os::unix::fs::symlink;

    const RUNTIME: &str = "[Runtime]\nname=org.example.Platform\n";

    /// An application for the runtime `1` and the SDK `2`.
    fn app(scratch: &Scratch, installation: &str, arch: &str, branch: &str) {
        let metadata = format!(
            "[Application]\nname=org.example.App\nruntime=org.example.Platform/{arch}/1\n\
             sdk=org.example.Sdk/{arch}/2\n"
        );
        install(scratch, installation, &format!("app/org.example.App/{arch}/{branch}"), &metadata);
    }

    fn runtimes(scratch: &Scratch, installation: &str, names: &[&str]) {
        for name in names {
            install(scratch, installation, &format!("runtime/{name}"), RUNTIME);
        }
    }

    fn installations(scratch: &Scratch) -> Installations {
        let path = |name| scratch.join(name).to_str().unwrap().to_owned();
        let (user, system, none) = (path("user"), path("system"), path("none"));
        let variables = [
            ("FLATPAK_USER_DIR", user.as_str()),
            ("FLATPAK_SYSTEM_DIR", &system),
            ("FLATPAK_CONFIG_DIR", &none),
        ];
        Installations::discover(&caller(&scratch.0, &variables)).0
    }

    /// What is chosen, as `INSTALLATION APP INSTALLATION RUNTIME`, or the first line of the error.
    fn chosen(scratch: &Scratch, wanted: &str, options: &Options) -> String {
        let wanted = Wanted::parse(OsStr::new(wanted)).unwrap();
        let said = |deploy: &Deploy| format!("{} {}", deploy.installation.owner, deploy.reference);
        match Choice::make(&wanted, options, &installations(scratch)) {
            Ok(Choice { app: Some(app), runtime }) => format!("{} {}", said(&app), said(&runtime)),
            Ok(Choice { app: None, runtime }) => said(&runtime),
            Err(error) => error.to_string().lines().next().unwrap().to_owned(),
        }
    }

    fn current(scratch: &Scratch, installation: &str, target: &str) {
        symlink(target, scratch.join(&format!("{installation}/app/org.example.App/current")))
            .unwrap();
    }

    #[test]
    fn r3_the_user_first_and_the_runtime_from_anywhere() {
        let scratch = Scratch::new();
        let native = Arch::native();
        let arch = native.as_str();
        app(&scratch, "user", arch, "master");
        app(&scratch, "system", arch, "master");
        runtimes(&scratch, "system", &[&format!("org.example.Platform/{arch}/1")]);
        let expect = |owner: &str| {
            format!(
                "{owner} app/org.example.App/{arch}/master system runtime/org.example.Platform/{arch}/1"
            )
        };
        assert_eq!(chosen(&scratch, "org.example.App", &Options::default()), expect("user"));
        let mut system = Options::default();
        system.selection.system = true;
        assert_eq!(chosen(&scratch, "org.example.App", &system), expect("system"));
        runtimes(&scratch, "user", &[&format!("org.example.Platform/{arch}/1")]);
        let expected = expect("system").replace("system runtime", "user runtime");
        assert_eq!(chosen(&scratch, "org.example.App", &system), expected);
    }

    #[test]
    fn r11_r12_what_is_not_definite() {
        let scratch = Scratch::new();
        for (arch, branch) in [("i386", "beta"), ("i386", "stable"), ("x", "beta")] {
            app(&scratch, "system", arch, branch);
        }
        runtimes(&scratch, "system", &["org.example.Platform/i386/1", "org.example.Platform/x/1"]);
        current(&scratch, "system", "i386/stable");
        let expect = |wanted: &str, options: &Options, expected: &str| {
            let found = chosen(&scratch, wanted, options);
            let app = found.split(' ').nth(1).unwrap().strip_prefix("app/org.example.App/");
            assert_eq!(app, Some(expected), "{wanted}: {found}");
        };
        let none = Options::default();
        expect("org.example.App", &none, "i386/stable");
        expect("org.example.App//beta", &none, "i386/beta");
        expect("app/org.example.App/x/beta", &none, "x/beta");
        let options = Options {
            arch: Some(Arch::new("x").unwrap()),
            branch: Some(Branch::new("beta").unwrap()),
            ..Options::default()
        };
        expect("org.example.App", &options, "x/beta");
        expect("org.example.App/i386/stable", &options, "i386/stable");
        // R3: what is current is so everywhere.
        std::fs::create_dir_all(scratch.join("user/app/org.example.App")).unwrap();
        current(&scratch, "user", "i386/beta");
        expect("org.example.App", &none, "i386/beta");
    }

    #[test]
    fn r13_a_runtime_runs_where_there_is_no_such_application() {
        let scratch = Scratch::new();
        app(&scratch, "user", "x", "1");
        let names = ["org.example.App/x/1", "org.example.Platform/x/1", "org.example.Platform/x/2"];
        runtimes(&scratch, "user", &names);
        let none = Options::default();
        let found = chosen(&scratch, "org.example.Platform/x/1", &none);
        assert_eq!(found, "user runtime/org.example.Platform/x/1");
        assert!(chosen(&scratch, "org.example.App/x/1", &none).starts_with("user app/"));
        let forced = chosen(&scratch, "runtime/org.example.App/x/1", &none);
        assert_eq!(forced, "user runtime/org.example.App/x/1");
        let forced = chosen(&scratch, "app/org.example.Platform/x/1", &none);
        assert_eq!(forced, "app/org.example.Platform/x/1 not installed");
        let other = Options { runtime_version: Branch::new("2").ok(), ..Options::default() };
        let found = chosen(&scratch, "org.example.Platform/x/1", &other);
        assert_eq!(found, "user runtime/org.example.Platform/x/2");
        let gone = Options { runtime_commit: Some("f".repeat(64).into()), ..Options::default() };
        let found = chosen(&scratch, "org.example.Platform/x/1", &gone);
        assert_eq!(found, "app/org.example.Platform/x/1 not installed");
    }

    #[test]
    fn r14_another_runtime() {
        let scratch = Scratch::new();
        app(&scratch, "user", "x", "1");
        let names = ["Platform/x/1", "Platform/x/3", "Platform/y/4", "Sdk/x/2", "Sdk/x/3"];
        runtimes(
            &scratch,
            "user",
            &names.map(|name| format!("org.example.{name}")).each_ref().map(String::as_str),
        );
        let on = |text: &str, version: Option<&str>, devel| {
            let runtime = RuntimeParts::parse(OsStr::new(text)).unwrap();
            let runtime_version = version.map(|version| Branch::new(version).unwrap());
            let options = Options { runtime, runtime_version, devel, ..Options::default() };
            let found = chosen(&scratch, "org.example.App/x/1", &options);
            found.rsplit_once("org.example.").unwrap().1.to_owned()
        };
        assert_eq!(on("", None, false), "Platform/x/1");
        assert_eq!(on("", None, true), "Sdk/x/2");
        assert_eq!(on("org.example.Sdk//3", None, false), "Sdk/x/3");
        assert_eq!(on("/y/4", None, false), "Platform/y/4");
        assert_eq!(on("org.example.Sdk//2", Some("3"), false), "Sdk/x/3");
        assert_eq!(on("", Some("3"), true), "Sdk/x/3");
        assert_eq!(on("org.example.Sdk", None, false), "Sdk/x/1 not installed");
        for text in ["a/b/c/d", "../x", "org.example.Sdk/../.."] {
            assert!(RuntimeParts::parse(OsStr::new(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn r14_certain_versions() {
        let scratch = Scratch::new();
        app(&scratch, "user", "x", "1");
        runtimes(&scratch, "user", &["org.example.Platform/x/1"]);
        let with = |commit: Option<&str>, runtime_commit: Option<&str>| {
            let (commit, runtime_commit) = (commit.map(Into::into), runtime_commit.map(Into::into));
            let options = Options { commit, runtime_commit, ..Options::default() };
            chosen(&scratch, "org.example.App/x/1", &options)
        };
        assert!(with(Some(COMMIT), Some(COMMIT)).starts_with("user app/"));
        assert_eq!(with(Some("abc"), None), "app/org.example.App/x/1 (commit abc) not installed");
        assert_eq!(
            with(None, Some("\x1b")),
            "runtime/org.example.Platform/x/1 (commit \\u{1b}) not installed"
        );
    }

    #[test]
    fn r15_what_is_not_installed_is_said_by_its_whole_name() {
        let scratch = Scratch::new();
        let arch = Arch::native();
        let none = Options::default();
        let found = chosen(&scratch, "org.example.App", &none);
        assert_eq!(found, format!("app/org.example.App/{arch}/master not installed"));
        let found = chosen(&scratch, "runtime/org.example.App//1", &none);
        assert_eq!(found, format!("runtime/org.example.App/{arch}/1 not installed"));
        app(&scratch, "user", "x", "1");
        let found = chosen(&scratch, "org.example.App/x/1", &none);
        assert_eq!(found, "runtime/org.example.Platform/x/1 not installed");
        install(&scratch, "user", "app/org.example.Bare/x/1", "[Application]\n");
        let found = chosen(&scratch, "org.example.Bare/x/1", &none);
        assert_eq!(found, "cannot run app/org.example.Bare/x/1");
        let unknown = Selection { named: vec!["nope".into()], ..Selection::default() };
        let unknown = Options { selection: unknown, ..Options::default() };
        assert_eq!(
            chosen(&scratch, "org.example.App", &unknown),
            "cannot find the installation nope"
        );
    }
}
