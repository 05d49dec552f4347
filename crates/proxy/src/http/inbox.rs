//! Bytes that came and were not taken yet.

/// What a quiet connection may keep allocated: one ordinary head. More is given back when it is empty.
const KEPT: usize = 4 * 1024;

/// A queue of bytes: appended at the end, taken from the front, without moving what stays.
#[derive(Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    taken: usize,
}

impl Inbox {
    /// What is there.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // what was taken makes room before the buffer grows
        if self.taken > 0 && self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes so many from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        self.taken += count;
        debug_assert!(self.taken <= self.bytes.len(), "no more is taken than is there");
        if self.taken == self.bytes.len() {
            self.taken = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }

    /// Everything that is there; nothing stays allocated.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..std::mem::take(&mut self.taken));
        bytes
    }

    /// Gives the room back while nothing is there: the connection falls quiet.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            *self = Inbox::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_from_the_front_is_what_was_pushed_in_its_order() {
        let (mut inbox, mut pushed, mut taken) = (Inbox::default(), 0_u32, Vec::new());
        for step in 0..200_u32 {
            for _ in 0..step % 7 {
                inbox.push(&pushed.to_be_bytes());
                pushed += 1;
            }
            let count = inbox.len().min(step as usize % 11);
            taken.extend_from_slice(&inbox.bytes()[..count]);
            inbox.consume(count);
        }
        taken.extend(inbox.take());
        let all: Vec<u8> = (0..pushed).flat_map(u32::to_be_bytes).collect();
        assert_eq!(taken, all);
        assert!(inbox.is_empty());
    }

    #[test]
    fn a_quiet_inbox_holds_nothing() {
        let mut inbox = Inbox::default();
        inbox.push(&[0; 100_000]);
        inbox.consume(100_000);
        assert_eq!(inbox.bytes.capacity(), 0, "much is given back at once");
        inbox.push(&[0; 100]);
        inbox.consume(100);
        assert!(inbox.bytes.capacity() >= 100, "little is kept for the next request");
        inbox.rest();
        assert_eq!(inbox.bytes.capacity(), 0);
    }
}
