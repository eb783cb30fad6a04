//! The files that the rules look at, in memory: a test plants a violation without touching a disk.

use std::collections::BTreeMap;
use std::path::Path;

use crate::shell::{Program, Result};

/// Text files by path, relative to the root.
#[derive(Debug)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// What git tracks, and new files that it does not ignore; files that are no text are left out.
    ///
    /// # Errors
    /// If git cannot be asked.
    pub(crate) fn tracked(root: &Path) -> Result<Self> {
        let list = Program::new("git", root)
            .args([
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ])
            .capture()?;
        let mut files = BTreeMap::new();
        for path in list.split('\0').filter(|path| !path.is_empty()) {
            // A file that was deleted but is still in the index, or is no UTF-8, has no lines to judge.
            if let Ok(text) = std::fs::read_to_string(root.join(path)) {
                files.insert(path.to_owned(), text);
            }
        }
        Ok(Self { files })
    }

    /// Path and text of every file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of a file, if it is there.
    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// The text of a file that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn read(&self, path: &str) -> Result<&str> {
        self.get(path)
            .ok_or_else(|| format!("{path} is missing").into())
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }
}

#[cfg(test)]
impl Tree {
    pub(crate) fn from_files<const N: usize>(files: [(&str, &str); N]) -> Self {
        Self {
            files: files
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into(),
        }
    }

    pub(crate) fn plant(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned(), text.to_owned());
    }
}
