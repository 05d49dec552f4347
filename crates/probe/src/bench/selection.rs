//! What is measured.
use super::{CLASSICAL_GROUP, Kind, USUAL_GROUP, USUAL_SCHEME, tls13};
use crate::memory::{Recipe, Session};
use portcullis_tls::negotiated::Version;
use portcullis_wire::{
    CipherId, GroupId, SchemeId,
    registry::{Cipher, Group, KeyKind, NameError, Scheme, Standing},
};

/// Groups, signatures and cipher suites to measure.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Selection {
    groups: Vec<GroupId>,
    schemes: Vec<SchemeId>,
    ciphers: Vec<CipherId>,
    resumed: Vec<GroupId>,
}

/// A name that nothing is measured for.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{name}\": no group, signature or cipher suite to measure: {why}")]
pub struct BadSelection {
    /// As it was written.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

impl Selection {
    /// Everything this build has.
    pub fn all() -> Selection {
        Selection {
            groups: groups().map(|group| group.id).collect(),
            schemes: schemes().map(|scheme| scheme.id).collect(),
            ciphers: Cipher::all().iter().map(|cipher| cipher.id).collect(),
            resumed: vec![CLASSICAL_GROUP, USUAL_GROUP],
        }
    }

    /// These, by any name the configuration understands; of a group its resumption too.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Selection, BadSelection> {
        let mut selection = Selection::default();
        for name in names {
            selection.add(name)?;
        }
        Ok(selection)
    }

    /// Kinds of keys that certificates are needed for.
    pub fn keys(&self) -> Vec<KeyKind> {
        let mut keys: Vec<KeyKind> = Vec::new();
        for (_, recipe) in self.recipes() {
            let key = recipe.scheme.entry().map(|scheme| scheme.key);
            keys.extend(key.filter(|key| !keys.contains(key)));
        }
        keys
    }

    /// What is measured, each once, in the order of the results.
    pub(super) fn recipes(&self) -> Vec<(Kind, Recipe)> {
        let with_usual = self.groups.iter().map(|group| tls13(*group, USUAL_SCHEME));
        let signed = self.schemes.iter().map(|scheme| tls13(USUAL_GROUP, *scheme));
        let resumed = self.resumed.iter().map(|group| Recipe {
            session: Session::Resumed,
            ..tls13(*group, USUAL_SCHEME)
        });
        let mut recipes: Vec<(Kind, Recipe)> = Vec::new();
        for recipe in with_usual.chain(signed).chain(resumed) {
            if !recipes.contains(&(Kind::Handshakes, recipe)) {
                recipes.push((Kind::Handshakes, recipe));
            }
        }
        let records = self.ciphers.iter().filter_map(|cipher| with_cipher(*cipher));
        recipes.extend(records.map(|recipe| (Kind::Records, recipe)));
        recipes
    }

    fn add(&mut self, name: &str) -> Result<(), BadSelection> {
        let bad = |why: String| BadSelection {
            name: name.to_owned(),
            why,
        };
        match (Group::by_name(name), Scheme::by_name(name), Cipher::by_name(name)) {
            (Ok(group), _, _) => {
                once(&mut self.groups, group.id);
                once(&mut self.resumed, group.id);
            }
            (_, Ok(scheme), _) if !scheme.tls13 => return Err(bad("TLS 1.3 does not sign with it".to_owned())),
            (_, Ok(scheme), _) if scheme.standing == Standing::Listed => {
                return Err(bad("no certificates are made for it".to_owned()));
            }
            (_, Ok(scheme), _) => once(&mut self.schemes, scheme.id),
            (_, _, Ok(cipher)) => once(&mut self.ciphers, cipher.id),
            (Err(group), Err(scheme), Err(cipher)) => return Err(bad(told([group, scheme, cipher]))),
        }
        Ok(())
    }
}

/// The groups that are measured.
pub fn groups() -> impl Iterator<Item = &'static Group> {
    Group::all().iter().filter(|group| group.standing != Standing::Never)
}

/// The signatures of TLS 1.3 that are measured.
pub fn schemes() -> impl Iterator<Item = &'static Scheme> {
    let usual = |scheme: &&Scheme| scheme.tls13 && scheme.standing == Standing::Default;
    Scheme::all().iter().filter(usual)
}

/// A connection with this suite; those of TLS 1.2 name the kind of key, and have classical groups alone.
pub fn with_cipher(cipher: CipherId) -> Option<Recipe> {
    let row = cipher.entry()?;
    let recipe = match row.tls13 {
        true => tls13(USUAL_GROUP, USUAL_SCHEME),
        false => Recipe {
            version: Version::Tls12,
            scheme: match row.name.contains("_RSA_") {
                true => RSA_PSS,
                false => USUAL_SCHEME,
            },
            ..tls13(CLASSICAL_GROUP, USUAL_SCHEME)
        },
    };
    Some(Recipe {
        cipher: Some(cipher),
        ..recipe
    })
}

/// rsa_pss_rsae_sha256
const RSA_PSS: SchemeId = SchemeId(0x0804);

/// Of three reasons the one that says most.
fn told(mut errors: [NameError; 3]) -> String {
    errors.sort_by_key(|error| match error {
        NameError::Dead { .. } => 0,
        NameError::NotOffered { .. } => 1,
        NameError::Unknown { near } => 3 - usize::from(near.is_some()),
    });
    format!("{}\n  hint: {}", errors[0], errors[0].hint())
}

fn once<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}
