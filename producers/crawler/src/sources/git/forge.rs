//! Hosts of repositories whose addresses are known: how a repository is told, and where its files can be read.

use gix::bstr::ByteSlice;
use gix::remote::Direction;
use url::Url;

/// Where a repository can be read in a browser: host, and what stands between its address and a branch.
const FORGES: &[(&str, &str)] = &[("github.com", "blob"), ("gitlab.com", "-/blob"), ("codeberg.org", "src/branch")];

/// Whether an address is on one of these hosts.
pub(super) fn is_known(url: &Url) -> bool {
    FORGES.iter().any(|(forge, _)| url.host_str() == Some(forge))
}

/// Whether an address is that of a repository on one of these hosts.
pub(super) fn is_repository(url: &Url) -> bool {
    let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).collect();
    let is_feed =
        segments.last().is_some_and(|last| [".atom", ".rss", ".xml", ".json"].iter().any(|end| last.ends_with(end)));
    is_known(url) && segments.len() >= 2 && !is_feed
}

/// Where files can be read in a browser.
pub(super) struct Web {
    /// Ends before the file's path.
    base: Url,
}

impl Web {
    /// Of the repository at `address`, if it is on a known forge.
    pub fn of(address: &str, branch: &str) -> Option<Self> {
        let address = match address.strip_prefix("git@").and_then(|rest| rest.split_once(':')) {
            Some((host, path)) => format!("https://{host}/{path}"),
            None => address.to_owned(),
        };
        let url = Url::parse(&address).ok()?;
        let host = url.host_str()?;
        let (_, files) = FORGES.iter().find(|(forge, _)| *forge == host)?;
        let path = url.path().trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        Some(Self { base: Url::parse(&format!("https://{host}/{path}/{files}/{branch}/")).ok()? })
    }

    /// Where the file at a path can be read.
    pub fn page(&self, path: &str) -> Option<String> {
        let mut page = self.base.clone();
        page.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
        Some(page.into())
    }
}

/// Where a local repository's current branch is published, if it is, as far as the last fetch or push knew.
pub(super) fn published_branch(repository: &gix::Repository) -> Option<Web> {
    let head = repository.head_name().ok()??;
    let branch = head.shorten().to_str().ok()?.to_owned();
    repository.find_reference(format!("refs/remotes/origin/{branch}").as_str()).ok()?;
    let origin = repository.find_remote("origin").ok()?;
    let address = origin.url(Direction::Fetch)?.to_bstring().to_string();
    Web::of(&address, &branch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_on_a_forge_have_a_page() {
        let web = Web::of("https://github.com/ada/engine.git", "main").unwrap();
        assert_eq!(web.page("src/a b.rs").unwrap(), "https://github.com/ada/engine/blob/main/src/a%20b.rs");
        let web = Web::of("git@gitlab.com:ada/tools/engine.git", "trunk").unwrap();
        assert_eq!(web.page("x.py").unwrap(), "https://gitlab.com/ada/tools/engine/-/blob/trunk/x.py");
        assert!(Web::of("https://github.com.evil.example/ada/engine", "main").is_none());
    }

    #[test]
    fn a_repository_is_told_from_a_feed_by_host_and_path() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(is_repository(&url("https://github.com/ada/engine")));
        assert!(!is_repository(&url("https://github.com/ada/engine/releases.atom")));
        assert!(!is_repository(&url("https://github.com/ada")));
        assert!(!is_repository(&url("https://github.com.evil.example/ada/engine")));
    }
}
