//! Where the workspace lies, its members, and what their manifests say.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::shell::Result;

/// The checkout that the tool works on.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo builds; our own files go to `xtask/`, `foreign/` and `bare-metal/` in it.
    pub(crate) target: PathBuf,
    /// The members in the order of the root manifest.
    pub(crate) members: Vec<Member>,
}

/// A crate of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// Package name.
    pub(crate) name: String,
    /// Folder, relative to the root, with forward slashes.
    pub(crate) folder: String,
}

/// The crates that use neither an operating system nor an allocator of their own.
pub(crate) const PURE: [&str; 3] = ["mqtt-codec", "mqtt-topic", "mqtt-session"];

impl Workspace {
    /// The workspace that this tool was built in.
    ///
    /// # Errors
    /// If the root manifest cannot be read.
    pub(crate) fn find() -> Result<Self> {
        let own = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = own
            .parent()
            .ok_or("the tool's folder has no parent")?
            .to_path_buf();
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |dir| root.join(dir));
        let mut members = Vec::new();
        for folder in member_folders(&read(&root.join("Cargo.toml"))?)? {
            let name = package_name(&read(&root.join(&folder).join("Cargo.toml"))?)?;
            members.push(Member { name, folder });
        }
        Ok(Self {
            root,
            target,
            members,
        })
    }

    /// The member of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Whether documentation tests can be run for the member.
    pub(crate) fn has_library(&self, member: &Member) -> bool {
        self.root.join(&member.folder).join("src/lib.rs").exists()
    }

    /// The features that a member's manifest names, without `default`.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub(crate) fn features(&self, member: &Member) -> Result<Vec<String>> {
        features(&read(&self.root.join(&member.folder).join("Cargo.toml"))?)
    }
}

/// The text of a file.
///
/// # Errors
/// If it cannot be read; the message names the file.
pub(crate) fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// Parses TOML.
///
/// # Errors
/// If the text is no TOML.
pub(crate) fn parse(text: &str) -> Result<DeTable<'_>> {
    DeTable::parse(text)
        .map(toml::Spanned::into_inner)
        .map_err(|error| error.to_string().into())
}

/// The value at a path of keys.
pub(crate) fn at<'t, 'i>(table: &'t DeTable<'i>, path: &[&str]) -> Option<&'t DeValue<'i>> {
    let (first, rest) = path.split_first()?;
    let value = table.get(*first)?.get_ref();
    if rest.is_empty() {
        Some(value)
    } else {
        at(value.as_table()?, rest)
    }
}

/// The strings of an array; what is no string is left out.
pub(crate) fn strings(value: Option<&DeValue<'_>>) -> Vec<String> {
    let items = value.and_then(DeValue::as_array).map(|array| array.iter());
    items
        .into_iter()
        .flatten()
        .filter_map(|item| item.get_ref().as_str().map(str::to_owned))
        .collect()
}

/// The folders that a root manifest lists as members.
///
/// # Errors
/// If the text is no TOML.
pub(crate) fn member_folders(root_manifest: &str) -> Result<Vec<String>> {
    Ok(strings(at(
        &parse(root_manifest)?,
        &["workspace", "members"],
    )))
}

/// The package name in a manifest.
///
/// # Errors
/// If there is none.
pub(crate) fn package_name(manifest: &str) -> Result<String> {
    let table = parse(manifest)?;
    let name = at(&table, &["package", "name"]).and_then(DeValue::as_str);
    Ok(name
        .ok_or("a member's manifest has no package name")?
        .to_owned())
}

/// Features by name, those that an optional dependency creates by itself included; sorted.
fn features(manifest: &str) -> Result<Vec<String>> {
    let table = parse(manifest)?;
    let mut names = Vec::new();
    let mut used = String::new();
    if let Some(declared) = at(&table, &["features"]).and_then(DeValue::as_table) {
        for (name, needs) in declared.iter() {
            used.push_str(&strings(Some(needs.get_ref())).join(" "));
            used.push(' ');
            if name.get_ref() != "default" {
                names.push(name.get_ref().to_string());
            }
        }
    }
    if let Some(dependencies) = at(&table, &["dependencies"]).and_then(DeValue::as_table) {
        for (name, spec) in dependencies.iter() {
            let optional = spec
                .get_ref()
                .get("optional")
                .and_then(|value| value.get_ref().as_bool());
            // `dep:name` in any feature switches the implicit feature off.
            let explicit = used
                .split(' ')
                .any(|word| word.strip_prefix("dep:") == Some(name.get_ref()));
            if optional == Some(true) && !explicit {
                names.push(name.get_ref().to_string());
            }
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_listed_with_the_implicit_ones() {
        let manifest = r#"
            [features]
            default = ["alloc"]
            alloc = []
            serde = ["dep:serde"]
            [dependencies]
            serde = { version = "1", optional = true }
            bytes = { version = "1", optional = true }
            mio = "1"
        "#;
        assert_eq!(
            features(manifest).expect("TOML"),
            ["alloc", "bytes", "serde"]
        );
        assert!(features("[package]\nname = 'a'").expect("TOML").is_empty());
    }

    #[test]
    fn members_of_this_workspace_are_found() {
        let ws = Workspace::find().expect("the workspace of this test");
        for name in PURE {
            assert!(
                ws.member(name).is_some_and(|member| ws.has_library(member)),
                "{name}"
            );
        }
    }
}
