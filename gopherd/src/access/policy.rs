//! What is decided by: the rules in force, which may be replaced while requests are answered.

use super::hosts::Hosts;
use super::rate::Rate;
use super::tokens::Tokens;
use super::{Counts, Listener};
use crate::config::{ClientRole, Config};
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;

/// The rules in force.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The bearer tokens; `None` where none are configured, and an empty set, which nobody passes, while the
    /// file cannot be used.
    pub tokens: Option<Tokens>,
    /// What client certificates allow; without any entry each accepted one may write.
    pub client_roles: Vec<ClientRole>,
    /// Under which names the listeners may be reached.
    pub hosts: Hosts,
}

/// Everything that the doors ask before they let a request in.
#[derive(Debug)]
pub struct Access {
    policy: ArcSwap<Policy>,
    /// How often a peer may ask at the control listener.
    requests: Rate,
    /// How often a peer may begin a TLS handshake, which costs more than a request, at either listener.
    handshakes: Rate,
    /// What was refused.
    pub counts: Arc<Counts>,
}

impl Access {
    /// What `config` asks for; tokens are there once their file was read.
    pub fn new(config: &Config) -> Self {
        let rest = &config.rest_api_server;
        let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let policy = Policy {
            tokens: rest.tokens_file.as_ref().map(|_| Tokens::default()),
            client_roles: rest.client_roles.clone(),
            hosts: Hosts::new(&own, &rest.allowed_hosts),
        };
        let per_second = u32::try_from(rest.requests_per_second).unwrap_or(u32::MAX);
        Self {
            policy: ArcSwap::from_pointee(policy),
            requests: Rate::new(per_second),
            handshakes: Rate::new(per_second),
            counts: Arc::default(),
        }
    }

    /// The rules now.
    pub fn policy(&self) -> arc_swap::Guard<Arc<Policy>> {
        self.policy.load()
    }

    /// From now on these are the tokens.
    pub fn set_tokens(&self, tokens: Tokens) {
        let mut policy = Policy::clone(&self.policy.load());
        policy.tokens = Some(tokens);
        self.policy.store(Arc::new(policy));
    }

    /// Whether a request may be sent to `listener` by a peer at this address now.
    pub fn may_ask(&self, listener: Listener, peer: IpAddr) -> bool {
        listener != Listener::Rest || self.requests.take(peer)
    }

    /// Whether a peer at this address may begin a handshake now.
    pub fn may_shake_hands(&self, peer: IpAddr) -> bool {
        self.handshakes.take(peer)
    }
}
