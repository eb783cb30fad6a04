//! What stands in a snapshot: the image and the index, field by field.

use std::io;

use mqtt_codec::{QoS, SubscriptionId, SubscriptionOptions};
use mqtt_session::Instant;

use super::index::{Index, Place};
use super::shelf::Shelf;
use super::snapshot::Out;
use super::varint::{Cursor, Wrong, put, put_text};
use crate::core::restore::{Copies, Copy, Grant, Group, Presence, Session, Walk, Will};
use crate::core::{Image, Message, Subscriber, Terms};

/// Entries of the index that are looked at under one lock.
const PIECE: usize = 4096;

const USER: u8 = 1;
const BRIDGE: u8 = 2;
const USED: u8 = 4;
const GONE: u8 = 8;
const EXPIRES: u8 = 16;
const WILL: u8 = 32;

const EXACTLY_ONCE: u8 = 1;
const RETAIN: u8 = 2;
const TERMS: u8 = 4;

pub(super) fn write(out: &mut Out<'_>, image: &Image, shelf: &Shelf) -> io::Result<()> {
    put(&mut out.bytes, image.latest);
    put(&mut out.bytes, image.sessions.len() as u64);
    for (birth, session) in &image.sessions {
        put(&mut out.bytes, *birth);
        put_session(&mut out.bytes, session);
        put_copies(out, &session.queue)?;
        out.flow()?;
    }
    put(&mut out.bytes, image.groups.len() as u64);
    for (birth, group) in &image.groups {
        put(&mut out.bytes, *birth);
        out.bytes.push(group.named.into());
        put(&mut out.bytes, group.began);
        put_text(&mut out.bytes, &group.filter);
        put_copies(out, &group.waiting)?;
    }
    put(&mut out.bytes, image.names.len() as u64);
    for (who, birth) in &image.names {
        put(&mut out.bytes, who.to_bits());
        put(&mut out.bytes, *birth);
        out.flow()?;
    }
    put(&mut out.bytes, image.by_filter.len() as u64);
    for (filter, birth) in &image.by_filter {
        put_text(&mut out.bytes, filter);
        put(&mut out.bytes, *birth);
        out.flow()?;
    }
    put(&mut out.bytes, image.over.len() as u64);
    for who in &image.over {
        put(&mut out.bytes, who.to_bits());
    }
    put(&mut out.bytes, image.retained.len() as u64);
    for (topic, (number, body)) in &image.retained {
        put_text(&mut out.bytes, topic);
        put(&mut out.bytes, *number);
        put(&mut out.bytes, body.map_or(0, |body| body + 1));
        out.flow()?;
    }
    put(&mut out.bytes, image.strays.len() as u64);
    for (number, copy) in &image.strays {
        put(&mut out.bytes, *number);
        put_copy(&mut out.bytes, *number, copy);
    }
    put(&mut out.bytes, image.early.len() as u64);
    for number in &image.early {
        put(&mut out.bytes, *number);
        out.flow()?;
    }
    // Others read messages meanwhile, and hold some; only this thread puts or removes any.
    let messages = shelf.lock().index.messages();
    put(&mut out.bytes, messages as u64);
    let mut before = 0;
    let mut piece = Vec::new();
    let mut from = 0;
    for _ in 0..messages.div_ceil(PIECE) {
        let inner = shelf.lock();
        piece.clear();
        let entries = inner.index.iter_from(from).take(PIECE);
        piece.extend(
            entries.map(|(number, place, len)| (number, place, len, inner.index.expires(number))),
        );
        drop(inner);
        for &(number, place, len, expires) in &piece {
            put(&mut out.bytes, number - before);
            put(&mut out.bytes, place.segment.into());
            put(&mut out.bytes, place.offset.into());
            put(&mut out.bytes, len.into());
            put_expiry(&mut out.bytes, expires);
            before = number;
        }
        from = before + 1;
        out.flow()?;
    }
    Ok(())
}

fn put_session(bytes: &mut Vec<u8>, session: &Session) {
    let flag = |set, flag| if set { flag } else { 0 };
    let expires = match session.presence {
        Presence::Gone { expires } => expires,
        Presence::Connected => None,
    };
    bytes.push(
        flag(session.user_name.is_some(), USER)
            | flag(session.bridge, BRIDGE)
            | flag(session.used, USED)
            | flag(matches!(session.presence, Presence::Gone { .. }), GONE)
            | flag(expires.is_some(), EXPIRES)
            | flag(session.will.is_some(), WILL),
    );
    put_text(bytes, &session.client_id);
    if let Some(name) = &session.user_name {
        put_text(bytes, name);
    }
    put(bytes, session.expiry.into());
    if let Some(expires) = expires {
        put(bytes, expires.as_millis());
    }
    if let Some(will) = &session.will {
        put(bytes, will.body);
        put(bytes, will.delay.into());
        put_expiry(bytes, will.due);
    }
    put(bytes, session.subscriptions.len() as u64);
    for (filter, grant) in &session.subscriptions {
        put_text(bytes, filter);
        bytes.push(grant.options.to_byte());
        put(bytes, grant.id.map_or(0, SubscriptionId::get).into());
    }
    put(bytes, session.walks.len() as u64);
    for walk in &session.walks {
        put_text(bytes, &walk.filter);
        bytes.push(walk.qos as u8);
        put(bytes, walk.id.map_or(0, SubscriptionId::get).into());
        put(bytes, walk.served.len() as u64);
        for topic in &walk.served {
            put_text(bytes, topic);
        }
    }
    put(bytes, session.sent.len() as u64);
    for (copy, id) in &session.sent {
        put(bytes, *copy);
        put(bytes, id.get().into());
    }
    for ids in [&session.releasing, &session.received] {
        put(bytes, ids.len() as u64);
        for id in ids {
            put(bytes, id.get().into());
        }
    }
}

/// 0 is never.
fn put_expiry(bytes: &mut Vec<u8>, at: Option<Instant>) {
    put(bytes, at.map_or(0, |at| at.as_millis().saturating_add(1)));
}

fn put_copies(out: &mut Out<'_>, copies: &Copies) -> io::Result<()> {
    put(&mut out.bytes, copies.len() as u64);
    let mut before = 0;
    for (number, copy) in copies.iter() {
        put(&mut out.bytes, number - before);
        put_copy(&mut out.bytes, number, &copy);
        before = number;
        out.flow()?;
    }
    Ok(())
}

fn put_copy(bytes: &mut Vec<u8>, number: u64, copy: &Copy) {
    let ids = copy.ids.as_slice();
    let mut flags = 0;
    if copy.qos == QoS::ExactlyOnce {
        flags |= EXACTLY_ONCE;
    }
    if copy.retain {
        flags |= RETAIN;
    }
    if !ids.is_empty() || copy.group.is_some() {
        flags |= TERMS;
    }
    bytes.push(flags);
    put(bytes, number.wrapping_sub(copy.body));
    if flags & TERMS != 0 {
        put(bytes, ids.len() as u64);
        for id in ids {
            put(bytes, id.get().into());
        }
        put(bytes, copy.group.map_or(0, |group| group + 1));
    }
}

pub(super) fn read(bytes: &[u8]) -> Result<(Image, Index), Wrong> {
    let mut cursor = Cursor::new(bytes);
    let cursor = &mut cursor;
    let mut image = Image {
        latest: cursor.number()?,
        ..Image::default()
    };
    for _ in 0..cursor.number()? {
        let birth = cursor.number()?;
        let session = session(cursor)?;
        image.by_client.insert(session.client_id.clone(), birth);
        image.sessions.insert(birth, session);
    }
    for _ in 0..cursor.number()? {
        let birth = cursor.number()?;
        let named = cursor.byte()? != 0;
        let began = cursor.number()?;
        let filter = cursor.text()?.into();
        let waiting = copies(cursor)?;
        let group = Group {
            filter,
            named,
            began,
            waiting,
        };
        image.groups.insert(birth, group);
    }
    for _ in 0..cursor.number()? {
        let who = Subscriber::from_bits(cursor.number()?);
        image.names.insert(who, cursor.number()?);
    }
    for _ in 0..cursor.number()? {
        let filter = cursor.text()?.into();
        image.by_filter.insert(filter, cursor.number()?);
    }
    for _ in 0..cursor.number()? {
        image.over.insert(Subscriber::from_bits(cursor.number()?));
    }
    for _ in 0..cursor.number()? {
        let topic: Box<str> = cursor.text()?.into();
        let number = cursor.number()?;
        let body = cursor.number()?.checked_sub(1);
        if body.is_none() {
            image.removed.insert(number, Box::clone(&topic));
        }
        image.retained.insert(topic, (number, body));
    }
    for _ in 0..cursor.number()? {
        let number = cursor.number()?;
        let copy = copy(cursor, number)?;
        image.strays.insert(number, copy);
    }
    for _ in 0..cursor.number()? {
        image.early.insert(cursor.number()?);
    }
    let mut index = Index::default();
    let mut number = 0_u64;
    for _ in 0..cursor.number()? {
        let most = cursor.wrong("numbers end");
        number = number.checked_add(cursor.number()?).ok_or(most)?;
        let place = Place {
            segment: cursor.small()?,
            offset: cursor.small()?,
        };
        let len: u32 = cursor.small()?;
        let terms = Terms {
            size: len.saturating_add(size_of::<Message>() as u32),
            expires: expiry(cursor)?,
        };
        index.put(number, place, terms);
    }
    if !cursor.is_at_end() {
        return Err(cursor.wrong("something stands behind the end"));
    }
    image.each_body(|body| {
        index.begin_use(body);
    });
    Ok((image, index))
}

fn expiry(cursor: &mut Cursor<'_>) -> Result<Option<Instant>, Wrong> {
    Ok(cursor.number()?.checked_sub(1).map(Instant::from_millis))
}

fn session(cursor: &mut Cursor<'_>) -> Result<Session, Wrong> {
    let flags = cursor.byte()?;
    let mut session = Session::new(cursor.text()?);
    if flags & USER != 0 {
        session.user_name = Some(cursor.text()?.into());
    }
    session.bridge = flags & BRIDGE != 0;
    session.used = flags & USED != 0;
    session.expiry = cursor.small()?;
    if flags & GONE != 0 {
        let mut expires = None;
        if flags & EXPIRES != 0 {
            expires = Some(Instant::from_millis(cursor.number()?));
        }
        session.presence = Presence::Gone { expires };
    }
    if flags & WILL != 0 {
        session.will = Some(Will {
            body: cursor.number()?,
            delay: cursor.small()?,
            due: expiry(cursor)?,
        });
    }
    for _ in 0..cursor.number()? {
        let filter = cursor.text()?.into();
        let start = cursor.wrong("options of a subscription are none");
        let options = SubscriptionOptions::from_byte(cursor.byte()?).ok_or(start)?;
        let id = cursor.subscription_id()?;
        session.subscriptions.insert(filter, Grant { options, id });
    }
    for _ in 0..cursor.number()? {
        let filter = cursor.text()?;
        let start = cursor.wrong("a QoS is none");
        let qos = QoS::from_u8(cursor.byte()?).ok_or(start)?;
        let mut walk = Walk::new(
            filter,
            SubscriptionOptions::new(qos),
            cursor.subscription_id()?,
        );
        for _ in 0..cursor.number()? {
            walk.served.insert(cursor.text()?.into());
        }
        session.walks.push(walk);
    }
    for _ in 0..cursor.number()? {
        let copy = cursor.number()?;
        session.sent.push((copy, cursor.packet_id()?));
    }
    for _ in 0..cursor.number()? {
        session.releasing.push(cursor.packet_id()?);
    }
    for _ in 0..cursor.number()? {
        session.received.push(cursor.packet_id()?);
    }
    session.queue = copies(cursor)?;
    Ok(session)
}

fn copies(cursor: &mut Cursor<'_>) -> Result<Copies, Wrong> {
    let mut copies = Copies::default();
    let mut number = 0_u64;
    for _ in 0..cursor.number()? {
        let most = cursor.wrong("numbers end");
        number = number.checked_add(cursor.number()?).ok_or(most)?;
        copies.insert(number, copy(cursor, number)?);
    }
    Ok(copies)
}

fn copy(cursor: &mut Cursor<'_>, number: u64) -> Result<Copy, Wrong> {
    let flags = cursor.byte()?;
    let body = number.wrapping_sub(cursor.number()?);
    let mut ids = Vec::new();
    let mut group = None;
    if flags & TERMS != 0 {
        for _ in 0..cursor.number()? {
            let start = cursor.wrong("a subscription identifier is none");
            ids.push(cursor.subscription_id()?.ok_or(start)?);
        }
        group = cursor.number()?.checked_sub(1);
    }
    Ok(Copy {
        body,
        qos: if flags & EXACTLY_ONCE != 0 {
            QoS::ExactlyOnce
        } else {
            QoS::AtLeastOnce
        },
        retain: flags & RETAIN != 0,
        ids: ids.into_iter().collect(),
        group,
    })
}
