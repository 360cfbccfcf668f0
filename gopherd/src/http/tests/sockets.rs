//! Servers over real sockets: the unix socket, the metrics listener, the end.

use crate::http::testing::parts;
use crate::http::{Addresses, Limits, Sockets, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_listeners_answer_and_after_the_end_none_does_and_the_socket_file_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gopherd.sock");
    let any = Some(([127, 0, 0, 1], 0).into());
    let addresses = Addresses { rest: any, unix: Some(path.clone()), metrics: any };
    let sockets = Sockets::bind(&addresses).unwrap();
    let tcp = [sockets.rest_address().unwrap(), sockets.metrics_address().unwrap()];
    let servers = serve(sockets, &parts(), &Limits::default()).unwrap();
    let mut answers = Vec::new();
    for address in tcp {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answers.push(answer);
    }
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answers.push(answer);
    for answer in answers {
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("# Configured -\n"), "{answer}");
    }
    // An idle connection does not hold the end up.
    let idle = TcpStream::connect(tcp[0]).await.unwrap();
    servers.stop().await;
    drop(idle);
    assert!(!path.exists());
    for address in tcp {
        assert!(TcpStream::connect(address).await.is_err());
    }
}
