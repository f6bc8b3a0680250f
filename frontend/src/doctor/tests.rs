// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole answers for made-up machines.

use stockade_protocol::event::Mode;

use super::helper::Installed;
use super::helper::tests::{PERMITTED, installed};
use super::root::fake::Machine;
use super::text::tests::rendered;
use super::user_namespaces::Step;
use super::*;
use crate::bus::program::Version;

const WORKS: user_namespaces::Trial = user_namespaces::Trial::Works { attaches_detached: false };

/// A recent Debian with a desktop session, as an ordinary user sees it.
fn machine() -> Machine {
    let services = "usr/share/dbus-1/services/org.freedesktop.portal";
    let machine = Machine::new(&[
        ("etc/os-release", "ID=debian\n"),
        ("run/systemd/system/x", ""),
        ("proc/self/ns/user", ""),
        ("proc/self/status", "CapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\nSeccomp:\t0\n"),
        ("proc/self/uid_map", "0 0 4294967295\n"),
        (
            "proc/self/mountinfo",
            "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
             30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        ),
        ("proc/self/cgroup", "0::/user.slice\n"),
        ("proc/sys/kernel/osrelease", "6.12.9-amd64\n"),
        ("proc/sys/kernel/unprivileged_userns_clone", "1\n"),
        ("proc/sys/user/max_user_namespaces", "63000\n"),
        ("proc/sys/kernel/seccomp/actions_avail", "kill_process errno allow\n"),
        ("usr/share/xdg-desktop-portal/portals/gtk.portal", ""),
    ]);
    machine.put(&format!("{services}.Desktop.service"), "");
    machine.put(&format!("{services}.Documents.service"), "");
    machine
}

/// Trials on that machine, where everything works without privilege.
fn trials(machine: &Machine) -> Trials {
    Trials {
        caller: Caller::find(&machine.root(), 1000),
        helper: Helper::Found(installed()),
        sandbox: Trial::Works(Mode::Unprivileged, Vec::new()),
        namespaces: WORKS,
        mount_api: kernel::Trial(vec![("openat2", Ok(())), ("fsopen", Err(Errno::EPERM))]),
        seccomp: seccomp::Trial::Works,
        landlock: landlock::Trial::Works(6),
        session: Session { data: vec!["/usr/share".into()], ..Session::default() },
        systemd: Ok(()),
        bus: Ok(()),
        proxy: Proxy::Version("/usr/bin/xdg-dbus-proxy".into(), Version([0, 1, 8])),
    }
}

fn answer(machine: &Machine, trials: &Trials) -> String {
    rendered(&examine(trials, &machine.root()))
}

#[test]
fn given_a_machine_where_all_is_well() {
    let machine = machine();
    let expected = r#"sandboxes work here, in mode unprivileged
the helper has no privilege and uses a user namespace

good     helper            /usr/libexec/stockade/stockade-helper, owner root, mode 0755, no file
                           capabilities
good     sandbox           one was built and ran, in mode unprivileged
good     user-namespaces   a sandbox's steps work for this user
good     caller            uid 1000
good     kernel            Linux 6.12.9-amd64
good     mount-api         openat2 and fsopen are there
good     seccomp           filters work: kill_process errno allow
good     landlock          version 6: file rules, TCP rules, scopes of abstract sockets and
                           signals
good     cgroup            version 2, not delegated
good     systemd           the user manager answers
good     session-bus       it answers
good     dbus-proxy        /usr/bin/xdg-dbus-proxy, version 0.1.8
good     portals           xdg-desktop-portal with gtk
"#;
    assert_eq!(answer(&machine, &trials(&machine)), expected);
}

#[test]
fn given_ubuntu_with_its_apparmor_restriction() {
    let machine = machine();
    machine.put("etc/os-release", "ID=ubuntu\nID_LIKE=debian\n");
    machine.put("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n");
    let trials = Trials {
        sandbox: Trial::Fails("cannot set up the user namespace".to_owned()),
        namespaces: user_namespaces::Trial::Refused(Step::Maps, Errno::EPERM),
        ..trials(&machine)
    };
    let expected = r#"sandboxes do not work here: sandbox, user-namespaces

one of these makes them work:
  1. give the helper file capabilities
       sudo chown root /usr/libexec/stockade/stockade-helper && sudo chmod 0755 /usr/libexec/stockade/stockade-helper
       sudo setcap cap_sys_admin,cap_mknod,cap_net_admin=p /usr/libexec/stockade/stockade-helper
  2. make the helper setuid root
       sudo chown root /usr/libexec/stockade/stockade-helper && sudo chmod 4755 /usr/libexec/stockade/stockade-helper
  3. allow user namespaces: allow them to the helper only
       printf 'abi <abi/4.0>,\nprofile stockade-helper "/usr/libexec/stockade/stockade-helper" flags=(unconfined) {\n  userns,\n}\n' | sudo tee /etc/apparmor.d/stockade-helper
       sudo apparmor_parser -r /etc/apparmor.d/stockade-helper

good     helper            /usr/libexec/stockade/stockade-helper, owner root, mode 0755, no file
                           capabilities
bad      sandbox           none could be built: cannot set up the user namespace
         costs: nothing can be started
bad      user-namespaces   can be made, but not given ids (EPERM):
                           kernel.apparmor_restrict_unprivileged_userns is on
         costs: the helper has no privilege and needs them
         mend: allow them to the helper only
           printf 'abi <abi/4.0>,\nprofile stockade-helper "/usr/libexec/stockade/stockade-helper" flags=(unconfined) {\n  userns,\n}\n' | sudo tee /etc/apparmor.d/stockade-helper
           sudo apparmor_parser -r /etc/apparmor.d/stockade-helper
         or: allow them to every program
           sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
           echo kernel.apparmor_restrict_unprivileged_userns=0 | sudo tee -a /etc/sysctl.d/60-stockade.conf
good     caller            uid 1000
good     kernel            Linux 6.12.9-amd64
good     mount-api         openat2 and fsopen are there
good     seccomp           filters work: kill_process errno allow
good     landlock          version 6: file rules, TCP rules, scopes of abstract sockets and
                           signals
good     cgroup            version 2, not delegated
good     systemd           the user manager answers
good     session-bus       it answers
good     dbus-proxy        /usr/bin/xdg-dbus-proxy, version 0.1.8
good     portals           xdg-desktop-portal with gtk
"#;
    assert_eq!(answer(&machine, &trials), expected);
}

#[test]
fn given_debian_with_user_namespaces_switched_off_and_file_capabilities() {
    let machine = machine();
    machine.put("proc/sys/kernel/unprivileged_userns_clone", "0\n");
    let helper = Installed { capabilities: Some(PERMITTED), ..installed() };
    let trials = Trials {
        helper: Helper::Found(helper),
        sandbox: Trial::Works(Mode::FileCapabilities, Vec::new()),
        namespaces: user_namespaces::Trial::Refused(Step::Unshare, Errno::EPERM),
        ..trials(&machine)
    };
    let expected = r#"sandboxes work here, in mode file capabilities
the helper has file capabilities

good     helper            /usr/libexec/stockade/stockade-helper, owner root, mode 0755,
                           cap_net_admin,cap_sys_admin,cap_mknod=p
good     sandbox           one was built and ran, in mode file capabilities
limited  user-namespaces   cannot be made (EPERM): kernel.unprivileged_userns_clone is 0
         costs: overlays, capabilities in the sandbox and joining namespaces are refused;
                sandboxes work without them
         mend: allow them to every user
           sudo sysctl -w kernel.unprivileged_userns_clone=1
           echo kernel.unprivileged_userns_clone=1 | sudo tee -a /etc/sysctl.d/60-stockade.conf
good     caller            uid 1000
good     kernel            Linux 6.12.9-amd64
good     mount-api         openat2 and fsopen are there
good     seccomp           filters work: kill_process errno allow
good     landlock          version 6: file rules, TCP rules, scopes of abstract sockets and
                           signals
good     cgroup            version 2, not delegated
good     systemd           the user manager answers
good     session-bus       it answers
good     dbus-proxy        /usr/bin/xdg-dbus-proxy, version 0.1.8
good     portals           xdg-desktop-portal with gtk
"#;
    assert_eq!(answer(&machine, &trials), expected);
}

#[test]
fn given_no_helper_then_installing_it_comes_first() {
    let machine = machine();
    let trials = Trials {
        helper: Helper::Missing("cannot find the helper".to_owned()),
        sandbox: Trial::NotTried,
        ..trials(&machine)
    };
    let text = answer(&machine, &trials);
    let expected = r#"sandboxes do not work here: helper

install stockade-helper
  sudo apt install stockade-helper
or: install it from Stockade's sources
  make build
  sudo make install

bad      helper            cannot find the helper
         costs: nothing else can build a sandbox
         mend: install stockade-helper
           sudo apt install stockade-helper
         or: install it from Stockade's sources
           make build
           sudo make install
good     user-namespaces   a sandbox's steps work for this user"#;
    assert_eq!(text.split("\ngood     caller").next(), Some(expected));
}

#[test]
fn given_linux_5_10_then_no_installation_helps() {
    let machine = machine();
    machine.put("proc/sys/kernel/osrelease", "5.10.0-46-amd64\n");
    let trials = Trials {
        helper: Helper::Found(Installed { mode: 0o4755, ..installed() }),
        sandbox: Trial::Fails("mount_setattr: ENOSYS".to_owned()),
        landlock: landlock::Trial::NotBuilt,
        ..trials(&machine)
    };
    let verdict = examine(&trials, &machine.root());
    assert_eq!(verdict.culprits(), ["sandbox", "kernel"]);
    assert_eq!(verdict.ways, []);
    assert_eq!(verdict.first, [finding::Remedy::advice("start Linux 5.12 or newer")]);
}

#[test]
fn given_no_new_privs_then_no_privilege_is_advised() {
    let machine = machine();
    machine.put("proc/self/status", "NoNewPrivs:\t1\n");
    machine.put("proc/sys/kernel/unprivileged_userns_clone", "0\n");
    let trials = Trials {
        helper: Helper::Found(Installed { mode: 0o4755, ..installed() }),
        sandbox: Trial::Fails("cannot make a user namespace".to_owned()),
        namespaces: user_namespaces::Trial::Refused(Step::Unshare, Errno::EPERM),
        ..trials(&machine)
    };
    let verdict = examine(&trials, &machine.root());
    let ways: Vec<&str> = verdict.ways.iter().map(|way| way.what.as_str()).collect();
    assert_eq!(ways, ["allow user namespaces: allow them to every user"]);
    assert_eq!(verdict.culprits(), ["sandbox", "user-namespaces"]);
}

#[test]
fn given_a_nosuid_mount_then_the_helper_has_to_move() {
    let machine = machine();
    let trials = Trials {
        helper: Helper::Found(Installed {
            path: "/home/a/helper".into(),
            mode: 0o4755,
            nosuid: true,
            ..installed()
        }),
        sandbox: Trial::Fails("cannot make a user namespace".to_owned()),
        ..trials(&machine)
    };
    let ways = examine(&trials, &machine.root()).ways;
    assert_eq!(
        ways[0].commands,
        ["sudo install -D -o root -g root -m 4755 /home/a/helper \
          /usr/libexec/stockade/stockade-helper"]
    );
    assert_eq!(ways.len(), 1);
}

#[test]
fn given_a_container_then_its_filter_is_named() {
    let machine = machine();
    machine.put("proc/self/status", "CapBnd:\ta80425fb\nNoNewPrivs:\t0\nSeccomp:\t2\n");
    machine.put("run/.containerenv", "");
    let trials = Trials {
        sandbox: Trial::Fails("cannot make a user namespace".to_owned()),
        namespaces: user_namespaces::Trial::Refused(Step::Unshare, Errno::EPERM),
        ..trials(&machine)
    };
    let verdict = examine(&trials, &machine.root());
    let finding = verdict.findings.iter().find(|finding| finding.name == "user-namespaces");
    assert_eq!(
        finding.unwrap().detail,
        "cannot be made (EPERM): a seccomp filter is in force, as in a container"
    );
    assert!(verdict.findings.iter().any(|finding| {
        finding.name == "caller"
            && finding.detail.starts_with("uid 1000, in a container, under a seccomp filter")
    }));
}

#[test]
fn the_document_for_programs_keeps_its_fields() {
    let machine = machine();
    let mut bytes = Vec::new();
    json::write(&examine(&trials(&machine), &machine.root()), &mut bytes).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    let keys = |value: &serde_json::Value| {
        value.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        keys(&document),
        expected(&["findings", "first", "format", "helper", "mode", "ways", "works"])
    );
    let findings = document["findings"].as_array().unwrap();
    for finding in findings {
        assert_eq!(keys(finding), expected(&["cost", "detail", "name", "remedy", "state"]));
    }
    assert_eq!(document["format"], 1);
    assert_eq!(document["mode"], "unprivileged");
    // Each name is listed in the description of the format.
    let description = include_str!("json.rs");
    for finding in findings {
        let name = finding["name"].as_str().unwrap();
        assert!(description.contains(&format!("`{name}`")), "{name}");
    }
}
