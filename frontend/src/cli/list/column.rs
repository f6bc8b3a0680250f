// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be shown of something installed, under the names that `flatpak list` has for it (R544).

use super::super::column::Named;
use super::super::size::size;
use crate::flatpak::inventory::Item;
use crate::flatpak::reference::Kind;
use crate::flatpak::title::title;

/// How many digits of a version people see.
const DIGITS: usize = 12;

/// What can be shown of something.
pub(super) struct Column {
    /// What it is asked for with.
    pub(super) name: &'static str,
    /// What stands above it.
    pub(super) title: &'static str,
    help: &'static str,
    /// What stands in it.
    pub(super) cell: fn(&Item, &View) -> String,
}

/// How things are seen.
pub(super) struct View {
    /// What the user reads.
    pub(super) languages: Vec<String>,
    /// Several installations are looked at.
    pub(super) several: bool,
    /// Applications are shown.
    pub(super) apps: bool,
}

impl View {
    fn text(&self, item: &Item, key: &str) -> String {
        item.data.translated(key, &self.languages).unwrap_or_default().to_owned()
    }
}

pub(super) const COLUMNS: [Column; 14] = [
    Column {
        name: "name",
        title: "Name",
        help: "Show the name",
        cell: |item, view| {
            let name = item.data.translated("appdata-name", &view.languages);
            name.map_or_else(|| title(&item.reference.id), str::to_owned)
        },
    },
    Column {
        name: "description",
        title: "Description",
        help: "Show the description",
        cell: |item, view| view.text(item, "appdata-summary"),
    },
    Column {
        name: "application",
        title: "Application ID",
        help: "Show the application ID",
        cell: |item, _| item.reference.id.to_string(),
    },
    Column {
        name: "version",
        title: "Version",
        help: "Show the version",
        cell: |item, view| view.text(item, "appdata-version"),
    },
    Column {
        name: "branch",
        title: "Branch",
        help: "Show the branch",
        cell: |item, _| item.reference.branch.to_string(),
    },
    Column {
        name: "arch",
        title: "Arch",
        help: "Show the architecture",
        cell: |item, _| item.reference.arch.to_string(),
    },
    Column {
        name: "runtime",
        title: "Runtime",
        help: "Show the used runtime",
        cell: |item, _| item.runtime.as_ref().map_or(String::new(), |used| used.without_kind()),
    },
    Column {
        name: "origin",
        title: "Origin",
        help: "Show the origin remote",
        cell: |item, _| item.data.origin.clone(),
    },
    Column {
        name: "installation",
        title: "Installation",
        help: "Show the installation",
        cell: |item, _| item.owner.to_string(),
    },
    Column {
        name: "ref",
        title: "Ref",
        help: "Show the ref",
        cell: |item, _| item.reference.without_kind(),
    },
    Column {
        name: "active",
        title: "Active commit",
        help: "Show the active commit",
        cell: |item, _| item.commit.chars().take(DIGITS).collect(),
    },
    Column {
        name: "latest",
        title: "Latest commit",
        help: "Show the latest commit",
        cell: |item, _| {
            let latest = item.latest.as_deref().unwrap_or("-");
            latest.chars().take(DIGITS).collect()
        },
    },
    Column {
        name: "size",
        title: "Installed size",
        help: "Show the installed size",
        cell: |item, _| size(item.data.installed_size),
    },
    Column { name: "options", title: "Options", help: "Show options", cell: options },
];

fn options(item: &Item, view: &View) -> String {
    let mut options = Vec::new();
    if view.several {
        options.push(item.owner.to_string());
    }
    options.extend(item.data.text("alt-id").map(|id| format!("alt-id={id}")));
    match item.reference.kind {
        Kind::App if item.is_current => options.push("current".to_owned()),
        Kind::Runtime if view.apps => options.push("runtime".to_owned()),
        Kind::App | Kind::Runtime => {}
    }
    if !item.data.subpaths.is_empty() {
        options.push(format!("partial ({})", item.data.subpaths.join(",")));
    }
    options.extend(item.data.text("eol").map(|reason| format!("eol={reason}")));
    options.extend(item.data.text("eolr").map(|other| format!("eol-rebase={other}")));
    options.join(",")
}

/// What `all` means, without what only applications have.
pub(super) fn everything() -> impl Iterator<Item = &'static Column> {
    COLUMNS.iter().filter(|column| column.name != "runtime")
}

impl Named for Column {
    fn name(&self) -> &'static str {
        self.name
    }

    fn help(&self) -> &'static str {
        self.help
    }
}
