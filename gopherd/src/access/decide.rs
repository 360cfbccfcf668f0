//! Whether a request may be made, as pure functions of what is known about it.

use super::certificate::Holder;
use super::{Policy, Principal, roles};
use crate::config::Role;
use std::sync::Arc;

/// What a request shows of who sends it.
#[derive(Clone, Copy, Debug)]
pub enum Shown<'a> {
    /// A user of this host on the unix socket, and whether the socket is for that user.
    Uid(u32, bool),
    /// A client over TCP.
    Remote {
        /// The holder of the certificate that the handshake accepted.
        certificate: Option<&'a Holder>,
        /// Every `Authorization` header.
        authorization: &'a [&'a [u8]],
    },
}

/// Why a request may not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The user is none of those that the unix socket is for.
    Peer,
    /// A token is needed, and there is none.
    NoToken,
    /// There is a credential, and it is none that is known.
    BadToken,
    /// The certificate is in no entry of `client_roles`.
    NoRole,
    /// Whoever it is may only read.
    ReadOnly,
}

/// Who may make a request that changes something (`writes`) or only reads.
pub fn decide(policy: &Policy, shown: &Shown<'_>, writes: bool) -> Result<Principal, Denied> {
    let (principal, role) = identify(policy, shown)?;
    if writes && role == Role::Read { Err(Denied::ReadOnly) } else { Ok(principal) }
}

fn identify(policy: &Policy, shown: &Shown<'_>) -> Result<(Principal, Role), Denied> {
    let (certificate, authorization) = match *shown {
        Shown::Uid(uid, true) => return Ok((Principal::Uid(uid), Role::Write)),
        Shown::Uid(_, false) => return Err(Denied::Peer),
        Shown::Remote { certificate, authorization } => (certificate, authorization),
    };
    // Who shows a token means it: one that is wrong is not made up for by a certificate.
    if let (Some(tokens), false) = (&policy.tokens, authorization.is_empty()) {
        let [one] = authorization else { return Err(Denied::BadToken) };
        let (name, role) = bearer(one).and_then(|token| tokens.find(token)).ok_or(Denied::BadToken)?;
        return Ok((Principal::Token(name), role));
    }
    if let Some(holder) = certificate {
        let role = if policy.client_roles.is_empty() {
            Role::Write
        } else {
            roles::role(&policy.client_roles, holder).ok_or(Denied::NoRole)?
        };
        return Ok((Principal::Certificate(Arc::clone(&holder.subject)), role));
    }
    if policy.tokens.is_some() {
        return Err(Denied::NoToken);
    }
    // Roles were given out, and this client shows nothing to have one by.
    if !policy.client_roles.is_empty() {
        return Err(Denied::NoRole);
    }
    Ok((Principal::Nobody, Role::Write))
}

/// The token of `Bearer TOKEN`; the scheme has no case (RFC 9110, 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer".len())?;
    let token = token.trim_ascii_start();
    (scheme.eq_ignore_ascii_case(b"Bearer") && token.len() < value.len() - scheme.len())
        .then_some(token.trim_ascii())
}

/// What holds of any bytes as the value of `Authorization`: without the token nobody is let in.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn any_bytes(bytes: &[u8]) {
    use super::tokens::Tokens;

    /// Of `secret`.
    const FILE: &[u8] = b"ci write 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let policy = Policy { tokens: Tokens::parse(FILE).ok(), ..Policy::default() };
    assert!(policy.tokens.is_some());
    let answer = decide(&policy, &Shown::Remote { certificate: None, authorization: &[bytes] }, true);
    let secret = bytes.windows(6).any(|window| window == b"secret");
    assert!(answer.is_err() || secret, "let in with {:?}", String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tokens::Tokens;
    use crate::config::ClientRole;
    use proptest::prelude::*;

    /// Of `secret` (write) and `other` (read).
    const FILE: &[u8] = b"ci write 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\n\
                          scraper read d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa\n";

    fn policy(tokens: bool, roles: bool) -> Policy {
        let entry = |subject: &str, role| ClientRole { subject: subject.into(), san: String::new(), role };
        Policy {
            tokens: tokens.then(|| Tokens::parse(FILE).expect("tokens")),
            client_roles: if roles {
                vec![entry("CN=ops", Role::Write), entry("CN=scraper", Role::Read)]
            } else {
                Vec::new()
            },
            ..Policy::default()
        }
    }

    fn holder(name: &str) -> Holder {
        Holder { subject: format!("CN={name}").into(), ..Holder::default() }
    }

    /// Every way to come in, under every policy: what reading and what writing gives.
    #[test]
    fn the_role_matrix() {
        use Denied::{BadToken, NoRole, NoToken, Peer, ReadOnly};
        let nobody = || Ok(Principal::Nobody);
        let certificate = |name: &str| Ok(Principal::Certificate(format!("CN={name}").into()));
        let token = |name: &str| Ok(Principal::Token(name.into()));
        let (ops, scraper, other) = (holder("ops"), holder("scraper"), holder("other"));
        let (write, read, wrong) = (&b"Bearer secret"[..], &b"bearer  other "[..], &b"Bearer nonsense"[..]);
        let basic = &b"Basic c2VjcmV0"[..];
        type Row<'a> = (
            (bool, bool),
            Option<&'a Holder>,
            &'a [&'a [u8]],
            Result<Principal, Denied>,
            Result<Principal, Denied>,
        );
        let rows: &[Row<'_>] = &[
            // (tokens, client_roles), certificate, Authorization, reading, writing
            ((false, false), None, &[], nobody(), nobody()),
            ((false, false), None, &[wrong], nobody(), nobody()),
            ((false, false), Some(&other), &[], certificate("other"), certificate("other")),
            ((false, true), None, &[], Err(NoRole), Err(NoRole)),
            ((false, true), Some(&ops), &[], certificate("ops"), certificate("ops")),
            ((false, true), Some(&scraper), &[], certificate("scraper"), Err(ReadOnly)),
            ((false, true), Some(&other), &[], Err(NoRole), Err(NoRole)),
            ((false, true), Some(&other), &[write], Err(NoRole), Err(NoRole)),
            ((true, false), None, &[], Err(NoToken), Err(NoToken)),
            ((true, false), None, &[write], token("ci"), token("ci")),
            ((true, false), None, &[read], token("scraper"), Err(ReadOnly)),
            ((true, false), None, &[wrong], Err(BadToken), Err(BadToken)),
            ((true, false), None, &[basic], Err(BadToken), Err(BadToken)),
            ((true, false), None, &[write, write], Err(BadToken), Err(BadToken)),
            ((true, false), None, &[b"Bearer"], Err(BadToken), Err(BadToken)),
            ((true, false), None, &[b"Bearersecret"], Err(BadToken), Err(BadToken)),
            ((true, false), None, &[b""], Err(BadToken), Err(BadToken)),
            ((true, false), Some(&other), &[], certificate("other"), certificate("other")),
            ((true, false), Some(&other), &[wrong], Err(BadToken), Err(BadToken)),
            ((true, true), None, &[], Err(NoToken), Err(NoToken)),
            ((true, true), Some(&scraper), &[], certificate("scraper"), Err(ReadOnly)),
            ((true, true), Some(&scraper), &[write], token("ci"), token("ci")),
            ((true, true), Some(&ops), &[read], token("scraper"), Err(ReadOnly)),
            ((true, true), Some(&ops), &[wrong], Err(BadToken), Err(BadToken)),
            ((true, true), Some(&other), &[], Err(NoRole), Err(NoRole)),
        ];
        for ((tokens, roles), certificate, authorization, reading, writing) in rows {
            let policy = policy(*tokens, *roles);
            let shown = Shown::Remote { certificate: *certificate, authorization };
            let said = format!("tokens {tokens}, roles {roles}, {shown:?}");
            assert_eq!(decide(&policy, &shown, false), *reading, "reading: {said}");
            assert_eq!(decide(&policy, &shown, true), *writing, "writing: {said}");
        }
        for policy in [policy(false, false), policy(true, true)] {
            assert_eq!(decide(&policy, &Shown::Uid(7, true), true), Ok(Principal::Uid(7)));
            assert_eq!(decide(&policy, &Shown::Uid(7, false), false), Err(Peer));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_in_a_header_panic_or_let_anybody_in(
            headers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..3),
        ) {
            let headers: Vec<&[u8]> = headers.iter().map(Vec::as_slice).collect();
            let shown = Shown::Remote { certificate: None, authorization: &headers };
            prop_assert!(decide(&policy(true, false), &shown, false).is_err());
            prop_assert!(decide(&policy(false, true), &shown, false).is_err());
        }

        #[test]
        fn who_may_write_may_read(tokens in any::<bool>(), roles in any::<bool>(), name in "(ops|scraper|other)",
            header in "(Bearer (secret|other|x))?") {
            let (policy, holder) = (policy(tokens, roles), holder(&name));
            let headers = [header.as_bytes()];
            let authorization = if header.is_empty() { &[][..] } else { &headers[..] };
            let shown = Shown::Remote { certificate: Some(&holder), authorization };
            if let Ok(principal) = decide(&policy, &shown, true) {
                prop_assert_eq!(decide(&policy, &shown, false), Ok(principal));
            }
        }
    }
}
