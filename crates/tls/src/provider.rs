//! The cryptography behind rustls; the only file that names aws-lc-rs.
