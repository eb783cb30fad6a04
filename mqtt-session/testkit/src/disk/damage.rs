//! What can have happened to the files of a store while nobody looked: bits that flip, blocks that are gone, files that are missing,
//! cut, swapped, or older than the others.

use super::{Contents, SECTOR};

/// Bytes of a block that a disk loses as a whole.
const BLOCK: usize = 4_096;

/// Damaged files.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// What has happened to them.
    pub what: String,
    /// The files now.
    pub contents: Contents,
}

/// Every bit of all files, as its file, offset and number.
pub fn bit_flips(contents: &Contents) -> impl Iterator<Item = (&str, u64, u8)> {
    contents.iter().flat_map(|(name, bytes)| {
        let offsets = 0..bytes.len() as u64;
        offsets.flat_map(move |offset| (0..8).map(move |bit| (&**name, offset, bit)))
    })
}

/// Every other damage that changes something. `older` are the same files at an earlier time.
pub fn damages<'a>(
    contents: &'a Contents,
    older: &'a Contents,
) -> impl Iterator<Item = Damaged> + 'a {
    let files = contents
        .iter()
        .flat_map(move |(name, bytes)| of_one(contents, name, bytes));
    let aged = older.iter().filter_map(move |(name, old)| {
        contents.get(name)?;
        Some(with(contents, name, Some(old.clone()), "is an older copy"))
    });
    let missing_since = older.iter().filter_map(move |(name, old)| {
        let comes_back = !contents.contains_key(name);
        comes_back.then(|| with(contents, name, Some(old.clone()), "has come back"))
    });
    let names: Vec<&String> = contents.keys().collect();
    let pairs: Vec<(&String, &String)> = names
        .iter()
        .enumerate()
        .flat_map(|(at, one)| names[at + 1..].iter().map(|other| (*one, *other)))
        .collect();
    let swapped = pairs.into_iter().map(move |(one, other)| {
        let mut swapped = contents.clone();
        swapped.insert(one.clone(), contents[other].clone());
        swapped.insert(other.clone(), contents[one].clone());
        Damaged {
            what: format!("{one} and {other} are swapped"),
            contents: swapped,
        }
    });
    files
        .chain(aged)
        .chain(missing_since)
        .chain(swapped)
        .filter(move |damaged| damaged.contents != *contents)
}

fn with(contents: &Contents, name: &str, bytes: Option<Vec<u8>>, what: &str) -> Damaged {
    let mut contents = contents.clone();
    match bytes {
        Some(bytes) => contents.insert(name.to_owned(), bytes),
        None => contents.remove(name),
    };
    Damaged {
        what: format!("{name} {what}"),
        contents,
    }
}

fn of_one<'a>(
    contents: &'a Contents,
    name: &'a str,
    bytes: &'a [u8],
) -> impl Iterator<Item = Damaged> + 'a {
    let changed = move |bytes: Option<Vec<u8>>, what: &str| with(contents, name, bytes, what);
    let whole = [
        changed(None, "is missing"),
        changed(Some(vec![]), "is empty"),
        changed(Some(bytes[..bytes.len() / 2].to_vec()), "is half as long"),
        changed(Some([bytes, &[0; BLOCK]].concat()), "has zeroes behind it"),
    ];
    // Whole files of a small store are no longer than a block: sectors in their middle as well.
    let zeroed = [BLOCK, SECTOR].into_iter().flat_map(move |len| {
        (0..bytes.len()).step_by(len).map(move |start| {
            let mut zeroed = bytes.to_vec();
            let end = bytes.len().min(start + len);
            zeroed[start..end].fill(0);
            changed(Some(zeroed), &format!("has {len} zeroes at {start}"))
        })
    });
    // In the middle of a sector, and where its last bytes are.
    let cuts = (0..bytes.len())
        .step_by(BLOCK)
        .flat_map(|at| [at, at + 100]);
    let last = bytes.iter().rposition(|byte| *byte != 0);
    let ends = last.into_iter().flat_map(|last| [last, last + 1]);
    let cut = cuts
        .chain(ends)
        .filter(move |len| *len < bytes.len())
        .map(move |len| changed(Some(bytes[..len].to_vec()), &format!("is cut at {len}")));
    whole.into_iter().chain(zeroed).chain(cut)
}
