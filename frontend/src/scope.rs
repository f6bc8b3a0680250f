// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Landlock ruleset of the payload. It has no rules for files, which the mounts decide.
//!
//! Where the kernel can, abstract sockets and signals end at the sandbox: a sandbox that shares the
//! network would otherwise reach every abstract socket of the session. Restrictions to TCP ports
//! are demands of the user, and kept or refused.

use std::os::fd::OwnedFd;

use landlock::{
    AccessNet, CompatLevel, Compatible as _, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, Scope,
};

/// What is restricted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Leaves abstract sockets reachable, for a display that has no other.
    pub abstract_sockets: bool,
    /// The TCP ports that connections may go to; all if empty.
    pub connect: Vec<u16>,
    /// The TCP ports that may be listened on; all if empty.
    pub bind: Vec<u16>,
}

/// Why there is no ruleset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// Ports were given but the network is not shared.
    #[error(
        "cannot allow TCP ports\n\
         the sandbox has no network, so there is nothing to allow\n\
         add --share=network, or leave --allow-tcp-connect and --allow-tcp-bind out"
    )]
    NoNetwork,
    /// The kernel cannot restrict ports.
    #[error(
        "cannot restrict the sandbox to these TCP ports\n{0}\n\
         this needs Landlock in a kernel of 6.7 or newer; \
         leave --allow-tcp-connect and --allow-tcp-bind out to have all ports"
    )]
    Ports(RulesetError),
    /// The kernel refused the ruleset for another reason.
    #[error("cannot make the Landlock ruleset\n{0}")]
    Ruleset(RulesetError),
}

/// The ruleset, or none where the kernel has nothing to offer that was not demanded.
///
/// # Errors
/// [`ScopeError`].
pub fn ruleset(policy: &Policy, network: bool) -> Result<Option<OwnedFd>, ScopeError> {
    let ports = !policy.connect.is_empty() || !policy.bind.is_empty();
    if ports && !network {
        return Err(ScopeError::NoNetwork);
    }
    let failed = if ports { ScopeError::Ports } else { ScopeError::Ruleset };
    build(policy).map_err(failed)
}

/// A ruleset that keeps abstract sockets of others out of reach, and nothing else.
///
/// # Errors
/// Where the kernel has none such.
pub fn abstract_sockets() -> Result<OwnedFd, RulesetError> {
    let created = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::AbstractUnixSocket)?
        .create()?;
    let made: Option<OwnedFd> = created.into();
    // With a hard requirement there is a ruleset or an error.
    made.ok_or_else(|| RulesetError::from(landlock::CreateRulesetError::MissingHandledAccess))
}

fn build(policy: &Policy) -> Result<Option<OwnedFd>, RulesetError> {
    let mut ruleset =
        Ruleset::default().set_compatibility(CompatLevel::BestEffort).scope(Scope::Signal)?;
    if !policy.abstract_sockets {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    // Without a port in its list, a kind of access is not handled, that is not restricted.
    ruleset = ruleset.set_compatibility(CompatLevel::HardRequirement);
    let lists = [(AccessNet::ConnectTcp, &policy.connect), (AccessNet::BindTcp, &policy.bind)];
    for (access, ports) in lists {
        if !ports.is_empty() {
            ruleset = ruleset.handle_access(access)?;
        }
    }
    let mut created = ruleset.set_compatibility(CompatLevel::BestEffort).create()?;
    for (access, ports) in lists {
        for port in ports {
            created = created.add_rule(NetPort::new(*port, access))?;
        }
    }
    Ok(created.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_need_the_network() {
        let policy = Policy { connect: vec![443], ..Policy::default() };
        assert!(matches!(ruleset(&policy, false), Err(ScopeError::NoNetwork)));
        let policy = Policy { bind: vec![80], ..Policy::default() };
        assert!(matches!(ruleset(&policy, false), Err(ScopeError::NoNetwork)));
    }

    #[test]
    fn without_demands_any_kernel_will_do() {
        assert!(ruleset(&Policy::default(), false).is_ok());
        assert!(ruleset(&Policy { abstract_sockets: true, ..Policy::default() }, true).is_ok());
    }

    #[test]
    fn demands_are_met_or_refused() {
        let policy = Policy { connect: vec![443, 80], bind: vec![8080], abstract_sockets: false };
        match ruleset(&policy, true) {
            Ok(made) => assert!(made.is_some()),
            Err(error) => assert!(matches!(error, ScopeError::Ports(_)), "{error}"),
        }
    }
}
