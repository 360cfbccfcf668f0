//! `top`: what the features do and cost, again and again. Owns when it looks and when it ends; `model` makes
//! rates of two looks, `view` text of them, and `screen` has the terminal.

mod model;
mod screen;
mod view;

pub(super) use model::SortBy;

use super::args::TopArgs;
use super::client::Client;
use super::failure::Failure;
use super::page::{Page, read};
use model::{Order, Sample};
use screen::{Key, Screen};
use std::time::{Duration, Instant, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Watches until it is told to end, or for as many tables as were asked for.
pub(super) async fn top(client: &Client, args: &TopArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    if page.json {
        return documents(client, args, page).await;
    }
    if page.look.cursor && args.batches.is_none() {
        return live(client, args, page).await;
    }
    batches(client, args, page).await
}

fn order(args: &TopArgs) -> Order {
    Order { by: args.sort, reverse: false, all: args.all, sub_probes: args.sub_probes }
}

async fn look(client: &Client) -> Result<Sample, Failure> {
    let body = client.get("/api/v1/probes").await?.accepted().await?;
    Ok(Sample { at: Instant::now(), clock: SystemTime::now(), list: read(&body)? })
}

/// The daemon's list, one document an interval.
async fn documents(client: &Client, args: &TopArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    let mut left = args.batches;
    loop {
        let body = client.get("/api/v1/probes").await?.accepted().await?;
        page.document(&body)?;
        left = left.map(|left| left - 1);
        if left == Some(0) {
            return Ok(());
        }
        sleep(args.interval).await;
    }
}

/// Tables one after the other. Each tells of a whole interval, so the first one comes after it.
async fn batches(client: &Client, args: &TopArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    let order = order(args);
    let mut before = look(client).await?;
    let mut left = args.batches;
    loop {
        sleep(args.interval).await;
        let now = look(client).await?;
        let text = view::frame(&page.look, Some(&before), &now, order);
        before = now;
        left = left.map(|left| left - 1);
        let last = left == Some(0);
        page.text(&if last { text } else { text + "\n" })?;
        if last {
            return Ok(());
        }
    }
}

/// A screen that is drawn anew. A daemon that cannot be reached for a while is said, and asked again.
async fn live(client: &Client, args: &TopArgs, page: &mut Page<'_>) -> Result<(), Failure> {
    let mut samples = Samples { before: None, now: look(client).await?, trouble: None };
    let mut order = order(args);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut looks = watch(client.clone(), args.interval);
    let mut keys = screen::keys()?;
    let mut screen = Screen::enter(page.out)?;
    loop {
        let look = screen.look(page.look);
        screen.draw(&samples.text(&look, order))?;
        tokio::select! {
            sample = looks.recv() => match sample {
                Some(sample) => samples.take(sample),
                None => return Ok(()),
            },
            key = keys.recv() => match key {
                Some(Key::Quit) | None => return Ok(()),
                Some(Key::Left) => order.by = order.by.neighbour(-1),
                Some(Key::Right) => order.by = order.by.neighbour(1),
                Some(Key::Reverse) => order.reverse = !order.reverse,
                Some(Key::All) => order.all = !order.all,
                Some(Key::SubProbes) => order.sub_probes = !order.sub_probes,
                Some(Key::Redraw) => {}
            },
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

/// Looks once an interval, beside the keys, which are answered while the daemon is slow.
fn watch(client: Client, every: Duration) -> mpsc::Receiver<Result<Sample, Failure>> {
    let (samples, looks) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is now, and the caller has just looked.
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if samples.send(look(&client).await).await.is_err() {
                return;
            }
        }
    });
    looks
}

/// The last two looks.
struct Samples {
    before: Option<Sample>,
    now: Sample,
    /// Why the last attempt gave nothing.
    trouble: Option<Failure>,
}

impl Samples {
    fn take(&mut self, sample: Result<Sample, Failure>) {
        match sample {
            Ok(now) => {
                self.before = Some(std::mem::replace(&mut self.now, now));
                self.trouble = None;
            }
            Err(failure) => self.trouble = Some(failure),
        }
    }

    fn text(&self, look: &super::Look, order: Order) -> String {
        let trouble = self.trouble.as_ref().map(|failure| view::trouble(look, &failure.to_string()));
        trouble.unwrap_or_default() + &view::frame(look, self.before.as_ref(), &self.now, order)
    }
}
