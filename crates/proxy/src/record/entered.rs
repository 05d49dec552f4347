//! What the ledger is told of a connection.
use super::Record;
use crate::ledger::{Admission, Facts, Sums, Told};
use portcullis_tls::negotiated::Safety;
use portcullis_wire::ja4::Transport;

impl Record {
    /// Adds itself to the ledger, if it found a site.
    pub(super) fn enter(&mut self) {
        let Some(facts) = self.ledger_facts() else { return };
        let told = Told {
            site: &self.site,
            identity: self
                .negotiated()
                .and_then(|n| n.client.as_deref())
                .and_then(|c| c.identity()),
            from: self.peer.address(),
            offered: self.offer.as_ref().map(|offer| &offer.offered),
            facts,
            sums: Sums {
                connections: 1,
                requests: self.requests.count,
                bytes_in: self.bytes.inward,
                bytes_out: self.bytes.outward,
                requests_refused: self.requests.refused,
                requests_would_refuse: self.requests.would_refuse,
            },
            agents: &self.requests.agents,
        };
        self.books.ledger.connection(self.core, told);
    }

    /// None for what is no client's of a site: port scans, silence, names that nobody has.
    fn ledger_facts(&self) -> Option<Facts> {
        let judgement = self.judgement;
        let refused = judgement.refused_by.is_some();
        let admission = match refused {
            true => Admission::Refused,
            false => Admission::Admitted,
        };
        // a plain connection whose host no site has
        if self.site == self.books.nowhere {
            return None;
        }
        let facts = match (self.negotiated(), &self.offer) {
            (Some(facts), _) => Facts {
                admission,
                ..Facts::of(facts, self.transport())
            },
            (None, Some(_)) if refused => Facts::without(Admission::Refused, None, self.transport()),
            (None, Some(_)) => Facts::without(Admission::Failed, None, self.transport()),
            (None, None) => Facts::without(Admission::Admitted, Some(Safety::Plain), "tcp"),
        };
        Some(Facts { judgement, ..facts })
    }

    fn transport(&self) -> &'static str {
        match self.offer.as_ref().map(|offer| offer.transport) {
            Some(Transport::Quic) => "quic",
            Some(Transport::Tcp) | None => "tcp",
        }
    }
}
