//! Each command: what is asked of the daemon, and what of its answer is shown.

use super::args::{Command, Level, ProbeCommand};
use super::client::Client;
use super::failure::{Failure, meant};
use super::page::{Page, read};
use super::{Exit, clean, generate, input, show, top};
use crate::{app, check};
use gopher_api::{
    ApplyResult, Capabilities, CompatAnswer, LogLevelDocument, ProbeConfig, ProbeDocument, ProbeList, Ready,
    Saved, TargetPage,
};
use hyper::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const PROBES: &str = "/api/v1/probes";

pub(super) async fn run(client: &Client, command: Command, page: &mut Page<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Probe { command } => probe(client, command, page).await,
        Command::Targets { feature, pid } => targets(client, &feature, pid, page).await,
        Command::Save => save(client, page).await,
        Command::Apply { file, dry_run } => apply(client, &file, dry_run, page).await,
        Command::Metric { per_period } => metric(client, per_period, page).await,
        Command::Top(args) => top::top(client, &args, page).await,
        Command::Capabilities => capabilities(client, page).await,
        Command::Spool { command } => return super::spool::spool(client, command, page).await,
        Command::CheckConfig { config, probes_init } => {
            return check_config(config.as_deref(), probes_init, page);
        }
        Command::LogLevel { level } => log_level(client, level, page).await,
        Command::Ready { strict } => return ready(client, strict, page).await,
        Command::Completions { shell } => {
            page.out.write_all(&generate::completions(shell)).map_err(Failure::Output)
        }
    }?;
    Ok(Exit::Done)
}

async fn probe(client: &Client, command: ProbeCommand, page: &mut Page<'_>) -> Result<(), Failure> {
    match command {
        ProbeCommand::List => {
            let body = client.get(PROBES).await?.accepted().await?;
            page.result(&body, |page, list: ProbeList| {
                let problems: Vec<String> =
                    list.problems.iter().map(|problem| problem.detail.clone()).collect();
                page.warn(&problems);
                show::list(&page.look, &list)
            })
        }
        ProbeCommand::Get { feature } => {
            let body = ask(client, &feature, "GET", &compatible(&feature), Vec::new()).await?;
            // For people the same document with its members apart.
            if page.json || !page.look.terminal {
                return page.document(&body);
            }
            let document: serde_json::Value = read(&body)?;
            let text = serde_json::to_string_pretty(&document).unwrap_or_default();
            page.text(&(clean::lines(&text).into_owned() + "\n"))
        }
        ProbeCommand::Set { feature, config, dry_run: true } => {
            let path = format!("{}?dry_run=true", compatible(&feature));
            let body = ask(client, &feature, "PUT", &path, input::text(&config)?).await?;
            would_change(client, &body, page).await
        }
        ProbeCommand::Set { feature, config, dry_run: false } => {
            put(client, &feature, input::text(&config)?, page).await
        }
        ProbeCommand::Start { feature } => {
            put(client, &feature, br#"{"state":"running"}"#.to_vec(), page).await
        }
        ProbeCommand::Stop { feature } => {
            put(client, &feature, br#"{"state":"stopped"}"#.to_vec(), page).await
        }
        ProbeCommand::Explain { feature } => explain(client, &feature, page).await,
    }
}

/// A change at the compatible door, which merges.
async fn put(client: &Client, feature: &str, config: Vec<u8>, page: &mut Page<'_>) -> Result<(), Failure> {
    let body = ask(client, feature, "PUT", &compatible(feature), config).await?;
    page.result(&body, |page, CompatAnswer { message, warnings, .. }| {
        page.warn(&warnings);
        clean::inline(&message).into_owned() + "\n"
    })
}

async fn explain(client: &Client, feature: &str, page: &mut Page<'_>) -> Result<(), Failure> {
    let name = encoded(&feature.to_lowercase());
    let body = ask(client, feature, "GET", &format!("{PROBES}/{name}"), Vec::new()).await?;
    let document: ProbeDocument = read(&body)?;
    let list = client.get(PROBES).await?.accepted().await?;
    if page.json {
        // What the list says of the feature, and the probe's own document as its member `probe`.
        let list: serde_json::Value = read(&list)?;
        let items = list.get("items").and_then(serde_json::Value::as_array);
        let mut item = items.into_iter().flatten().find(|item| item["feature"] == document.feature).cloned();
        if let Some(members) = item.as_mut().and_then(serde_json::Value::as_object_mut) {
            members.insert("probe".to_owned(), read(&body)?);
        }
        return page.document(format!("{}\n", item.unwrap_or_default()).as_bytes());
    }
    let list: ProbeList = read(&list)?;
    let Some(item) = list.items.iter().find(|item| item.feature == document.feature) else {
        return Err(Failure::Unreachable("the daemon does not list the feature that it shows".to_owned()));
    };
    let text = show::explain(&page.look, item, &document);
    page.text(&text)
}

async fn targets(
    client: &Client,
    feature: &str,
    pid: Option<u32>,
    page: &mut Page<'_>,
) -> Result<(), Failure> {
    let pid = pid.map(|pid| format!("&pid={pid}")).unwrap_or_default();
    let path = format!("/api/v1/targets?feature={}{pid}", encoded(&feature.to_lowercase()));
    let body = ask(client, feature, "GET", &path, Vec::new()).await?;
    page.result(&body, |page, targets: TargetPage| show::targets(&page.look, &targets))
}

async fn save(client: &Client, page: &mut Page<'_>) -> Result<(), Failure> {
    let body = client.send("POST", "/api/v1/probes:save", Vec::new()).await?.accepted().await?;
    page.result(&body, |_, Saved { file, features }| {
        format!("saved {features} features to {}\n", clean::inline(&file))
    })
}

async fn apply(client: &Client, file: &str, dry_run: bool, page: &mut Page<'_>) -> Result<(), Failure> {
    let path = if dry_run { "/api/v1/probes:apply?dry_run=true" } else { "/api/v1/probes:apply" };
    let body = client.send("POST", path, input::file(file)?).await?.accepted().await?;
    if dry_run {
        return would_change(client, &body, page).await;
    }
    page.result(&body, |page, result: ApplyResult| {
        warn_of(page, &result);
        show::applied(&page.look, &result)
    })
}

/// What a dry run said, beside what is configured now.
async fn would_change(client: &Client, body: &[u8], page: &mut Page<'_>) -> Result<(), Failure> {
    let mut before = BTreeMap::<String, ProbeConfig>::new();
    if !page.json {
        let result: ApplyResult = read(body)?;
        for feature in result.probes.into_keys() {
            let path = format!("{PROBES}/{}", encoded(&feature));
            let document: ProbeDocument = read(&client.get(&path).await?.accepted().await?)?;
            before.insert(feature, document.config);
        }
    }
    page.result(body, |page, result: ApplyResult| {
        warn_of(page, &result);
        show::would_change(&page.look, &before, &result)
    })
}

fn warn_of(page: &mut Page<'_>, result: &ApplyResult) {
    for (feature, applied) in &result.probes {
        let warnings: Vec<String> =
            applied.warnings.iter().map(|warning| format!("{feature}: {warning}")).collect();
        page.warn(&warnings);
    }
}

/// Copied as it comes: the text can be large.
async fn metric(client: &Client, per_period: bool, page: &mut Page<'_>) -> Result<(), Failure> {
    let path = if per_period { "/metrics/per_period" } else { "/metrics" };
    let mut reply = client.get(path).await?;
    reply.refused().await?;
    let mut shown = page.look.terminal.then(clean::Stream::default);
    while let Some(chunk) = reply.chunk().await? {
        match &mut shown {
            Some(stream) => page.out.write_all(stream.push(&chunk).as_bytes())?,
            None => page.out.write_all(&chunk)?,
        }
    }
    page.text(&shown.map(clean::Stream::finish).unwrap_or_default())
}

async fn capabilities(client: &Client, page: &mut Page<'_>) -> Result<(), Failure> {
    let body = client.get("/api/v1/capabilities").await?.accepted().await?;
    page.result(&body, |page, on: Capabilities| show::capabilities(&page.look, &on))
}

async fn log_level(client: &Client, level: Option<Level>, page: &mut Page<'_>) -> Result<(), Failure> {
    const PATH: &str = "/api/v1/log-level";
    let reply = match level {
        None => client.get(PATH).await?,
        Some(level) => {
            let document = LogLevelDocument { level: level.into() };
            let body = serde_json::to_vec(&document).map_err(|error| Failure::Input(error.to_string()))?;
            client.send("PUT", PATH, body).await?
        }
    };
    page.result(&reply.accepted().await?, |_, document: LogLevelDocument| {
        let word = serde_json::to_value(document.level).ok();
        word.as_ref().and_then(serde_json::Value::as_str).unwrap_or_default().to_owned() + "\n"
    })
}

/// A daemon that is not ready answers with a document too.
async fn ready(client: &Client, strict: bool, page: &mut Page<'_>) -> Result<Exit, Failure> {
    let path = if strict { "/readyz?strict=1" } else { "/readyz" };
    let (status, body) = client.get(path).await?.any().await?;
    let well = status == StatusCode::OK;
    if !well && status != StatusCode::SERVICE_UNAVAILABLE {
        return Err(Failure::Refused(super::failure::Refused { status, body }));
    }
    page.result(&body, |page, document: Ready| show::ready(&page.look, &document, well))?;
    Ok(if well { Exit::Done } else { Exit::NotReady })
}

/// Needs no daemon: what `gopherd --check-config` does, in this process.
fn check_config(
    config: Option<&Path>,
    probes_init: Option<PathBuf>,
    page: &mut Page<'_>,
) -> Result<Exit, Failure> {
    let cli = crate::cli::Cli { probes_init, ..crate::cli::Cli::default() };
    let (report, code) = app::check_config(config, cli.settings());
    if page.json {
        let lines: Vec<&str> = report.lines().collect();
        page.document(format!("{}\n", serde_json::json!({"exit_code": code, "lines": lines})).as_bytes())?;
    } else {
        page.text(&clean::lines(&report))?;
    }
    Ok(match code {
        check::CLEAN => Exit::Done,
        check::BAD_LINES => Exit::Usage,
        _ => Exit::Refused,
    })
}

/// Asks about a feature; if there is none of this name, says which one may have been meant.
async fn ask(
    client: &Client,
    feature: &str,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> Result<Vec<u8>, Failure> {
    let failure = match client.send(method, path, body).await?.accepted().await {
        Err(Failure::Refused(refused)) if refused.status == StatusCode::NOT_FOUND => refused,
        other => return other,
    };
    // The list is only a help: without it the refusal is told alone.
    let list = known(client).await.unwrap_or_default();
    let near = meant(feature, list.items.iter().map(|item| item.feature.as_str()));
    let hint = match near {
        Some(name) => format!("did you mean `{name}`?"),
        None => "gopher-ctl probe list shows all of them".to_owned(),
    };
    Err(Failure::NoFeature(failure, format!("there is no feature `{feature}`; {hint}")))
}

async fn known(client: &Client) -> Result<ProbeList, Failure> {
    read(&client.get(PROBES).await?.accepted().await?)
}

/// A feature's path at the compatible door, whatever was typed as its name.
fn compatible(feature: &str) -> String {
    format!("/{}", encoded(feature))
}

/// One segment of a path. The names that exist have letters, digits and `_` only.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string().replace("%5F", "_")
}
