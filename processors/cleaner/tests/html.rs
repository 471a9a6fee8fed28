//! HTML to text: one golden for each rule.

mod support;

use support::{html, markdown};

/// The text of a fragment; cleaning it again must change nothing.
#[track_caller]
fn assert_text(input: &str, expected: &str) {
    let text = html(input).text;
    assert_eq!(text, expected);
    assert_eq!(markdown(&text).text, expected, "cleaned again");
}

#[test]
fn a_medium_export_keeps_code_lines_and_loses_the_footer() {
    let page = r#"<!DOCTYPE html><html><head><title>Ownership, twice</title></head><body><article class="h-entry">
<header><h1 class="p-name">Ownership, twice</h1></header>
<section data-field="subtitle" class="p-summary">A subtitle</section>
<section data-field="body" class="e-content"><section class="section section--body"><div class="section-content">
<p class="graf graf--p">It&#x2019;s <strong>simple</strong>, <em>really</em>: see
<a href="https://doc.rust-lang.org">the book</a>.</p>
<h3 class="graf graf--h3">Moves</h3>
<pre class="graf graf--pre">fn main() {<br>    let a = vec![1];<br><br>    let b = a;<br>}</pre>
<figure><img src="x.png"><figcaption>The borrow checker &amp; me</figcaption></figure>
</div></section></section>
<footer><p>By <a class="p-author h-card" href="https://medium.com/@j">J</a> on <time>August 11, 2018</time>.</p>
<p>Exported from <a href="https://medium.com">Medium</a> on September 21, 2018.</p></footer></article></body></html>"#;
    let cleaned = html(page);
    assert_eq!(
        cleaned.text,
        "It’s simple, really: see the book.\n\n### Moves\n\n```\nfn main() {\n    let a = vec![1];\n\n    let b = \
            a;\n}\n```\
         \n\nThe borrow checker & me"
    );
    assert_eq!(cleaned.meta.title.as_deref(), Some("Ownership, twice"));
}

#[test]
fn a_medium_feed_item_loses_its_publication_footer() {
    assert_text(
        "<p>What I learned about queues this year.</p><hr><p><a href=\"https://medium.com/p\">Queues</a> was \
            originally \
         published in <a href=\"x\">The Startup</a> on Medium, where people are continuing the conversation by \
         highlighting and responding to this story.</p><img src=\"https://medium.com/_/stat?event=x\" width=1>",
        "What I learned about queues this year.",
    );
}

#[test]
fn a_substack_body_keeps_captions_and_loses_widgets() {
    assert_text(
        r#"<p>Hello, readers of the letter.</p>
<div class="captioned-image-container"><figure><a class="image-link" href="https://cdn"><div class="image2-inset">
<picture><img src="a.png" alt="raw file name"></picture><div class="image-link-expand"><svg></svg></div></div></a>
<figcaption class="image-caption">Dresden at night</figcaption></figure></div>
<div class="subscription-widget-wrap" data-attrs="{}"><div class="preamble"><p>Thanks for reading! Subscribe.</p></div>
<form><input type="email"><input type="submit"></form></div>
<p class="button-wrapper"><a class="button primary" href="https://x/subscribe"><span>Subscribe now</span></a></p>
<div class="pencraft"><button>Copy link</button></div>
<h2>Why I moved</h2><p>Because of the&nbsp;light.</p>"#,
        "Hello, readers of the letter.\n\nDresden at night\n\n## Why I moved\n\nBecause of the light.",
    );
}

#[test]
fn tables_keep_their_cells() {
    assert_text(
        "<table><caption>Speeds</caption><thead><tr><th>Engine<th>Rows a second</thead>
         <tr><td>SQL|ite</td><td><b>10,000</b><br>at rest</td></tr><tr><td colspan=2>fast \
         <code>a|b</code></td></tr></table>",
        "Speeds\n\n| Engine | Rows a second |\n| --- | --- |\n| SQL\\|ite | 10,000 at rest |\n| fast `a\\|b` |  |",
    );
}

#[test]
fn nested_lists_keep_their_order_and_numbers() {
    assert_text(
        "<ol start=3><li>three<ul><li>a</li><li><p>b</p><p>more</p></li></ul></li><li>four
         <pre><code class='language-rust'>let x = 1;\n\n  x\n</code></pre></li></ol>",
        "3. three\n   - a\n   - b\n\n     more\n4. four\n\n   ```rust\n   let x = 1;\n\n     x\n   ```",
    );
}

#[test]
fn code_keeps_its_white_space_and_its_language() {
    assert_text(
        "<div class='highlight highlight-source-python'><pre>def f():\n\treturn  1 \n\n\n\nf()</pre></div>
         <pre data-lang=go><span class=lineno>1</span>x := \"&lt;b&gt; <!-- --> ```\"</pre>",
        "```python\ndef f():\n\treturn  1 \n\n\n\nf()\n```\n\n````go\nx := \"<b>  ```\"\n````",
    );
}

#[test]
fn line_number_columns_beside_code_are_dropped() {
    assert_text(
        "<figure class=highlight><table><tr><td class=gutter><pre>1<br>2</pre></td>
         <td class=code><pre>a<br>b</pre></td></tr></table></figure>",
        "```\na\nb\n```",
    );
}

#[test]
fn inline_code_quotes_and_rules_are_kept() {
    assert_text(
        "<p>Use <code>x`y</code> and \
            <kbd>Ctrl</kbd>.</p><blockquote><p>said</p><p>she</p></blockquote><hr><p>a<br>b</p>",
        "Use ``x`y`` and `Ctrl`.\n\n> said\n>\n> she\n\n---\n\na\nb",
    );
}

#[test]
fn a_link_from_a_heading_to_itself_is_dropped() {
    assert_text("<h2 id=a><a href='#a'>The end</a> <a href='#a'>#</a></h2><p>text</p>", "## The end\n\ntext");
}

#[test]
fn images_become_their_alternative_text_where_they_have_one() {
    assert_text("<p>See!<img alt='A  graph' src=a> and <img src=b alt=''>this.</p>", "See! [A graph] and this.");
}

#[test]
fn hidden_text_is_dropped() {
    assert_text(
        "<p>seen</p><p style='display: none'>1</p><p style='visibility:hidden'>2</p><p hidden>3</p>
         <span aria-hidden=true>4</span><i style='font-size:0px'>5</i><i style='opacity: 0'>6</i><!-- 7 -->
         <template>8</template><noscript>9</noscript><svg><text>10</text></svg>\u{200b}\u{e0049}",
        "seen",
    );
}

#[test]
fn text_that_looks_like_markup_is_text() {
    assert_text(
        "<p># not a heading</p><p>use &lt;b&gt; and &lt;!-- this --&gt; with ![a](b), Vec&lt;T&gt;</p><p>```rust</p>",
        "\\# not a heading\n\nuse \\<b> and \\<!-- this --> with \\![a](b), Vec<T>\n\n\\```rust",
    );
}

#[test]
fn entities_are_decoded_once() {
    assert_text("<p>AT&amp;amp;T &#8212; &eacute;</p>", "AT&amp;T — é");
}

const PARAGRAPH: &str = "<p>Replication logs are ordered, and that order is the whole point of having one: two readers \
    that start from the same place see the same history, whatever happens between them and however late they come.</p>";

fn page(title: &str, body: &str) -> String {
    format!("<html><head><title>{title}</title></head><body>{body}</body></html>")
}

#[test]
fn the_main_content_of_a_page_is_found_and_what_is_around_it_is_not() {
    let body = format!(
        "<header class=site><a href=/>My Site</a></header><nav><a href=/a>Archive</a></nav>
         <div class=post><h1>On logs</h1>{}<ul><li>ordered</li><li>durable</li></ul><pre>a<br><br>b</pre>
         <div class='share-buttons'><a>Share on X</a></div></div>
         <div id=comments><p>Great post, thank you so much for writing it, I learned a lot!</p></div>
         <aside>About the author</aside><div class=cookie-banner>We use cookies</div><footer>Copyright 2026</footer>",
        PARAGRAPH.repeat(4)
    );
    let cleaned = html(&page("On logs | My Site", &body));
    assert_eq!(cleaned.meta.title.as_deref(), Some("On logs"));
    assert_eq!(cleaned.language.as_deref(), Some("eng"));
    for kept in ["Replication logs", "- ordered\n- durable", "```\na\n\nb\n```"] {
        assert!(cleaned.text.contains(kept), "{kept} is lost: {}", cleaned.text);
    }
    for noise in ["Share on", "Archive", "Great post", "About the author", "cookies", "Copyright"] {
        assert!(!cleaned.text.contains(noise), "{noise} is kept: {}", cleaned.text);
    }
}

#[test]
fn a_form_or_layout_class_around_the_whole_page_does_not_cost_the_page() {
    let body = format!("<form id=aspnet><div class='pencraft social'>{}</div></form>", PARAGRAPH.repeat(3));
    assert_eq!(html(&page("Logs", &body)).text.matches("Replication").count(), 3);
}

#[test]
fn a_short_page_is_taken_whole() {
    let text = html(&page("A note", "<article><h1>A note</h1><p>Six words are enough for this.</p></article>")).text;
    assert!(text.contains("Six words are enough for this."), "{text}");
}

#[test]
fn the_title_of_the_source_wins() {
    let mut raw = support::raw(
        twin_schemas::Category::Post,
        twin_schemas::MediaType::Html,
        "n",
        &page("Page title", "<p>text of the page</p>"),
    );
    let options = twin_cleaner::Options::default();
    assert_eq!(twin_cleaner::clean(&raw, &options).unwrap().meta.title.as_deref(), Some("Page title"));
    raw.meta.title = Some("Feed  title".into());
    assert_eq!(twin_cleaner::clean(&raw, &options).unwrap().meta.title.as_deref(), Some("Feed title"));
}
