//! From bytes to Unicode.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

/// How far a page is searched for the encoding that it declares, bytes (WHATWG HTML, "prescan a byte stream").
const PRESCAN_BYTES: usize = 1024;

/// The text of a file: as its byte order mark says, else UTF-8. Nothing is replaced: the error says what is wrong.
pub(crate) fn strict(bytes: &[u8]) -> Result<String, String> {
    let (encoding, mark) = Encoding::for_bom(bytes).unwrap_or((UTF_8, 0));
    let body = &bytes[mark..];
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) else {
        let at = if encoding == UTF_8 { Encoding::utf8_valid_up_to(body) + mark } else { 0 };
        return Err(format!("not {} text (byte {at}): save it as UTF-8", encoding.name()));
    };
    if text.contains('\0') {
        return Err("binary: it has NUL characters in it".to_owned());
    }
    Ok(text.into_owned())
}

/// The text of an HTML page: by byte order mark, else by what the server says, else by what the page says, else UTF-8.
pub(crate) fn html(bytes: &[u8], content_type: Option<&str>) -> String {
    let declared = content_type.and_then(charset_parameter).or_else(|| prescan(bytes));
    let encoding = declared.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    let (text, _, _) = encoding.decode(bytes);
    text.into_owned()
}

/// The text of an HTML file: UTF-8 or as its byte order mark says, else as the page declares. Nothing is replaced.
pub(crate) fn html_file(bytes: &[u8]) -> Result<String, String> {
    strict(bytes).or_else(|problem| {
        let encoding = prescan(bytes).and_then(|label| Encoding::for_label(label.as_bytes()));
        let text = encoding.and_then(|encoding| encoding.decode_without_bom_handling_and_without_replacement(bytes));
        text.filter(|text| !text.contains('\0')).map(Cow::into_owned).ok_or(problem)
    })
}

/// A feed's bytes as a feed parser wants them: XML that names its encoding as it is (the parser decodes it), anything
/// else in UTF-8.
pub(crate) fn feed<'a>(bytes: &'a [u8], content_type: Option<&str>) -> Cow<'a, [u8]> {
    let start = &bytes[..bytes.len().min(200)];
    let names_encoding = start.starts_with(b"<?xml") && find(start, b"encoding=").is_some();
    let label = content_type.and_then(charset_parameter);
    let encoding = label.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8);
    if names_encoding || (encoding == UTF_8 && Encoding::for_bom(bytes).is_none()) {
        return Cow::Borrowed(bytes);
    }
    let (text, _, _) = encoding.decode(bytes);
    Cow::Owned(text.into_owned().into_bytes())
}

/// The `charset` parameter of a `Content-Type`.
fn charset_parameter(content_type: &str) -> Option<String> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then(|| value.to_owned())
    })
}

/// The encoding that `<meta charset>` or `<meta http-equiv>` names within the first bytes.
fn prescan(bytes: &[u8]) -> Option<String> {
    let head = bytes[..bytes.len().min(PRESCAN_BYTES)].to_ascii_lowercase();
    let mut rest = head.as_slice();
    while let Some(at) = find(rest, b"<meta") {
        rest = &rest[at + 5..];
        let tag = &rest[..find(rest, b">").unwrap_or(rest.len())];
        let Some(at) = find(tag, b"charset=") else { continue };
        let value = &tag[at + 8..];
        let label: Vec<u8> = value
            .iter()
            .copied()
            .skip_while(|byte| matches!(byte, b'"' | b'\'' | b' '))
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.'))
            .collect();
        return String::from_utf8(label).ok().filter(|label| !label.starts_with("utf-16"));
    }
    None
}

fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_decides_and_is_removed() {
        assert_eq!(strict(b"\xEF\xBB\xBFh\xC3\xA9"), Ok("hé".into()));
        assert_eq!(strict(b"\xFF\xFEh\x00\xE9\x00"), Ok("hé".into()));
        assert_eq!(strict(b"\xFE\xFF\x00h\x00\xE9"), Ok("hé".into()));
    }

    #[test]
    fn a_file_in_an_unknown_encoding_is_not_guessed_at() {
        assert!(strict(b"caf\xE9 noir").unwrap_err().contains("byte 3"));
        assert!(strict(b"PK\x00\x03").unwrap_err().contains("binary"));
    }

    #[test]
    fn a_page_is_decoded_by_mark_then_header_then_meta() {
        let latin = b"<html><meta charset='windows-1252'>caf\xE9";
        assert!(html(latin, None).ends_with("café"));
        assert!(html(b"caf\xE9", Some("text/html; charset=\"ISO-8859-1\"")).ends_with("café"));
        assert!(html("\u{feff}café".as_bytes(), Some("text/html; charset=iso-8859-1")).ends_with("café"));
        let http_equiv = b"<META HTTP-EQUIV=\"Content-Type\" CONTENT=\"text/html; charset=iso-8859-2\">\xB1";
        assert!(html(http_equiv, None).ends_with('ą'));
    }

    #[test]
    fn a_feed_that_names_its_encoding_is_left_to_the_parser() {
        let named = b"<?xml version='1.0' encoding='iso-8859-1'?><rss>\xE9</rss>";
        assert_eq!(&*feed(named, Some("application/xml; charset=utf-8")), named);
        let unnamed = feed(b"<rss>\xE9</rss>", Some("application/xml; charset=iso-8859-1"));
        assert_eq!(&*unnamed, "<rss>é</rss>".as_bytes());
    }
}
