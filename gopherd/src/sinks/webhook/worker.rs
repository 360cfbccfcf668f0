//! The thread of one webhook: event by event from the spool, each until it is delivered or refused.

use super::client::{Answer, Client, Post};
use super::meaning::{self, Verdict};
use super::settings::WebhookSettings;
use crate::delivery::Stop;
use crate::delivery::account::Loss;
use crate::delivery::spool::Reader;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

/// It is woken when there is something to do; this is only how often it looks anyway.
const IDLE: Duration = Duration::from_secs(60);

/// What the thread works with.
#[derive(Debug)]
pub struct Worker {
    /// What is posted.
    pub reader: Reader,
    /// Where to.
    pub settings: WebhookSettings,
    /// Ends it.
    pub stop: Stop,
}

impl Worker {
    /// Works until it is told to end.
    pub fn run(mut self) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(format!("it has no runtime: {error}")),
        };
        // The files of secret and authority are looked at again at a reload, which makes the worker anew.
        let mut client = match Client::new(&self.settings) {
            Ok(client) => client,
            Err(fault) => {
                self.fail(fault);
                return self.idle();
            }
        };
        let mut failures = 0;
        while !self.stop.is_set() {
            let Some(verdict) = self.next(&runtime, &mut client) else { continue };
            match verdict {
                Ok(()) => failures = 0,
                Err(retry_after) => {
                    failures += 1;
                    self.rest(meaning::pause(failures, retry_after));
                }
            }
        }
    }

    /// Takes notice of what the log drops, until the end.
    fn idle(&mut self) {
        while !self.stop.is_set() {
            self.rest(IDLE);
        }
    }

    fn fail(&self, why: String) {
        if self.reader.account().fail(why.clone()) {
            tracing::error!(sink = self.settings.name, "{why}");
        }
    }

    /// Posts the next event, or waits for one: `None`. An error says that it is to be tried again.
    fn next(&mut self, runtime: &Runtime, client: &mut Client) -> Option<Result<(), Option<Duration>>> {
        let posted = match self.reader.peek() {
            Ok(Some((_, record))) => {
                let post = Post { seq: record.seq, document: record.document };
                let stop = self.stop.clone();
                runtime.block_on(async {
                    tokio::select! {
                        posted = client.post(post) => Some(posted),
                        () = stop.wait() => None,
                    }
                })?
            }
            Ok(None) => {
                self.reader.commit();
                self.reader.wait(IDLE);
                return None;
            }
            Err(error) => Err(format!("the spool cannot be read: {error}")),
        };
        Some(match posted {
            Ok(answer) => self.heed(answer),
            Err(why) => {
                self.fail(why);
                Err(None)
            }
        })
    }

    fn heed(&mut self, answer: Answer) -> Result<(), Option<Duration>> {
        let Answer { status, retry_after } = answer;
        match meaning::of(status) {
            // Told before the cursor says so: whoever waits for the cursor finds the account right.
            Verdict::Delivered => {
                self.reader.account().deliver(1);
                if self.reader.account().recover() {
                    tracing::info!(sink = self.settings.name, "takes events again");
                }
                self.settle();
                Ok(())
            }
            Verdict::Rejected => {
                self.reader.account().lose(Loss::Rejected, 1);
                self.fail(format!("the server refused an event: {status}"));
                self.settle();
                Ok(())
            }
            Verdict::Again => {
                self.fail(format!("the server answered {status}"));
                Err(retry_after)
            }
        }
    }

    fn settle(&mut self) {
        if let Some(ticket) = self.reader.take() {
            self.reader.settle(ticket);
        }
        self.reader.commit();
    }

    fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while !self.stop.is_set() && Instant::now() < end {
            self.reader.commit();
            self.reader.pause(end.saturating_duration_since(Instant::now()));
        }
        // What was shown may have been dropped or purged meanwhile.
        self.reader.rewind();
    }
}
