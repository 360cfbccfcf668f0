//! `gopher-ctl spool` against the daemon.

use gopher_e2e::Setup;
use gopher_e2e::ctl::{ctl, document, done, fails};

#[test]
fn the_spool_is_shown_drained_and_purged_only_when_really_asked_for() {
    let dead = gopher_e2e::daemon::free_port();
    let broker = format!("kafka_broker = \"127.0.0.1:{dead}\"");
    // Metadata come by themselves; nothing may wait here.
    let setup = Setup::new()
        .section("event", "out_channel = \"kafka\"")
        .section("meta", "out_channel = \"logs\"")
        .section("kafka", &broker);
    let daemon = setup.start();
    assert!(done(ctl(&setup, &["spool", "show"], "")).contains("kafka"));
    let spool = document(ctl(&setup, &["--json", "spool", "show"], ""));
    assert_eq!(spool, daemon.socket().get("/api/v1/spool").expect(200).json());
    assert_eq!(spool["sinks"][0]["sink"], "kafka");
    assert_eq!(spool["max_bytes"], 256 << 20);
    done(ctl(&setup, &["spool", "drain", "--timeout", "60"], ""));
    fails(&ctl(&setup, &["spool", "drain", "--sink", "nobody"], ""), 2, &["nobody"]);
    fails(&ctl(&setup, &["spool", "purge", "--sink", "kafka"], ""), 2, &["--yes"]);
    assert!(done(ctl(&setup, &["spool", "purge", "--sink", "kafka", "--yes"], "")).starts_with("0 messages"));
    fails(&ctl(&setup, &["spool", "purge", "--sink", "nobody", "--yes"], ""), 1, &["no such sink"]);
    assert!(daemon.terminate().success());
}
