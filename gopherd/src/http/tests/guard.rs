//! The guard over a bound server: what is in a header decides, and no bytes in one do harm.

use crate::access::{Listener, Reason};
use crate::http::testing::parts;
use crate::http::{Addresses, Limits, Sockets, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_bytes_in_the_headers_that_decide_are_refused_and_counted() {
    let any = Some(([127, 0, 0, 1], 0).into());
    let sockets = Sockets::bind(&Addresses { rest: any, ..Addresses::default() }).unwrap();
    let address = sockets.rest_address().unwrap();
    let parts = parts();
    let servers = serve(sockets, &parts, &Limits::default()).unwrap();
    let mut refused = 0;
    for (name, values) in [
        ("Host", &[&b"\xff\xfe"[..], b"", b"a b", b"[", b"]:1", b":::::", b"localhost:", b"%6cocalhost"][..]),
        ("Origin", &[b"", b"\xff", b"null"]),
        ("Authorization", &[b"", b"\xff\xff", b"Bearer \xff"]),
    ] {
        for value in values {
            let mut request = b"GET /nope HTTP/1.1\r\nConnection: close\r\n".to_vec();
            if name != "Host" {
                request.extend_from_slice(b"Host: localhost\r\n");
            }
            request.extend_from_slice(format!("{name}: ").as_bytes());
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n\r\n");
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&request).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer);
            // Without tokens nobody looks at an Authorization; an empty port is none.
            let harmless = name == "Authorization" || *value == b"localhost:";
            let wanted = if harmless { "HTTP/1.1 404" } else { "HTTP/1.1 403" };
            assert!(answer.starts_with(wanted), "{name} {value:?}: {answer}");
            refused += u64::from(!harmless);
        }
    }
    let counts: Vec<_> = parts.access.counts.read().collect();
    assert_eq!(counts.iter().map(|(.., count)| count).sum::<u64>(), refused, "{counts:?}");
    assert!(counts.iter().all(|(listener, reason, _)| {
        *listener == Listener::Rest && matches!(reason, Reason::Host | Reason::Origin)
    }));
    servers.stop().await;
}
