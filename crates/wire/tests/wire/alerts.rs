use portcullis_wire::alert::Alert;

const IANA: &str = include_str!("../../testdata/iana/alerts.csv");

#[test]
fn every_number_has_the_name_that_iana_gave_it() {
    let registered: Vec<(u8, &str)> = IANA
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(number, name)| (number.parse().unwrap(), name.trim_end_matches("_RESERVED")))
        .collect();
    assert_eq!(registered.len(), 37);
    for number in 0..=u8::MAX {
        let name = registered
            .iter()
            .find(|(registered, _)| *registered == number)
            .map(|(_, name)| *name);
        assert_eq!(Alert(number).name(), name, "{number}");
    }
}

#[test]
fn constants_carry_the_number_of_their_name() {
    let constants = [
        (Alert::CLOSE_NOTIFY, "close_notify"),
        (Alert::UNEXPECTED_MESSAGE, "unexpected_message"),
        (Alert::RECORD_OVERFLOW, "record_overflow"),
        (Alert::HANDSHAKE_FAILURE, "handshake_failure"),
        (Alert::ILLEGAL_PARAMETER, "illegal_parameter"),
        (Alert::ACCESS_DENIED, "access_denied"),
        (Alert::DECODE_ERROR, "decode_error"),
        (Alert::PROTOCOL_VERSION, "protocol_version"),
        (Alert::INSUFFICIENT_SECURITY, "insufficient_security"),
        (Alert::INTERNAL_ERROR, "internal_error"),
        (Alert::UNRECOGNIZED_NAME, "unrecognized_name"),
        (Alert::CERTIFICATE_REQUIRED, "certificate_required"),
    ];
    for (alert, name) in constants {
        assert_eq!(alert.to_string(), name);
    }
}

#[test]
fn an_unregistered_alert_is_shown_by_its_number() {
    assert_eq!(Alert(123).to_string(), "alert 123");
    assert_eq!(Alert(123).name(), None);
}

#[test]
fn only_alerts_about_certificates_say_so() {
    let about: Vec<u8> = (0..=u8::MAX)
        .filter(|number| Alert(*number).is_about_certificate())
        .collect();
    assert_eq!(about, [42, 43, 44, 45, 46, 48, 113, 114, 116]);
}

#[test]
fn a_fatal_alert_is_one_record_of_seven_bytes() {
    assert_eq!(Alert::INSUFFICIENT_SECURITY.fatal_record(), [21, 3, 3, 0, 2, 2, 71]);
}
