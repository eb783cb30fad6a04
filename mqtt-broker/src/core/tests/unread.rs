//! Starting again where messages stay on the disk, and where some of them cannot be read.

use mqtt_codec::{QoS, SubscriptionOptions};

use super::client::Manner;
use super::net::Net;

/// A session may have more different groups and identifiers than a queue in the store can tell apart: what it had from each of them comes
/// all the same. What came from the later groups was taken for its own and forgotten.
#[test]
fn a_member_of_thousands_of_groups_gets_what_each_had_for_it() {
    const COUNT: u32 = 2_500;
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut net = Net::new(2);
        let publisher = net.connect("pub");
        let member = net.persistent("member");
        net.set_manner(member, Manner::Silent);
        for number in 1..=COUNT {
            let filter = format!("$share/g{number}/t/{number}");
            let options = SubscriptionOptions::new(qos);
            net.subscribe_with(member, &[&filter], options, Some(number));
        }
        for number in 1..=COUNT {
            net.publish(publisher, &format!("t/{number}"), &number.to_string(), qos);
        }
        net.seen(member);
        let lost = net.restart_from_disk(2, true, |_| {});
        assert_eq!((lost, net.gauges()[3]), (0, u64::from(COUNT)));
        net.agrees_with_the_store();
        let member = net.persistent("member");
        let texts = net.texts(member);
        let mut numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(1..=COUNT), "{} came", texts.len());
        net.agrees_with_the_store();
        assert!(net.ledgers.lock().queues.is_empty());
    }
}
