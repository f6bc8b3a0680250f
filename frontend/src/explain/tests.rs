// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whole explanations, from installed files and from options, in every form.

use std::os::unix::fs::symlink;
use std::path::Path;

use clap::Command;

use super::from_context;
use super::grant::{Grant, Source, Subject};
use super::provenance::Layer;
use super::risk::Risk;
use super::{Explanation, from_app, from_exec, html, json, text};
use crate::caller::Caller;
use crate::caller::tests::caller;
use crate::exec;
use crate::filesystem::locate::tests::Scratch;
use crate::flatpak::choice::{self, Choice};
use crate::flatpak::context::Context;
use crate::flatpak::context::area::Area;
use crate::flatpak::deploy::tests::install;
use crate::flatpak::installation::Installations;
use crate::flatpak::reference::Wanted;
use crate::keyfile::KeyFile;
use crate::message::is_hidden;
use crate::permission::{Change, Share, Socket};

const HEAD: &str = "[Application]\nname=org.example.App\nruntime=org.example.Platform/x86_64/1\n";

fn machine(scratch: &Scratch) -> Caller {
    let path = |name| scratch.join(name).to_str().unwrap().to_owned();
    let (user, system, none) = (path("user"), path("system"), path("none"));
    scratch.directory("home");
    caller(
        &scratch.join("home"),
        &[
            ("FLATPAK_USER_DIR", user.as_str()),
            ("FLATPAK_SYSTEM_DIR", &system),
            ("FLATPAK_CONFIG_DIR", &none),
        ],
    )
}

/// The explanation of an application of the system with this metadata.
fn explained(scratch: &Scratch, metadata: &str) -> Explanation {
    let caller = machine(scratch);
    let runtime =
        "[Runtime]\nname=org.example.Platform\n[Environment]\nR=1\n[Context]\nshared=ipc;\n";
    install(scratch, "system", "app/org.example.App/x86_64/stable", &format!("{HEAD}{metadata}"));
    install(scratch, "system", "runtime/org.example.Platform/x86_64/1", runtime);
    symlink("x86_64/stable", scratch.join("system/app/org.example.App/current")).unwrap();
    let wanted = Wanted::parse("org.example.App".as_ref()).unwrap();
    let installations = Installations::discover(&caller).0;
    let choice = Choice::make(&wanted, &choice::Options::default(), &installations).unwrap();
    from_app::explain(&choice, &Context::default(), installations.defaults(), &caller).unwrap().0
}

#[test]
fn an_application_with_overrides_is_told_from_the_worst_to_the_least() {
    let scratch = Scratch::new();
    scratch.file("system/overrides/global", "[Context]\nsockets=!x11;\n");
    scratch.file("user/overrides/org.example.App", "[Context]\nfilesystems=home;\n");
    let explanation = explained(
        &scratch,
        "[Context]\nshared=network;\nsockets=x11;wayland;\n[Session Bus Policy]\norg.freedesktop.secrets=talk\n",
    );
    let options: Vec<_> = explanation
        .grants
        .iter()
        .map(|grant| format!("{} {}", grant.thing.option().display(), grant.sources[0].word()))
        .collect();
    assert_eq!(
        options,
        [
            "--filesystem=home user_override",
            "--talk-name=org.freedesktop.secrets metadata",
            "--share=network metadata",
            "--socket=wayland metadata",
            "--env=R=1 runtime_metadata",
        ]
    );
    let text = text::text(&explanation, false);
    for part in [
        "org.example.App: no sandbox",
        "  talks to    org.freedesktop.secrets on the session bus; the internet",
        "    From:     your override for this application\n",
        "    From:     the application's own metadata\n",
        "      stockade override --user --nofilesystem=home --filesystem=xdg-download org.example.App\n",
        "- --socket=x11 by the administrator's override for all applications\n",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text::text(&explanation, true).contains("\u{1b}[1m"));
    let json: serde_json::Value = serde_json::from_str(&json::json(&explanation).unwrap()).unwrap();
    assert_eq!(json["risk"], "no_sandbox");
    assert_eq!(json["grants"][0]["sources"][0]["layer"], "user_override");
    assert_eq!(json["grants"][2]["kind"], "share");
    let home = explanation.mounts.iter().find(|mount| mount.path == scratch.join("home")).unwrap();
    assert_eq!(home.risk, Risk::NoSandbox);
}

#[test]
fn an_application_without_permissions_is_a_tight_sandbox() {
    let scratch = Scratch::new();
    let explanation = explained(&scratch, "");
    assert_eq!(explanation.risk(), Risk::Low);
    assert_eq!(explanation.kept_out().len(), 6);
    let text = text::text(&explanation, false);
    assert!(text.contains("org.example.App: a tight sandbox"), "{text}");
    assert!(text.contains("  reads       nothing more\n"), "{text}");
}

#[test]
fn t70_hostile_metadata_is_shown_as_text() {
    let scratch = Scratch::new();
    let hostile = "<script>alert(1)</script>";
    let explanation = explained(
        &scratch,
        &format!(
            "[Context]\nsockets={hostile}\u{1b}[2K;\nfilesystems=/srv/{hostile};~/\"onload=x;\n\
             [Environment]\nA={hostile}\u{202e}\u{1b}[2J\n[Policy {hostile}]\nk={hostile};\n"
        ),
    );
    assert_eq!(explanation.unknown.len(), 1);
    let page = html::page(&explanation);
    assert!(!page.contains("<script") && !page.contains("\"onload"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for text in [page, text::text(&explanation, false), json::json(&explanation).unwrap()] {
        assert!(!text.contains(|c: char| c != '\n' && is_hidden(c)), "{text:?}");
        assert!(text.contains("alert(1)"));
    }
}

#[test]
fn pages_need_nothing_else() {
    let scratch = Scratch::new();
    let page = html::page(&explained(&scratch, "[Context]\nshared=network;\n"));
    assert!(page.contains("default-src 'none'; style-src 'unsafe-inline'"));
    for outside in ["http:", "https:", "src=", "url(", "@import", "<link", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
    for tag in ["ul", "li", "div", "section", "dl", "span", "h2"] {
        let opened =
            page.matches(&format!("<{tag} ")).count() + page.matches(&format!("<{tag}>")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn options_of_exec_are_explained_and_nothing_is_made() {
    let scratch = Scratch::new();
    scratch.directory("home/src");
    let caller = caller(&scratch.join("home"), &[]);
    let mut options = exec::Options {
        name: Some(crate::home::Name::new("work".as_ref()).unwrap()),
        project: Some(scratch.join("home/src")),
        ..exec::Options::default()
    };
    for change in [
        Change::Share(Share::Network, true),
        Change::Socket(Socket::Cups, true),
        Change::Socket(Socket::X11, true),
        Change::Socket(Socket::FallbackX11, true),
        Change::Persist(".app".to_owned()),
        Change::Filesystem(
            crate::filesystem::token::Place::Home("new".to_owned()),
            crate::filesystem::token::Access::Create,
        ),
    ] {
        options.permissions.apply(change);
    }
    let (explanation, _) = from_exec::explain(&options, &caller);
    let options: Vec<_> =
        explanation.grants.iter().map(|grant| grant.thing.option().display().to_string()).collect();
    let project = format!("--project={}", scratch.join("home/src").display());
    let expected = [
        "--socket=fallback-x11",
        &project,
        "--filesystem=~/new:create",
        "--share=network",
        "--socket=cups",
        "--name=work",
        "--persist=.app",
    ];
    assert_eq!(options, expected);
    let seen = |path: &Path| explanation.mounts.iter().any(|mount| mount.path == path);
    assert!(seen(Path::new("/usr")) && seen(&scratch.join("home/src")));
    assert!(seen(&scratch.join("home/new")) && seen(&scratch.join("home/.app")));
    assert!(!scratch.join("home/new").exists() && !scratch.join("home/.local").exists());
    assert!(text::text(&explanation, false).contains("--share=network\n"));
}

/// What an application has after its user has taken an advice.
fn after(metadata: &Context, command: &str, subject: &Subject<'_>) -> Vec<Grant> {
    // None of these names has a quote or a space in it.
    let words = command.split(' ').skip(3).map(|word| word.trim_matches('\''));
    let mut words: Vec<_> = words.collect();
    assert_eq!(words.pop(), Some("org.example.App"));
    let options = crate::cli::context::arguments(Command::new("override")).no_binary_name(true);
    let given = crate::cli::context::read(&options.get_matches_from(words)).unwrap();
    let source = Source::Overrides { user: true, global: false, path: "/o".into() };
    let layers = [
        Layer { source: Source::Metadata("/m".into()), context: metadata.clone() },
        Layer { source, context: given.context },
    ];
    from_context::grants(&layers, subject).grants
}

#[test]
fn t71_who_takes_an_advice_has_less_and_nothing_worse() {
    let words = Area::ALL.map(|area| format!("{}={};\n", area.key(), area.words().join(";")));
    let text = format!(
        "[Context]\n{}filesystems=host;home;host-root;host-etc;~/.ssh;xdg-documents;/tmp;xdg-run/bus;\n\
         [Session Bus Policy]\norg.freedesktop.*=talk\norg.kde.*=own\n\
         [System Bus Policy]\norg.freedesktop.UDisks2=talk\n[Policy a]\nb=c;\n\
         [USB Devices]\nenumerable-devices=all;vnd:0001;\n",
        words.concat()
    );
    let subject = Subject {
        app: Some("org.example.App"),
        home: Path::new("/home/a"),
        runtime: Path::new("/run/user/7"),
    };
    for text in [text.clone(), text.replace("fallback-x11;", "")] {
        let metadata = Context::read(&KeyFile::parse(text.as_bytes()).unwrap()).unwrap().0;
        let source = Source::Metadata("/m".into());
        let layers = [Layer { source, context: metadata.clone() }];
        let before = from_context::grants(&layers, &subject).grants;
        let mut advised = 0;
        for grant in &before {
            let Some(command) = grant.advice.as_ref().and_then(|it| it.command.as_ref()) else {
                assert_eq!(grant.judgement.risk, Risk::Low, "{grant:?}");
                continue;
            };
            advised += 1;
            let after = after(&metadata, command, &subject);
            assert!(after.iter().all(|left| left.thing != grant.thing), "{command}");
            for left in after {
                let known = before.iter().any(|one| one.thing == left.thing);
                assert!(known || left.judgement.risk > grant.judgement.risk, "{command}: {left:?}");
            }
        }
        assert!(advised > 30, "{advised}");
    }
}
