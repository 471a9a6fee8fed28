//! Which addresses may be asked. A registered source, an item's link or a redirect must not lead the crawler into the
//! network that it runs in (server-side request forgery, CWE-918).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::Error;

/// Address ranges that are not the public internet: the IANA special-purpose registries (RFC 6890), and those that
/// carry another address inside (mapped, NAT64, 6to4, Teredo). IPv4 is written as mapped into IPv6.
const SPECIAL: &[(Ipv6Addr, u32)] = &[
    (v4(0, 0, 0, 0), 96 + 8),
    (v4(10, 0, 0, 0), 96 + 8),
    (v4(100, 64, 0, 0), 96 + 10),
    (v4(127, 0, 0, 0), 96 + 8),
    (v4(169, 254, 0, 0), 96 + 16),
    (v4(172, 16, 0, 0), 96 + 12),
    (v4(192, 0, 0, 0), 96 + 24),
    (v4(192, 0, 2, 0), 96 + 24),
    (v4(192, 88, 99, 0), 96 + 24),
    (v4(192, 168, 0, 0), 96 + 16),
    (v4(198, 18, 0, 0), 96 + 15),
    (v4(198, 51, 100, 0), 96 + 24),
    (v4(203, 0, 113, 0), 96 + 24),
    (v4(224, 0, 0, 0), 96 + 4),
    (v4(240, 0, 0, 0), 96 + 4),
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

const fn v4(a: u8, b: u8, c: u8, d: u8) -> Ipv6Addr {
    std::net::Ipv4Addr::new(a, b, c, d).to_ipv6_mapped()
}

/// Whether an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    let (bits, mapped_v6) = match address {
        IpAddr::V4(address) => (address.to_ipv6_mapped().to_bits(), false),
        IpAddr::V6(address) => (address.to_bits(), address.to_ipv4_mapped().is_some()),
    };
    let special = SPECIAL.iter().any(|(network, length)| (bits ^ network.to_bits()) >> (128 - length) == 0);
    !special && !mapped_v6
}

/// Which part of the network a request may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses.
    Public,
    /// Any address: the operator listed this host.
    Any,
}

/// Decides which addresses may be asked.
#[derive(Debug, Clone)]
pub struct Guard {
    allowed: Arc<[String]>,
}

impl Guard {
    /// A guard that lets only these hosts (`host` or `host:port`) be private.
    pub fn new(allow_private_hosts: &[String]) -> Self {
        Self { allowed: allow_private_hosts.iter().map(|host| host.to_ascii_lowercase()).collect() }
    }

    /// What a source at this address may reach at its own host.
    pub fn reach(&self, source: &Url) -> Reach {
        let Some(host) = source.host_str() else {
            return Reach::Public;
        };
        let with_port = source.port_or_known_default().map(|port| format!("{host}:{port}"));
        let listed = self.allowed.iter().any(|entry| entry == host || Some(entry) == with_port.as_ref());
        if listed { Reach::Any } else { Reach::Public }
    }

    /// Checks one hop of a request that was made for `source`, before a byte is sent, and says which addresses its
    /// host may resolve to.
    pub fn check(&self, hop: &Url, source: Reach) -> Result<Reach, Error> {
        let refused = |problem: &str| Error::Refused { url: without_secrets(hop), problem: problem.to_owned() };
        if !matches!(hop.scheme(), "http" | "https") {
            return Err(refused("only http and https addresses are asked"));
        }
        if !hop.username().is_empty() || hop.password().is_some() {
            return Err(refused("an address with a user name or password in it is not asked"));
        }
        // A listed host is for the sources at listed hosts: a feed elsewhere can not redirect or link into it.
        let reach = if source == Reach::Any { self.reach(hop) } else { Reach::Public };
        let literal = match hop.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(refused("it names no host")),
        };
        match literal {
            Some(address) if reach == Reach::Public && !is_public(address) => {
                Err(refused(&format!("{address} is not a public address; {ALLOW}")))
            }
            _ => Ok(reach),
        }
    }
}

const ALLOW: &str = "list the source's host in http.allow_private_hosts if it should be read";

/// The address without user name and password, for messages.
pub(crate) fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for addresses that can not have a user name, which then have none.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.into()
}

/// A resolver that gives only addresses that may be asked. The connection is made to exactly these, so a second
/// answer of the name server can not slip another one in (DNS rebinding).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolver(pub Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed = filter(found, reach).ok_or_else(|| format!("{host} has no public address; {ALLOW}"))?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn filter(found: Vec<SocketAddr>, reach: Reach) -> Option<Vec<SocketAddr>> {
    let allowed: Vec<_> = found.into_iter().filter(|address| reach == Reach::Any || is_public(address.ip())).collect();
    (!allowed.is_empty()).then_some(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn is_refused(guard: &Guard, hop: &str, source: &str) -> bool {
        guard.check(&url(hop), guard.reach(&url(source))).is_err()
    }

    #[test]
    fn the_first_and_last_address_of_each_special_range_is_not_public() {
        let addresses = "0.0.0.0 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 \
             127.255.255.255 169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 \
             192.0.0.255 192.0.2.1 192.88.99.1 192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 \
             198.51.100.7 203.0.113.7 224.0.0.1 239.255.255.255 240.0.0.0 255.255.255.255 :: ::1 ::7f00:1 \
             ::ffff:8.8.8.8 ::ffff:127.0.0.1 64:ff9b::808:808 64:ff9b:1::1 100::1 2001::1 2001:1ff:ffff::1 \
             2001:db8::1 2002:7f00:1:: 3fff::1 5f00::1 fc00::1 fdff:ffff::1 fe80::1 febf::1 fec0::1 ff02::1";
        for address in addresses.split(' ') {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_neighbours_of_the_special_ranges_are_public() {
        let addresses = "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
             169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.167.255.255 192.169.0.0 \
             198.17.255.255 198.20.0.0 223.255.255.255 2001:200::1 2001:db9::1 2003::1 2606:4700::1111 \
             2a00:1450::1";
        for address in addresses.split(' ') {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_literal_address_is_refused_however_it_is_written() {
        let guard = Guard::new(&[]);
        let addresses = "http://127.0.0.1/ http://2130706433/ http://0x7f.1/ http://0177.0.0.1/ http://[::1]/ \
             http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]:8080/ \
             http://169.254.169.254/latest/meta-data/";
        for hop in addresses.split(' ') {
            assert!(is_refused(&guard, hop, "https://example.org/feed"), "{hop}");
        }
        assert!(!is_refused(&guard, "https://93.184.215.14/", "https://example.org/feed"));
    }

    #[test]
    fn only_http_without_a_password_is_asked() {
        let guard = Guard::new(&[]);
        for hop in ["ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "https://me:pw@example.org/"] {
            assert!(is_refused(&guard, hop, "https://example.org/feed"), "{hop}");
        }
        let error = guard.check(&url("https://me:secret@example.org/"), Reach::Public).unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }

    #[test]
    fn a_listed_host_is_reached_only_at_its_port_and_only_by_sources_at_listed_hosts() {
        let guard = Guard::new(&["127.0.0.1:8080".into(), "10.1.1.1".into()]);
        let listed = "http://127.0.0.1:8080/feed";
        assert!(!is_refused(&guard, "http://127.0.0.1:8080/post", listed));
        assert!(!is_refused(&guard, "http://10.1.1.1:9/", listed));
        assert!(is_refused(&guard, "http://127.0.0.1:9090/", listed));
        assert!(is_refused(&guard, "http://127.0.0.1:8080/post", "https://example.org/feed"));
    }

    #[test]
    fn a_name_that_resolves_to_private_addresses_only_is_refused() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        assert_eq!(filter(addresses(&["10.0.0.1:0", "[::1]:0"]), Reach::Public), None);
        let mixed = addresses(&["10.0.0.1:0", "93.184.215.14:0"]);
        assert_eq!(filter(mixed.clone(), Reach::Public), Some(addresses(&["93.184.215.14:0"])));
        assert_eq!(filter(mixed.clone(), Reach::Any), Some(mixed));
    }
}
