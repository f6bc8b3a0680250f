// SPDX-License-Identifier: MIT OR Apache-2.0
//! The environment of an application (R152-R156), and where its command starts (R158).
//!
//! It is built as data and travels in the request. What an application chose for itself never
//! becomes the environment of a program outside (R159, CVE-2021-21261).

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use stockade_protocol::text::SandboxPath;

use super::library_cache::search_path;
use super::reference::{Id, Reference};
use crate::caller::Caller;
use crate::environment::Environment;
use crate::sandbox::{SandboxError, sandbox_path};

/// Where an application finds its programs and data, unless its own settings say otherwise (R153).
const FIXED: [(&str, &str); 4] = [
    ("PATH", "/app/bin:/usr/bin"),
    ("XDG_CONFIG_DIRS", "/app/etc/xdg:/etc/xdg"),
    ("XDG_DATA_DIRS", "/app/share:/usr/share"),
    ("SHELL", "/bin/sh"),
];

/// Tells a shell in the sandbox from one outside, if nothing else does.
const PROMPT: &str = "[📦 $FLATPAK_ID \\W]\\$ ";

/// The value of `container`, by which programs notice that they are in one (R155).
const CONTAINER: &str = "flatpak";

/// Directories that an application has of its own: the variable, and the path below its data
/// directory (R156).
const OWN: [(&str, &str); 4] = [
    ("XDG_DATA_HOME", "data"),
    ("XDG_CONFIG_HOME", "config"),
    ("XDG_CACHE_HOME", "cache"),
    ("XDG_STATE_HOME", ".local/state"),
];

/// What programs of the runtime get of the caller's while the sandbox is being prepared (R161, R225).
/// `PWD` is the helper's to set.
const MINIMAL: [&str; 12] = [
    "GDMSESSION",
    "XDG_CURRENT_DESKTOP",
    "XDG_SESSION_DESKTOP",
    "DESKTOP_SESSION",
    "EMAIL_ADDRESS",
    "HOME",
    "HOSTNAME",
    "LOGNAME",
    "REAL_NAME",
    "TERM",
    "USER",
    "USERNAME",
];

/// Where what is built finds what was built before (R161).
const OF_BUILD: [(&str, &str); 7] = [
    ("ACLOCAL_PATH", "/app/share/aclocal"),
    ("C_INCLUDE_PATH", "/app/include"),
    ("CPLUS_INCLUDE_PATH", "/app/include"),
    ("LDFLAGS", "-L/app/lib "),
    (
        "PKG_CONFIG_PATH",
        "/app/lib/pkgconfig:/app/share/pkgconfig:/usr/lib/pkgconfig:/usr/share/pkgconfig",
    ),
    ("LC_ALL", "en_US.utf8"),
    ("LD_LIBRARY_PATH", "/app/lib"),
];

/// How libraries of the application and its extensions are found (R226).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Libraries {
    /// Through the cache.
    Cached,
    /// Through `LD_LIBRARY_PATH`.
    Searched {
        /// Directories of the application's extensions, in the order of their priority.
        app: Vec<PathBuf>,
        /// The same of the runtime's.
        runtime: Vec<PathBuf>,
    },
}

/// What the environment is made of.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The user and the process that called.
    pub caller: &'a Caller,
    /// Whether nothing of the caller's own environment is passed on.
    pub clear: bool,
    /// What metadata, overrides and options set, or unset where there is no value.
    pub context: &'a BTreeMap<OsString, Option<OsString>>,
    /// What is run.
    pub id: &'a Id,
    /// Whether that is an application.
    pub is_app: bool,
    /// The application's data directory on the host, unless it gets none.
    pub data: Option<&'a Path>,
    /// How libraries are found.
    pub libraries: &'a Libraries,
}

/// The environment, before sockets and buses change it (R157).
#[must_use]
pub fn environment(inputs: &Inputs<'_>) -> Environment {
    let Inputs { caller, .. } = inputs;
    // R154 is in what is inherited: what others set there stays.
    let mut environment = if inputs.clear {
        Environment::default()
    } else {
        Environment::inherited(&caller.environment)
    };
    set_fixed(&mut environment);
    set_context(inputs.context, &mut environment);

    environment.set("FLATPAK_ID", inputs.id.as_str());
    environment.set_default("PS1", PROMPT);
    if inputs.is_app {
        let own = caller.home.join(".var/app").join(inputs.id.as_str());
        environment.set("FLATPAK_SANDBOX_DIR", own.join("sandbox"));
    }
    let path = library_path(inputs.libraries, environment.get("LD_LIBRARY_PATH"));
    environment.set("LD_LIBRARY_PATH", path);

    set_own(caller, inputs.data, &mut environment);
    environment
}

/// What the environment of a build is made of.
#[derive(Clone, Copy, Debug)]
pub struct BuildInputs<'a> {
    /// The user and the process that called.
    pub caller: &'a Caller,
    /// What metadata and options set, or unset where there is no value.
    pub context: &'a BTreeMap<OsString, Option<OsString>>,
    /// What is built, and for which architecture.
    pub reference: &'a Reference,
    /// Where in the sandbox it is.
    pub place: &'a Path,
    /// The data directory on the host, if it gets one.
    pub data: Option<&'a Path>,
    /// How libraries are found.
    pub libraries: &'a Libraries,
}

/// The environment of a build (R161, R263): the same whoever builds, as far as that can be.
#[must_use]
pub fn of_build(inputs: &BuildInputs<'_>) -> Environment {
    let BuildInputs { caller, reference, .. } = inputs;
    let mut environment = minimal(caller);
    for (name, value) in OF_BUILD {
        environment.set(name, value);
    }
    set_context(inputs.context, &mut environment);
    let path = library_path(inputs.libraries, environment.get("LD_LIBRARY_PATH"));
    environment.set("LD_LIBRARY_PATH", path);

    environment.set("FLATPAK_DEST", inputs.place);
    environment.set("FLATPAK_ID", reference.id.as_str());
    environment.set("FLATPAK_ARCH", reference.arch.as_str());
    set_own(caller, inputs.data, &mut environment);
    environment
}

/// What metadata, overrides and options say.
fn set_context(context: &BTreeMap<OsString, Option<OsString>>, environment: &mut Environment) {
    for (name, value) in context {
        match value {
            Some(value) => environment.set(name, value),
            None => environment.unset(name),
        }
    }
}

/// What programs know the sandbox by (R155), and the directories that are their own (R156).
fn set_own(caller: &Caller, data: Option<&Path>, environment: &mut Environment) {
    environment.set("XDG_RUNTIME_DIR", caller.sandbox_runtime_directory());
    environment.set("container", CONTAINER);
    let Some(data) = data else { return };
    for (name, below) in OWN {
        if let Some((_, value)) = caller.environment.iter().find(|(other, _)| other == name) {
            environment.set(format!("HOST_{name}"), value);
        }
        environment.set(name, data.join(below));
    }
}

/// The environment of the runtime's own programs, which prepare the sandbox and have nothing to do
/// with the application (R159, R225).
#[must_use]
pub fn minimal(caller: &Caller) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in &caller.environment {
        if MINIMAL.iter().any(|kept| name == kept) {
            environment.set(name, value);
        }
    }
    set_fixed(&mut environment);
    environment
}

/// The directories that the command may start in, the first that exists inside is taken (R158).
///
/// # Errors
/// If `directory`, which `--cwd` names, cannot be one.
pub fn starting_points(
    directory: Option<&Path>,
    caller: &Caller,
) -> Result<Vec<SandboxPath>, SandboxError> {
    match directory {
        Some(directory) => Ok(vec![sandbox_path(&crate::filesystem::locate::tidy(directory))?]),
        None => Ok(caller.starting_points()),
    }
}

/// R153.
fn set_fixed(environment: &mut Environment) {
    for (name, value) in FIXED {
        environment.set(name, value);
    }
}

/// R226; `given` is what metadata, overrides and options say.
fn library_path(libraries: &Libraries, given: Option<&OsStr>) -> OsString {
    match libraries {
        Libraries::Cached => search_path::with_cache(given),
        Libraries::Searched { app, runtime } => search_path::without_cache(given, app, runtime),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::tests::caller;

    type Context = BTreeMap<OsString, Option<OsString>>;

    const CACHED: Libraries = Libraries::Cached;

    fn context(variables: &[(&str, Option<&str>)]) -> Context {
        variables.iter().map(|(k, v)| ((*k).into(), v.map(Into::into))).collect()
    }

    /// The environment as lines, for an application that has a data directory.
    fn lines(
        outside: &[(&str, &str)],
        context: &Context,
        change: impl Fn(&mut Inputs<'_>),
    ) -> Vec<String> {
        let caller = caller(Path::new("/home/a"), outside);
        let id = Id::new("org.example.App").unwrap();
        let mut inputs = Inputs {
            caller: &caller,
            clear: false,
            context,
            id: &id,
            is_app: true,
            data: Some(Path::new("/home/a/.var/app/org.example.App")),
            libraries: &CACHED,
        };
        change(&mut inputs);
        let variables = environment(&inputs).variables().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        variables.iter().map(|variable| text(variable.as_bytes())).collect()
    }

    #[test]
    fn r152_r160_a_cleared_environment_has_what_the_rules_name_and_no_more() {
        let outside = [("LANG", "C"), ("PS1", "x"), ("XDG_DATA_HOME", "/d")];
        let expected = [
            "FLATPAK_ID=org.example.App",
            "FLATPAK_SANDBOX_DIR=/home/a/.var/app/org.example.App/sandbox",
            "HOST_XDG_DATA_HOME=/d",
            "LD_LIBRARY_PATH=",
            "PATH=/app/bin:/usr/bin",
            "PS1=[📦 $FLATPAK_ID \\W]\\$ ",
            "SHELL=/bin/sh",
            "XDG_CACHE_HOME=/home/a/.var/app/org.example.App/cache",
            "XDG_CONFIG_DIRS=/app/etc/xdg:/etc/xdg",
            "XDG_CONFIG_HOME=/home/a/.var/app/org.example.App/config",
            "XDG_DATA_DIRS=/app/share:/usr/share",
            "XDG_DATA_HOME=/home/a/.var/app/org.example.App/data",
            "XDG_RUNTIME_DIR=/run/user/1000",
            "XDG_STATE_HOME=/home/a/.var/app/org.example.App/.local/state",
            "container=flatpak",
        ];
        assert_eq!(lines(&outside, &context(&[]), |inputs| inputs.clear = true), expected);
    }

    #[test]
    fn r153_r154_r159_the_host_decides_less_than_the_context() {
        let outside = [
            ("HOME", "/home/a"),
            ("LANG", "C"),
            ("PATH", "/outside"),
            ("TMPDIR", "/outside"),
            ("LD_PRELOAD", "outside"),
            ("GONE", "x"),
        ];
        let context = context(&[
            ("PATH", Some("/app/own:/usr/bin")),
            ("LD_PRELOAD", Some("own")),
            ("GONE", None),
            ("SHELL", None),
        ]);
        let lines = lines(&outside, &context, |_| {});
        let has = |line: &str| lines.iter().any(|other| other == line);
        assert!(has("LANG=C") && has("HOME=/home/a") && has("PATH=/app/own:/usr/bin"), "{lines:?}");
        assert!(has("LD_PRELOAD=own"), "{lines:?}");
        for name in ["TMPDIR=", "GONE=", "SHELL="] {
            assert!(!lines.iter().any(|line| line.starts_with(name)), "{lines:?}");
        }
    }

    #[test]
    fn r152_r155_what_identifies_the_sandbox_cannot_be_overridden() {
        let names =
            ["FLATPAK_ID", "FLATPAK_SANDBOX_DIR", "XDG_RUNTIME_DIR", "container", "XDG_DATA_HOME"];
        for value in [Some("other"), None] {
            let context = context(&names.map(|name| (name, value)));
            let outside = names.map(|name| (name, "outside"));
            let lines = lines(&outside, &context, |_| {});
            for name in names {
                let found: Vec<_> =
                    lines.iter().filter(|line| line.starts_with(&format!("{name}="))).collect();
                assert_eq!(found.len(), 1, "{lines:?}");
                assert!(!found[0].ends_with("other") && !found[0].ends_with("outside"));
            }
            // R156: what the context says is not the host's.
            assert!(lines.contains(&"HOST_XDG_DATA_HOME=outside".to_owned()), "{lines:?}");
        }
    }

    #[test]
    fn r152_a_prompt_that_is_set_stays() {
        let prompt = |outside: &[(&str, &str)], context: &Context| {
            let lines = lines(outside, context, |_| {});
            lines.into_iter().find(|line| line.starts_with("PS1="))
        };
        assert_eq!(prompt(&[("PS1", "$ ")], &context(&[])).as_deref(), Some("PS1=$ "));
        let own = context(&[("PS1", Some("% "))]);
        assert_eq!(prompt(&[("PS1", "$ ")], &own).as_deref(), Some("PS1=% "));
    }

    #[test]
    fn r156_without_a_data_directory_the_hosts_values_stay() {
        let outside = [("XDG_DATA_HOME", "/d"), ("XDG_RUNTIME_DIR", "/r")];
        let lines = lines(&outside, &context(&[]), |inputs| {
            inputs.data = None;
            inputs.is_app = false;
        });
        assert!(lines.contains(&"XDG_DATA_HOME=/d".to_owned()), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("HOST_")), "{lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("FLATPAK_SANDBOX_DIR")), "{lines:?}");
    }

    #[test]
    fn r226_libraries_are_found_through_the_cache_or_in_order() {
        let searched = Libraries::Searched {
            app: vec!["/app/e/lib".into(), "/app/f/lib".into()],
            runtime: vec!["/usr/g/lib".into()],
        };
        let alone = Libraries::Searched { app: Vec::new(), runtime: Vec::new() };
        let own = Some(OsStr::new("/own"));
        let cases = [
            (&CACHED, None, ""),
            (&CACHED, own, "/own"),
            (&alone, None, "/app/lib"),
            (&alone, Some(OsStr::new("")), ""),
            (&searched, None, "/app/e/lib:/app/f/lib:/app/lib:/usr/g/lib"),
            (&searched, own, "/app/e/lib:/app/f/lib:/own:/usr/g/lib"),
        ];
        for (libraries, given, expected) in cases {
            assert_eq!(library_path(libraries, given), expected, "{libraries:?}");
        }
        // Only what the context says counts.
        let outside = [("LD_LIBRARY_PATH", "/outside")];
        let lines = lines(&outside, &context(&[]), |_| {});
        assert!(lines.contains(&"LD_LIBRARY_PATH=".to_owned()), "{lines:?}");
    }

    #[test]
    fn r159_r225_programs_that_prepare_know_nothing_of_the_app() {
        let outside = [("HOME", "/home/a"), ("TERM", "xterm"), ("LD_PRELOAD", "x"), ("A", "b")];
        let caller = caller(Path::new("/home/a"), &outside);
        let variables = minimal(&caller).variables().unwrap();
        let names: Vec<_> = variables
            .iter()
            .map(|variable| String::from_utf8_lossy(variable.as_bytes()).into_owned())
            .map(|line| line.split_once('=').unwrap().0.to_owned())
            .collect();
        let expected = ["HOME", "PATH", "SHELL", "TERM", "XDG_CONFIG_DIRS", "XDG_DATA_DIRS"];
        assert_eq!(names, expected);
    }

    #[test]
    fn r161_r263_a_build_has_a_list_of_its_own() {
        let outside =
            [("HOME", "/home/a"), ("CFLAGS", "-O0"), ("LC_ALL", "C"), ("XDG_DATA_HOME", "/d")];
        let caller = caller(Path::new("/home/a"), &outside);
        let reference = Reference::parse("app/org.example.App/i386/nobranch").unwrap();
        let libraries = Libraries::Searched { app: vec!["/app/e".into()], runtime: Vec::new() };
        let context =
            context(&[("LDFLAGS", Some("-s")), ("FLATPAK_ID", Some("x")), ("LC_ALL", None)]);
        let mut inputs = BuildInputs {
            caller: &caller,
            context: &context,
            reference: &reference,
            place: Path::new("/app/share/extra"),
            data: None,
            libraries: &libraries,
        };
        let lines = |inputs: &BuildInputs<'_>| -> Vec<String> {
            let variables = of_build(inputs).variables().unwrap();
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            variables.iter().map(|variable| text(variable.as_bytes())).collect()
        };
        let expected = [
            "ACLOCAL_PATH=/app/share/aclocal",
            "CPLUS_INCLUDE_PATH=/app/include",
            "C_INCLUDE_PATH=/app/include",
            "FLATPAK_ARCH=i386",
            "FLATPAK_DEST=/app/share/extra",
            "FLATPAK_ID=org.example.App",
            "HOME=/home/a",
            "LDFLAGS=-s",
            "LD_LIBRARY_PATH=/app/e:/app/lib",
            "PATH=/app/bin:/usr/bin",
            "PKG_CONFIG_PATH=/app/lib/pkgconfig:/app/share/pkgconfig:/usr/lib/pkgconfig:/usr/share/pkgconfig",
            "SHELL=/bin/sh",
            "XDG_CONFIG_DIRS=/app/etc/xdg:/etc/xdg",
            "XDG_DATA_DIRS=/app/share:/usr/share",
            "XDG_RUNTIME_DIR=/run/user/1000",
            "container=flatpak",
        ];
        assert_eq!(lines(&inputs), expected);
        inputs.data = Some(Path::new("/home/a/.var/app/org.example.App"));
        let lines = lines(&inputs);
        let has = |line: &str| lines.iter().any(|other| other == line);
        assert!(has("XDG_CACHE_HOME=/home/a/.var/app/org.example.App/cache"), "{lines:?}");
        assert!(has("HOST_XDG_DATA_HOME=/d"), "{lines:?}");
    }

    #[test]
    fn r158_the_command_starts_where_it_was_told_or_called() {
        let mut caller = caller(Path::new("/home/a"), &[]);
        caller.directory = Some("/srv".into());
        let points = |directory: Option<&str>| {
            let points = starting_points(directory.map(Path::new), &caller)?;
            let text = |path: &SandboxPath| String::from_utf8_lossy(path.as_bytes()).into_owned();
            Ok::<_, SandboxError>(points.iter().map(text).collect::<Vec<_>>())
        };
        assert_eq!(points(None).unwrap(), ["/srv", "/home/a", "/"]);
        assert_eq!(points(Some("/app//x/")).unwrap(), ["/app/x"]);
        assert!(points(Some("relative")).is_err());
        assert!(points(Some("/app/../x")).is_err());
    }
}
