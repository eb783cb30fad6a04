//! One thing that is measured.

use core::fmt;

/// Something that is done again and again, and costs the same each time.
pub struct Op {
    /// What is done, for instance `decode PUBLISH QoS 0, 64 B, v5`.
    pub name: String,
    /// Packets, or whatever the cost is divided by, in one time.
    pub units: u32,
    run: Box<dyn FnMut(u32)>,
}

impl Op {
    /// Does `step` each time. The loop is compiled together with it, so that what is called through a pointer is the loop.
    pub fn new(name: impl Into<String>, units: u32, mut step: impl FnMut() + 'static) -> Self {
        Self {
            name: name.into(),
            units,
            run: Box::new(move |times| {
                for _ in 0..times {
                    step();
                }
            }),
        }
    }

    /// Does it so many times.
    pub fn run(&mut self, times: u32) {
        (self.run)(times);
    }

    /// The same under another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op")
            .field("name", &self.name)
            .field("units", &self.units)
            .finish_non_exhaustive()
    }
}
