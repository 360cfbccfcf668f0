//! Bytes that no client sends by mistake, to a bound server: each has an answer or a closed connection, and
//! the server goes on.

use crate::http::testing::parts;
use crate::http::{Addresses, Limits, Servers, Sockets, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn start(limits: &Limits, body_timeout: Duration) -> (Servers, SocketAddr) {
    let addresses = Addresses { rest: Some(([127, 0, 0, 1], 0).into()), ..Addresses::default() };
    let sockets = Sockets::bind(&addresses).unwrap();
    let address = sockets.rest_address().unwrap();
    let mut parts = parts();
    parts.body_timeout = body_timeout;
    (serve(sockets, &parts, limits).unwrap(), address)
}

/// Sends all of `bytes` as far as the server takes them, and reads until it closes.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sent = async {
        // The server may close before everything is sent.
        let _ = write.write_all(bytes).await;
        write
    };
    let received = async {
        let mut answer = Vec::new();
        let mut piece = [0; 4096];
        // A reset ends the answer as well as an orderly close does.
        while let Ok(n @ 1..) = read.read(&mut piece).await {
            answer.extend_from_slice(&piece[..n]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    };
    let (_write, answer) = tokio::join!(sent, received);
    answer
}

/// A request that closes the connection after its answer.
fn put(length: &str, body: &str) -> Vec<u8> {
    format!("PUT /tcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{length}\r\n\r\n{body}")
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_have_an_answer_and_the_server_goes_on() {
    let (servers, address) = start(&Limits::default(), Duration::from_secs(10));
    let big = "x".repeat(2 << 20);
    let too_large = r#"{"result":"failed","message":"put data size exceeds 1048576"}"#;
    let cases: Vec<(&str, Vec<u8>, &str, &str)> = vec![
        ("2 MiB announced", put(&format!("Content-Length: {}", big.len()), &big), "413", too_large),
        (
            "2 MiB in one chunk",
            put("Transfer-Encoding: chunked", &format!("200000\r\n{big}\r\n0\r\n\r\n")),
            "413",
            too_large,
        ),
        ("a huge announcement and nothing else", put("Content-Length: 99999999999999", ""), "413", too_large),
        ("a length that is no number", put("Content-Length: 1x", "{}"), "400", ""),
        ("a negative length", put("Content-Length: -1", "{}"), "400", ""),
        ("a length above 64 bits", put("Content-Length: 99999999999999999999999", "{}"), "400", ""),
        ("two lengths", put("Content-Length: 2\r\nContent-Length: 3", "{}x"), "400", ""),
        ("length and chunks", put("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), "400", ""),
        ("a bad chunk size", put("Transfer-Encoding: chunked", "zz\r\nhello\r\n0\r\n\r\n"), "400", ""),
        ("an unknown coding", put("Transfer-Encoding: gzip", "{}"), "400", ""),
        ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), "400", ""),
        ("another protocol", b"SSH-2.0-x\r\n\r\n".to_vec(), "400", ""),
        ("a NUL in the path", b"GET /t\0cp HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "400", ""),
        (
            "a path of 100 KB",
            format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "a".repeat(100_000)).into_bytes(),
            "4",
            "",
        ),
        ("a header without colon", b"GET /tcp HTTP/1.1\r\nHost x\r\n\r\n".to_vec(), "400", ""),
        (
            "too many headers",
            format!("GET /tcp HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200)).into_bytes(),
            "4",
            "",
        ),
        ("a huge header", format!("GET /tcp HTTP/1.1\r\nA: {big}\r\n\r\n").into_bytes(), "4", ""),
        (
            "bytes that are not UTF-8",
            put("Content-Length: 4", "json"),
            "400",
            "put data must start with json=",
        ),
    ];
    for (name, bytes, status, body) in cases {
        let answer = exchange(address, &bytes).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{name}: {:?}",
            answer.get(..200).unwrap_or(&answer)
        );
        assert!(answer.contains(body), "{name}: {answer}");
    }
    let answer =
        exchange(address, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(answer.ends_with("ok\n"), "{answer}");
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_body_closes_the_connection_and_says_so() {
    let (servers, address) = start(&Limits::default(), Duration::from_secs(10));
    let request = b"PUT /tcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2000000\r\n\r\n";
    let answer = exchange(address, request).await;
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_or_body_that_does_not_come_is_a_408() {
    let limits = Limits { head_timeout: Duration::from_millis(50), ..Limits::default() };
    let (servers, address) = start(&limits, Duration::from_secs(10));
    let answer = exchange(address, b"GET /tcp HT").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    servers.stop().await;
    let (servers, address) = start(&Limits::default(), Duration::from_millis(50));
    let answer =
        exchange(address, b"PUT /tcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\njson=").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("the body did not arrive"), "{answer}");
    servers.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_on_one_connection_are_answered_in_order() {
    let (servers, address) = start(&Limits::default(), Duration::from_secs(10));
    let two = b"GET /nope HTTP/1.1\r\nHost: localhost\r\n\r\nHEAD /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = exchange(address, two).await;
    let (first, second) = answer.split_once("url not found\"}\n").expect("both answers");
    assert!(first.starts_with("HTTP/1.1 404"), "{first}");
    assert!(second.starts_with("HTTP/1.1 200") && second.ends_with("\r\n\r\n"), "HEAD has no body: {second}");
    assert!(second.to_ascii_lowercase().contains("content-length: 3"), "{second}");
    servers.stop().await;
}
