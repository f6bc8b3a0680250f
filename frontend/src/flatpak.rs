// SPDX-License-Identifier: MIT OR Apache-2.0
//! Applications of existing Flatpak installations: where they are, what they may do, and the sandbox
//! they run in. The rules that are cited are those of Flatpak 1.19 as its users see it.

pub mod beneath;
pub mod build;
pub mod buses;
pub mod choice;
pub mod context;
pub mod data;
pub mod date;
pub mod dconf;
pub mod deploy;
pub mod deploy_data;
pub mod directory;
pub mod extension;
pub mod file_access;
pub mod files;
pub mod forward;
#[cfg(test)]
mod fuzz;
pub mod gate;
pub mod gvariant;
pub mod info_file;
pub mod installation;
pub mod instance;
pub mod inventory;
pub mod language;
pub mod layout;
pub mod library_cache;
pub mod lock;
pub mod matching;
pub mod metadata;
pub mod namespaces;
pub mod overrides;
pub mod parental_controls;
pub mod permissions;
pub mod plan;
pub mod reference;
pub mod repository;
pub mod run;
pub mod selection;
pub mod sudo;
pub mod title;
pub mod tree;
pub mod variables;
