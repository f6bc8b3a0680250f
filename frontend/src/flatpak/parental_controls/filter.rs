// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an account may run: a list of names of applications, of paths of programs and of types of content.

use super::desktop_entry::DesktopEntry;
use crate::flatpak::reference::{Kind, Reference};

/// What may be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AppFilter {
    /// Nothing that is listed.
    Block(Vec<String>),
    /// Only what is listed.
    Allow(Vec<String>),
}

impl AppFilter {
    /// Whether an application may be run, with what its menu entry says of it. Of what may be run, its full
    /// name decides. What may not be run is also known by its menu entry: by the name in any architecture and
    /// branch, earlier names, what it opens (`x-scheme-handler/http` for browsers), and the program that
    /// starts it.
    pub(super) fn allows(&self, app: &Reference, entry: Option<&DesktopEntry>) -> bool {
        let name = app.to_string();
        match self {
            Self::Allow(list) => list.contains(&name),
            Self::Block(list) => {
                let blocks = |entry: &DesktopEntry| {
                    let names_it = |item: &String| {
                        let listed = Reference::parse(item).ok();
                        let listed = listed.filter(|listed| listed.kind == Kind::App);
                        listed.is_some_and(|listed| {
                            listed.id == app.id || entry.earlier.contains(&listed.id)
                        })
                    };
                    list.iter().any(|item| names_it(item) || entry.items().any(|own| own == item))
                };
                !list.contains(&name) && !entry.is_some_and(blocks)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flatpak::reference::Id;

    fn allows(filter: AppFilter, entry: Option<&DesktopEntry>) -> bool {
        filter.allows(&Reference::parse("app/org.a.App/x/stable").unwrap(), entry)
    }

    fn block(item: &str) -> AppFilter {
        AppFilter::Block(vec!["app/org.a.Other/x/stable".to_owned(), item.to_owned()])
    }

    #[test]
    fn r17_of_what_may_be_run_the_full_name_decides() {
        let allow = |item: &str| AppFilter::Allow(vec![item.to_owned()]);
        assert!(allows(allow("app/org.a.App/x/stable"), None));
        assert!(!allows(allow("app/org.a.App/x/beta"), None));
        assert!(!allows(AppFilter::Allow(vec![]), None));
        assert!(allows(AppFilter::Block(vec![]), None));
    }

    #[test]
    fn r17_what_may_not_be_run_is_known_by_its_menu_entry_too() {
        let entry = DesktopEntry {
            program: Some("/usr/bin/flatpak".to_owned()),
            types: vec!["text/html".to_owned(), "x-scheme-handler/http".to_owned()],
            earlier: vec![Id::new("org.a.Old").unwrap()],
        };
        for (item, without, with) in [
            ("app/org.a.App/x/stable", false, false),
            ("app/org.a.App/x/beta", true, false),
            ("app/org.a.App", true, true),
            ("app/org.a.Ap/x/stable", true, true),
            ("runtime/org.a.App/x/stable", true, true),
            ("app/org.a.Old/x/stable", true, false),
            ("x-scheme-handler/http", true, false),
            ("x-scheme-handler/https", true, true),
            ("/usr/bin/flatpak", true, false),
            ("/usr/bin/other", true, true),
        ] {
            assert_eq!(allows(block(item), None), without, "{item}");
            assert_eq!(allows(block(item), Some(&entry)), with, "{item}");
        }
    }
}
