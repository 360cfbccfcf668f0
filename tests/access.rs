//! Who may do what at the doors: certificates, tokens, web pages, floods; and the line that each change leaves.

use gopher_e2e::pki::{Authority, curl, private};
use gopher_e2e::{Client, Daemon, Response, Setup, eventually, process};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;

const BASEINFO: &str = "/api/v1/probes/baseinfo";

fn refused(daemon: &Daemon<'_>, listener: &str, reason: &str) -> u64 {
    let text = daemon.socket().get("/metrics").expect(200).text();
    let name = format!("gopherd_http_refused_total{{listener=\"{listener}\",reason=\"{reason}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&name)).map_or(0, |count| count.parse().expect("a number"))
}

/// The lines of the log about accepted changes.
fn audit(daemon: &Daemon<'_>) -> Vec<String> {
    daemon.log().lines().filter(|line| line.contains(" audit: ")).map(str::to_owned).collect()
}

#[track_caller]
fn problem(answer: Response, status: u16) -> String {
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{}", answer.text());
    let document = answer.expect(status).json();
    assert_eq!(document["status"], status);
    document["detail"].as_str().expect("a detail").to_owned()
}

#[test]
fn a_client_certificate_may_what_client_roles_give_it() {
    let (setup, authority) = (Setup::new(), Authority::new("authority"));
    let dir = setup.path("");
    let server = authority.server("server").write(&dir, "server");
    let ca = dir.join("ca.crt");
    fs::write(&ca, authority.pem()).expect("written");
    let roles = r#"client_roles = [{ subject = "CN=ops", role = "write" }, { subject = "scraper", role = "read" },
        { san = "spiffe://example/deploy", role = "write" }, { san = "watch.example", role = "read" }]"#;
    let setup = setup.section(
        "rest_api_server",
        &format!(
            "ssl_auth = \"on\"\nprivate_key = {:?}\ncert_file = {:?}\nca_file = {ca:?}\n{roles}",
            server.key, server.cert
        ),
    );
    let daemon = setup.start();
    let base = format!("https://localhost:{}", setup.rest_port);
    let san = |name: &str| {
        let text = rcgen_text(name);
        if name.contains("://") { rcgen::SanType::URI(text) } else { rcgen::SanType::DnsName(text) }
    };
    for (name, alternative, reads, writes) in [
        ("ops", None, 200, 200),
        ("scraper", None, 200, 403),
        ("robot", Some("spiffe://example/deploy"), 200, 200),
        ("eye", Some("watch.example"), 200, 403),
        ("other", Some("else.example"), 403, 403),
        // Written like the names of others.
        ("CN=ops", None, 403, 403),
        ("case", Some("spiffe://example/DEPLOY"), 403, 403),
    ] {
        let pair =
            authority.issue(name, (-1, 30), |params| params.subject_alt_names.extend(alternative.map(san)));
        let files = pair.write(&dir, name);
        let (cert, key) = (files.cert.to_str().expect("a path"), files.key.to_str().expect("a path"));
        let ask = |args: &[&str]| {
            curl(&[&["--cacert", ca.to_str().expect("a path"), "--cert", cert, "--key", key], args].concat())
        };
        assert_eq!(ask(&[&format!("{base}{BASEINFO}")]).status, reads, "{name}");
        assert_eq!(ask(&[&format!("{base}/metrics")]).status, reads, "{name}");
        assert_eq!(ask(&[&format!("{base}/readyz")]).status, 200, "{name}");
        let json = ["-H", "Content-Type: application/json", "-d", "{}"];
        let native = ask(&[&["-X", "PUT"], &json[..], &[&format!("{base}{BASEINFO}")]].concat());
        assert_eq!(native.status, writes, "{name}: {native:?}");
        let compatible = ask(&["-X", "PUT", "-d", "json={}", &format!("{base}/baseinfo")]);
        assert_eq!(compatible.status, writes, "{name}: {compatible:?}");
        if writes == 403 {
            assert!(native.text.contains("application/problem+json"), "{native:?}");
            assert!(compatible.text.contains(r#"{"result":"failed","message":""#), "{compatible:?}");
        }
        for method in ["DELETE", "PATCH", "POST"] {
            let got = ask(&[
                "-X",
                method,
                "-H",
                "Content-Type: application/json",
                "-d",
                "{}",
                &format!("{base}{BASEINFO}"),
            ]);
            assert_eq!(got.status == 403, writes == 403, "{name} {method}: {got:?}");
        }
    }
    assert!(refused(&daemon, "rest", "role") > 0);
    let lines = audit(&daemon);
    assert!(
        lines.iter().any(|line| line.contains(r#"who="certificate CN=ops" from="127.0.0.1" door="native""#)),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains(r#"who="certificate CN=robot" from="127.0.0.1" door="compatible""#)),
        "{lines:?}"
    );
    assert!(!lines.iter().any(|line| line.contains("scraper")), "{lines:?}");
}

fn rcgen_text(text: &str) -> rcgen::string::Ia5String {
    text.try_into().expect("ASCII")
}

/// A line of a tokens file, made as the documentation says.
fn line(name: &str, role: &str, token: &str) -> String {
    let printed = process::run("sha256sum", &[], token.as_bytes()).stdout;
    let digest = String::from_utf8(printed).expect("text").split(' ').next().expect("a digest").to_owned();
    format!("{name} {role} {digest}\n")
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

#[test]
fn a_token_may_what_its_line_says_and_changes_with_its_file() {
    let setup = Setup::new();
    let file = setup.path("tokens");
    private(
        &file,
        &format!("# who may what\n{}{}", line("ci", "write", "s3cret"), line("eye", "read", "look")),
    );
    let setup = setup.section("rest_api_server", &format!("tokens_file = {file:?}"));
    let daemon = setup.start();
    let rest = daemon.rest();
    let ask = |method: &str, path: &str, token: Option<&str>| {
        let value = token.map(bearer).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(token.map(|_| ("authorization", value.as_str())));
        rest.send(method, path, &headers, if method == "GET" { "" } else { "{}" })
    };
    for (token, reads, writes) in
        [(None, 401, 401), (Some("s3cret"), 200, 200), (Some("look"), 200, 403), (Some("guess"), 401, 401)]
    {
        assert_eq!(ask("GET", BASEINFO, token).status, reads, "{token:?}");
        assert_eq!(ask("GET", "/baseinfo", token).status, reads, "{token:?}");
        assert_eq!(ask("GET", "/metrics", token).status, reads, "{token:?}");
        assert_eq!(ask("PUT", BASEINFO, token).status, writes, "{token:?}");
        assert_eq!(ask("PUT", "/baseinfo", token).status, writes, "{token:?}");
        // Even what is not there is not shown to everybody.
        assert_eq!(ask("GET", "/nosuch", token).status, if reads == 200 { 404 } else { reads });
    }
    let answer = ask("GET", BASEINFO, None);
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="gopherd""#));
    assert!(problem(answer, 401).contains("Authorization: Bearer"));
    let answer = ask("PUT", "/baseinfo", Some("guess"));
    assert_eq!(answer.header("www-authenticate"), Some(r#"Bearer realm="gopherd", error="invalid_token""#));
    assert_eq!(answer.json(), json!({"result": "failed", "message": "the token is not known"}));
    // Health is for everybody, the metrics listener asks for nothing, and the unix socket has its user.
    assert_eq!(ask("GET", "/healthz", None).status, 200);
    assert_eq!(ask("GET", "/readyz", Some("guess")).status, 200);
    assert_eq!(daemon.metrics().get("/metrics").status, 200);
    assert_eq!(daemon.socket().send_json("PUT", BASEINFO, &json!({})).status, 200);
    assert!(refused(&daemon, "rest", "auth") > 0 && refused(&daemon, "rest", "role") > 0);
    assert!(audit(&daemon).iter().any(|line| line.contains(r#"who="token ci""#)));
    assert!(!daemon.log().contains("s3cret") && !daemon.log().contains("guess"));

    private(&file, &line("ci", "write", "other"));
    eventually("the new token", || (ask("GET", BASEINFO, Some("other")).status == 200).then_some(()));
    assert_eq!(ask("GET", BASEINFO, Some("s3cret")).status, 401);
    // What cannot be used changes nothing, and is said.
    private(&file, "ci write hunter2\n");
    let said = eventually("a problem in readyz", || {
        let said = rest.get("/readyz").expect(200).json()["problems"].to_string();
        said.contains("tokens_file").then_some(said)
    });
    assert!(said.contains("line 1") && !said.contains("hunter2"), "{said}");
    assert_eq!(ask("GET", BASEINFO, Some("other")).status, 200);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    eventually("the open mode to be said", || {
        rest.get("/readyz").expect(200).text().contains("has mode 0640").then_some(())
    });
    private(&file, &line("ci", "read", "s3cret"));
    eventually("the first token", || (ask("GET", BASEINFO, Some("s3cret")).status == 200).then_some(()));
    assert_eq!(ask("PUT", BASEINFO, Some("s3cret")).status, 403);
    assert_eq!(rest.get("/readyz").expect(200).json()["problems"], json!([]));
}

#[test]
fn tokens_that_others_can_read_or_that_are_not_there_keep_the_daemon_from_starting() {
    let setup = Setup::new();
    let file = setup.path("tokens");
    fs::write(&file, line("ci", "write", "x")).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    let setup = setup.section("rest_api_server", &format!("tokens_file = {file:?}"));
    for said in ["has mode 0644, so that others can reach it; chmod 600 it", "cannot be read: No such file"] {
        for flags in [&["--check-config"][..], &[]] {
            let output = setup.run(flags);
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains("rest_api_server.tokens_file: ") && text.contains(said), "{text}");
        }
        drop(fs::remove_file(&file));
    }
}

#[test]
fn web_pages_and_foreign_names_are_refused_on_tcp_and_not_on_the_unix_socket() {
    let setup =
        Setup::new().section("rest_api_server", "allowed_hosts = [\"node.example\", \"proxy.example:8443\"]");
    let daemon = setup.start();
    let own = fs::read_to_string("/proc/sys/kernel/hostname").expect("the host's name");
    let (rest, metrics, socket) = (daemon.rest(), daemon.metrics(), daemon.socket());
    let host = |client: &Client, name: &str| client.send("GET", "/healthz", &[("host", name)], "").status;
    for (name, wanted) in [
        ("localhost", 200),
        ("127.0.0.1:9999", 200),
        ("[::1]:9999", 200),
        (own.trim(), 200),
        ("node.example:1", 200),
        ("proxy.example:8443", 200),
        ("proxy.example", 403),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
    ] {
        assert_eq!((host(&rest, name), host(&metrics, name)), (wanted, wanted), "{name}");
        assert_eq!(host(&socket, name), 200, "{name}");
    }
    // The name in the request line counts too, and two names are one too many.
    for head in [
        "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n",
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n",
    ] {
        let answer = rest.raw(format!("{head}\r\n").as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
    }
    // Old health checks name nobody.
    assert!(rest.raw(b"GET /healthz HTTP/1.0\r\n\r\n").starts_with(b"HTTP/1.0 200"));

    for origin in ["http://evil.example", "http://localhost:9999", "null", ""] {
        for client in [&rest, &metrics] {
            let answer = client.send("GET", "/metrics", &[("origin", origin)], "");
            assert!(problem(answer, 403).contains("Origin"), "{origin}");
        }
        let form = [("origin", origin), ("content-type", "text/plain")];
        let answer = rest.send("PUT", "/baseinfo", &form, r#"json={"state":"stopped"}"#).expect(403);
        assert_eq!(answer.json()["result"], "failed");
        assert_eq!(socket.send("GET", "/metrics", &[("origin", origin)], "").status, 200);
    }
    assert_eq!(rest.get(BASEINFO).expect(200).json()["generation"], 0);
    assert!(refused(&daemon, "rest", "origin") >= 8 && refused(&daemon, "metrics", "host") >= 3);
}

#[test]
fn native_changes_need_a_json_content_type() {
    let setup = Setup::new();
    let daemon = setup.start();
    for client in [daemon.rest(), daemon.socket()] {
        for (method, path) in [
            ("PUT", BASEINFO),
            ("PATCH", BASEINFO),
            ("POST", "/api/v1/probes:apply"),
            ("POST", "/api/v1/probes:save"),
            ("PUT", "/api/v1/log-level"),
        ] {
            // What a form of a web page can send, and nothing at all.
            for kind in
                ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
            {
                let headers = [("content-type", kind)];
                let headers = if kind.is_empty() { &[][..] } else { &headers[..] };
                problem(client.send(method, path, headers, "{}"), 415);
            }
        }
    }
    assert!(refused(&daemon, "rest", "media_type") >= 20);
}

/// A daemon whose peers may send so many requests a second.
fn limited(per_second: u32) -> Setup {
    let setup = Setup::new();
    let text = format!(
        "[rest_api_server]\nport = {}\nrequests_per_second = {per_second}\nbody_timeout = \"1s\"\n[web_server]\nport = {}\n",
        setup.rest_port, setup.metrics_port
    );
    setup.file("gopherd.toml", text)
}

#[test]
fn a_peer_that_asks_too_often_is_told_to_wait_and_nobody_else_is() {
    let setup = limited(5);
    let daemon = setup.start();
    let rest = daemon.rest();
    let answer =
        eventually("a refusal", || Some(rest.get("/api/v1/probes")).filter(|answer| answer.status != 200));
    assert_eq!(answer.header("retry-after"), Some("1"));
    problem(answer, 429);
    let compatible =
        eventually("a refusal", || Some(rest.get("/baseinfo")).filter(|answer| answer.status == 429));
    assert_eq!(compatible.json()["result"], "failed");
    for _ in 0..50 {
        assert_eq!(daemon.socket().get("/api/v1/probes").status, 200);
        assert_eq!(daemon.metrics().get("/metrics").status, 200);
    }
    assert!(refused(&daemon, "rest", "rate") >= 2);
    assert_eq!(refused(&daemon, "unix", "rate") + refused(&daemon, "metrics", "rate"), 0);
    eventually("another second", || (rest.get("/healthz").status == 200).then_some(()));
}

#[test]
fn a_refused_body_is_not_read_on_for_ever() {
    let setup = limited(100_000);
    let daemon = setup.start();
    let mut stream = daemon.rest().connect();
    stream
        .write_all(b"PUT /nosuch HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("sent");
    let chunk = [b"10000\r\n", &[b'x'; 0x10000][..], b"\r\n"].concat();
    // It is answered at once, and what follows is taken only so far: far less than this.
    let sent = (0..1000).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1000, "64 MiB were taken");
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 404"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_small_refused_body_leaves_the_connection_usable() {
    let setup = Setup::new();
    let daemon = setup.start();
    let mut stream = daemon.rest().connect();
    let put = "PUT /baseinfo HTTP/1.1\r\nHost: localhost\r\nOrigin: x\r\nContent-Length: 7\r\n\r\njson={}";
    let last = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(format!("{put}{put}{last}").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("all answers");
    assert_eq!(answer.matches("HTTP/1.1 403").count(), 2, "{answer}");
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[test]
fn a_head_that_does_not_go_on_is_given_up_whether_it_is_the_first_or_not() {
    let setup = limited(100_000);
    let daemon = setup.start();
    let mut first = daemon.rest().connect();
    first.write_all(b"GET /healthz HT").expect("sent");
    let mut second = daemon.rest().connect();
    second.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    let (mut one, mut two) = (String::new(), String::new());
    let mut piece = [0; 4096];
    while !two.ends_with("ok\n") {
        let size = second.read(&mut piece).expect("an answer");
        two.push_str(std::str::from_utf8(&piece[..size]).expect("text"));
    }
    second.write_all(b"GET /healthz HT").expect("sent");
    first.read_to_string(&mut one).expect("the end");
    second.read_to_string(&mut two).expect("the end");
    assert!(one.starts_with("HTTP/1.1 408"), "{one}");
    assert!(two.starts_with("HTTP/1.1 200") && two.ends_with("ok\n"), "{two}");
    eventually("both to be counted", || (refused(&daemon, "rest", "timeout") == 2).then_some(()));
    assert!(daemon.rest().raw(b"no HTTP at all\r\n\r\n").starts_with(b"HTTP/1.1 400"));
    eventually("nonsense to be counted", || (refused(&daemon, "rest", "malformed") == 1).then_some(()));
}

#[test]
fn every_accepted_change_is_one_line_that_says_who_what_before_and_after() {
    let line = r#"tcp {"params":{"report_period":20}}"#;
    // However little else is logged.
    let setup = Setup::new().probes_init(line).section("global", "log_level = \"error\"");
    let daemon = setup.start();
    let mut seen = 0;
    let mut next = |what: &str| {
        let lines = eventually(what, || Some(audit(&daemon)).filter(|lines| lines.len() > seen));
        assert_eq!(lines.len(), seen + 1, "{what}: {lines:?}");
        seen += 1;
        lines.last().expect("a line").clone()
    };
    let has = |line: &str, parts: &[&str]| {
        parts.iter().for_each(|part| assert!(line.contains(part), "{part} in {line}"))
    };

    has(
        &next("probes.init"),
        &[
            r#"who="probes.init" from="this host" door="file" what="tcp" before={} after={"#,
            r#""report_period":20"#,
            "generation=1",
        ],
    );
    daemon.put("tcp", r#"{"params":{"report_period":30}}"#);
    has(
        &next("the compatible door"),
        &[
            r#"who="nobody" from="127.0.0.1" door="compatible" what="tcp" before={"params":{"report_period":20}} after={"params":{"report_period":30}} generation=2"#,
        ],
    );
    daemon
        .socket()
        .send_json("PUT", BASEINFO, &json!({"cmd": {"probe": ["mem"]}, "state": "running"}))
        .expect(200);
    let uid = rustix::process::getuid().as_raw();
    has(
        &next("the unix socket"),
        &[
            &format!(r#"who="uid {uid}" from="unix socket" door="native" what="baseinfo""#),
            r#""state":"running""#,
        ],
    );
    daemon.rest().send("DELETE", BASEINFO, &[], "").expect(200);
    has(&next("a deletion"), &[r#"what="baseinfo" before={"#, "after={} generation=2"]);
    daemon.rest().send_json("PUT", "/api/v1/log-level", &json!({"level": "warn"})).expect(200);
    has(&next("the log level"), &[r#"what="log level" before="error" after="warn""#]);
    daemon.rest().send_json("POST", "/api/v1/probes:save", &json!({})).expect(200);
    has(&next("saving"), &[r#"what="probes.init" before={} after={"features":"#]);

    // Two features in one transaction are two changes.
    let both = json!({"probes": {"tcp": {"params": {"report_period": 40}}, "io": {"params": {"report_period": 40}}}});
    daemon.rest().send_json("POST", "/api/v1/probes:apply?dry_run=true", &both).expect(200);
    daemon.rest().send_json("POST", "/api/v1/probes:apply", &both).expect(200);
    let lines = eventually("both lines", || Some(audit(&daemon)).filter(|lines| lines.len() >= seen + 2));
    seen += 2;
    assert_eq!(lines.len(), seen, "{lines:?}");

    // What is refused leaves none.
    daemon.rest().put("/tcp", r#"{"params":{"report_period":1}}"#).expect(400);
    daemon.rest().send_json("PUT", BASEINFO, &json!({"state": "up"})).expect(400);

    let text = fs::read_to_string(setup.config_path()).expect("the file").replace("\"error\"", "\"info\"");
    fs::write(setup.config_path(), text).expect("written");
    daemon.signal(Signal::HUP);
    let line = eventually("SIGHUP", || audit(&daemon).into_iter().nth(seen));
    has(
        &line,
        &[
            r#"who="SIGHUP""#,
            r#"what="configuration" before={"global.log_level":"\"error\""} after={"global.log_level":"\"info\""}"#,
        ],
    );
    eventually("the reload to end", || daemon.log().contains("line skipped").then_some(()));
    assert_eq!(audit(&daemon).len(), seen + 1);
}

#[test]
fn a_change_too_long_for_a_line_is_cut_and_says_so_and_cannot_forge_another_line() {
    let setup = Setup::new();
    let daemon = setup.start();
    let rules: Vec<Value> = (0..500).map(|n| json!({"comm": format!("process-{n}")})).collect();
    daemon.put("tcp", &json!({"snoopers": {"proc_name": rules}}).to_string());
    let labels = json!({"snoopers": {"custom_labels": {"team": "x\n2026-01-01T00:00:00Z  INFO audit: change accepted who=\"uid 0\""}}});
    daemon.put("io", &labels.to_string());
    let lines = eventually("two lines", || Some(audit(&daemon)).filter(|lines| lines.len() >= 2));
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("… (cut, ") && lines[0].len() < 10_000, "{}", lines[0].len());
    assert_eq!(daemon.log().lines().filter(|line| line.contains("who=\"uid 0\"")).count(), 0);
}
