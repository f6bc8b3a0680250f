// SPDX-License-Identifier: MIT OR Apache-2.0
//! An explanation as one page that needs nothing else: a picture of the sandbox, then every grant.
//!
//! Text from outside cannot become markup ([`markup`]); should it ever, the page forbids itself every
//! script and every connection.

mod markup;

use super::Explanation;
use super::grant::Grant;
use super::judgement::Ability;
use super::mount::{Mount, Use};
use super::risk::Risk;
use super::thing::Kind;
use super::tree::{Node, tree};
use markup::Markup;

const HEAD: &str = concat!(
    "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
    "<meta http-equiv=\"Content-Security-Policy\" ",
    "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n",
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n",
    include_str!("html/style.css"),
    "</style>\n<title>"
);

/// The whole page.
#[must_use]
pub fn page(explanation: &Explanation) -> String {
    let mut page = Markup::default();
    let risk = explanation.risk();
    page.raw(HEAD).text(&explanation.title).raw(": what it can reach</title>\n</head>\n<body>\n");
    page.raw(include_str!("html/icons.svg"));
    page.raw("<h1>").text(&explanation.title).raw("</h1>\n<strong class=\"verdict ");
    page.raw(class(risk)).raw("\">").text(risk.mark()).raw(" ").text(risk.verdict());
    page.raw("</strong>\n<dl>\n");
    for (label, value) in &explanation.details {
        entry(&mut page, label, [value]);
    }
    for ability in Ability::ALL {
        let objects = explanation.objects(ability);
        let mut names: Vec<_> = objects.iter().map(|it| it.judgement.object.as_str()).collect();
        names.dedup();
        let text = if names.is_empty() { "nothing more".to_owned() } else { names.join("; ") };
        entry(&mut page, ability.verb(), [&text]);
    }
    page.raw("</dl>\n");
    picture(&mut page, explanation);
    for risk in Risk::ALL {
        let mut grants = explanation.of_risk(risk).peekable();
        if grants.peek().is_some() {
            page.raw("<h2><span class=\"mark ").raw(class(risk)).raw("\">").text(risk.mark());
            page.raw(" ").text(risk.word()).raw("</span> <small>").text(risk.meaning());
            page.raw("</small></h2>\n");
        }
        for one in grants {
            grant(&mut page, one);
        }
    }
    list(&mut page, "What every sandbox of this kind has", &explanation.always);
    let told = explanation.withdrawn.iter();
    let told: Vec<_> =
        told.map(|it| format!("{} by {}", it.what.to_string_lossy(), it.by)).collect();
    list(&mut page, "Taken back, and not granted", &told);
    list(&mut page, "Names that mean nothing here, and grant nothing", &explanation.unknown);
    page.raw("<footer>Made by stockade ").text(env!("CARGO_PKG_VERSION"));
    page.raw(". Files are shown as they are on this machine now.</footer>\n</body>\n</html>\n");
    page.finish()
}

const fn class(risk: Risk) -> &'static str {
    match risk {
        Risk::NoSandbox => "no_sandbox",
        Risk::High => "high",
        Risk::Medium => "some",
        Risk::Low => "little",
    }
}

fn mark(page: &mut Markup, risk: Risk) {
    page.raw("<span class=\"mark ").raw(class(risk)).raw("\">").text(risk.mark());
    page.raw(" ").text(risk.word()).raw("</span>");
}

fn entry<T: AsRef<str>>(page: &mut Markup, label: &str, values: impl IntoIterator<Item = T>) {
    page.raw("<dt>").text(label).raw("</dt>");
    for value in values {
        page.raw("<dd>").text(value.as_ref()).raw("</dd>");
    }
    page.raw("\n");
}

fn list(page: &mut Markup, title: &'static str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    page.raw("<h2>").raw(title).raw("</h2>\n<ul>\n");
    for item in items {
        page.raw("<li>").text(item).raw("</li>\n");
    }
    page.raw("</ul>\n");
}

/// The sandbox with its files inside, and the ways out of it at its wall.
fn picture(page: &mut Markup, explanation: &Explanation) {
    page.raw(
        "<h2>The sandbox <small>its files inside the wall, and the ways through it</small></h2>\n",
    );
    page.raw("<div class=\"picture\">\n<div class=\"inside\"><h3>Files it sees</h3>\n<ul class=\"tree\">\n");
    branch(page, &tree(&explanation.mounts));
    page.raw("</ul>\n</div>\n<div class=\"outside\"><h3>Ways through the wall</h3>\n<ul class=\"doors\">\n");
    for grant in &explanation.grants {
        door(page, grant);
    }
    for closed in explanation.kept_out() {
        page.raw("<li class=\"closed\"><span class=\"use\">closed:</span> <span>");
        page.text(closed).raw("</span></li>\n");
    }
    page.raw("</ul>\n</div>\n</div>\n");
}

fn branch(page: &mut Markup, node: &Node<'_>) {
    page.raw("<li><div class=\"row ").raw(node.mount.map_or("", |mount| kind(mount.access)));
    page.raw("\"><span class=\"path\">").text(&node.name).raw("</span>");
    if let Some(Mount { access, what, risk, .. }) = node.mount {
        page.raw("<span class=\"use\">");
        match (access, what.is_empty()) {
            (_, true) => page.text(access.word()),
            (Use::Private, false) => page.text(what),
            (Use::Read | Use::Write | Use::Hidden | Use::Link, false) => {
                page.text(access.word()).raw(", ").text(what)
            }
        };
        page.raw("</span>");
        if *risk != Risk::Low {
            mark(page, *risk);
        }
    }
    page.raw("</div>");
    if !node.children.is_empty() {
        page.raw("\n<ul>\n");
        for child in &node.children {
            branch(page, child);
        }
        page.raw("</ul>\n");
    }
    page.raw("</li>\n");
}

const fn kind(access: Use) -> &'static str {
    match access {
        Use::Read => "read",
        Use::Write => "write",
        Use::Private => "private",
        Use::Hidden => "hidden",
        Use::Link => "link",
    }
}

/// What is no file is a way through the wall, and so is what is only talked to.
fn door(page: &mut Markup, grant: &Grant) {
    let judgement = &grant.judgement;
    let icon = match grant.thing.kind() {
        Kind::Share => "#share",
        Kind::Socket => "#socket",
        Kind::Files if judgement.abilities == [Ability::Talk] => "#socket",
        Kind::Bus => "#bus",
        Kind::Device => "#device",
        Kind::Files | Kind::Feature | Kind::Policy | Kind::Environment => return,
    };
    page.raw("<li class=\"").raw(class(judgement.risk)).raw("\">");
    page.raw("<svg aria-hidden=\"true\"><use href=\"").raw(icon).raw("\"/></svg><b>");
    page.text(&judgement.object);
    if !grant.conditions.is_empty() {
        page.raw(" <span class=\"use\">only if ").text(grant.conditions.join(" or "));
        page.raw("</span>");
    }
    page.raw("</b>");
    mark(page, judgement.risk);
    page.raw("</li>\n");
}

fn grant(page: &mut Markup, grant: &Grant) {
    let judgement = &grant.judgement;
    page.raw("<section class=\"grant ").raw(class(judgement.risk)).raw("\">\n<h3><code>");
    page.text(grant.thing.option()).raw("</code></h3>\n<p>").text(&judgement.effect);
    page.raw(".</p>\n<dl>\n");
    if !grant.conditions.is_empty() {
        entry(page, "only if", [grant.conditions.join(" or ")]);
    }
    entry(page, "why", [judgement.reason]);
    let sources: Vec<_> = grant.sources.iter().map(ToString::to_string).collect();
    entry(page, "from", [sources.join("; ")]);
    if let Some(advice) = &grant.advice {
        page.raw("<dt>narrower</dt><dd>").text(&advice.words);
        if let Some(command) = &advice.command {
            page.raw("<pre>").text(command).raw("</pre>");
        }
        page.raw("</dd>\n");
    }
    page.raw("</dl>\n</section>\n");
}
