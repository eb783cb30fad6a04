//! What a packet says, in a form that belongs to no decoder.

/// What a value is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A field outside of properties.
    Field(&'static str),
    /// A property of the packet, by its identifier.
    Property(u8),
    /// A property of the will.
    Will(u8),
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Flags, codes and integers of every width.
    Number(u64),
    /// A string.
    Text(String),
    /// Binary data.
    Bytes(Vec<u8>),
    /// A user property.
    Pair(String, String),
}

/// A packet: its type and its values. Of one name the order counts, and between names it does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its number, 1 to 15.
    pub kind: u8,
    /// The values, sorted by name.
    pub list: Vec<(Name, Value)>,
}

/// A packet of this type without values.
#[must_use]
pub const fn facts(kind: u8) -> Facts {
    Facts {
        kind,
        list: Vec::new(),
    }
}

impl Facts {
    /// Adds a number.
    pub fn number(&mut self, name: &'static str, value: impl Into<u64>) {
        self.add(Name::Field(name), Value::Number(value.into()));
    }

    /// Adds a string.
    pub fn text(&mut self, name: &'static str, value: impl AsRef<str>) {
        self.add(Name::Field(name), Value::Text(value.as_ref().to_owned()));
    }

    /// Adds bytes.
    pub fn bytes(&mut self, name: &'static str, value: impl AsRef<[u8]>) {
        self.add(Name::Field(name), Value::Bytes(value.as_ref().to_vec()));
    }

    /// Adds a value.
    pub fn add(&mut self, name: Name, value: Value) {
        self.list.push((name, value));
    }

    /// Properties of the packet.
    pub fn properties(&mut self) -> Properties<'_> {
        Properties {
            facts: self,
            name: Name::Property,
        }
    }

    /// Properties of the will.
    pub fn will(&mut self) -> Properties<'_> {
        Properties {
            facts: self,
            name: Name::Will,
        }
    }

    /// Puts the values in order.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.list.sort_by_key(|&(name, _)| name);
        self
    }

    /// The values of one name.
    pub fn of(&self, name: Name) -> impl Iterator<Item = &Value> {
        self.list
            .iter()
            .filter(move |(it, _)| *it == name)
            .map(|(_, value)| value)
    }

    /// The texts of one field.
    pub fn texts(&self, name: &'static str) -> impl Iterator<Item = &str> {
        self.of(Name::Field(name)).filter_map(|value| match value {
            Value::Text(text) => Some(text.as_str()),
            Value::Number(_) | Value::Bytes(_) | Value::Pair(..) => None,
        })
    }

    /// The names whose values differ.
    #[must_use]
    pub fn differing(&self, other: &Self) -> Vec<Name> {
        let both = self.list.iter().chain(&other.list);
        let mut names: Vec<Name> = both.map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|&name| !self.of(name).eq(other.of(name)));
        names
    }
}

/// Where properties go; what is not there adds nothing.
pub struct Properties<'f> {
    facts: &'f mut Facts,
    name: fn(u8) -> Name,
}

impl Properties<'_> {
    /// A number.
    pub fn number(&mut self, id: u8, value: Option<impl Into<u64>>) -> &mut Self {
        if let Some(value) = value {
            self.facts.add((self.name)(id), Value::Number(value.into()));
        }
        self
    }

    /// A string.
    pub fn text(&mut self, id: u8, value: Option<impl AsRef<str>>) -> &mut Self {
        if let Some(value) = value {
            let text = Value::Text(value.as_ref().to_owned());
            self.facts.add((self.name)(id), text);
        }
        self
    }

    /// Binary data.
    pub fn bytes(&mut self, id: u8, value: Option<impl AsRef<[u8]>>) -> &mut Self {
        if let Some(value) = value {
            let bytes = Value::Bytes(value.as_ref().to_vec());
            self.facts.add((self.name)(id), bytes);
        }
        self
    }

    /// User properties.
    pub fn users<K: AsRef<str>, V: AsRef<str>>(
        &mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> &mut Self {
        for (key, value) in pairs {
            let pair = Value::Pair(key.as_ref().to_owned(), value.as_ref().to_owned());
            self.facts.add((self.name)(0x26), pair);
        }
        self
    }
}
