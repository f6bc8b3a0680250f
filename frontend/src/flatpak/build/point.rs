// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where an extension that is built belongs in what it extends (R263).

use std::path::{Path, PathBuf};

use super::BuildError;
use crate::flatpak::deploy::Deploy;
use crate::flatpak::extension::point::Point;
use crate::flatpak::reference::{Id, Kind};
use crate::flatpak::tree::Tree;
use crate::message::Notice;

/// The place of an extension in the sandbox.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The directory that is made empty before, for it and others beside it.
    pub(super) empty: Option<PathBuf>,
    /// Where it is mounted.
    pub(super) path: PathBuf,
}

impl Place {
    /// Finds the place of the extension `id` in its parent, by the tag if there are several.
    ///
    /// # Errors
    /// [`BuildError::NoPoint`], [`BuildError::SeveralPoints`].
    pub(super) fn find(
        parent: &Deploy,
        id: &Id,
        tag: Option<&str>,
        notices: &mut Vec<Notice>,
    ) -> Result<Self, BuildError> {
        let points = Point::all(&parent.metadata, &parent.reference.branch, notices);
        let reference = Box::new(parent.reference.clone());
        let several = || BuildError::SeveralPoints { id: id.clone(), parent: reference.clone() };
        let prefix = Path::new(prefix(parent.reference.kind));
        if let Some(point) = choose(&points, id, tag).map_err(|()| several())? {
            return Ok(Self {
                empty: None,
                path: mount_point(point, point.directory.under(prefix)),
            });
        }
        // One of several that stand beside each other.
        let above = id.as_str().rsplit_once('.');
        let above = above.and_then(|(above, last)| Some((Id::new(above).ok()?, last)));
        if let Some((above, last)) = above
            && let Some(point) = choose(&points, &above, tag).map_err(|()| several())?
            && point.subdirectories
        {
            let empty = point.directory.under(prefix);
            let path = mount_point(point, empty.join(last));
            return Ok(Self { empty: Some(empty), path });
        }
        Err(BuildError::NoPoint { id: id.clone(), parent: reference })
    }

    /// Looks whether there is something to mount it on in the files `tree` that are mounted at `prefix`.
    ///
    /// # Errors
    /// [`BuildError::NoPlace`].
    pub(super) fn check(&self, tree: &Tree, prefix: &str, id: &Id) -> Result<(), BuildError> {
        let place = self.empty.as_ref().unwrap_or(&self.path);
        let below = place.strip_prefix(prefix).ok().and_then(Path::to_str);
        if below.is_some_and(|below| tree.has_directory(below)) {
            return Ok(());
        }
        Err(BuildError::NoPlace { id: id.clone(), place: place.clone() })
    }
}

/// Where the files of a kind are mounted.
pub(super) const fn prefix(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "/app",
        Kind::Runtime => "/usr",
    }
}

fn mount_point(point: &Point, place: PathBuf) -> PathBuf {
    point.suffix.as_ref().map_or_else(|| place.clone(), |suffix| suffix.under(&place))
}

/// The place with this tag, or the only one. Fails if there are several others.
fn choose<'a>(points: &'a [Point], name: &Id, tag: Option<&str>) -> Result<Option<&'a Point>, ()> {
    let mut named = points.iter().filter(|point| point.name == *name);
    if let Some(point) = named.clone().find(|point| point.tag.as_deref() == tag) {
        return Ok(Some(point));
    }
    let first = named.next();
    if named.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filesystem::locate::tests::Scratch;
    use crate::flatpak::deploy::tests::{install, installation};
    use crate::flatpak::reference::Reference;

    const APP: &str = "app/org.a.App/x/1";

    fn find(metadata: &str, id: &str, tag: Option<&str>) -> Result<Place, BuildError> {
        let scratch = Scratch::new();
        install(&scratch, "i", APP, &format!("[Application]\nname=org.a.App\n{metadata}"));
        let reference = Reference::parse(APP).unwrap();
        let deploy = Deploy::open(&installation(&scratch, "i"), &reference, None);
        Place::find(&deploy.unwrap().unwrap(), &Id::new(id).unwrap(), tag, &mut Vec::new())
    }

    fn place(empty: Option<&str>, path: &str) -> Place {
        Place { empty: empty.map(PathBuf::from), path: path.into() }
    }

    #[test]
    fn r263_an_extension_belongs_where_its_parent_says() {
        let one = "[Extension org.a.App.E]\ndirectory=share/e\nsubdirectory-suffix=s/t\n";
        assert_eq!(find(one, "org.a.App.E", None).unwrap(), place(None, "/app/share/e/s/t"));
        // The only one, whatever its tag.
        assert_eq!(
            find(one, "org.a.App.E", Some("x")).unwrap().path,
            Path::new("/app/share/e/s/t")
        );
        for id in ["org.a.App.F", "org.a.App.E.F", "org.a.App.Ex"] {
            let error = find(one, id, None).unwrap_err();
            assert!(matches!(error, BuildError::NoPoint { .. }), "{id}: {error}");
        }
    }

    #[test]
    fn r263_one_of_several_has_a_directory_beside_the_others() {
        let several = "[Extension org.a.App.E]\ndirectory=e\nsubdirectories=true\n";
        let expected = place(Some("/app/e"), "/app/e/F");
        assert_eq!(find(several, "org.a.App.E.F", None).unwrap(), expected);
        let suffix = format!("{several}subdirectory-suffix=s\n");
        assert_eq!(
            find(&suffix, "org.a.App.E.F", None).unwrap(),
            place(Some("/app/e"), "/app/e/F/s")
        );
        assert_eq!(find(several, "org.a.App.E", None).unwrap(), place(None, "/app/e"));
    }

    #[test]
    fn r263_a_tag_decides_between_places_of_one_name() {
        let two =
            "[Extension org.a.App.E@a]\ndirectory=a\n[Extension org.a.App.E@b]\ndirectory=b\n";
        assert_eq!(find(two, "org.a.App.E", Some("b")).unwrap(), place(None, "/app/b"));
        for tag in [None, Some("c")] {
            let error = find(two, "org.a.App.E", tag).unwrap_err();
            assert!(matches!(error, BuildError::SeveralPoints { .. }), "{error}");
        }
    }

    #[test]
    fn r223_a_place_is_below_its_parent_and_a_real_directory() {
        let outside = "[Extension org.a.App.E]\ndirectory=../etc\n";
        assert!(matches!(find(outside, "org.a.App.E", None), Err(BuildError::NoPoint { .. })));
        let scratch = Scratch::new();
        scratch.directory("files/share/e");
        std::os::unix::fs::symlink("share", scratch.join("files/link")).unwrap();
        let tree = Tree::open(&scratch.join("files")).unwrap();
        let id = Id::new("org.a.App.E").unwrap();
        let check = |empty, path| place(empty, path).check(&tree, "/app", &id);
        check(None, "/app/share/e").unwrap();
        check(Some("/app/share/e"), "/app/share/e/x").unwrap();
        for path in ["/app/share/f", "/app/link/e"] {
            let error = check(None, path).unwrap_err();
            assert!(matches!(error, BuildError::NoPlace { .. }), "{path}: {error}");
        }
    }
}
