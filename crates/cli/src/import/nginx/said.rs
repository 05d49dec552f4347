//! THE TABLE of nginx's directives: what is carried over, what needs no word, and what is not here, with the reason.
use super::{super::draft::Part, grammar::Directive};

/// Read by name elsewhere in this folder.
const CARRIED: &[&str] = &[
    "http",
    "stream",
    "events",
    "server",
    "location",
    "upstream",
    "map",
    "set",
    "listen",
    "server_name",
    "return",
    "ssl",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_password_file",
    "ssl_protocols",
    "ssl_ecdh_curve",
    "ssl_conf_command",
    "ssl_ciphers",
    "ssl_prefer_server_ciphers",
    "ssl_client_certificate",
    "ssl_trusted_certificate",
    "ssl_verify_client",
    "ssl_crl",
    "ssl_session_cache",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "ssl_session_ticket_key",
    "ssl_reject_handshake",
    "ssl_preread",
    "http3",
    "worker_processes",
    "proxy_pass",
    "grpc_pass",
    "proxy_set_header",
    "grpc_set_header",
    "add_header",
    "proxy_hide_header",
    "grpc_hide_header",
    "client_max_body_size",
    "proxy_connect_timeout",
    "proxy_read_timeout",
    "proxy_send_timeout",
    "proxy_timeout",
    "grpc_connect_timeout",
    "grpc_read_timeout",
    "grpc_send_timeout",
    "proxy_next_upstream",
    "proxy_next_upstream_tries",
    "proxy_http_version",
    "proxy_ssl",
    "proxy_ssl_verify",
    "proxy_ssl_trusted_certificate",
    "proxy_ssl_name",
    "proxy_ssl_certificate",
    "proxy_ssl_certificate_key",
    "allow",
    "deny",
    "set_real_ip_from",
    "real_ip_header",
    "keepalive_timeout",
    "limit_conn",
    "limit_conn_zone",
    "limit_req",
    "limit_req_zone",
    "proxy_protocol",
];

/// Nothing to say: done by itself, or tuning that has no counterpart. A name that ends in `*` is a family.
const ITSELF: &[&str] = &[
    "worker_*",
    "pid",
    "daemon",
    "pcre_jit",
    "thread_pool",
    "timer_resolution",
    "lock_file",
    "use",
    "multi_accept",
    "accept_mutex*",
    "sendfile*",
    "aio*",
    "directio*",
    "tcp_nopush",
    "tcp_nodelay",
    "types",
    "types_hash_*",
    "default_type",
    "server_names_hash_*",
    "server_name_in_redirect",
    "port_in_redirect",
    "absolute_redirect",
    "variables_hash_*",
    "map_hash_*",
    "proxy_headers_hash_*",
    "server_tokens",
    "charset*",
    "override_charset",
    "log_format",
    "keepalive_*",
    "reset_timedout_connection",
    "lingering_*",
    "send_*",
    "client_header_*",
    "client_body_*",
    "large_client_header_buffers",
    "connection_pool_size",
    "request_pool_size",
    "output_buffers",
    "postpone_output",
    "read_ahead",
    "open_file_cache*",
    "resolver*",
    "http2*",
    "http3_*",
    "quic_*",
    "ssl_buffer_size",
    "ssl_ct*",
    "ssl_handshake_timeout",
    "ssl_verify_depth",
    "ssl_dyn_rec_*",
    "ssl_alpn",
    "proxy_buffer*",
    "proxy_busy_*",
    "proxy_temp_*",
    "proxy_max_temp_*",
    "proxy_request_buffering",
    "proxy_socket_*",
    "proxy_pass_header",
    "proxy_pass_request_*",
    "proxy_ssl_server_name",
    "proxy_ssl_protocols",
    "proxy_ssl_ciphers",
    "proxy_ssl_session_*",
    "proxy_ssl_verify_depth",
    "proxy_next_upstream_timeout",
    "proxy_limit_rate",
    "proxy_ignore_client_abort",
    "grpc_buffer_size",
    "grpc_socket_*",
    "grpc_ssl_server_name",
    "preread_*",
    "msie_*",
    "merge_slashes",
    "ignore_invalid_headers",
    "underscores_in_headers",
    "log_not_found",
    "log_subrequest",
    "recursive_error_pages",
    "real_ip_recursive",
    "limit_conn_log_level",
    "limit_req_log_level",
    "limit_conn_status",
    "limit_req_status",
    "hash",
    "chunked_transfer_encoding",
    "etag",
    "if_modified_since",
    "max_ranges",
    "proxy_redirect",
    "proxy_method",
    "tcp_*",
    "limit_conn_dry_run",
];

const FILES: &str = "Portcullis serves no files: put a file server behind it";
const CACHE: &str = "there is no cache here";
const REWRITE: &str = "paths are not rewritten: a route takes strip_prefix";
const COMPRESS: &str = "answers are passed on as they come: compress in the service";
const OTHER_PROTOCOL: &str = "upstreams speak HTTP: put a server for it in between";
const WHO: &str = "who may enter is decided by certificates (client_auth) or by the service";
const STAPLING: &str = "OCSP answers are not stapled";
const LOG: &str = "one line for each request stands on standard output: log = { access = \"FILE\" } moves them";
const SUBREQUEST: &str = "there are no subrequests here";

const NOT: &[(&str, &str)] = &[
    ("mail", "mail is not proxied by its protocol: a tcp listener relays it"),
    (
        "user",
        "it runs as who starts it, and needs no rights but to the port and the keys",
    ),
    ("env", "write ${NAME} where a variable is meant"),
    ("load_module", "there are no modules"),
    ("error_log", "log = { level = \"info\" } sets how much is told"),
    ("access_log", LOG),
    ("root", FILES),
    ("alias", FILES),
    ("index", FILES),
    ("try_files", FILES),
    ("autoindex*", FILES),
    ("internal", FILES),
    ("random_index", FILES),
    ("dav_*", FILES),
    ("expires", "set Cache-Control in headers.response instead"),
    ("add_trailer", "trailers are passed on as they come"),
    ("error_page", "errors of the proxy are small and plain"),
    ("proxy_intercept_errors", "the service's own error pages are passed on"),
    ("proxy_ignore_headers", CACHE),
    ("proxy_cache*", CACHE),
    ("proxy_no_cache", CACHE),
    ("proxy_store*", CACHE),
    ("rewrite", REWRITE),
    ("rewrite_log", REWRITE),
    ("break", REWRITE),
    ("gzip*", COMPRESS),
    ("gunzip*", COMPRESS),
    ("brotli*", COMPRESS),
    ("zstd*", COMPRESS),
    ("sub_filter*", "bodies are passed on as they come"),
    ("fastcgi_*", OTHER_PROTOCOL),
    ("uwsgi_*", OTHER_PROTOCOL),
    ("scgi_*", OTHER_PROTOCOL),
    ("memcached_*", OTHER_PROTOCOL),
    ("auth_basic*", WHO),
    ("auth_request*", WHO),
    ("auth_jwt*", WHO),
    ("satisfy", WHO),
    ("geo*", "networks are named where they are used"),
    ("split_clients", "traffic is split by weights in an upstream"),
    ("mirror*", SUBREQUEST),
    ("ssi*", SUBREQUEST),
    ("addition_*", SUBREQUEST),
    (
        "if",
        "conditions are not carried over: a route matches by path, methods and headers",
    ),
    ("ssl_dhparam", "key exchange over finite fields is not offered"),
    ("ssl_early_data", "0-RTT is off: what it carries can be replayed"),
    ("ssl_stapling*", STAPLING),
    ("ssl_ocsp*", "OCSP is not asked: use ssl_crl"),
    ("ssl_engine", "keys are read from files"),
    ("proxy_bind", "the system chooses the address to connect from"),
    ("proxy_cookie_*", "cookies are passed on as they come"),
    ("proxy_set_body", "bodies are passed on as they come"),
    (
        "proxy_ssl_crl",
        "an upstream's certificates are checked without a revocation list",
    ),
    ("proxy_upload_rate", "bytes are not slowed down"),
    ("proxy_download_rate", "bytes are not slowed down"),
    ("limit_rate*", "bytes are not slowed down"),
    (
        "limit_except",
        "a route matches by methods: match = { methods = [...] }",
    ),
    ("grpc_ssl_*", "gRPC over TLS is checked against the system's roots"),
    ("stub_status", "metrics = { listen = \"127.0.0.1:9100\" } tells it"),
    (
        "valid_referers",
        "a route matches by headers: match = { headers = { ... } }",
    ),
    ("*_by_lua*", "there is no Lua here"),
    ("perl*", "there is no Perl here"),
    ("js_*", "there is no JavaScript here"),
    ("modsecurity*", "there is no web application firewall here"),
    ("more_*", "write it as headers.response in a route"),
];

/// Notes of what a block says that nobody reads, but for what was understood already.
pub(super) fn leftovers(part: &mut Part, block: &[Directive], understood: &[&Directive]) {
    for directive in block {
        if understood.iter().any(|known| std::ptr::eq(*known, directive)) {
            continue;
        }
        if let Some(why) = why_not(&directive.name) {
            part.note(directive.note(why));
        }
    }
}

/// Why a directive is not carried over; None where nothing is lost.
pub(super) fn why_not(name: &str) -> Option<&'static str> {
    if CARRIED.contains(&name) {
        return None;
    }
    let reason = NOT.iter().find(|(pattern, _)| matches(pattern, name));
    match reason {
        Some((_, why)) => Some(why),
        None if ITSELF.iter().any(|pattern| matches(pattern, name)) => None,
        None => Some("unknown here"),
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(_), Some(_)) => name.contains(pattern.trim_matches('*')),
        (None, Some(start)) => name.starts_with(start),
        _ => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_carried_over_needs_no_word_or_is_told() {
        for name in ["proxy_pass", "sendfile", "worker_connections", "proxy_buffer_size"] {
            assert_eq!(why_not(name), None, "{name}");
        }
        for name in [
            "gzip_types",
            "fastcgi_pass",
            "content_by_lua_block",
            "if",
            "never_heard_of",
        ] {
            assert!(why_not(name).is_some(), "{name}");
        }
        let both = CARRIED
            .iter()
            .filter(|name| NOT.iter().any(|(pattern, _)| matches(pattern, name)));
        assert_eq!(both.count(), 0, "what is carried over is not told as lost");
    }
}
