//! probes.init: every line counts, bad ones are named, and saving never leaves half a file, whenever the
//! daemon dies.

use gopher_e2e::{Setup, eventually};
use serde_json::json;
use std::time::{Duration, Instant};

#[test]
fn a_bad_line_is_named_and_the_others_apply() {
    let setup = Setup::new().probes_init(
        "baseinfo {\"params\":{\"report_period\":20}}\nnosuch {}\ntcp {\"params\":{\"report_period\":1}}\nio {\"params\":{\"report_period\":22}}\n",
    );
    let daemon = setup.start();
    let period = |feature: &str| {
        daemon.rest().get(&format!("/{feature}")).expect(200).json()["params"]["report_period"].clone()
    };
    assert_eq!((period("baseinfo"), period("io")), (json!(20), json!(22)));
    let problems = daemon.rest().get("/readyz").expect(200).json()["problems"].to_string();
    let file = setup.probes_init_path();
    for (line, words) in [(2, "nosuch"), (3, "report_period")] {
        let place = format!("{}:{line}: ", file.display());
        assert!(problems.contains(&place) && problems.contains(words), "no {place} in {problems}");
        assert!(daemon.log().contains(&place), "no {place} in the log");
    }
    let list = daemon.rest().get("/api/v1/probes").expect(200).json();
    assert!(list["problems"].to_string().contains(":3: "), "{}", list["problems"]);
    daemon.rest().get("/readyz?strict=1").expect(503);
}

#[test]
fn the_wish_to_run_what_is_not_built_is_kept_and_no_fault_of_its_line() {
    let line = r#"jvm {"snoopers":{"proc_name":[{"comm":"^java$"}]},"params":{"report_period":44},"state":"running"}"#;
    let setup = Setup::new().probes_init(&format!("{line}\n"));
    let daemon = setup.start();
    if daemon.has_built("jvm") {
        return; // built by now; then the line simply starts it
    }
    assert_eq!(daemon.rest().get("/readyz?strict=1").expect(200).json()["problems"], json!([]));
    let document = daemon.rest().get("/jvm").expect(200).json();
    assert_eq!(
        (&document["state"], &document["status"]["state"]),
        (&json!("stopped"), &json!("unavailable"))
    );
    assert_eq!(document["params"]["report_period"], 44);
    daemon.rest().send_json("POST", "/api/v1/probes:save", &json!({})).expect(200);
    let saved = std::fs::read_to_string(setup.probes_init_path()).expect("probes.init");
    let kept =
        saved.strip_prefix("jvm ").and_then(|json| serde_json::from_str::<serde_json::Value>(json).ok());
    let kept = kept.unwrap_or_else(|| panic!("{saved}"));
    assert_eq!((&kept["state"], &kept["params"]["report_period"]), (&json!("running"), &json!(44)));
}

#[test]
fn spacing_line_ends_continuations_and_repeats_are_read_as_meant() {
    let lines = "\u{feff}baseinfo\t{\"params\":{\"report_period\":20},\\\r\n \"snoopers\":{\"proc_name\":[{\"comm\":\"a\",\"cmdline\":\"two  blanks\"}]}}\r\n\r\n# end\r\nbaseinfo {\"params\":{\"res_upper_thr\":9}}\r\n";
    let setup = Setup::new().probes_init(lines);
    let daemon = setup.start();
    let document = daemon.rest().get("/baseinfo").expect(200).json();
    assert_eq!(
        (&document["params"]["report_period"], &document["params"]["res_upper_thr"]),
        (&json!(20), &json!(9))
    );
    assert_eq!(document["snoopers"]["proc_name"][0]["cmdline"], "two  blanks");
    assert_eq!(daemon.rest().get("/readyz").expect(200).json()["problems"], json!([]));
}

#[test]
fn there_is_no_limit_of_lines() {
    let features = ["baseinfo", "virt", "tcp", "socket", "io", "proc", "l7", "jvm", "nginx", "kafka"];
    let lines = (0..50).fold(String::new(), |text, n| {
        text + &format!("{} {{\"params\":{{\"report_period\":{}}}}}\n", features[n % features.len()], 10 + n)
    });
    let setup = Setup::new().probes_init(&lines);
    let daemon = setup.start();
    for (n, feature) in features.iter().enumerate() {
        let document = daemon.rest().get(&format!("/{feature}")).expect(200).json();
        assert_eq!(document["params"]["report_period"], 50 + n, "{feature}");
    }
}

#[test]
fn a_saved_set_comes_back_after_a_restart_with_comments_and_labels() {
    let setup = Setup::new()
        .probes_init("# keep me\nbaseinfo {\"params\":{\"report_period\":20}}\nfuture {\"x\":1}\n");
    let daemon = setup.start();
    daemon.put(
        "baseinfo",
        r#"{"cmd":{"probe":["mem"]},"snoopers":{"custom_labels":{"task":"t"}},"params":{"report_period":25},"state":"running"}"#,
    );
    daemon.put("tcp", r#"{"params":{"report_period":40}}"#);
    daemon.rest().send_json("POST", "/api/v1/probes:save", &json!({})).expect(200);
    assert!(daemon.terminate().success());

    let saved = std::fs::read_to_string(setup.probes_init_path()).expect("probes.init");
    assert!(saved.contains("# keep me") && saved.contains("future"), "{saved}");
    let daemon = setup.start();
    let document = daemon.rest().get("/baseinfo").expect(200).json();
    assert_eq!(document["params"]["report_period"], 25);
    assert_eq!(document["snoopers"]["custom_labels"]["task"], "t");
    assert_eq!(document["state"], "running");
    assert_eq!(daemon.rest().get("/tcp").expect(200).json()["params"]["report_period"], 40);
}

#[test]
fn on_change_saves_by_itself() {
    let setup = Setup::new().section("probes_init", "save = \"on_change\"");
    let daemon = setup.start();
    daemon.put("baseinfo", r#"{"params":{"report_period":26}}"#);
    eventually("the change in probes.init", || {
        std::fs::read_to_string(setup.probes_init_path()).ok()?.contains("26").then_some(())
    });
    drop(daemon);
}

/// Kills the daemon at moments spread over a save, 100 times; each time the file must be whole and be either
/// the old or the new one.
#[test]
fn a_kill_in_the_middle_of_a_save_leaves_the_old_or_the_new_file() {
    const ROUNDS: u32 = 100;
    let comment = "# a comment that is kept\n".repeat(2000);
    let setup =
        Setup::new().probes_init(&format!("{comment}baseinfo {{\"params\":{{\"report_period\":5}}}}\n"));
    let read = || std::fs::read_to_string(setup.probes_init_path()).expect("probes.init is always there");
    let (mut olds, mut news) = (0, 0);
    let mut took = Duration::ZERO;
    for round in 0..ROUNDS {
        let before = read();
        let daemon = setup.start();
        // Never the default, which need not be written.
        let period = 100 + round;
        daemon.put("baseinfo", &format!("{{\"params\":{{\"report_period\":{period}}}}}"));
        let socket = daemon.socket();
        let start = Instant::now();
        let saver = std::thread::Builder::new()
            .name("saver".into())
            .spawn(move || {
                let json = [("content-type", "application/json")];
                let saved = socket.try_send("POST", "/api/v1/probes:save", &json, b"{}".to_vec());
                (saved.is_ok_and(|answer| answer.status == 200), start.elapsed())
            })
            .expect("a thread");
        if round == 0 {
            // How long a whole save takes here; the kills are spread over twice that.
            let (saved, elapsed) = saver.join().expect("the saver");
            assert!(saved);
            took = elapsed;
            daemon.kill();
        } else {
            let moment = took * 2 * round / ROUNDS;
            while start.elapsed() < moment {
                std::hint::spin_loop();
            }
            daemon.kill();
            let (saved, _) = saver.join().expect("the saver");
            let whole = read().contains(&format!("\"report_period\":{period}"));
            assert!(whole || !saved, "round {round}: a confirmed save is lost");
        }
        let after = read();
        let line = after.lines().find(|line| line.starts_with("baseinfo")).expect("the line of baseinfo");
        if after == before {
            olds += 1;
        } else {
            news += 1;
            assert!(line.contains(&format!("\"report_period\":{period}")), "round {round}: {line}");
            assert_eq!(after.matches("# a comment").count(), 2000, "round {round}: half a file");
        }
    }
    eprintln!("{olds} times the old file, {news} times the new one");
    assert!(olds > 0 && news > 0, "the kills did not hit a save: {olds} old, {news} new");
}
