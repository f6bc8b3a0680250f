// SPDX-License-Identifier: MIT OR Apache-2.0
//! Update monitors as objects on the bus (R251).

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use zbus::fdo;
use zbus::message::Header;
use zbus::names::{OwnedUniqueName, UniqueName};
use zbus::object_server::SignalEmitter;
use zbus::{ObjectServer, OwnedObjectPath, OwnedVariant, interface};

use super::super::OBJECT;
use super::super::monitor::Update;
use super::{invalid, sender};

/// How many monitors a caller can have: one for each part of it that wants to know, and then some.
const MONITORS: usize = 16;

/// Longest token of a caller.
const TOKEN_BYTES: usize = 255;

/// The monitors there are, with what ends each when it is dropped.
#[derive(Clone, Debug, Default)]
pub struct Monitors(Arc<Mutex<HashMap<OwnedObjectPath, (OwnedUniqueName, OwnedFd)>>>);

/// What is told of another version. No repository is asked, so what is installed is the newest known.
pub(super) fn facts(update: Update) -> HashMap<&'static str, OwnedVariant> {
    let text = |text: String| OwnedVariant::from(zbus::Str::from(text));
    HashMap::from([
        ("running-commit", text(update.running)),
        ("local-commit", text(update.installed.clone())),
        ("remote-commit", text(update.installed)),
    ])
}

/// The object of a monitor (R251).
pub(super) fn handle(
    sender: &UniqueName<'_>,
    token: Option<String>,
) -> fdo::Result<OwnedObjectPath> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let token = token.unwrap_or_else(|| format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if token.is_empty() || token.len() > TOKEN_BYTES || !token.bytes().all(is_word) {
        return Err(invalid("the token can have letters, digits and underscores only"));
    }
    let name = sender.as_str().trim_start_matches(':').replace('.', "_");
    let path = format!("{OBJECT}/update_monitor/{name}/{token}");
    OwnedObjectPath::try_from(path).map_err(invalid)
}

impl Monitors {
    pub(super) fn add(
        &self,
        path: &OwnedObjectPath,
        owner: &UniqueName<'_>,
        end: OwnedFd,
    ) -> fdo::Result<()> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.contains_key(path) {
            return Err(invalid("there is a monitor with that token already"));
        }
        if all.values().filter(|(other, _)| other == owner).count() >= MONITORS {
            let text = format!("there are {MONITORS} monitors already");
            return Err(fdo::Error::LimitsExceeded(text));
        }
        all.insert(path.clone(), (owner.to_owned().into(), end));
        Ok(())
    }

    /// Ends one.
    pub(super) fn end(&self, path: &OwnedObjectPath) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
    }

    /// Ends those of a caller who has left the bus. Gives their objects.
    #[must_use]
    pub fn owner_left(&self, owner: &str) -> Vec<OwnedObjectPath> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = all.iter().filter(|(_, (known, _))| known.as_str() == owner);
        let left: Vec<_> = left.map(|(path, _)| path.clone()).collect();
        left.iter().for_each(|path| {
            all.remove(path);
        });
        left
    }
}

/// A monitor of a caller.
#[derive(Debug)]
pub struct Monitor {
    owner: OwnedUniqueName,
    monitors: Monitors,
}

impl Monitor {
    pub(super) fn new(owner: &UniqueName<'_>, monitors: &Monitors) -> Self {
        Self { owner: owner.to_owned().into(), monitors: monitors.clone() }
    }

    fn check(&self, header: &Header<'_>) -> fdo::Result<()> {
        if *self.owner == sender(header)? {
            Ok(())
        } else {
            Err(fdo::Error::AccessDenied("the monitor is not the caller's".into()))
        }
    }
}

#[interface(name = "org.freedesktop.portal.Flatpak.UpdateMonitor")]
impl Monitor {
    /// Ends the monitor.
    async fn close(
        &self,
        #[zbus(header)] header: Header<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> fdo::Result<()> {
        self.check(&header)?;
        let path = header.path().ok_or_else(|| invalid("a call of no object"))?;
        self.monitors.end(&path.to_owned().into());
        server.remove::<Self, _>(path.to_owned()).await?;
        Ok(())
    }

    /// Would install the newest version. Nothing of Stockade installs.
    async fn update(
        &self,
        _parent_window: String,
        _options: HashMap<String, OwnedVariant>,
        #[zbus(header)] header: Header<'_>,
    ) -> fdo::Result<()> {
        self.check(&header)?;
        Err(fdo::Error::NotSupported("updates are installed with 'flatpak update'".into()))
    }

    /// Another version is installed than the one that runs.
    #[zbus(signal)]
    pub(super) async fn update_available(
        emitter: &SignalEmitter<'_>,
        update_info: HashMap<&str, OwnedVariant>,
    ) -> zbus::Result<()>;

    /// How far an update is.
    #[zbus(signal)]
    async fn progress(
        emitter: &SignalEmitter<'_>,
        info: HashMap<&str, OwnedVariant>,
    ) -> zbus::Result<()>;
}
