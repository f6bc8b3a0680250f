// SPDX-License-Identifier: MIT OR Apache-2.0
//! `.flatpak-info`: what an application, its portals and its proxy read about it (R240-R242).
//!
//! This is the part that says what runs; the permissions are written to the same file behind it. The
//! bytes are the same wherever they are put (R242).

use std::path::{Path, PathBuf};

use super::instance::InstanceId;
use super::reference::{Branch, Kind, Reference};
use crate::keyfile::{Group, KeyFile};
use crate::message::shown;

/// The version of Flatpak that we behave like.
pub const FLATPAK_VERSION: &str = "1.19.0";

/// A path that cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot tell the application where {} is\n\
     the path is not UTF-8, which the file about an instance has to be\n\
     rename the directory, or use another installation",
    shown(path)
)]
pub struct PathError {
    /// Which.
    pub path: PathBuf,
}

/// Something deployed, as an instance uses it.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// The directory on the host that is mounted, usually `files` of the deployed version.
    pub path: &'a Path,
    /// `files` of the deployed version if something else is mounted (R103).
    pub original: Option<&'a Path>,
    /// The version; none for what is only being built.
    pub commit: Option<&'a str>,
    /// Extensions as `ID=COMMIT`, in the order of their priority (R222).
    pub extensions: &'a [String],
}

/// What runs.
#[derive(Clone, Debug)]
pub struct Description<'a> {
    /// The application, or the runtime that runs by itself (R13).
    pub reference: &'a Reference,
    /// Which line of it; none of what is only being built.
    pub branch: Option<&'a Branch>,
    /// The runtime.
    pub runtime_reference: &'a Reference,
    /// The instance; none if nothing of it is kept.
    pub instance: Option<InstanceId>,
    /// The data directory of the application (R87); none with `--sandbox` and for runtimes.
    pub data: Option<&'a Path>,
    /// What is mounted on `/app`; none if nothing is.
    pub app: Option<Part<'a>>,
    /// What was mounted on `/app` if nothing is there in its place (R103).
    pub original_app: Option<&'a Path>,
    /// What is mounted on `/usr`.
    pub runtime: Part<'a>,
    /// Whether the session bus is reached through a proxy or not at all.
    pub session_bus_proxy: bool,
    /// The same of the system bus.
    pub system_bus_proxy: bool,
    /// Whether it runs with `--sandbox`.
    pub sandbox: bool,
    /// Whether it is being built.
    pub build: bool,
    /// Whether it may use debuggers, the feature `devel`.
    pub devel: bool,
    /// The permissions of the command line, as options.
    pub extra_arguments: &'a [String],
}

impl Description<'_> {
    /// Writes the groups `[Application]` or `[Runtime]`, and `[Instance]`.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn write(&self, file: &mut KeyFile) -> Result<(), PathError> {
        let group = match self.reference.kind {
            Kind::App => "Application",
            Kind::Runtime => "Runtime",
        };
        let group = file.group_mut(group);
        group.set_string("name", self.reference.id.as_str());
        group.set_string("runtime", &self.runtime_reference.to_string());

        let group = file.group_mut("Instance");
        if let Some(instance) = self.instance {
            group.set_string("instance-id", &instance.to_string());
        }
        set_path(group, "instance-path", self.data)?;
        let original = self.app.as_ref().map_or(self.original_app, |app| app.original);
        set_path(group, "app-path", self.app.as_ref().map(|app| app.path))?;
        set_path(group, "original-app-path", original)?;
        if let Some(app) = &self.app {
            set_version(group, "app", app);
        }
        set_path(group, "runtime-path", Some(self.runtime.path))?;
        set_path(group, "original-runtime-path", self.runtime.original)?;
        set_version(group, "runtime", &self.runtime);
        if let Some(branch) = self.branch {
            group.set_string("branch", branch.as_str());
        }
        group.set_string("arch", self.runtime_reference.arch.as_str());
        group.set_string("flatpak-version", FLATPAK_VERSION);
        let facts = [
            ("session-bus-proxy", self.session_bus_proxy),
            ("system-bus-proxy", self.system_bus_proxy),
            ("sandbox", self.sandbox),
            ("build", self.build),
            ("devel", self.devel),
        ];
        for (key, _) in facts.into_iter().filter(|(_, holds)| *holds) {
            group.set_string(key, "true");
        }
        // There even if it is empty, since 1.16 (R264).
        group.set_list("extra-args", self.extra_arguments.iter().map(String::as_str));
        Ok(())
    }
}

fn set_path(group: &mut Group, key: &str, path: Option<&Path>) -> Result<(), PathError> {
    let Some(path) = path else { return Ok(()) };
    let text = path.to_str().ok_or_else(|| PathError { path: path.to_owned() })?;
    group.set_string(key, text);
    Ok(())
}

fn set_version(group: &mut Group, name: &str, part: &Part<'_>) {
    if let Some(commit) = part.commit {
        group.set_string(&format!("{name}-commit"), commit);
    }
    if !part.extensions.is_empty() {
        group.set_string(&format!("{name}-extensions"), &part.extensions.join(";"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    fn part<'a>(path: &'a str, commit: &'a str, extensions: &'a [String]) -> Part<'a> {
        Part { path: Path::new(path), original: None, commit: Some(commit), extensions }
    }

    fn written(description: &Description<'_>) -> String {
        let mut file = KeyFile::default();
        description.write(&mut file).unwrap();
        file.to_string()
    }

    /// Keys stand in the order in which Flatpak 1.14.10 writes those that it has.
    #[test]
    fn r240_an_application() {
        let reference = Reference::parse("app/org.example.App/x86_64/stable").unwrap();
        let runtime = Reference::parse("runtime/org.example.Platform/x86_64/24.08").unwrap();
        let extensions = ["org.example.App.Locale=aa".to_owned(), "org.a.B=local".to_owned()];
        let arguments = ["--share=network".to_owned(), "--env=A=;".to_owned()];
        let mut description = Description {
            reference: &reference,
            branch: Some(&reference.branch),
            runtime_reference: &runtime,
            instance: InstanceId::parse("1135487142"),
            data: Some(Path::new("/home/u/.var/app/org.example.App")),
            app: Some(part("/app/files", "87ad", &extensions)),
            original_app: None,
            runtime: part("/runtime/files", "c77a", &[]),
            session_bus_proxy: true,
            system_bus_proxy: true,
            sandbox: false,
            build: false,
            devel: false,
            extra_arguments: &arguments,
        };
        assert_eq!(
            written(&description),
            "[Application]\n\
             name=org.example.App\n\
             runtime=runtime/org.example.Platform/x86_64/24.08\n\
             \n\
             [Instance]\n\
             instance-id=1135487142\n\
             instance-path=/home/u/.var/app/org.example.App\n\
             app-path=/app/files\n\
             app-commit=87ad\n\
             app-extensions=org.example.App.Locale=aa;org.a.B=local\n\
             runtime-path=/runtime/files\n\
             runtime-commit=c77a\n\
             branch=stable\n\
             arch=x86_64\n\
             flatpak-version=1.19.0\n\
             session-bus-proxy=true\n\
             system-bus-proxy=true\n\
             extra-args=--share=network;--env=A=\\;;\n"
        );
        // R103, and what is said only where it is so.
        description.app = None;
        description.original_app = Some(Path::new("/app/files"));
        description.runtime.original = Some(Path::new("/old"));
        (description.sandbox, description.build, description.devel) = (true, true, true);
        (description.session_bus_proxy, description.system_bus_proxy) = (false, false);
        (description.data, description.extra_arguments) = (None, &[]);
        assert_eq!(
            written(&description).split_once("instance-id=1135487142\n").unwrap().1,
            "original-app-path=/app/files\n\
             runtime-path=/runtime/files\n\
             original-runtime-path=/old\n\
             runtime-commit=c77a\n\
             branch=stable\n\
             arch=x86_64\n\
             flatpak-version=1.19.0\n\
             sandbox=true\n\
             build=true\n\
             devel=true\n\
             extra-args=\n"
        );
    }

    #[test]
    fn r240_a_runtime_by_itself() {
        let runtime = Reference::parse("runtime/org.example.Platform/x86_64/1").unwrap();
        let odd = Path::new(OsStr::from_bytes(b"/\xff"));
        let mut description = Description {
            reference: &runtime,
            branch: Some(&runtime.branch),
            runtime_reference: &runtime,
            instance: None,
            data: None,
            app: None,
            original_app: None,
            runtime: part("/new\nline", "c", &[]),
            session_bus_proxy: true,
            system_bus_proxy: false,
            sandbox: false,
            build: false,
            devel: false,
            extra_arguments: &[],
        };
        assert_eq!(
            written(&description),
            "[Runtime]\n\
             name=org.example.Platform\n\
             runtime=runtime/org.example.Platform/x86_64/1\n\
             \n\
             [Instance]\n\
             runtime-path=/new\\nline\n\
             runtime-commit=c\n\
             branch=1\n\
             arch=x86_64\n\
             flatpak-version=1.19.0\n\
             session-bus-proxy=true\n\
             extra-args=\n"
        );
        description.runtime.path = odd;
        let error = description.write(&mut KeyFile::default()).unwrap_err();
        assert_eq!(error.path, odd);
    }
}
