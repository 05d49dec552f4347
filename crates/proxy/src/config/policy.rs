//! A policy: one word for the key exchange, or a table of words.
use super::{
    Origin, exempt,
    reader::Reader,
    report::{Fault, Found},
    tree::{Kind, Table, Value, quoted},
    values::{self, Word},
};
use crate::plan::ClientAuthPlan;
use portcullis_tls::{
    negotiated::Version,
    policy::{Demand, Force, Policy, Refuse, RuleName, Stance},
    profile::{Profile, Settings},
};
use portcullis_wire::GroupId;

const STANCES: &[(&str, Word<Stance>)] = &[
    ("observe", Word::Is(Stance::Observe)),
    ("prefer", Word::Is(Stance::Prefer)),
    ("require", Word::Is(Stance::Require)),
];

const REFUSALS: &[(&str, Word<Refuse>)] = &[("alert", Word::Is(Refuse::Alert)), ("page", Word::Is(Refuse::Page))];

/// What was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) key_exchange: Option<Found<Stance>>,
    pub(super) authentication: Option<Found<Stance>>,
    pub(super) client_authentication: Option<Found<Stance>>,
    pub(super) report_only: Option<Found<bool>>,
    pub(super) exempt: Vec<exempt::Written>,
    pub(super) refuse: Option<Found<Refuse>>,
    pub(super) origin: Origin,
}

impl Written {
    /// The policy with what was not written taken from another.
    pub(super) fn over(&self, base: Policy) -> Policy {
        let word = |rule: &Option<Found<Stance>>, base| rule.as_ref().map_or(base, |found| found.value);
        Policy {
            key_exchange: word(&self.key_exchange, base.key_exchange),
            authentication: word(&self.authentication, base.authentication),
            client_authentication: word(&self.client_authentication, base.client_authentication),
        }
    }

    /// What is demanded here, with words that were not written taken from a profile, or from nothing.
    pub(super) fn demand(&self, base: Policy) -> Demand {
        Demand {
            policy: self.over(base),
            force: match self.reports_only() {
                Some(_) => Force::ReportOnly,
                None => Force::Enforced,
            },
            exempt: self.exempt.iter().map(|exemption| exemption.means.clone()).collect(),
            refuse: self.refuse.as_ref().map_or(Refuse::Alert, |found| found.value),
        }
    }

    /// Where it is only to be reported.
    fn reports_only(&self) -> Option<&Origin> {
        let on = self.report_only.as_ref().filter(|found| found.value);
        on.map(|found| &found.origin)
    }

    /// What lets clients off here, each with its name and place.
    fn leniencies(&self) -> Vec<(&'static str, &Origin)> {
        let page = self.refuse.as_ref().filter(|found| found.value == Refuse::Page);
        let reported = self.reports_only().map(|origin| ("report_only", origin));
        let exempt = self.exempt.first().map(|exemption| ("exempt", &exemption.origin));
        let page = page.map(|found| ("refuse", &found.origin));
        reported.into_iter().chain(exempt).chain(page).collect()
    }

    /// Where anything stands that is no rule.
    pub(super) fn leniency(&self) -> impl Iterator<Item = &Origin> {
        let report_only = self.report_only.iter().map(|found| &found.origin);
        let exempt = self.exempt.iter().map(|exemption| &exemption.origin);
        let refuse = self.refuse.iter().map(|found| &found.origin);
        report_only.chain(exempt).chain(refuse)
    }

    /// What is lenient must have something to be lenient about: a rule that requires, and that nobody above enforces
    /// without leniency.
    pub(super) fn check(&self, owner: &mut Reader<'_>, own: &Demand, above: &[(String, Demand)]) {
        let required = || {
            let rules = RuleName::ALL.into_iter();
            rules.filter(|rule| own.policy.stance(*rule) == Stance::Require)
        };
        for (key, origin) in self.leniencies() {
            if required().next().is_none() {
                let message = format!("policy {key} means nothing where nothing is required");
                owner.error(Fault::whole(origin.clone(), message).hint("policy = { key_exchange = \"require\", ... }"));
                continue;
            }
            let stricter = above.iter().find(|(_, floor)| {
                let is_lenient = match key {
                    "report_only" => floor.force == Force::ReportOnly,
                    "exempt" => own.exempt.iter().all(|exemption| floor.exempt.contains(exemption)),
                    _ => floor.refuse == Refuse::Page,
                };
                !is_lenient && required().any(|rule| floor.refuses_by(rule))
            });
            if let Some((whose, _)) = stricter {
                let message = format!("policy {key} is weaker than {whose}, which requires the same");
                let hint = "what stands below may only tighten what stands above it";
                owner.error(Fault::whole(origin.clone(), message).hint(hint));
            }
        }
    }

    /// Nobody is known by a certificate that is not asked for.
    pub(super) fn check_identities(&self, owner: &mut Reader<'_>, client_auth: Option<&ClientAuthPlan>) {
        let mut each = self.exempt.iter();
        let by_identity = each.find(|exemption| !exemption.means.identities.is_empty());
        if let (Some(exemption), None) = (by_identity, client_auth) {
            let message = "policy exempt names an identity, but no client certificate is asked for";
            let fault = Fault::whole(exemption.origin.clone(), message);
            owner.error(fault.hint("client_auth = { mode = \"optional\", ca = \"clients-ca.pem\" }"));
        }
    }

    /// The rules written here that demand less than those written there.
    pub(super) fn weaker_than(&self, floor: &Written) -> Vec<(&'static str, &Found<Stance>)> {
        let pairs = self.rules().into_iter().zip(floor.rules());
        let weaker = pairs.filter_map(|((rule, here), (_, there))| Some((rule, here?, there?)));
        weaker
            .filter(|(_, here, there)| here.value < there.value)
            .map(|(rule, here, _)| (rule, here))
            .collect()
    }

    /// Keeps what was written for `check --explain`.
    pub(super) fn explain(&self, owner: &mut Reader<'_>) {
        for (rule, found) in self.rules() {
            if let Some(Found { value, origin }) = found {
                owner.explain(&format!("policy.{rule}"), quoted(value.as_str()), origin.clone());
            }
        }
        self.explain_leniency(owner);
    }

    /// The same of what is not a rule.
    pub(super) fn explain_leniency(&self, owner: &mut Reader<'_>) {
        if let Some(Found { value, origin }) = &self.report_only {
            owner.explain("policy.report_only", value.to_string(), origin.clone());
        }
        for exemption in &self.exempt {
            let shown = quoted(&exemption.means.to_string());
            owner.explain("policy.exempt", shown, exemption.origin.clone());
        }
        if let Some(Found { value, origin }) = &self.refuse {
            owner.explain("policy.refuse", quoted(value.as_str()), origin.clone());
        }
    }

    /// The rules by name, as they are written in a file.
    pub(super) fn rules(&self) -> [(&'static str, Option<&Found<Stance>>); 3] {
        [
            ("key_exchange", self.key_exchange.as_ref()),
            ("authentication", self.authentication.as_ref()),
            ("client_authentication", self.client_authentication.as_ref()),
        ]
    }
}

/// Reads the key `policy`.
pub(super) fn read(owner: &mut Reader<'_>) -> Option<Written> {
    let value = owner.take("policy")?;
    let origin = value.origin.clone();
    let table = match value {
        Value {
            kind: Kind::Table(table),
            ..
        } => table,
        word => {
            let mut table = Table::default();
            table.push("key_exchange", word);
            table
        }
    };
    let mut policy = owner.item(table, "policy", "policy").unexplained();
    let stance = |value: &Value| values::word("policy", STANCES, value);
    let key_exchange = policy.value("key_exchange", stance);
    let authentication = policy.value("authentication", stance);
    let client_authentication = policy.value("client_authentication", stance);
    let report_only = policy.value("report_only", values::switch);
    let exempt = exempt::read(&mut policy);
    let refuse = policy.value("refuse", |value| values::word("word", REFUSALS, value));
    policy.finish();
    Some(Written {
        key_exchange,
        authentication,
        client_authentication,
        report_only,
        exempt,
        refuse,
        origin,
    })
}

/// Who speaks no HTTP reads no page.
pub(super) fn no_page(origin: &Origin) -> Fault {
    let fault = Fault::whole(
        origin.clone(),
        "policy refuse \"page\" means nothing where no HTTP is spoken",
    );
    fault.hint("mode = \"http\", or refuse = \"alert\"")
}

/// A site's policy, as tight as its listeners demand, and where each rule of it stands.
#[derive(Clone)]
pub(super) struct SitePolicy {
    pub(super) comes_to: Policy,
    key_exchange: Origin,
    authentication: Origin,
    client_authentication: Origin,
}

impl SitePolicy {
    /// What was written, else what the profile stands for.
    pub(super) fn new(written: Option<&Written>, profile: &Found<Profile>) -> SitePolicy {
        let base = profile.value.policy();
        let origin = |rule: Option<&Found<Stance>>| rule.map_or(&profile.origin, |found| &found.origin).clone();
        SitePolicy {
            comes_to: written.map_or(base, |written| written.over(base)),
            key_exchange: origin(written.and_then(|written| written.key_exchange.as_ref())),
            authentication: origin(written.and_then(|written| written.authentication.as_ref())),
            client_authentication: origin(written.and_then(|written| written.client_authentication.as_ref())),
        }
    }

    /// Takes over what a listener demands beyond it.
    pub(super) fn tighten(&mut self, floor: &Written) {
        let tightened = self.comes_to.tightened_by(floor.over(Policy::OBSERVE));
        let place = |rule: &Option<Found<Stance>>| rule.as_ref().map_or(&floor.origin, |found| &found.origin).clone();
        if tightened.key_exchange != self.comes_to.key_exchange {
            self.key_exchange = place(&floor.key_exchange);
        }
        if tightened.authentication != self.comes_to.authentication {
            self.authentication = place(&floor.authentication);
        }
        if tightened.client_authentication != self.comes_to.client_authentication {
            self.client_authentication = place(&floor.client_authentication);
        }
        self.comes_to = tightened;
    }

    /// The same with what a route demands beyond it.
    pub(super) fn tightened_by(&self, route: &Written) -> SitePolicy {
        let mut policy = self.clone();
        policy.tighten(route);
        policy
    }

    /// Keeps every rule for `check --explain`.
    pub(super) fn explain(&self, site: &mut Reader<'_>) {
        let Policy {
            key_exchange,
            authentication,
            client_authentication,
        } = self.comes_to;
        let rows = [
            ("policy.key_exchange", key_exchange, &self.key_exchange),
            ("policy.authentication", authentication, &self.authentication),
            (
                "policy.client_authentication",
                client_authentication,
                &self.client_authentication,
            ),
        ];
        for (key, stance, origin) in rows {
            site.explain(key, quoted(stance.as_str()), origin.clone());
        }
    }

    /// What is required of clients' certificates must be asked for.
    pub(super) fn check_clients(&self, site: &mut Reader<'_>, client_auth: Option<&ClientAuthPlan>) {
        if self.comes_to.client_authentication == Stance::Require && client_auth.is_none() {
            let message = "policy requires quantum-safe client authentication, but no client certificate is asked for";
            let fault = Fault::whole(self.client_authentication.clone(), message);
            site.error(fault.hint("client_auth = { mode = \"required\", ca = \"clients-ca.pem\" }"));
        }
    }

    /// What is required must be on offer.
    pub(super) fn check(&self, site: &mut Reader<'_>, settings: &Settings) {
        let is_safe = |group: &GroupId| group.key_exchange().is_some_and(|class| class.is_quantum_safe());
        let speaks_13 = settings.versions.contains(&Version::Tls13);
        let offers_safe_group = speaks_13 && settings.groups.iter().any(is_safe);
        if self.comes_to.key_exchange == Stance::Require && !offers_safe_group {
            let message = "policy requires a quantum-safe key exchange, but tls offers none";
            let hint = "versions must hold 1.3, and groups a hybrid or pq one: `portcullis groups` lists them all";
            site.error(Fault::whole(self.key_exchange.clone(), message).hint(hint));
        }
        let offers_ml_dsa = settings.signatures.iter().any(|scheme| scheme.is_ml_dsa());
        if self.comes_to.authentication == Stance::Require && !offers_ml_dsa {
            let message = "policy requires quantum-safe authentication, but tls has no ML-DSA signature";
            let hint = "signatures must hold one of mldsa44, mldsa65, mldsa87";
            site.error(Fault::whole(self.authentication.clone(), message).hint(hint));
        }
    }
}
