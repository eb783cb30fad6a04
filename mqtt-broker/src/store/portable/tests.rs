//! Every item survives being written and read, and a store; whatever else is read is refused with its place.

mod items;
mod lines;
mod store;

use super::*;

fn written(items: &[Item]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), Time::from_seconds(1_796_051_001)).unwrap();
    for item in items {
        writer.item(item.clone()).unwrap();
    }
    writer.finish().unwrap()
}

fn text(items: &[Item]) -> String {
    String::from_utf8(written(items)).expect("JSON is UTF-8")
}

fn read(text: &[u8]) -> Result<Vec<Item>, PortableError> {
    Reader::new(text)?.collect()
}
