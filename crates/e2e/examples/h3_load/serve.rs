//! Servers that do the least: `GET /N` is answered with N bytes, and of what is sent with how much it was.
use crate::{Outcome, body::Known};
use bytes::{Buf, Bytes};
use h3::server::{Connection, RequestResolver};
use hyper::{Method, Response};
use quinn::{Endpoint, ServerConfig, crypto::rustls::QuicServerConfig};
use rustls::{
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::Arc,
    thread,
};

/// Serves HTTP/3 with the libraries as they are.
pub(crate) async fn http3(address: SocketAddr, chain: &str, key: &str) -> Outcome {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls)?));
    let endpoint = Endpoint::server(config, address)?;
    let known = Known::new();
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(connection(incoming, known.clone()));
    }
    Ok(())
}

async fn connection(incoming: quinn::Incoming, known: Known) -> Outcome {
    let mut h3 = Connection::<_, Bytes>::new(h3_quinn::Connection::new(incoming.await?)).await?;
    while let Some(resolver) = h3.accept().await? {
        tokio::spawn(request(resolver, known.clone()));
    }
    Ok(())
}

async fn request(resolver: RequestResolver<h3_quinn::Connection, Bytes>, mut known: Known) -> Outcome {
    let (request, mut stream) = resolver.resolve_request().await?;
    if *request.method() == Method::GET {
        let length = length(request.uri().path())?;
        stream.send_response(answer(length)?).await?;
        while let Some(piece) = known.next_of(length) {
            stream.send_data(piece).await?;
        }
    } else {
        while let Some(mut data) = stream.recv_data().await? {
            while data.has_remaining() {
                known.compare(data.chunk())?;
                data.advance(data.chunk().len());
            }
        }
        let count = known.at().to_string();
        stream.send_response(answer(count.len())?).await?;
        stream.send_data(count.into()).await?;
    }
    Ok(stream.finish().await?)
}

fn answer(length: usize) -> Outcome<Response<()>> {
    Ok(Response::builder().header("content-length", length).body(())?)
}

/// Serves HTTP/1.1, to proxies.
pub(crate) fn http1(address: SocketAddr) -> Outcome {
    let known = Known::new();
    for connection in TcpListener::bind(address)?.incoming() {
        let (connection, known) = (connection?, known.clone());
        thread::spawn(move || talk(&connection, &known));
    }
    Ok(())
}

fn talk(connection: &TcpStream, known: &Known) -> Outcome {
    connection.set_nodelay(true)?;
    let (mut reader, mut writer) = (BufReader::with_capacity(64 * 1024, connection), connection);
    while let Some((line, sent)) = head(&mut reader)? {
        let mut known = known.clone();
        let path = line.split(' ').nth(1).ok_or("no path")?;
        if line.starts_with("GET ") {
            let length = length(path)?;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let first = known.next_of(length).unwrap_or_default();
            // at once, so that a small answer is one packet
            writer.write_all(&[head.as_bytes(), &first].concat())?;
            while let Some(piece) = known.next_of(length) {
                writer.write_all(&piece)?;
            }
        } else {
            receive(&mut reader, sent, &mut known)?;
            let count = known.at().to_string();
            write!(
                writer,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}",
                count.len()
            )?;
        }
    }
    Ok(())
}

/// The first line of a request and the length of its body, or none: the connection is over.
fn head(reader: &mut impl BufRead) -> Outcome<Option<(String, usize)>> {
    let (mut first, mut sent) = (String::new(), 0);
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else {
            return Ok(Some((first, sent)));
        };
        if name.eq_ignore_ascii_case("content-length") {
            sent = value.trim().parse()?;
        }
    }
}

fn receive(reader: &mut impl BufRead, length: usize, known: &mut Known) -> Outcome {
    let mut body = reader.take(length as u64);
    while let data @ [_, ..] = body.fill_buf()? {
        known.compare(data)?;
        let count = data.len();
        body.consume(count);
    }
    Ok(())
}

fn length(path: &str) -> Outcome<usize> {
    Ok(path.trim_start_matches('/').parse()?)
}
