//! What is rejected, for which reason, and what only looks as if it should be.

mod support;

use std::time::{Duration, Instant};

use support::{clean_as, raw, rejection};
use twin_cleaner::{Options, RejectionKind, clean};
use twin_schemas::{Category, MediaType};

fn page(title: &str, body: &str) -> String {
    format!("<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>")
}

#[track_caller]
fn assert_rejected(html: &str, expected: RejectionKind) {
    assert_eq!(rejection(MediaType::Html, html), Some(expected), "{html}");
}

#[test]
fn bot_checks_are_rejected_in_their_various_wordings() {
    for (title, body) in [
        (
            "Just a moment...",
            "<div class=main-wrapper><h1>example.com</h1><p>Verifying you are human. This may take a few seconds.</p>
             <div>example.com needs to review the security of your connection before proceeding.</div>
             <noscript>Enable JavaScript and cookies to continue</noscript></div>",
        ),
        ("Just a moment...", "<noscript><p>Enable JavaScript and cookies to continue</p></noscript>"),
        (
            "example.com",
            "<h1>Checking your browser before accessing example.com.</h1><p>This process is automatic. Your \
            browser will \
             redirect to your requested content shortly.</p><p>Please allow up to 5 seconds&hellip;</p>
             <p>DDoS protection by Cloudflare</p><p>Ray ID: 7d1c</p>",
        ),
        (
            "Attention Required! | Cloudflare",
            "<h1>Sorry, you have been blocked</h1><p>You are unable to access \
            blog.net</p>",
        ),
        ("Verify", "<p>Please verify you are human to continue.</p><div class=g-recaptcha></div>"),
        ("Are you a robot?", "<p>We have detected unusual activity from your computer network. Please confirm.</p>"),
    ] {
        assert_rejected(&page(title, body), RejectionKind::Challenge);
    }
}

#[test]
fn sign_in_pages_are_rejected_in_their_various_wordings() {
    for (title, body) in [
        (
            "Sign Up | LinkedIn",
            "<h1>Join LinkedIn</h1><form><input type=email><input type=password><p>By clicking Continue to join \
            or sign in, \
             you agree to LinkedIn's User Agreement, Privacy Policy, and Cookie Policy.</p></form>
             <p>Already on LinkedIn? <a>Sign in</a></p>",
        ),
        (
            "Log in",
            "<form><label>Username</label><input><label>Password</label><input \
            type=password></form><a>Forgot password?</a>",
        ),
        ("Forum", "<p>You must be logged in to view this page. Please log in or create an account.</p>"),
        (
            "Anmelden",
            "<p>Bitte anmelden, um fortzufahren. Noch kein Konto? Jetzt registrieren. Passwort \
            vergessen?</p>",
        ),
    ] {
        assert_rejected(&page(title, body), RejectionKind::Login);
    }
}

#[test]
fn consent_pages_are_rejected_in_several_languages() {
    for body in [
        "<h1>Before you continue to Search</h1><p>We use cookies and data to deliver and maintain services.</p>
         <p>If you choose to “Accept all”, we will also use cookies and data to personalise.</p><p>Accept all. \
         Reject all. More options</p>",
        "<p>Wir und unsere Partner verwenden Cookies, um Inhalte zu personalisieren.</p><p>Alle \
            akzeptieren</p><p>Alle ablehnen</p>
         <p>Datenschutzerklärung</p>",
        "<p>Nous et nos partenaires utilisons des cookies.</p><p>Tout accepter</p><p>Tout refuser</p><p>Continuer \
            sans accepter</p>",
        "<p>Utilizamos cookies propias y de terceros.</p><p>Aceptar todo</p><p>Rechazar todo</p><p>Política de \
            cookies</p>",
    ] {
        assert_rejected(&page("Example", body), RejectionKind::Consent);
    }
}

#[test]
fn a_teaser_is_rejected_as_a_paywall() {
    let teaser = "<p>The first time I saw a quorum fail I was sure that it was my own mistake.</p>";
    assert_rejected(
        &page("Quorums", &format!("{teaser}<p>This post is for paid subscribers</p>")),
        RejectionKind::Paywall,
    );
    let medium =
        format!("<div class=medium-feed-item><p>{teaser}</p><p><a href=x>Continue reading on Medium »</a></p></div>");
    assert_rejected(&medium, RejectionKind::Paywall);
}

#[test]
fn articles_about_walls_pass() {
    let paragraph = "<p>Just a moment: the page wants to verify you are human. Checking your browser before \
        accessing the \
        site is what Cloudflare calls it, and a captcha follows. To log in you sign in with a password, accept \
        all cookies \
        and subscribe to read. I measured how often each of these happens to an ordinary reader over a month, and \
        how much \
        of that time was spent on pages that the reader had paid for already, which turned out to be most of it.</p>";
    let body = format!("<article><h1>Verify you are human</h1>{}</article>", paragraph.repeat(6));
    assert_eq!(rejection(MediaType::Html, &page("Checking your browser: a study | My blog", &body)), None);
    assert_eq!(rejection(MediaType::Html, &paragraph.repeat(6)), None);
    assert_eq!(rejection(MediaType::Markdown, &paragraph.repeat(6).replace("<p>", "").replace("</p>", "\n\n")), None);
}

#[test]
fn a_short_page_with_a_cookie_banner_and_a_sign_in_link_passes() {
    let body =
        "<nav><a>Home</a><a>Sign in</a></nav><article><h1>Small news</h1><p>I finished the second chapter this week \
        and started to draw the maps for the third one, which is set in Lisbon.</p></article>
        <div class=cookie-consent>We use cookies. Accept all. Reject all. Cookie policy.</div>";
    assert_eq!(rejection(MediaType::Html, &page("Small news", body)), None);
}

#[test]
fn a_tiny_real_note_is_fine_and_an_empty_document_is_not() {
    assert_eq!(rejection(MediaType::Markdown, "Done."), None);
    assert_eq!(rejection(MediaType::Text, "🎉"), None);
    assert_eq!(rejection(MediaType::Text, " \n\u{200b}\n"), Some(RejectionKind::Empty));
    assert_eq!(rejection(MediaType::Markdown, "<!-- nothing -->\n---\n"), Some(RejectionKind::Empty));
    assert_eq!(rejection(MediaType::Html, "<div><p>Only four words here</p></div>"), Some(RejectionKind::Empty));
    assert!(clean_as(Category::Post, MediaType::Html, "<p>Four words are fine</p>").is_ok());
    assert!(clean_as(Category::Code, MediaType::Text, "").is_ok());
}

#[test]
fn bytes_that_are_no_text_are_rejected() {
    assert_eq!(rejection(MediaType::Text, &"a\u{fffd}\u{1}".repeat(50)), Some(RejectionKind::NotText));
}

#[test]
fn a_nesting_bomb_is_rejected_at_once() {
    let started = Instant::now();
    for bomb in ["<ul><li>", "<div><p>", "<b><i>", "<table><tr><td>", "<svg><style><ul><li>"] {
        let html = bomb.repeat(512 * 1024 / bomb.len());
        let kind = rejection(MediaType::Html, &html);
        assert!(matches!(kind, Some(RejectionKind::TooDeep | RejectionKind::TooLarge)), "{bomb}: {kind:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_bomb_that_hides_from_the_scan_ends_at_the_deadline() {
    let hidden = format!("<script><!--<script></script><!--</script>{}", "<ul><li>".repeat(64 * 1024));
    let started = Instant::now();
    let options = Options { deadline_ms: 1000, ..Options::default() };
    let verdict = clean(&raw(Category::Article, MediaType::Html, "n", &hidden), &options);
    let kind = verdict.err().map(|rejection| rejection.kind);
    assert!(matches!(kind, Some(RejectionKind::TooDeep | RejectionKind::TooSlow)), "{kind:?}");
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
}

#[test]
fn ten_megabytes_on_one_line_are_rejected_or_handled_as_configured() {
    let words = "lorem ipsum [link](x) `code` <b>dolor</b> ".repeat(10 * 1024 * 1024 / 42);
    assert_eq!(rejection(MediaType::Markdown, &words), Some(RejectionKind::TooLarge));
    let options = Options { max_bytes: 16 << 20, max_tags: 1_000_000, deadline_ms: 60_000, ..Options::default() };
    for media_type in [MediaType::Markdown, MediaType::Text, MediaType::Html] {
        let started = Instant::now();
        let cleaned = clean(&raw(Category::Article, media_type, "n", &words), &options).unwrap();
        assert!(cleaned.text.len() > 5 << 20);
        assert!(started.elapsed() < Duration::from_secs(30), "{media_type:?}: {:?}", started.elapsed());
    }
}
