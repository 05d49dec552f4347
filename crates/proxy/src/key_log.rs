//! The secrets of connections in the format that Wireshark and others read: the NSS key log format.
use crate::{log::Log, plan::Plan};
use rustls::KeyLog;
use std::{
    fmt::{self, Write},
    sync::Arc,
};

/// What the TLS servers of a plan tell their secrets to; None where nobody asked for that.
pub(crate) fn of(plan: &Plan, log: &Log) -> Option<Arc<dyn KeyLog>> {
    let keys: Arc<dyn KeyLog> = Arc::new(Keys(log.clone()));
    plan.key_log.is_some().then_some(keys)
}

/// Lines by way of the writer thread: a data core never waits for a disk.
struct Keys(Log);

impl KeyLog for Keys {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        self.0.key(line(label, client_random, secret));
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}

fn line(label: &str, client_random: &[u8], secret: &[u8]) -> String {
    let digits = 2 * (client_random.len() + secret.len());
    let mut line = String::with_capacity(label.len() + digits + 3);
    line.push_str(label);
    for part in [client_random, secret] {
        line.push(' ');
        for byte in part {
            // writing to a String cannot fail
            let _ = write!(line, "{byte:02x}");
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_is_label_random_and_secret_in_hexadecimal() {
        assert_eq!(
            super::line("CLIENT_RANDOM", &[0, 0xab], &[7]),
            "CLIENT_RANDOM 00ab 07\n"
        );
    }
}
