//! TLS on both listeners, asked by openssl and curl: what is offered, who is let in, and certificates that are
//! replaced while the daemon runs.

use gopher_e2e::pki::{Authority, Paths, curl, handshake, private, served};
use gopher_e2e::{Daemon, Setup, eventually, process};
use rustix::process::Signal;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

/// The TLS keys of a section.
fn tls(files: &Paths, ca: Option<&Path>) -> String {
    let ca = ca.map(|ca| format!("ca_file = {ca:?}\n")).unwrap_or_default();
    format!("ssl_auth = \"on\"\nprivate_key = {:?}\ncert_file = {:?}\n{ca}", files.key, files.cert)
}

/// An authority, a folder with its certificate and a server's, and a daemon's setup that uses them.
struct World {
    authority: Authority,
    setup: Setup,
    files: Paths,
    ca: String,
}

impl World {
    fn new() -> Self {
        let (setup, authority) = (Setup::new(), Authority::new("authority"));
        let files = authority.server("first").write(&setup.path(""), "server");
        // Whom the daemon trusts, and whom its clients do.
        fs::write(setup.path("ca.crt"), authority.pem()).expect("the authority's certificate");
        let ca = setup.path("trusted.crt");
        fs::write(&ca, authority.pem()).expect("the authority's certificate");
        Self { authority, setup, files, ca: ca.to_str().expect("a path").to_owned() }
    }

    /// TLS on both listeners, with these lines for the control listener.
    fn both(mut self, mutual: bool, lines: &str) -> Self {
        let ca = self.setup.path("ca.crt");
        let keys = tls(&self.files, mutual.then_some(ca.as_path()));
        self.setup =
            self.setup.section("rest_api_server", &format!("{keys}{lines}")).section("web_server", &keys);
        self
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.setup.rest_port)
    }

    fn metrics_url(&self) -> String {
        format!("https://localhost:{}/metrics", self.setup.metrics_port)
    }

    /// A client's certificate as arguments of curl.
    fn client(&self, name: &str, days: (i32, i32)) -> Vec<String> {
        self.client_of(&self.authority, name, days)
    }

    fn client_of(&self, authority: &Authority, name: &str, days: (i32, i32)) -> Vec<String> {
        let files = authority.issue(name, days, |_| {}).write(&self.setup.path(""), name);
        let text = |path: &Path| path.to_str().expect("a path").to_owned();
        vec!["--cert".into(), text(&files.cert), "--key".into(), text(&files.key)]
    }

    fn get(&self, url: &str, more: &[String]) -> gopher_e2e::pki::Got {
        let mut args = vec!["--cacert", &self.ca];
        args.extend(more.iter().map(String::as_str));
        args.push(url);
        curl(&args)
    }
}

fn problems(daemon: &Daemon<'_>) -> String {
    daemon.socket().get("/readyz").expect(200).json()["problems"].to_string()
}

#[test]
fn with_tls_on_both_listeners_answer_in_tls_and_in_nothing_else() {
    let world = World::new().both(false, "");
    let daemon = world.setup.start();
    assert_eq!(world.get(&world.url("/readyz"), &[]).status, 200);
    assert_eq!(world.get(&world.metrics_url(), &[]).status, 200);
    for client in [daemon.rest(), daemon.metrics()] {
        let answer = client.raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    }
    let untrusted = curl(&[&world.url("/readyz")]);
    assert_eq!(untrusted.status, 0, "{untrusted:?}");
    let text = daemon.socket().get("/metrics").expect(200).text();
    for listener in ["rest", "metrics"] {
        let refused = format!("gopherd_http_refused_total{{listener=\"{listener}\",reason=\"handshake\"}}");
        assert!(text.contains(&refused), "{listener}");
        let expiry = format!("gopherd_tls_certificate_expiry_timestamp_seconds{{listener=\"{listener}\"}} ");
        assert!(text.contains(&expiry), "{listener}");
    }
}

#[test]
fn old_versions_are_refused_and_1_2_is_spoken_only_where_it_is_enabled() {
    let strict = World::new().both(false, "");
    let _daemon = strict.setup.start();
    let lenient = World::new().both(false, "tls_min = \"1.2\"");
    let _other = lenient.setup.start();
    let weak = ["-cipher", "ALL:@SECLEVEL=0"];
    for (version, by_strict, by_lenient) in [
        ("-tls1", false, false),
        ("-tls1_1", false, false),
        ("-tls1_2", false, true),
        ("-tls1_3", true, true),
    ] {
        for (port, wanted) in [
            (strict.setup.rest_port, by_strict),
            (strict.setup.metrics_port, by_strict),
            (lenient.setup.rest_port, by_lenient),
            (lenient.setup.metrics_port, by_lenient),
        ] {
            let (output, text) = handshake(port, &[&[version], &weak[..]].concat());
            assert_eq!(output.status.success(), wanted, "{version}: {text}");
        }
    }
    // The client's own first choice.
    assert!(handshake(strict.setup.rest_port, &[]).1.contains("TLSv1.3"));
}

#[test]
fn nothing_weak_is_offered() {
    let world = World::new().both(false, "tls_min = \"1.2\"");
    let _daemon = world.setup.start();
    let port = world.setup.rest_port;
    let offered = |args: &[&str]| handshake(port, args).0.status.success();
    let known = process::text_of("openssl", &["ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]);
    let old: Vec<&str> = known
        .trim()
        .split(':')
        .filter(|suite| offered(&["-tls1_2", "-cipher", &format!("{suite}:@SECLEVEL=0")]))
        .collect();
    for suite in &old {
        let modern = suite.starts_with("ECDHE-") && (suite.contains("-GCM-") || suite.contains("CHACHA20"));
        assert!(modern, "{suite} is offered");
    }
    assert!(!old.is_empty(), "TLS 1.2 was enabled");
    let new = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];
    for suite in new {
        assert!(offered(&["-tls1_3", "-ciphersuites", suite]), "{suite}");
    }
    assert!(!handshake(port, &["-tls1_2", "-renegotiate"]).1.contains("Secure Renegotiation IS NOT"));
    assert!(handshake(port, &["-alpn", "http/1.1"]).1.contains("ALPN protocol: http/1.1"));
    assert!(handshake(port, &["-reconnect"]).1.matches("\nReused, ").count() == 0);
}

#[test]
fn with_an_authority_only_its_certificates_get_in_at_both_listeners() {
    let world = World::new().both(true, "");
    let _daemon = world.setup.start();
    let good = world.client("good", (-1, 30));
    let (expired, early) = (world.client("expired", (-30, -1)), world.client("early", (1, 30)));
    let stranger = world.client_of(&Authority::new("authority"), "stranger", (-1, 30));
    for url in [world.url("/readyz"), world.metrics_url()] {
        assert_eq!(world.get(&url, &good).status, 200, "{url}");
        for (name, other) in
            [("none", &vec![]), ("expired", &expired), ("early", &early), ("stranger", &stranger)]
        {
            let got = world.get(&url, other);
            assert_eq!(got.status, 0, "{name} at {url}: {got:?}");
        }
    }
    // Without client_roles each accepted certificate may write.
    let put = [good, ["-X", "PUT", "-d", "json={}"].map(str::to_owned).to_vec()].concat();
    assert_eq!(world.get(&world.url("/baseinfo"), &put).status, 200);
}

/// A connection that stays open, by `openssl s_client`.
struct Open {
    child: std::process::Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Open {
    fn to(port: u16) -> Self {
        let mut child = process::command("openssl")
            .args(["s_client", "-quiet", "-connect", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let answers = BufReader::new(child.stdout.take().expect("standard output"));
        Self { child, answers }
    }

    /// The status line of the answer to another request on it.
    fn ask(&mut self) -> String {
        let input = self.child.stdin.as_mut().expect("standard input");
        input.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
        let mut lines = (&mut self.answers).lines().map(|line| line.expect("a line"));
        let status = lines.next().unwrap_or_default();
        assert!(lines.any(|line| line == "ok"), "no body");
        status
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn a_replaced_certificate_is_served_without_a_restart_and_open_connections_go_on() {
    let world = World::new().both(false, "");
    let daemon = world.setup.start();
    let dir = world.setup.path("");
    let mut open = Open::to(world.setup.rest_port);
    assert!(open.ask().ends_with("200 OK"));
    assert_eq!(served(world.setup.rest_port), "first");

    world.authority.server("second").write(&dir, "server");
    for port in [world.setup.rest_port, world.setup.metrics_port] {
        eventually("the second certificate", || (served(port) == "second").then_some(()));
    }
    assert!(open.ask().ends_with("200 OK"));

    // What cannot be used changes nothing, and is said until it is put right.
    fs::write(&world.files.cert, "nonsense").expect("written");
    let said = eventually("a problem in readyz", || {
        let said = problems(&daemon);
        said.contains("cert_file").then_some(said)
    });
    assert!(
        said.contains("rest_api_server.cert_file") && said.contains("server.crt has no certificate"),
        "{said}"
    );
    assert!(daemon.log().contains("what was read before stays in force"));
    assert_eq!(served(world.setup.rest_port), "second");
    // Another one's key is no better.
    world.authority.server("third").write(&dir, "server");
    private(&world.files.key, &world.authority.server("x").key);
    eventually("the wrong key to be seen", || problems(&daemon).contains("is not the key").then_some(()));
    assert_eq!(served(world.setup.rest_port), "second");

    world.authority.server("fourth").write(&dir, "server");
    eventually("the fourth certificate", || (served(world.setup.rest_port) == "fourth").then_some(()));
    eventually("nothing to be wrong", || (problems(&daemon) == "[]").then_some(()));
    assert!(open.ask().ends_with("200 OK"));
}

#[test]
fn certificates_that_are_swapped_by_a_link_of_a_link_or_renamed_over_are_seen() {
    let mut world = World::new();
    // As Kubernetes mounts a secret: server.crt -> ..data/server.crt, ..data -> a folder of that time.
    let mount = world.setup.path("mount");
    let put = |world: &World, folder: &str, name: &str| {
        fs::create_dir_all(mount.join(folder)).expect("a folder");
        world.authority.server(name).write(&mount.join(folder), "server");
        symlink(folder, mount.join("..data_tmp")).expect("a link");
        fs::rename(mount.join("..data_tmp"), mount.join("..data")).expect("swapped");
    };
    put(&world, "..one", "one");
    for name in ["server.crt", "server.key"] {
        symlink(Path::new("..data").join(name), mount.join(name)).expect("a link");
    }
    world.files = Paths { cert: mount.join("server.crt"), key: mount.join("server.key") };
    let world = world.both(false, "");
    let _daemon = world.setup.start();
    assert_eq!(served(world.setup.rest_port), "one");
    put(&world, "..two", "two");
    eventually("the second folder", || (served(world.setup.rest_port) == "two").then_some(()));

    let new = world.authority.server("three").write(&world.setup.path(""), "new");
    fs::rename(&new.key, &world.files.key).expect("renamed");
    fs::rename(&new.cert, &world.files.cert).expect("renamed");
    eventually("the renamed files", || (served(world.setup.rest_port) == "three").then_some(()));
}

#[test]
fn another_authority_decides_from_its_replacement_on_and_sighup_takes_other_paths() {
    let world = World::new().both(true, "");
    let daemon = world.setup.start();
    let old = world.client("old", (-1, 30));
    assert_eq!(world.get(&world.url("/readyz"), &old).status, 200);
    let successor = Authority::new("successor");
    fs::write(world.setup.path("ca.crt"), successor.pem()).expect("written");
    eventually("the old client to be refused", || {
        (world.get(&world.url("/readyz"), &old).status == 0).then_some(())
    });
    let other = world.client_of(&successor, "new", (-1, 30));
    assert_eq!(world.get(&world.url("/readyz"), &other).status, 200);

    let moved = world.authority.server("moved").write(&world.setup.path("state"), "elsewhere");
    let text = fs::read_to_string(world.setup.config_path()).expect("the file");
    let text = text
        .replace(world.files.cert.to_str().expect("a path"), moved.cert.to_str().expect("a path"))
        .replace(world.files.key.to_str().expect("a path"), moved.key.to_str().expect("a path"));
    fs::write(world.setup.config_path(), text).expect("written");
    daemon.signal(Signal::HUP);
    eventually("the certificate at another path", || {
        (served(world.setup.rest_port) == "moved" && served(world.setup.metrics_port) == "moved")
            .then_some(())
    });
}

#[test]
fn a_certificate_that_ends_soon_or_has_ended_is_said() {
    let world = World::new().both(false, "");
    let daemon = world.setup.start();
    assert_eq!(problems(&daemon), "[]");
    for (days, said) in
        [((-1, 13), "ends at 20"), ((-30, -1), "has ended at 20"), ((1, 30), "begins only at 20")]
    {
        let pair = world.authority.issue("short", days, gopher_e2e::pki::local);
        pair.write(&world.setup.path(""), "server");
        eventually(said, || problems(&daemon).contains(&format!("server.crt {said}")).then_some(()));
    }
    world.authority.server("long").write(&world.setup.path(""), "server");
    eventually("nothing to be wrong", || (problems(&daemon) == "[]").then_some(()));
}

#[test]
fn without_usable_files_the_daemon_does_not_start_and_says_what_to_do() {
    let world = World::new();
    let other = world.authority.server("other").write(&world.setup.path(""), "other");
    let missing = world.setup.path("missing.pem");
    // As when the file of all authorities is named: no client would read so much.
    let many = world.setup.path("many.pem");
    let server = fs::read_to_string(&world.files.cert).expect("the server's certificate");
    fs::write(&many, server.repeat(500)).expect("written");
    let with =
        |cert: &Path, key: &Path, ca: Option<&Path>| tls(&Paths { cert: cert.into(), key: key.into() }, ca);
    let (cert, key) = (world.files.cert.as_path(), world.files.key.as_path());
    for (lines, said) in [
        (with(&missing, key, None), "rest_api_server.cert_file: /missing.pem cannot be read: "),
        (with(cert, &missing, None), "rest_api_server.private_key: /missing.pem cannot be read: "),
        (with(cert, key, Some(&missing)), "rest_api_server.ca_file: /missing.pem cannot be read: "),
        (
            with(cert, &other.key, None),
            "rest_api_server.private_key: /other.key is not the key of the certificate in ",
        ),
        (with(key, key, None), "rest_api_server.cert_file: /server.key has no certificate; "),
        (with(&many, key, None), "rest_api_server.cert_file: /many.pem has 500 certificates, more than "),
        (
            with(cert, cert, None),
            "rest_api_server.private_key: /server.crt has no private key that can be used; ",
        ),
        (with(cert, key, Some(key)), "rest_api_server.ca_file: /server.key has no certificate; "),
    ] {
        let setup = Setup::new().section("rest_api_server", &lines);
        for flags in [&["--check-config"][..], &[]] {
            let output = setup.run(flags);
            let text = format!(
                "{}{}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            );
            let text = text.replace(world.setup.path("").to_str().expect("a path").trim_end_matches('/'), "");
            assert_eq!(output.status.code(), Some(1), "{text}");
            assert!(text.contains(said), "{said} in {text}");
        }
    }
}

#[test]
fn gopher_rest_auth_turns_tls_on() {
    let world = World::new();
    let setup = Setup::new()
        .env("GOPHER_REST_AUTH", "yes")
        .env("GOPHER_REST_PRIVATE_KEY", world.files.key.to_str().expect("a path"))
        .env("GOPHER_REST_CERT", world.files.cert.to_str().expect("a path"));
    let daemon = setup.start();
    assert_eq!(served(setup.rest_port), "first");
    let answer = daemon.rest().raw(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!answer.starts_with(b"HTTP/"));
}

#[test]
fn a_key_that_every_user_can_read_is_warned_of() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new().both(false, "");
    fs::set_permissions(&world.files.key, fs::Permissions::from_mode(0o644)).expect("a mode");
    let daemon = world.setup.start();
    assert!(daemon.log().contains("rest_api_server.private_key"), "{}", daemon.log());
    assert!(daemon.log().contains("can be read by every user"));
}

#[test]
fn handshakes_that_are_never_finished_keep_nobody_out() {
    let world = World::new().both(false, "");
    let daemon = world.setup.start();
    let half: Vec<_> = (0..300).map(|_| (daemon.rest().connect(), daemon.metrics().connect())).collect();
    assert_eq!(world.get(&world.url("/readyz"), &[]).status, 200);
    assert_eq!(world.get(&world.metrics_url(), &[]).status, 200);
    eventually("the daemon to give them up", || {
        let text = daemon.socket().get("/metrics").expect(200).text();
        let name = "gopherd_http_refused_total{listener=\"rest\",reason=\"handshake\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(name))?.parse::<usize>().ok()?;
        (count >= half.len()).then_some(())
    });
}
