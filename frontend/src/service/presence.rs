// SPDX-License-Identifier: MIT OR Apache-2.0
//! A service on the bus: it has a name, ends when it loses it, and takes notice of callers that leave.

use ordered_stream::OrderedStreamExt as _;
use zbus::Connection;
use zbus::fdo::{DBusProxy, RequestNameFlags};
use zbus::names::{BusName, UniqueName};

/// Takes the name and keeps it, and calls `left` with the unique name of whoever leaves the bus.
/// Returns when somebody else has the name or the bus is gone.
///
/// # Errors
/// [`zbus::Error::NameTaken`], if somebody else has it already; or what the bus says.
pub async fn keep(
    connection: &Connection,
    name: &str,
    flags: RequestNameFlags,
    mut left: impl AsyncFnMut(&str),
) -> zbus::Result<()> {
    let bus = DBusProxy::new(connection).await?;
    // Before anybody can call: whoever leaves then is seen to leave.
    let mut changes = bus.receive_name_owner_changed().await?;
    connection.request_name_with_flags(name, flags).await?;
    let mut had = false;
    while let Some(change) = changes.next().await {
        let change = change.args()?;
        match change.name() {
            BusName::Unique(peer) if change.new_owner().is_none() => left(peer).await,
            BusName::WellKnown(known) if *known == name => {
                let owner = change.new_owner().as_ref().map(UniqueName::as_str);
                // What is told before is about another, whose place is taken.
                let is_own = owner == connection.unique_name().map(|own| own.as_str());
                if had && !is_own {
                    return Ok(());
                }
                had |= is_own;
            }
            BusName::Unique(_) | BusName::WellKnown(_) => {}
        }
    }
    Ok(())
}
