// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is thought of names on a message bus (R28, R210, R213).
//!
//! A name with everything below it is as risky as the riskiest name that is known to be there.

use super::judgement::Ability::{See, Talk};
use super::judgement::{Ability, Judgement};
use super::risk::Risk;
use crate::bus::kind::Kind as Bus;
use crate::flatpak::context::bus::{BusName, BusPolicy};

/// A name that is known: the name, how risky it is to talk to it, what it does, as the end of a
/// sentence that begins with 'it can'.
type Known = (&'static str, Risk, &'static str);

const RUNS: &str = "have programs run outside the sandbox";
const SECRETS: &str = "read the passwords in your keyring";
const SETTINGS: &str = "change your settings, and some of them name programs to run";
const SCREEN: &str = "record the screen, or control the desktop";
const PERSONAL: &str = "read your mail, contacts, calendars or accounts";
const FILES: &str = "reach files and network shares through a service outside the sandbox";
const DESKTOP: &str = "use an ordinary service of the desktop";

const SESSION: &[Known] = &[
    ("org.freedesktop.Flatpak.*", Risk::NoSandbox, RUNS),
    ("org.freedesktop.systemd1", Risk::NoSandbox, RUNS),
    (
        "org.freedesktop.impl.portal.PermissionStore",
        Risk::NoSandbox,
        "give itself every permission that portals ask you for",
    ),
    ("org.freedesktop.impl.portal.*", Risk::NoSandbox, "answer for you what portals ask"),
    (
        "org.freedesktop.DBus",
        Risk::NoSandbox,
        "change the environment of programs that the bus starts",
    ),
    ("org.gnome.Terminal", Risk::NoSandbox, RUNS),
    ("org.kde.konsole.*", Risk::NoSandbox, RUNS),
    ("org.kde.klauncher5", Risk::NoSandbox, RUNS),
    ("org.kde.krunner", Risk::NoSandbox, RUNS),
    ("org.kde.plasmashell", Risk::NoSandbox, "run scripts in the desktop shell"),
    ("org.kde.KWin", Risk::High, SCREEN),
    ("org.gnome.Shell.*", Risk::High, SCREEN),
    ("org.gnome.Mutter.*", Risk::High, SCREEN),
    (
        "org.a11y.Bus",
        Risk::High,
        "reach the accessibility bus unfiltered: read other windows and press keys in them",
    ),
    ("org.freedesktop.secrets", Risk::High, SECRETS),
    ("org.gnome.keyring.*", Risk::High, SECRETS),
    ("org.kde.kwalletd", Risk::High, SECRETS),
    ("org.kde.kwalletd5", Risk::High, SECRETS),
    ("org.kde.kwalletd6", Risk::High, SECRETS),
    ("ca.desrt.dconf", Risk::High, SETTINGS),
    ("org.gnome.SettingsDaemon.*", Risk::High, SETTINGS),
    ("org.gtk.vfs.*", Risk::High, FILES),
    ("org.kde.kiod5", Risk::High, FILES),
    ("org.kde.kiod6", Risk::High, FILES),
    ("org.kde.kded5", Risk::High, SETTINGS),
    ("org.kde.kded6", Risk::High, SETTINGS),
    ("org.gnome.OnlineAccounts", Risk::High, PERSONAL),
    ("org.gnome.evolution.dataserver.*", Risk::High, PERSONAL),
    ("org.freedesktop.Tracker1.*", Risk::High, "search an index of your files"),
    ("org.freedesktop.Tracker3.*", Risk::High, "search an index of your files"),
    ("org.freedesktop.Telepathy.*", Risk::High, PERSONAL),
    ("org.gnome.SessionManager", Risk::Medium, "log you out, or keep you logged in"),
    ("org.freedesktop.FileManager1", Risk::Medium, "open folders in the file manager"),
    ("org.bluez.obex", Risk::Medium, "send files over Bluetooth"),
    ("org.freedesktop.portal.*", Risk::Low, "use portals, as every application can"),
    ("org.freedesktop.Notifications", Risk::Low, "show notifications"),
    ("org.freedesktop.ScreenSaver", Risk::Low, "keep the screen from locking"),
    ("org.kde.StatusNotifierWatcher", Risk::Low, "show an icon in the panel"),
    ("org.kde.JobViewServer", Risk::Low, DESKTOP),
    ("com.canonical.AppMenu.Registrar", Risk::Low, DESKTOP),
    ("com.canonical.Unity", Risk::Low, DESKTOP),
    ("org.mpris.MediaPlayer2.*", Risk::Low, "control media players"),
    ("org.gnome.Software", Risk::Medium, "open the software centre"),
];

const SYSTEM: &[Known] = &[
    ("org.freedesktop.systemd1", Risk::High, "start and stop services, if your account may"),
    ("org.freedesktop.machine1", Risk::High, "enter containers, if your account may"),
    ("org.freedesktop.PolicyKit1", Risk::High, "take part in decisions about passwords"),
    ("org.freedesktop.PackageKit", Risk::High, "install and remove software, if your account may"),
    (
        "org.freedesktop.Flatpak.SystemHelper",
        Risk::High,
        "install and remove applications for all users, if your account may",
    ),
    ("org.freedesktop.fwupd", Risk::High, "change firmware, if your account may"),
    ("org.freedesktop.UDisks2", Risk::High, "mount and change disks, if your account may"),
    (
        "org.freedesktop.NetworkManager",
        Risk::High,
        "read and change your networks, passwords included",
    ),
    ("org.freedesktop.login1", Risk::Medium, "switch the machine off, or keep it on"),
    ("org.freedesktop.Accounts", Risk::Medium, "look at user accounts"),
    ("org.bluez", Risk::Medium, "use Bluetooth devices"),
    ("org.freedesktop.GeoClue2", Risk::Medium, "ask where you are"),
    ("org.freedesktop.ModemManager1", Risk::Medium, "use a modem, with its text messages"),
    ("org.freedesktop.UPower", Risk::Low, "look at the battery"),
    ("org.freedesktop.Avahi", Risk::Low, "find services in your local network"),
    ("org.freedesktop.hostname1", Risk::Low, "look at the name of the machine"),
    ("org.freedesktop.timedate1", Risk::Low, "look at the clock"),
];

/// What talking is.
const ABILITIES: &[Ability] = &[Talk];

const UNKNOWN: &str = "ask a program outside the sandbox for whatever that program does";

/// What is thought of a policy for a name. `app` is the name that the application has anyway.
#[must_use]
pub fn judge(bus: Bus, name: &BusName, policy: BusPolicy, app: Option<&str>) -> Option<Judgement> {
    let told = |abilities, effect, risk, reason| {
        let object = format!("{name} on the {}", bus.word());
        Judgement::new(risk, object, abilities, effect, reason)
    };
    let verb = match policy {
        BusPolicy::None => return None,
        BusPolicy::See => {
            return Some(told(
                &[See],
                format!("It can see whether {name} is running"),
                Risk::Low,
                "it cannot talk to it",
            ));
        }
        BusPolicy::Talk => "talk to",
        BusPolicy::Own => "be, and talk to,",
    };
    let whole = |word: &str| BusName::new(word).is_ok_and(|own| own.covers(name));
    let own = app.is_some_and(|app| whole(&format!("{app}.*")));
    let (risk, does) = if own { (Risk::Low, "use a name of its own") } else { talking(bus, name) };
    let effect = format!("It can {verb} {name} on the {}: {does}", bus.word());
    if policy == BusPolicy::Own && !own {
        // Everyone who plays something has a name below this one, and nobody is to be found at it.
        let least = if whole("org.mpris.MediaPlayer2.*") { Risk::Low } else { Risk::Medium };
        let reason = "other programs that look for that name find this one instead";
        return Some(told(ABILITIES, effect, risk.min(least), reason));
    }
    Some(told(ABILITIES, effect, risk, reason(risk, own)))
}

fn reason(risk: Risk, own: bool) -> &'static str {
    match risk {
        Risk::NoSandbox => "with that it can do what you can do",
        Risk::High => "that program has more rights than the sandbox, and does not ask you",
        Risk::Medium => "that program runs outside the sandbox",
        Risk::Low if own => "it belongs to the application",
        Risk::Low => "that program is made to be talked to by anyone",
    }
}

/// The riskiest of the names that are known to be among those meant.
fn talking(bus: Bus, name: &BusName) -> (Risk, &'static str) {
    let table = match bus {
        Bus::Session => SESSION,
        Bus::System => SYSTEM,
        Bus::Accessibility => {
            return (Risk::Medium, "be found by screen readers");
        }
    };
    let known = table.iter().filter(|(known, _, _)| {
        BusName::new(known).is_ok_and(|known| known.covers(name) || name.covers(&known))
    });
    let worst = known.map(|(_, risk, does)| (*risk, *does)).min_by_key(|(risk, _)| *risk);
    worst.unwrap_or((Risk::Medium, UNKNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn risk(bus: Bus, name: &str, policy: BusPolicy) -> Risk {
        let name = BusName::new(name).unwrap();
        judge(bus, &name, policy, Some("org.example.App")).unwrap().risk
    }

    #[test]
    fn every_known_name_is_one() {
        for (name, risk, _) in SESSION {
            assert!(self::risk(Bus::Session, name, BusPolicy::Talk) <= *risk, "{name}");
        }
        for (name, risk, _) in SYSTEM {
            assert!(self::risk(Bus::System, name, BusPolicy::Talk) <= *risk, "{name}");
        }
    }

    #[test]
    fn r213_names_that_run_programs_are_no_sandbox() {
        for name in [
            "org.freedesktop.Flatpak",
            "org.freedesktop.Flatpak.*",
            "org.freedesktop.Flatpak.Development",
            "org.freedesktop.systemd1",
            "org.freedesktop.*",
            "org.freedesktop.impl.portal.PermissionStore",
            "org.kde.*",
        ] {
            assert_eq!(risk(Bus::Session, name, BusPolicy::Talk), Risk::NoSandbox, "{name}");
            assert_eq!(risk(Bus::Session, name, BusPolicy::Own), Risk::NoSandbox, "{name}");
        }
    }

    #[test]
    fn names_have_the_risk_they_should() {
        for (bus, name, policy, expected) in [
            (Bus::Session, "org.freedesktop.secrets", BusPolicy::Talk, Risk::High),
            (Bus::Session, "ca.desrt.dconf", BusPolicy::Talk, Risk::High),
            (Bus::Session, "org.gtk.vfs.*", BusPolicy::Talk, Risk::High),
            (Bus::Session, "org.freedesktop.Notifications", BusPolicy::Talk, Risk::Low),
            (Bus::Session, "org.freedesktop.Notifications", BusPolicy::Own, Risk::Medium),
            (Bus::Session, "org.example.App.Helper", BusPolicy::Own, Risk::Low),
            (Bus::Session, "org.example.Apple", BusPolicy::Own, Risk::Medium),
            (Bus::Session, "org.mpris.MediaPlayer2.app", BusPolicy::Own, Risk::Low),
            (Bus::Session, "com.example.Other", BusPolicy::Talk, Risk::Medium),
            (Bus::Session, "org.freedesktop.Flatpak", BusPolicy::See, Risk::Low),
            (Bus::System, "org.freedesktop.UDisks2", BusPolicy::Talk, Risk::High),
            (Bus::System, "org.freedesktop.UPower", BusPolicy::Talk, Risk::Low),
            (Bus::System, "org.freedesktop.*", BusPolicy::Talk, Risk::High),
            (Bus::Accessibility, "org.example.Reader", BusPolicy::Own, Risk::Medium),
        ] {
            assert_eq!(risk(bus, name, policy), expected, "{name}");
        }
        let name = BusName::new("a.b").unwrap();
        assert_eq!(judge(Bus::Session, &name, BusPolicy::None, None), None);
    }
}
