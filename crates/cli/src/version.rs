//! What this binary is made of.

/// `0.1.0 (0123456789ab)`, as far as it is known.
pub(crate) fn short() -> String {
    match COMMIT {
        "" => VERSION.to_owned(),
        commit => format!("{VERSION} ({commit})"),
    }
}

/// For `--version`: a line for each fact. What the build could not know is left out.
pub(crate) fn long() -> String {
    let facts = [
        ("commit", COMMIT),
        ("rustls", env!("PORTCULLIS_BUILT_RUSTLS")),
        ("aws-lc-rs", env!("PORTCULLIS_BUILT_AWS_LC_RS")),
        ("aws-lc-sys", env!("PORTCULLIS_BUILT_AWS_LC_SYS")),
        ("target", env!("PORTCULLIS_BUILT_TARGET")),
        ("profile", env!("PORTCULLIS_BUILT_PROFILE")),
        // there are none to choose yet, and saying so tells more than silence
        ("features", if FEATURES.is_empty() { "none" } else { FEATURES }),
    ];
    let known = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let lines = known.map(|(name, value)| format!("\n{name:<11} {value}"));
    format!("{VERSION}{}", lines.collect::<String>())
}

const VERSION: &str = env!("CARGO_PKG_VERSION");
const COMMIT: &str = env!("PORTCULLIS_BUILT_COMMIT");
const FEATURES: &str = env!("PORTCULLIS_BUILT_FEATURES");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_are_those_of_the_lock_file() {
        let lock = include_str!("../../../Cargo.lock");
        for (package, built) in [
            ("rustls", env!("PORTCULLIS_BUILT_RUSTLS")),
            ("aws-lc-rs", env!("PORTCULLIS_BUILT_AWS_LC_RS")),
        ] {
            assert!(lock.contains(&format!("name = \"{package}\"\nversion = \"{built}\"\n")));
            assert!(long().contains(&format!("\n{package:<11} {built}\n")), "{}", long());
        }
    }
}
