//! `portcullis groups`: the tables of groups, signatures and profiles, generated from the code that uses them.
use portcullis_probe::table;
use portcullis_tls::{
    policy::Policy,
    profile::{ChainRule, Overrides, Profile, Settings},
};
use portcullis_wire::registry::{Group, Scheme, Standing};
use serde::Serialize;

/// Everything that `portcullis groups --json` says.
#[derive(Debug, Serialize)]
pub(crate) struct Tables {
    groups: Vec<GroupRow>,
    signatures: Vec<SignatureRow>,
    profiles: Vec<ProfileRow>,
}

#[derive(Debug, Serialize)]
struct GroupRow {
    name: &'static str,
    id: String,
    key_exchange: &'static str,
    level: u8,
    client_share: usize,
    server_share: usize,
    offered: &'static str,
    instead: Option<&'static str>,
    aliases: &'static [&'static str],
}

#[derive(Debug, Serialize)]
struct SignatureRow {
    name: &'static str,
    id: String,
    key: &'static str,
    level: u8,
    public_key: usize,
    signature: usize,
    versions: Vec<&'static str>,
    offered: &'static str,
}

#[derive(Debug, Serialize)]
struct ProfileRow {
    name: &'static str,
    #[serde(flatten)]
    setting: Setting,
}

/// What a profile stands for, or why this build cannot.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Setting {
    Works {
        versions: Vec<&'static str>,
        groups: Vec<String>,
        certificates: &'static str,
        policy: PolicyRow,
    },
    Refused {
        error: String,
    },
}

#[derive(Debug, Serialize)]
struct PolicyRow {
    key_exchange: &'static str,
    authentication: &'static str,
}

/// The tables as values.
pub(crate) fn tables() -> Tables {
    Tables {
        groups: Group::all().iter().map(GroupRow::new).collect(),
        signatures: Scheme::all().iter().map(SignatureRow::new).collect(),
        profiles: Profile::all().iter().map(ProfileRow::new).collect(),
    }
}

/// The tables for people.
pub(crate) fn text() -> String {
    let tables = tables();
    let ours = |row: &&GroupRow| row.offered != NEVER;
    let groups = tables.groups.iter().filter(ours).map(GroupRow::cells);
    let known = tables.groups.len() - groups.clone().count();
    let ours = |row: &&SignatureRow| row.offered != NEVER;
    let signatures = tables.signatures.iter().filter(ours).map(SignatureRow::cells);
    let profiles = tables.profiles.iter().map(ProfileRow::cells);
    [
        "Groups for the key exchange; shares in bytes\n\n".to_owned(),
        section(&GROUP_HEADINGS, groups),
        format!("\n{known} more are known by name and never offered; `--json` lists them\n"),
        "\nSignatures; sizes in bytes, of RSA for a 2048-bit key\n\n".to_owned(),
        section(&SIGNATURE_HEADINGS, signatures),
        "\nProfiles\n\n".to_owned(),
        section(&PROFILE_HEADINGS, profiles),
    ]
    .concat()
}

const GROUP_HEADINGS: [&str; 7] = [
    "group",
    "id",
    "key exchange",
    "level",
    "client share",
    "server share",
    "offered",
];
const SIGNATURE_HEADINGS: [&str; 7] = [
    "signature",
    "id",
    "key",
    "level",
    "public key",
    "signature size",
    "versions",
];
const PROFILE_HEADINGS: [&str; 5] = ["profile", "versions", "policy", "certificates", "groups"];

fn section(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let headings = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let lines: Vec<Vec<String>> = std::iter::once(headings).chain(rows).collect();
    table::aligned(&lines)
}

impl GroupRow {
    fn new(group: &Group) -> GroupRow {
        GroupRow {
            name: group.name,
            id: hex(group.id.0),
            key_exchange: group.class.as_str(),
            level: group.level,
            client_share: group.client_share,
            server_share: group.server_share,
            offered: offered(group.standing),
            instead: (group.standing == Standing::Never).then_some(group.instead),
            aliases: group.aliases,
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_owned(),
            self.id.clone(),
            self.key_exchange.to_owned(),
            level(self.level),
            self.client_share.to_string(),
            self.server_share.to_string(),
            self.offered.to_owned(),
        ]
    }
}

impl SignatureRow {
    fn new(scheme: &Scheme) -> SignatureRow {
        let versions = [("1.3", scheme.tls13), ("1.2", scheme.tls12)];
        SignatureRow {
            name: scheme.name,
            id: hex(scheme.id.0),
            key: scheme.key.as_str(),
            level: scheme.level,
            public_key: scheme.public_key,
            signature: scheme.signature,
            versions: versions
                .into_iter()
                .filter_map(|(version, usable)| usable.then_some(version))
                .collect(),
            offered: offered(scheme.standing),
        }
    }

    fn cells(&self) -> Vec<String> {
        vec![
            self.name.to_owned(),
            self.id.clone(),
            self.key.to_owned(),
            level(self.level),
            self.public_key.to_string(),
            self.signature.to_string(),
            self.versions.join(", "),
        ]
    }
}

impl ProfileRow {
    fn new(profile: &Profile) -> ProfileRow {
        let setting = match profile.settings(&Overrides::default()) {
            Ok(settings) => Setting::works(&settings, profile.policy()),
            Err(error) => Setting::Refused {
                error: error.to_string(),
            },
        };
        ProfileRow {
            name: profile.as_str(),
            setting,
        }
    }

    fn cells(&self) -> Vec<String> {
        let mut cells = vec![self.name.to_owned()];
        match &self.setting {
            Setting::Works {
                versions,
                groups,
                certificates,
                policy,
            } => cells.extend([
                versions.join(", "),
                policy.to_text(),
                (*certificates).to_owned(),
                groups.join(", "),
            ]),
            Setting::Refused { error } => {
                let dash = "-".to_owned();
                cells.extend([dash.clone(), dash.clone(), dash, error.clone()]);
            }
        }
        cells
    }
}

impl Setting {
    fn works(settings: &Settings, policy: Policy) -> Setting {
        Setting::Works {
            versions: settings.versions.iter().map(|version| version.as_str()).collect(),
            groups: settings.groups.iter().map(ToString::to_string).collect(),
            certificates: match settings.chains {
                ChainRule::Any => "any",
                ChainRule::MlDsa => "ML-DSA throughout",
                ChainRule::MlDsa87 => "ML-DSA-87 throughout",
            },
            policy: PolicyRow {
                key_exchange: policy.key_exchange.as_str(),
                authentication: policy.authentication.as_str(),
            },
        }
    }
}

impl PolicyRow {
    /// The stances on key exchange and authentication, one word where they agree.
    fn to_text(&self) -> String {
        match self.key_exchange == self.authentication {
            true => format!("{} both", self.key_exchange),
            false => format!(
                "{} key exchange, {} authentication",
                self.key_exchange, self.authentication
            ),
        }
    }
}

const NEVER: &str = "never";

fn offered(standing: Standing) -> &'static str {
    match standing {
        Standing::Default => "by default",
        Standing::Listed => "when listed",
        Standing::Never => NEVER,
    }
}

fn hex(id: u16) -> String {
    format!("0x{id:04X}")
}

/// NIST's levels begin at 1.
fn level(level: u8) -> String {
    match level {
        0 => "-".to_owned(),
        level => level.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_say_what_the_contract_says_of_groups() {
        let rows: Vec<Vec<String>> = tables().groups.iter().map(GroupRow::cells).collect();
        let expected = [
            ["X25519MLKEM768", "0x11EC", "hybrid", "3", "1216", "1120", "by default"],
            [
                "SecP256r1MLKEM768",
                "0x11EB",
                "hybrid",
                "3",
                "1249",
                "1153",
                "by default",
            ],
            [
                "SecP384r1MLKEM1024",
                "0x11ED",
                "hybrid",
                "5",
                "1665",
                "1665",
                "by default",
            ],
            ["X25519", "0x001D", "classical", "-", "32", "32", "by default"],
            ["MLKEM768", "0x0201", "pq", "3", "1184", "1088", "when listed"],
        ];
        for row in expected {
            assert!(rows.contains(&row.map(str::to_owned).to_vec()), "{row:?}\n{rows:?}");
        }
    }

    #[test]
    fn every_signature_and_profile_has_a_line() {
        let text = text();
        for scheme in Scheme::all().iter().filter(|row| row.standing != Standing::Never) {
            let starts = |line: &str| line.split(' ').next() == Some(scheme.name);
            assert!(text.lines().any(starts), "{}", scheme.name);
        }
        for profile in Profile::all() {
            let starts = |line: &str| line.split(' ').next() == Some(profile.as_str());
            assert!(text.lines().any(starts), "{}", profile.as_str());
        }
    }

    #[test]
    fn a_group_that_is_never_offered_stands_in_json_with_what_to_use_instead() {
        let json = serde_json::to_value(tables()).unwrap();
        let groups = json["groups"].as_array().unwrap();
        let dead = groups
            .iter()
            .find(|row| row["name"] == "X25519Kyber768Draft00")
            .unwrap();
        assert_eq!(
            (&dead["offered"], &dead["instead"]),
            (&"never".into(), &"X25519MLKEM768".into())
        );
        assert!(!text().contains("Kyber"));
    }

    #[test]
    fn a_profile_is_told_by_its_settings_in_json_too() {
        let json = serde_json::to_value(tables()).unwrap();
        let profiles = json["profiles"].as_array().unwrap();
        let cnsa2 = profiles.iter().find(|row| row["name"] == "cnsa2").unwrap();
        let expected = serde_json::json!({
            "name": "cnsa2",
            "versions": ["1.3"],
            "groups": ["SecP384r1MLKEM1024", "MLKEM1024"],
            "certificates": "ML-DSA-87 throughout",
            "policy": { "key_exchange": "require", "authentication": "require" },
        });
        assert_eq!(*cnsa2, expected);
    }

    #[test]
    fn a_profile_this_build_lacks_says_why() {
        let json = serde_json::to_value(tables()).unwrap();
        let profiles = json["profiles"].as_array().unwrap();
        let fips = profiles.iter().find(|row| row["name"] == "fips").unwrap();
        assert!(fips["error"].as_str().unwrap().contains("feature `fips`"));
    }
}
