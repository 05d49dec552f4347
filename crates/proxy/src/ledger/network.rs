//! Addresses, as exact as the configuration lets them be kept.
use crate::plan::LedgerAddresses;
use portcullis_tls::fingerprint::pseudonym;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bits of the networks that clients are known by (SPEC 1, issue 7): what a provider gives to one customer or street.
const V4_NETWORK: u32 = 24;
const V6_NETWORK: u32 = 48;
/// Bits that are one host in IPv6, which takes a new address each day.
const V6_HOST: u32 = 64;

/// What of an address makes a client another one.
pub(super) fn told_apart(address: IpAddr, addresses: LedgerAddresses) -> IpAddr {
    match addresses {
        LedgerAddresses::Prefix | LedgerAddresses::None => network(address),
        LedgerAddresses::Hash => masked(address, 32, V6_HOST),
        LedgerAddresses::Full => address.to_canonical(),
    }
}

/// The network of an address.
pub(super) fn network(address: IpAddr) -> IpAddr {
    masked(address, V4_NETWORK, V6_NETWORK)
}

/// What is kept of an address.
pub(super) fn text(address: Option<IpAddr>, addresses: LedgerAddresses, secret: &[u8; 32]) -> String {
    let Some(address) = address.map(|address| told_apart(address, addresses)) else {
        return String::new();
    };
    match addresses {
        LedgerAddresses::None => String::new(),
        LedgerAddresses::Full => address.to_string(),
        LedgerAddresses::Hash => format!("#{}", pseudonym(secret, address.to_string().as_bytes())),
        LedgerAddresses::Prefix => match address {
            IpAddr::V4(_) => format!("{address}/{V4_NETWORK}"),
            IpAddr::V6(_) => format!("{address}/{V6_NETWORK}"),
        },
    }
}

fn masked(address: IpAddr, v4: u32, v6: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - v4).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - v6).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_an_address_is_what_the_configuration_says() {
        let (v4, mapped) = ("192.0.2.77", "::ffff:192.0.2.77");
        let v6 = "2001:db8:1:2:3:4:5:6";
        let table = [
            (LedgerAddresses::Prefix, v4, "192.0.2.0/24"),
            (LedgerAddresses::Prefix, mapped, "192.0.2.0/24"),
            (LedgerAddresses::Prefix, v6, "2001:db8:1::/48"),
            (LedgerAddresses::Full, v4, v4),
            (LedgerAddresses::Full, mapped, v4),
            (LedgerAddresses::Full, v6, v6),
            (LedgerAddresses::None, v4, ""),
        ];
        for (addresses, address, kept) in table {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(text(Some(address), addresses, &[0; 32]), kept);
        }
        assert_eq!(text(None, LedgerAddresses::Full, &[0; 32]), "");
    }

    #[test]
    fn a_hash_tells_hosts_apart_and_not_the_addresses_of_one() {
        let hash = |address: &str| text(Some(address.parse().unwrap()), LedgerAddresses::Hash, &[7; 32]);
        assert_ne!(hash("192.0.2.77"), hash("192.0.2.78"));
        assert_eq!(hash("2001:db8:1:2:3:4:5:6"), hash("2001:db8:1:2::1"));
        assert_ne!(hash("2001:db8:1:2::1"), hash("2001:db8:1:3::1"));
        assert!(hash("192.0.2.77").starts_with('#') && hash("192.0.2.77").len() == 17);
    }
}
