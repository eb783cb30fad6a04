//! Wills, each of which is published or not, and at QoS 2 once.

use mqtt_codec::QoS;

/// What must come of a will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Nothing is confirmed: it may come or not.
    Doubt,
    /// Its connection stands.
    Armed,
    /// Its connection was lost: it must come.
    Due,
    /// It was withdrawn: it must not come.
    Never,
}

#[derive(Clone, Copy, Debug)]
struct Will {
    fate: Fate,
    came: bool,
}

/// The wills of each client, one for every connection.
#[derive(Debug)]
pub(crate) struct Wills(Vec<(QoS, Vec<Will>)>);

impl Wills {
    /// Clients by the QoS of their wills.
    pub(crate) fn new(clients: impl IntoIterator<Item = QoS>) -> Self {
        Self(clients.into_iter().map(|qos| (qos, Vec::new())).collect())
    }

    /// A client connects with its next will; the number.
    pub(crate) fn ask(&mut self, client: usize) -> u32 {
        let wills = &mut self.0[client].1;
        wills.push(Will {
            fate: Fate::Doubt,
            came: false,
        });
        wills.len() as u32
    }

    /// The number of a client's latest will.
    pub(crate) fn last(&self, client: usize) -> u32 {
        self.0[client].1.len() as u32
    }

    /// CONNACK came for the latest will.
    pub(crate) fn armed(&mut self, client: usize) {
        if let Some(will) = self.0[client].1.last_mut() {
            will.fate = Fate::Armed;
        }
    }

    fn will(&mut self, client: usize, number: u32) -> Option<&mut Will> {
        let place = (number as usize).checked_sub(1)?;
        self.0.get_mut(client)?.1.get_mut(place)
    }

    /// A client says goodbye.
    pub(crate) fn doubt(&mut self, client: usize, number: u32) {
        if let Some(will) = self.will(client, number) {
            will.fate = Fate::Doubt;
        }
    }

    /// It is confirmed that a will was withdrawn.
    ///
    /// # Errors
    /// With what is wrong about that.
    pub(crate) fn never(&mut self, client: usize, number: u32) -> Result<(), String> {
        match self.will(client, number) {
            Some(will) => {
                will.fate = Fate::Never;
                match will.came {
                    true => Err(format!(
                        "will {number} of testator {client} came after a goodbye"
                    )),
                    false => Ok(()),
                }
            }
            None => Ok(()),
        }
    }

    /// A client lost its connection; a will that is `delayed` is withdrawn when its client returns.
    pub(crate) fn crash(&mut self, client: usize, delayed: bool) {
        let latest = self.0[client].1.last_mut();
        for will in latest.into_iter().filter(|will| will.fate == Fate::Armed) {
            will.fate = if delayed { Fate::Never } else { Fate::Due };
        }
    }

    /// A will came.
    ///
    /// # Errors
    /// With what is wrong about that.
    pub(crate) fn came(&mut self, client: usize, number: u32) -> Result<(), String> {
        let qos = self.0.get(client).map(|it| it.0);
        let what = format!("will {number} of testator {client}");
        let Some(will) = self.will(client, number) else {
            return Err(format!("{what} came, which nobody left"));
        };
        let again = core::mem::replace(&mut will.came, true);
        match will.fate {
            Fate::Never => Err(format!("{what} came, though it was withdrawn")),
            Fate::Armed => Err(format!("{what} came, though its client is connected")),
            _ if again && qos == Some(QoS::ExactlyOnce) => {
                Err(format!("{what} (QoS 2) came twice"))
            }
            _ => Ok(()),
        }
    }

    /// Whether everything that must come has come.
    pub(crate) fn is_settled(&self) -> bool {
        let mut all = self.0.iter().flat_map(|it| &it.1);
        all.all(|will| will.came || will.fate != Fate::Due)
    }

    /// Waiting is over: a sentence for each will that has not come, once.
    pub(crate) fn write_off(&mut self) -> Vec<String> {
        let mut lost = Vec::new();
        for (client, (_, wills)) in self.0.iter_mut().enumerate() {
            for (will, number) in wills.iter_mut().zip(1..) {
                if will.fate == Fate::Due && !will.came {
                    will.fate = Fate::Doubt;
                    lost.push(format!(
                        "will {number} of testator {client} was not published"
                    ));
                }
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wills() -> Wills {
        Wills::new([QoS::ExactlyOnce, QoS::AtLeastOnce])
    }

    #[test]
    fn the_will_of_a_lost_connection_comes_once() {
        let mut wills = wills();
        wills.ask(0);
        wills.armed(0);
        wills.crash(0, false);
        assert!(!wills.is_settled());
        wills.came(0, 1).expect("it is due");
        assert!(wills.is_settled());
        wills.came(0, 1).expect_err("QoS 2");
        assert!(wills.write_off().is_empty());
    }

    #[test]
    fn one_that_does_not_come_is_reported_once() {
        let mut wills = wills();
        wills.ask(1);
        wills.armed(1);
        wills.crash(1, false);
        assert_eq!(
            wills.write_off(),
            ["will 1 of testator 1 was not published"]
        );
        assert!(wills.write_off().is_empty() && wills.is_settled());
    }

    #[test]
    fn one_that_was_withdrawn_does_not_come() {
        let mut wills = wills();
        wills.ask(0);
        wills.armed(0);
        wills.came(0, 1).expect_err("the client is connected");
        wills.doubt(0, 1);
        wills.never(0, 1).expect_err("it came");
        wills.ask(0);
        wills.armed(0);
        wills.doubt(0, 2);
        wills.never(0, 2).expect("it did not come");
        wills.ask(0);
        wills.armed(0);
        wills.came(0, 2).expect_err("withdrawn");
        wills.crash(0, true);
        wills.came(0, 3).expect_err("its client returned in time");
        wills.came(0, 4).expect_err("nobody left it");
    }

    #[test]
    fn what_is_not_confirmed_may_come_or_not() {
        let mut wills = wills();
        wills.ask(0);
        wills.armed(0);
        wills.doubt(0, 1);
        wills.ask(0);
        wills.crash(0, false);
        assert!(wills.is_settled());
        wills
            .came(0, 1)
            .expect("the goodbye may not have been heard");
        wills.came(0, 2).expect("the connection may have stood");
    }
}
