//! What is counted, and what a conversation should take.

use mqtt_device::Version;

/// Bytes of a reading.
pub(crate) const READING: usize = 10;
/// Bytes of TCP's and IP's headers in a segment without options.
const HEADERS: usize = 40;
/// Seven segments to open and close TCP, and seven for CONNECT, PUBLISH, DISCONNECT, their answers, and the acknowledgements of both.
const SEGMENTS: usize = 14;
/// Bytes of the stream that fit a segment.
pub(crate) const FULL_SEGMENT: usize = 1_460;

/// How readings travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All in one PUBLISH.
    Packed,
    /// One PUBLISH for each.
    Each,
}

/// One conversation: connect, send, close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// The version.
    pub(crate) version: Version,
    /// How they travel.
    pub(crate) form: Form,
    /// How many.
    pub(crate) readings: usize,
}

/// All that are counted.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    [Version::V311, Version::V5]
        .into_iter()
        .flat_map(|version| {
            [Form::Packed, Form::Each]
                .into_iter()
                .flat_map(move |form| {
                    [1, 10, 60].map(|readings| Case {
                        version,
                        form,
                        readings,
                    })
                })
        })
}

impl Case {
    /// The most bytes that all readings may take together, where there is such a bar.
    pub(crate) fn bar(self) -> Option<usize> {
        let each = if self.version == Version::V5 { 22 } else { 21 };
        (self.form == Form::Packed && self.readings == 60).then_some(each * self.readings)
    }

    /// Bytes by the model, for a topic and a client identifier of so many bytes: readings without anything between them, no property
    /// said, no options of TCP.
    pub(crate) fn model(self, topic: usize, client_id: usize) -> usize {
        let properties = usize::from(self.version == Version::V5);
        let publish = |payload| {
            let rest = 2 + topic + 2 + properties + payload;
            1 + if rest < 128 { 1 } else { 2 } + rest
        };
        let published = match self.form {
            Form::Packed => publish(self.readings * READING),
            Form::Each => self.readings * publish(READING),
        };
        let acknowledged = match self.form {
            Form::Packed => 4,
            Form::Each => self.readings * 4,
        };
        let (connect, answer, goodbye) = (14 + client_id + properties, 4 + properties, 2);
        // Each full segment is one more, and one more acknowledgement.
        let segments = SEGMENTS + 2 * ((connect + published) / FULL_SEGMENT);
        segments * HEADERS + connect + answer + published + acknowledged + goodbye
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures that were made by hand for a topic of 18 bytes and a client identifier of 17, rounded to bytes a reading.
    #[test]
    fn the_model_is_the_one_on_paper() {
        for (form, readings, each) in [
            (Form::Each, 10, 98),
            (Form::Each, 60, 49),
            (Form::Packed, 1, 635),
            (Form::Packed, 10, 73),
            (Form::Packed, 60, 20),
        ] {
            let case = Case {
                version: Version::V311,
                form,
                readings,
            };
            let bytes = case.model(18, 17) as f64 / readings as f64;
            assert_eq!(bytes.round() as usize, each, "{case:?}: {bytes}");
        }
    }

    #[test]
    fn what_is_packed_has_a_bar_in_both_versions() {
        let bars: Vec<_> = cases().filter_map(Case::bar).collect();
        assert_eq!(bars, [1_260, 1_320]);
    }
}
