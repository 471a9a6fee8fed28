//! Addresses of feeds and of items.

use url::Url;

/// Query parameters that say where a reader came from, not what is read.
const TRACKING: &[&str] = &[
    "source", "ref", "ref_src", "fbclid", "gclid", "dclid", "msclkid", "mc_cid", "mc_eid", "igshid", "yclid", "_hsenc",
];

/// The address without tracking parameters and fragment. One that has neither stays as it is, byte for byte.
pub(super) fn canonical(url: &Url) -> Url {
    let is_tracking = |name: &str| name.starts_with("utm_") || TRACKING.contains(&name);
    let mut canonical = url.clone();
    canonical.set_fragment(None);
    if url.query_pairs().any(|(name, _)| is_tracking(&name)) {
        let kept: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| !is_tracking(name)).collect();
        canonical.set_query(None);
        if !kept.is_empty() {
            canonical.query_pairs_mut().extend_pairs(kept);
        }
    }
    canonical
}

/// The id in `https://medium.com/p/<id>`, Medium's guid: its host is compared as a whole.
pub(super) fn medium_post_id(guid: &Url) -> Option<String> {
    if guid.host_str() != Some("medium.com") {
        return None;
    }
    let id = guid.path().strip_prefix("/p/")?;
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| id.to_owned())
}

/// The address of the feed, where an author gives that of a profile on a platform whose feeds are known.
pub(super) fn of_profile(url: &Url) -> Url {
    let mut feed = url.clone();
    let host = url.host_str().unwrap_or_default();
    let path = url.path().trim_end_matches('/');
    if matches!(host, "medium.com" | "www.medium.com") && path.starts_with("/@") && !path[1..].contains('/') {
        feed.set_path(&format!("/feed{path}"));
        feed.set_query(None);
    } else if path.is_empty() && (host.ends_with(".medium.com") || host.ends_with(".substack.com")) {
        feed.set_path("/feed");
    }
    feed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn tracking_parameters_are_no_part_of_an_address() {
        for (given, expected) in [
            ("https://medium.com/@ada/engines-0123?source=rss-1------2", "https://medium.com/@ada/engines-0123"),
            ("https://ada.example/?p=12&utm_source=x&UTM=1&fbclid=2", "https://ada.example/?p=12&UTM=1"),
            ("https://ada.example/a?b=c%20d#top", "https://ada.example/a?b=c%20d"),
        ] {
            assert_eq!(canonical(&url(given)).as_str(), expected);
        }
    }

    #[test]
    fn mediums_guid_is_its_post_id_and_no_other_host_passes_for_medium() {
        assert_eq!(medium_post_id(&url("https://medium.com/p/0123456789ab")).as_deref(), Some("0123456789ab"));
        assert_eq!(medium_post_id(&url("https://medium.com.evil.example/p/0123456789ab")), None);
        assert_eq!(medium_post_id(&url("https://medium.com/p/not-hex")), None);
    }

    #[test]
    fn a_profile_becomes_its_feed_by_host_and_path() {
        for (given, expected) in [
            ("https://medium.com/@ada", "https://medium.com/feed/@ada"),
            ("https://ada.medium.com/", "https://ada.medium.com/feed"),
            ("https://ada.substack.com", "https://ada.substack.com/feed"),
            ("https://medium.com.evil.example/@ada", "https://medium.com.evil.example/@ada"),
            ("https://ada.example/feed.xml", "https://ada.example/feed.xml"),
        ] {
            assert_eq!(of_profile(&url(given)).as_str(), expected);
        }
    }
}
