// SPDX-License-Identifier: MIT OR Apache-2.0
//! The portal services that are installed, and the backends that show their dialogs.

use super::distribution::Distribution;
use super::finding::Finding;
use super::root::Root;
use super::session::Session;

/// The portal services that are installed, and the backends that show their dialogs.
pub(super) fn judge(root: &Root, session: &Session, distribution: Distribution) -> Finding {
    const NAME: &str = "portals";
    let service = |name: &str| {
        session.data.iter().any(|directory| {
            let file = directory.join("dbus-1/services").join(format!("{name}.service"));
            file.to_str().is_some_and(|file| root.exists(file))
        })
    };
    let mut backends: Vec<String> = session
        .data
        .iter()
        .flat_map(|directory| root.list(&directory.join("xdg-desktop-portal/portals")))
        .filter_map(|file| Some(file.strip_suffix(".portal")?.to_owned()))
        .collect();
    backends.sort();
    backends.dedup();
    let desktop = service("org.freedesktop.portal.Desktop");
    let documents = service("org.freedesktop.portal.Documents");
    let cost = "applications cannot open files, links or cameras by asking the user";
    if !desktop || !documents {
        return Finding::limited(NAME, "xdg-desktop-portal is not installed", cost)
            .mend(distribution.install("xdg-desktop-portal"));
    }
    if backends.is_empty() {
        let detail = "xdg-desktop-portal is installed, but no backend";
        return Finding::limited(NAME, detail, cost)
            .mend(distribution.install("xdg-desktop-portal-gtk"));
    }
    Finding::good(NAME, format!("xdg-desktop-portal with {}", backends.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::super::root::fake::Machine;
    use super::*;

    #[test]
    fn portals_need_a_backend() {
        let session = Session { data: vec!["/usr/share".into()], ..Session::default() };
        let services = "usr/share/dbus-1/services/org.freedesktop.portal";
        let machine = Machine::new(&[]);
        let state = |machine: &Machine| judge(&machine.root(), &session, Distribution::Apt).state;
        assert_eq!(state(&machine), State::Limited);
        machine.put(&format!("{services}.Desktop.service"), "");
        machine.put(&format!("{services}.Documents.service"), "");
        assert_eq!(state(&machine), State::Limited);
        machine.put("usr/share/xdg-desktop-portal/portals/gtk.portal", "");
        assert_eq!(state(&machine), State::Good);
    }
}
