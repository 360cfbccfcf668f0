//! Any order of requests at both doors, sensible and wrong, ends in what a model says: the status of each answer, and
//! after each the generation, the configuration in both shapes, and the state of every feature.

mod commands;
mod expected;

use super::{Listener, Reply, ask, get, send};
use crate::http::Parts;
use crate::http::testing::parts;
use actix_web::test::TestRequest;
use commands::{Command, Tag, command};
use expected::{Model, Wish};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::json;
use std::time::Duration;

const JSON: &str = "application/json";
const PATCH: &str = "application/merge-patch+json";

/// A probe that does not come to the state that the model says is a difference, and not a test that hangs.
const SETTLED: Duration = Duration::from_secs(30);

async fn native(
    parts: &Parts,
    method: &str,
    feature: &str,
    tag: Option<String>,
    body: Option<(&str, String)>,
) -> Reply {
    let method = actix_web::http::Method::from_bytes(method.as_bytes()).expect("a method");
    let mut request = TestRequest::default().method(method).uri(&format!("/api/v1/probes/{feature}"));
    if let Some(tag) = tag {
        request = request.insert_header(("if-match", tag));
    }
    if let Some((content_type, body)) = body {
        request = request.insert_header(("content-type", content_type)).set_payload(body);
    }
    ask(parts, Listener::Rest, request).await
}

/// Sends the command; `model` knows the generations.
async fn sent(parts: &Parts, model: &Model, command: &Command) -> Reply {
    let tag = |feature: &str, tag: Tag| {
        tag.value(model.features.get(feature).map_or(0, |feature| feature.generation))
    };
    match command {
        Command::Compatible { feature, body, dry_run } => {
            // Its names have no case.
            let query = if *dry_run { "?dry_run=true" } else { "" };
            send(
                parts,
                "PUT",
                &format!("/{}{query}", feature.to_uppercase()),
                "",
                &format!("json={}", body.json()),
            )
            .await
        }
        Command::Put { feature, body, tag: seen } => {
            native(parts, "PUT", feature, tag(feature, *seen), Some((JSON, body.json()))).await
        }
        Command::Patch { feature, body, tag: seen } => {
            native(parts, "PATCH", feature, tag(feature, *seen), Some((PATCH, body.json()))).await
        }
        Command::Delete { feature, tag: seen } => {
            native(parts, "DELETE", feature, tag(feature, *seen), None).await
        }
        Command::Apply { bodies, dry_run } => {
            let bodies: Vec<String> =
                bodies.iter().map(|(name, body)| format!("\"{name}\":{}", body.json())).collect();
            let uri = format!("/api/v1/probes:apply?dry_run={dry_run}");
            send(parts, "POST", &uri, JSON, &format!("{{\"probes\":{{{}}}}}", bodies.join(","))).await
        }
        Command::Cut { feature } => {
            native(parts, "PUT", feature, None, Some((JSON, "{\"state\":".into()))).await
        }
        Command::Save => send(parts, "POST", "/api/v1/probes:save", JSON, "").await,
    }
}

/// What every answer has.
fn check_reply(model: &Model, command: &Command, status: u16, reply: &Reply) -> Result<(), TestCaseError> {
    prop_assert_eq!(reply.status, status, "{:?}: {}", command, reply.body);
    let compatible = matches!(command, Command::Compatible { .. });
    if status != 200 && !compatible {
        prop_assert_eq!(reply.header("content-type"), "application/problem+json");
        prop_assert_eq!(reply.json()["status"].clone(), status);
    } else if status != 200 {
        prop_assert_eq!(reply.json()["result"].clone(), "failed");
    }
    match command {
        Command::Put { feature, .. } | Command::Patch { feature, .. } | Command::Delete { feature, .. }
            if status == 200 =>
        {
            let tag = Tag::Now.value(model.features[feature].generation).unwrap_or_default();
            prop_assert_eq!(reply.header("etag"), tag, "{:?}", command);
        }
        Command::Apply { dry_run, .. } if status == 200 => {
            prop_assert_eq!(reply.json()["dry_run"].clone(), *dry_run);
            prop_assert_eq!(reply.json()["generation"].clone(), model.changes, "{:?}", command);
        }
        _ => {}
    }
    Ok(())
}

/// Every feature comes to its state, and is shown as it is at both doors.
async fn check_features(parts: &Parts, model: &Model) -> Result<(), TestCaseError> {
    for (name, feature) in &model.features {
        let view = || parts.manager.views().get(name).expect("a feature");
        let settled = async {
            while view().state != feature.state() {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(SETTLED, settled).await;
        prop_assert!(settled.is_ok(), "{name} is {:?}, not {:?}", view().state, feature.state());

        let shown = get(parts, &format!("/api/v1/probes/{name}")).await;
        prop_assert_eq!(shown.header("etag"), format!("\"{}\"", feature.generation), "{}", name);
        let config = feature.config.clone().unwrap_or_default();
        prop_assert_eq!(&shown.json()["config"], &config.document(), "{}", name);

        let shown = get(parts, &format!("/{name}")).await.json();
        if feature.config.is_none() {
            prop_assert_eq!(shown, json!({}), "{}", name);
            continue;
        }
        let document = config.document();
        let state = match config.wish {
            Wish::Running => "running",
            Wish::Unknown if *name != "planned" => "unknown",
            Wish::Unknown | Wish::Stopped => "stopped",
        };
        prop_assert_eq!(&shown["state"], state, "{}", name);
        prop_assert_eq!(&shown["cmd"], &document["cmd"], "{}", name);
        let period = document["params"].get("report_period").cloned().unwrap_or(json!(60));
        prop_assert_eq!(&shown["params"]["report_period"], &period, "{}", name);
    }
    prop_assert_eq!(*parts.manager.changes().borrow(), model.changes);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 4096, ..ProptestConfig::default() })]
    #[test]
    fn any_order_of_requests_ends_in_what_the_model_says(sequence in prop::collection::vec(command(), 1..20)) {
        actix_web::rt::System::new().block_on(async {
            let parts = parts();
            let mut model = Model::new();
            for command in &sequence {
                let before = model.clone();
                let status = model.take(command);
                let reply = sent(&parts, &before, command).await;
                check_reply(&model, command, status, &reply)?;
                check_features(&parts, &model).await?;
            }
            prop_assert_eq!(parts.manager.shutdown(SETTLED).await, Vec::<&str>::new());
            Ok(())
        })?;
    }
}
