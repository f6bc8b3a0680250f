// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a proxied bus lets through, as options of `xdg-dbus-proxy` (R208, R209, R211, R212).
//!
//! The proxy begins with nothing: no other name is there, and nobody can be talked to (R210). Rules are
//! made of names that were checked and of words that stand here, never of texts from elsewhere, so that
//! none can be read as another one (T74). Nothing asks for what others say to each other (R214).

use std::collections::BTreeSet;
use std::fmt;

use crate::flatpak::context::bus::{BusName, BusNameError, BusPolicies, BusPolicy};

/// Names that media players have.
const MEDIA_PLAYER: &str = "org.mpris.MediaPlayer2";

/// Every portal (R345).
const PORTALS: &str = "org.freedesktop.portal.*";

/// What registers the applications that can be read aloud.
const REGISTRY: &str = "org.a11y.atspi.Registry";

/// What every application may ask the registry for, with the object that answers.
const REGISTRY_CALLS: [(&str, &str); 7] = [
    ("org.a11y.atspi.Socket.Embed", "/org/a11y/atspi/accessible/root"),
    ("org.a11y.atspi.Socket.Unembed", "/org/a11y/atspi/accessible/root"),
    ("org.a11y.atspi.Registry.GetRegisteredEvents", "/org/a11y/atspi/registry"),
    (
        "org.a11y.atspi.DeviceEventController.GetKeystrokeListeners",
        "/org/a11y/atspi/registry/deviceeventcontroller",
    ),
    (
        "org.a11y.atspi.DeviceEventController.GetDeviceEventListeners",
        "/org/a11y/atspi/registry/deviceeventcontroller",
    ),
    (
        "org.a11y.atspi.DeviceEventController.NotifyListenersSync",
        "/org/a11y/atspi/registry/deviceeventcontroller",
    ),
    (
        "org.a11y.atspi.DeviceEventController.NotifyListenersAsync",
        "/org/a11y/atspi/registry/deviceeventcontroller",
    ),
];

/// What the registry tells everyone.
const REGISTRY_BROADCASTS: [&str; 2] = [
    "org.a11y.atspi.Registry.EventListenerRegistered",
    "org.a11y.atspi.Registry.EventListenerDeregistered",
];

/// The name by which an application is known on its buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The id of the application.
    pub id: &'a str,
    /// Whether it runs with `--sandbox`, and so is not the application itself (R209).
    pub sandboxed: bool,
}

/// Names of services that the session trusts, with all below them. Whoever may own a name may also call those who
/// have it, whatever their interfaces are, and speak for them.
const SERVICES: [&str; 22] = [
    "ca.desrt.dconf",
    "org.a11y",
    "org.freedesktop.Accounts",
    "org.freedesktop.DBus",
    "org.freedesktop.FileManager1",
    "org.freedesktop.Flatpak",
    "org.freedesktop.Notifications",
    "org.freedesktop.PolicyKit1",
    "org.freedesktop.ScreenSaver",
    "org.freedesktop.host",
    "org.freedesktop.impl",
    "org.freedesktop.login1",
    "org.freedesktop.portal",
    "org.freedesktop.secrets",
    "org.freedesktop.systemd1",
    "org.gnome.Mutter",
    "org.gnome.SessionManager",
    "org.gnome.SettingsDaemon",
    "org.gnome.Shell",
    "org.gnome.keyring",
    "org.kde.KWin",
    "org.kde.plasmashell",
];

impl Identity<'_> {
    /// Whether the id is, has below it, or lies below the name of a service: then it is no name to own. Who makes
    /// an application chooses its id.
    #[must_use]
    pub fn is_of_a_service(self) -> bool {
        let below = |name: &str, of: &str| {
            name.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        SERVICES.iter().any(|service| below(self.id, service) || below(service, self.id))
    }

    /// The names that are its own.
    fn own(self) -> Result<[BusName; 2], BusNameError> {
        let below = if self.sandboxed { "Sandboxed.*" } else { "*" };
        let name = format!("{}.{below}", self.id);
        Ok([BusName::new(&name)?, BusName::new(&format!("{MEDIA_PLAYER}.{name}"))?])
    }
}

/// One thing that is let through.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// What may be done with a name.
    Policy(BusPolicy, BusName),
    /// Calls of one method of one object, of all methods if there is none, of all objects.
    Call(BusName, &'static str, &'static str),
    /// Signals of that interface and member, of all if there is none, of these objects.
    Broadcast(BusName, &'static str, &'static str),
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy(policy, name) => write!(f, "--{}={name}", policy.word()),
            Self::Call(name, method, "") => write!(f, "--call={name}={method}"),
            Self::Call(name, method, path) => write!(f, "--call={name}={method}@{path}"),
            Self::Broadcast(name, member, path) => write!(f, "--broadcast={name}={member}@{path}"),
        }
    }
}

/// What is let through to one bus, and from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    rules: Vec<Rule>,
    everything: bool,
    sloppy_names: bool,
    /// Tells every message.
    pub log: bool,
}

impl Filter {
    /// The filter of a whole bus that is only made to be found: it lets everything through.
    #[must_use]
    pub fn nothing() -> Self {
        Self { everything: true, ..Self::default() }
    }

    /// The filter of a session bus (R208, R209). Without an identity there are neither names of its own
    /// nor portals, which would take it for something it is not.
    ///
    /// # Errors
    /// If the identity is no name.
    pub fn session(
        identity: Option<Identity<'_>>,
        policies: &BusPolicies,
    ) -> Result<Self, BusNameError> {
        let mut filter = Self::default();
        filter.own(identity)?;
        filter.allow(policies);
        if identity.is_some() {
            let portals = BusName::new(PORTALS)?;
            filter.rules.push(Rule::Call(portals.clone(), "*", ""));
            filter.rules.push(Rule::Broadcast(portals, "", "/org/freedesktop/portal/*"));
        }
        Ok(filter)
    }

    /// The filter of the system bus (R211).
    #[must_use]
    pub fn system(policies: &BusPolicies) -> Self {
        let mut filter = Self::default();
        filter.allow(policies);
        filter
    }

    /// The filter of the accessibility bus (R212). `names` are those to own besides.
    ///
    /// # Errors
    /// If the identity is no name.
    pub fn accessibility(
        identity: Identity<'_>,
        names: &BTreeSet<BusName>,
    ) -> Result<Self, BusNameError> {
        // Its peers have no other names than those of the bus.
        let mut filter = Self { sloppy_names: true, ..Self::default() };
        filter.own(Some(identity))?;
        filter.rules.extend(names.iter().cloned().map(|name| Rule::Policy(BusPolicy::Own, name)));
        let registry = BusName::new(REGISTRY)?;
        for (method, path) in REGISTRY_CALLS {
            filter.rules.push(Rule::Call(registry.clone(), method, path));
        }
        for member in REGISTRY_BROADCASTS {
            let path = "/org/a11y/atspi/registry";
            filter.rules.push(Rule::Broadcast(registry.clone(), member, path));
        }
        if !identity.sandboxed {
            let parts = BusName::new(&format!("{}.Sandboxed.*", identity.id))?;
            filter.rules.push(Rule::Call(parts, "org.a11y.atspi.Socket.Embedded", ""));
        }
        Ok(filter)
    }

    fn own(&mut self, identity: Option<Identity<'_>>) -> Result<(), BusNameError> {
        let identity = identity.filter(|identity| !identity.is_of_a_service());
        let own = identity.map(Identity::own).transpose()?;
        let own = own.into_iter().flatten().map(|name| Rule::Policy(BusPolicy::Own, name));
        self.rules.extend(own);
        Ok(())
    }

    fn allow(&mut self, policies: &BusPolicies) {
        let granted = policies.granted();
        self.rules.extend(granted.map(|(name, policy)| Rule::Policy(policy, name.clone())));
    }

    /// As options of the proxy, for the bus that was named before them.
    pub fn options(&self) -> impl Iterator<Item = String> {
        let flags = [
            (!self.everything, "--filter"),
            (self.log, "--log"),
            (self.sloppy_names, "--sloppy-names"),
        ];
        let flags = flags.into_iter().filter(|(set, _)| *set).map(|(_, flag)| flag.to_owned());
        flags.chain(self.rules.iter().map(Rule::to_string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const APP: Identity<'_> = Identity { id: "org.example.App", sandboxed: false };
    const PART: Identity<'_> = Identity { sandboxed: true, ..APP };

    fn policies(entries: &[(&str, BusPolicy)]) -> BusPolicies {
        let mut policies = BusPolicies::default();
        for (name, policy) in entries {
            policies.set(BusName::new(name).unwrap(), *policy);
        }
        policies
    }

    fn options(filter: &Filter) -> Vec<String> {
        filter.options().collect()
    }

    #[test]
    fn t73_an_id_of_a_service_is_no_name_to_own() {
        let own = |id: &str| {
            let identity = Identity { id, sandboxed: false };
            let filter = Filter::session(Some(identity), &BusPolicies::default()).unwrap();
            filter.options().any(|option| option.starts_with("--own="))
        };
        for id in [
            "org.freedesktop.systemd1",
            "org.freedesktop.portal.Documents",
            "org.freedesktop.impl.portal.PermissionStore",
            "org.freedesktop",
            "org.a11y.Bus",
        ] {
            assert!(!own(id), "{id}");
        }
        for id in ["org.freedesktop.systemd1x", "org.example.App", "org.gnome.ShellX.App"] {
            assert!(own(id), "{id}");
        }
    }

    #[test]
    fn r208_an_application_has_its_own_names_its_policies_and_portals() {
        let asked = policies(&[
            ("a.b", BusPolicy::Talk),
            ("c.d.*", BusPolicy::Own),
            ("e.f", BusPolicy::See),
            ("g.h", BusPolicy::None),
        ]);
        let filter = Filter::session(Some(APP), &asked).unwrap();
        let expected = [
            "--filter",
            "--own=org.example.App.*",
            "--own=org.mpris.MediaPlayer2.org.example.App.*",
            "--talk=a.b",
            "--own=c.d.*",
            "--see=e.f",
            "--call=org.freedesktop.portal.*=*",
            "--broadcast=org.freedesktop.portal.*=@/org/freedesktop/portal/*",
        ];
        assert_eq!(options(&filter), expected);
        assert_eq!(options(&Filter { log: true, ..filter })[..2], ["--filter", "--log"]);
    }

    #[test]
    fn r209_a_part_of_an_application_has_the_names_of_parts() {
        let filter = Filter::session(Some(PART), &BusPolicies::default()).unwrap();
        let own: Vec<_> = filter.options().filter(|option| option.starts_with("--own=")).collect();
        let expected = [
            "--own=org.example.App.Sandboxed.*",
            "--own=org.mpris.MediaPlayer2.org.example.App.Sandboxed.*",
        ];
        assert_eq!(own, expected);
    }

    #[test]
    fn r211_the_system_bus_has_policies_only() {
        let filter = Filter::system(&policies(&[("a.b", BusPolicy::Talk)]));
        assert_eq!(options(&filter), ["--filter", "--talk=a.b"]);
    }

    #[test]
    fn r212_the_accessibility_bus_lets_the_registry_be_asked() {
        let more = [BusName::new("x.y").unwrap()].into();
        let found = options(&Filter::accessibility(APP, &more).unwrap());
        assert_eq!(found[..2], ["--filter", "--sloppy-names"]);
        let root = "@/org/a11y/atspi/accessible/root";
        for expected in [
            "--own=org.example.App.*".to_owned(),
            "--own=x.y".to_owned(),
            format!("--call=org.a11y.atspi.Registry=org.a11y.atspi.Socket.Embed{root}"),
            format!("--call=org.a11y.atspi.Registry=org.a11y.atspi.Socket.Unembed{root}"),
            "--call=org.example.App.Sandboxed.*=org.a11y.atspi.Socket.Embedded".to_owned(),
        ] {
            assert!(found.contains(&expected), "{expected} in {found:?}");
        }
        let part = options(&Filter::accessibility(PART, &BTreeSet::new()).unwrap());
        assert!(!part.iter().any(|option| option.contains("Embedded")));
    }

    #[test]
    fn r202_a_whole_bus_has_no_filter() {
        assert_eq!(options(&Filter::nothing()), [""; 0]);
    }

    #[test]
    fn t74_without_an_identity_there_are_no_portals() {
        let filter = Filter::session(None, &policies(&[("a.b", BusPolicy::Talk)])).unwrap();
        assert_eq!(options(&filter), ["--filter", "--talk=a.b"]);
    }

    /// A rule as the proxy reads it: its kind, whom it is about, and what of it.
    #[derive(Debug, PartialEq, Eq)]
    struct Read {
        kind: String,
        name: String,
        member: String,
        path: String,
    }

    /// The proxy's syntax: `--KIND=NAME`, or `--KIND=NAME=[MEMBER][@PATH]`.
    fn read(option: &str) -> Read {
        let (kind, value) = option.strip_prefix("--").unwrap().split_once('=').unwrap();
        let (name, rule) = match kind {
            "see" | "talk" | "own" => (value, ""),
            _ => value.split_once('=').unwrap(),
        };
        let (member, path) = rule.split_once('@').unwrap_or((rule, ""));
        let [kind, name, member, path] = [kind, name, member, path].map(str::to_owned);
        Read { kind, name, member, path }
    }

    fn name() -> impl Strategy<Value = String> {
        "[A-Za-z_-][A-Za-z0-9_-]{0,4}(\\.[A-Za-z_-][A-Za-z0-9_-]{0,4}){1,4}(\\.\\*)?"
    }

    fn policy() -> impl Strategy<Value = BusPolicy> {
        prop::sample::select(vec![BusPolicy::None, BusPolicy::See, BusPolicy::Talk, BusPolicy::Own])
    }

    proptest! {
        /// T74: what the proxy reads is what was granted, and the rules of every application.
        #[test]
        fn t74_no_policy_can_be_read_as_another(
            entries in prop::collection::btree_map(name(), policy(), 0..8),
            sandboxed: bool,
        ) {
            let entries: Vec<_> = entries.iter().map(|(name, policy)| (name.as_str(), *policy)).collect();
            let asked = policies(&entries);
            let identity = Identity { sandboxed, ..APP };
            let filter = Filter::session(Some(identity), &asked).unwrap();
            let plain = Filter::session(Some(identity), &BusPolicies::default()).unwrap();
            let found = options(&filter);
            prop_assert_eq!(&found[0], "--filter");
            let always: Vec<_> = options(&plain).split_off(1).iter().map(|it| read(it)).collect();
            let mut found: Vec<_> = found[1..].iter().map(|option| read(option)).collect();
            for rule in &always {
                let at = found.iter().position(|it| it == rule).unwrap();
                found.remove(at);
            }
            let granted = entries.iter().filter(|(_, policy)| *policy != BusPolicy::None);
            let expected: Vec<_> = granted.map(|(name, policy)| read(&format!("--{}={name}", policy.word()))).collect();
            prop_assert_eq!(found.len(), expected.len());
            for rule in &expected {
                prop_assert!(found.contains(rule));
            }
        }

        /// Options are passed with a zero byte behind each.
        #[test]
        fn t74_no_option_ends_early(text in ".*") {
            if let Ok(name) = BusName::new(&text) {
                let filter = Filter::system(&policies(&[(name.as_str(), BusPolicy::Talk)]));
                let options = options(&filter);
                prop_assert_eq!(options.len(), 2);
                prop_assert!(!options[1].contains(['\0', '\n', ' ']));
            }
        }
    }
}
