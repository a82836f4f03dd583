//! Where this machine ends. Whoever is spoken to, and whoever is asked for a name, hears what is in it: a file's text fits into a name.

use core::net::IpAddr;

pub const WHY: &str = "names another machine, or a name to ask for: what is in it goes out";

/// Is this machine all that is named? A name, an address, `host:port`, a URL, or a list of them.
pub fn here(text: &str) -> bool {
    text.split(',').all(one)
}

fn one(text: &str) -> bool {
    let address = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let text = address.map_or(text, |rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
    // Erlang's way to name a node of this machine.
    let text = text.strip_prefix("rabbit@").unwrap_or(text);
    let host = host(text);
    host.eq_ignore_ascii_case("localhost") || host == "ip6-localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Without the port.
pub fn host(text: &str) -> &str {
    let port = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '*' | '-'));
    if let Some((host, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return if rest.is_empty() || rest.strip_prefix(':').is_some_and(port) { host } else { text };
    }
    match text.split_once(':') {
        Some((host, behind)) if port(behind) => host,
        _ => text,
    }
}

/// An address in digits, a net, a port: nobody is asked what it is.
pub fn in_digits(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    let host = host(address);
    let plain = host.is_empty() || host == "*" || host.parse::<IpAddr>().is_ok() || host.bytes().all(|c| c.is_ascii_digit());
    plain && bits.bytes().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_own_names_and_nothing_else() {
        for here in [
            "localhost",
            "LOCALHOST:443",
            "127.0.0.1",
            "127.3.2.1:80",
            "::1",
            "[::1]",
            "[::1]:443",
            "http://localhost:9090/x?y#z",
            "https://127.0.0.1",
            "localhost:9092,127.0.0.1:9093",
            "rabbit@localhost",
        ] {
            assert!(super::here(here), "{here}");
        }
        for away in [
            "",
            "db-1",
            "10.0.0.5",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.evil.example",
            "127.999.1.1",
            "localhost@evil.example",
            "evil.example@localhost",
            "http://evil.example/localhost",
            "ftp://localhost/",
            "localhost,evil.example",
            "[::1].evil.example",
            "[evil.example]",
            "::ffff:10.0.0.5",
            "/localhost",
            "local\u{212a}host",
        ] {
            assert!(!super::here(away), "{away}");
        }
    }

    #[test]
    fn digits_are_asked_of_nobody() {
        for digits in ["10.0.0.5", "10.0.0.5:443", "10.0.0.0/8", "fe80::1", "[fe80::1]:22", ":443", ":https", "*:443", "443", "*"] {
            assert!(in_digits(digits), "{digits}");
        }
        for name in ["db-1", "bad.cafe", "bad.cafe:443", "10.0.0.evil.example", "10.0.0.0/x", "1.2.3.4.5"] {
            assert!(!in_digits(name), "{name}");
        }
    }
}
