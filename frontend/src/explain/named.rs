// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is thought of the permissions that have names (R37).

use std::ffi::OsStr;

use super::judgement::Ability::{Read, See, Talk, Write};
use super::judgement::Judgement;
use super::risk::Risk;
use crate::flatpak::context::area::{Area, INHERIT_WAYLAND_SOCKET, PER_APP_DEV_SHM};
use crate::permission::{Device, Feature, Share, Socket};

/// What is thought of a name. None if it is not known, and so gets a sandbox nothing (R38).
#[must_use]
pub fn judge(area: Area, name: &str) -> Option<Judgement> {
    let word = OsStr::new(name);
    match (area, name) {
        (Area::Sockets, INHERIT_WAYLAND_SOCKET) => Some(socket(Socket::Wayland)),
        (Area::Features, PER_APP_DEV_SHM) => Some(shared_by_instances()),
        (Area::Shares, _) => Share::parse(word).ok().map(share),
        (Area::Sockets, _) => Socket::parse(word).ok().map(socket),
        (Area::Devices, _) => Device::parse(word).ok().map(device),
        (Area::Features, _) => Feature::parse(word).ok().map(feature),
    }
}

fn share(share: Share) -> Judgement {
    match share {
        Share::Network => Judgement::new(
            Risk::Medium,
            "the internet, your local network and servers on this machine",
            &[Talk],
            "It can reach the internet, your local network and servers on this machine",
            "whatever it can read it can send away, and abstract sockets of other programs may be open to it, too",
        ),
        Share::Ipc => Judgement::new(
            Risk::Medium,
            "shared memory of your other programs",
            &[See],
            "It shares System V memory and message queues with your other programs",
            "it can read and change what they keep there; only old X11 programs need it",
        ),
    }
}

fn socket(socket: Socket) -> Judgement {
    match socket {
        Socket::X11 => Judgement::new(
            Risk::NoSandbox,
            "every window, key press and the clipboard (X11)",
            &[Talk, See],
            "It sees every window and every key you press, and can type into other programs",
            "it can type commands into a terminal; X11 keeps no program from another",
        )
        .or(
            "Wayland, and X11 only where there is no Wayland",
            &["--socket=wayland", "--socket=fallback-x11"],
        ),
        Socket::FallbackX11 => Judgement::new(
            Risk::High,
            "every window and key press, if your session is X11",
            &[Talk, See],
            "It gets X11, with every window and every key you press, where there is no Wayland",
            "with Wayland it gets nothing by this; in an X11 session it is as good as no sandbox",
        )
        .or("Wayland alone", &["--socket=wayland"]),
        Socket::Wayland => Judgement::new(
            Risk::Low,
            "windows of its own (Wayland)",
            &[Talk],
            "It can show windows and gets the keys that you type into them",
            "it does not see other windows, unless your compositor lets any program record the screen",
        ),
        Socket::Pulseaudio => Judgement::new(
            Risk::NoSandbox,
            "loudspeakers, and the microphone at any time (PulseAudio)",
            &[Talk],
            "It can play sound, and record the microphone and what others play without asking",
            "the PulseAudio server loads modules for whoever asks, and runs outside the sandbox",
        )
        .or("no sound; with PipeWire as the server at least no modules are loaded", &[]),
        Socket::SshAuth => Judgement::new(
            Risk::High,
            "your SSH agent",
            &[Talk],
            "It can log in as you wherever your SSH keys are accepted",
            "the agent signs for whoever asks, unless a key was added with 'ssh-add -c'",
        ),
        Socket::Pcsc => Judgement::new(
            Risk::High,
            "smart cards and security keys",
            &[Talk],
            "It can use smart cards and security keys that are plugged in",
            "once a card is unlocked it signs for whoever asks",
        ),
        Socket::Cups => Judgement::new(
            Risk::Medium,
            "printers and the print queue",
            &[Talk],
            "It can print, and look at your print queue",
            "the print server is a large program outside the sandbox",
        )
        .or_portal("the print dialog of the portal, which needs no grant"),
        Socket::GpgAgent => Judgement::new(
            Risk::High,
            "your GnuPG agent",
            &[Talk],
            "It can decrypt and sign with your GnuPG keys",
            "the agent does so without asking as long as it remembers the passphrase",
        ),
        Socket::SessionBus => session_bus(),
        Socket::SystemBus => system_bus(),
    }
}

fn session_bus() -> Judgement {
    Judgement::new(
        Risk::NoSandbox,
        "every program on the session bus",
        &[Talk, See],
        "It can ask any program of your session to do anything",
        "systemd, terminals and others on the bus start programs outside the sandbox",
    )
    .or_portal("portals need no grant")
    .or("only the names that it needs: --talk-name=NAME for each", &[])
}

fn system_bus() -> Judgement {
    Judgement::new(
        Risk::High,
        "every service on the system bus",
        &[Talk, See],
        "It can ask services of the system for what you may ask them for",
        "that is disks, networks, users, software and power, often without a password",
    )
    .or("only the names that it needs: --system-talk-name=NAME for each", &[])
}

fn device(device: Device) -> Judgement {
    match device {
        Device::Dri => Judgement::new(
            Risk::Medium,
            "the graphics card",
            &[Talk],
            "It can use the graphics card",
            "graphics drivers are a large and often attacked part of the kernel",
        ),
        Device::Kvm => Judgement::new(
            Risk::Medium,
            "virtual machines of the kernel (KVM)",
            &[Talk],
            "It can run virtual machines",
            "that opens more of the kernel to attacks",
        ),
        Device::Shm => Judgement::new(
            Risk::High,
            "shared memory files of all programs",
            &[Read, Write],
            "It can read and change what your other programs keep in shared memory",
            "browsers, sound and databases keep their data there",
        )
        .or("shared memory of its own, which it has anyway", &[]),
        Device::Input => Judgement::new(
            Risk::High,
            "game controllers, and keyboards if you may read them",
            &[Talk, See],
            "It can read input devices directly",
            "if your account may read keyboards, it gets every key press and can make some",
        ),
        Device::Usb => Judgement::new(
            Risk::High,
            "USB devices, raw",
            &[Talk],
            "It can talk to USB devices past their drivers",
            "that includes sticks, security keys and firmware of devices, as far as your account may",
        )
        .or_portal("single devices, which the USB portal asks you for: --usb=QUERY"),
        Device::All => Judgement::new(
            Risk::NoSandbox,
            "every device: cameras, disks, input, USB",
            &[Talk, See],
            "It can use every device that your account may use",
            "cameras, USB devices and virtual input devices are among them; the last can type for you",
        )
        .or("graphics alone", &["--device=dri"]),
    }
}

fn feature(feature: Feature) -> Judgement {
    match feature {
        Feature::Devel => Judgement::new(
            Risk::Medium,
            "system calls for debuggers",
            &[],
            "It can trace its own processes and count events of the kernel",
            "these system calls have had many holes",
        ),
        Feature::Multiarch => Judgement::new(
            Risk::Low,
            "32-bit programs",
            &[],
            "It can run 32-bit programs",
            "the system calls for them are less used, and less tested",
        ),
        Feature::Bluetooth => Judgement::new(
            Risk::Medium,
            "Bluetooth",
            &[Talk],
            "It can talk to Bluetooth devices near you",
            "the kernel's Bluetooth has had many holes, and devices near you tell where you are",
        ),
        Feature::Canbus => Judgement::new(
            Risk::Medium,
            "CAN buses",
            &[Talk],
            "It can talk to machines on a CAN bus",
            "few computers have one; where there is one, it steers machines",
        ),
    }
}

fn shared_by_instances() -> Judgement {
    Judgement::new(
        Risk::Low,
        "shared memory with its other instances",
        &[],
        "Its instances can share memory with each other",
        "nothing of yours is in it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_there_is_has_the_risk_it_should() {
        use Risk::{High, Low, Medium, NoSandbox};
        let table = [
            (Area::Shares, "network", Medium),
            (Area::Shares, "ipc", Medium),
            (Area::Sockets, "x11", NoSandbox),
            (Area::Sockets, "wayland", Low),
            (Area::Sockets, "pulseaudio", NoSandbox),
            (Area::Sockets, "fallback-x11", High),
            (Area::Sockets, "ssh-auth", High),
            (Area::Sockets, "pcsc", High),
            (Area::Sockets, "cups", Medium),
            (Area::Sockets, "gpg-agent", High),
            (Area::Sockets, "session-bus", NoSandbox),
            (Area::Sockets, "system-bus", High),
            (Area::Sockets, "inherit-wayland-socket", Low),
            (Area::Devices, "dri", Medium),
            (Area::Devices, "kvm", Medium),
            (Area::Devices, "shm", High),
            (Area::Devices, "input", High),
            (Area::Devices, "usb", High),
            (Area::Devices, "all", NoSandbox),
            (Area::Features, "devel", Medium),
            (Area::Features, "multiarch", Low),
            (Area::Features, "bluetooth", Medium),
            (Area::Features, "canbus", Medium),
            (Area::Features, "per-app-dev-shm", Low),
        ];
        for (area, word, risk) in table {
            assert_eq!(judge(area, word).map(|it| it.risk), Some(risk), "{word}");
        }
        // None is missing in the table.
        let words: usize = Area::ALL.iter().map(|area| area.words().len()).sum();
        assert_eq!(words, table.len());
    }

    #[test]
    fn what_is_narrower_is_less_risky_and_can_be_typed() {
        for area in Area::ALL {
            for word in area.words() {
                let wide = judge(area, word).unwrap();
                for option in wide.narrower.iter().flat_map(|narrower| narrower.options) {
                    let (name, value) = option.strip_prefix("--").unwrap().split_once('=').unwrap();
                    let area = Area::ALL.into_iter().find(|area| area.grant_option() == name);
                    let narrow = judge(area.unwrap(), value).unwrap();
                    assert!(narrow.risk > wide.risk, "{word}: {option}");
                }
            }
        }
    }

    #[test]
    fn r38_unknown_words_grant_nothing() {
        for area in Area::ALL {
            assert_eq!(judge(area, "nope"), None);
        }
        // A word of another list is not known in this one.
        assert_eq!(judge(Area::Devices, "session-bus"), None);
    }
}
