"""Messages both ways with paho-mqtt in one version: QoS, order, retained messages, wildcards."""

from paho_support import Peer, expect, main


def qos(port, version):
    """Every published QoS at every granted QoS, with the lower one delivered, and the same client as its own subscriber."""
    subscribers = [Peer(port, version) for _ in range(3)]
    for granted, subscriber in enumerate(subscribers):
        subscriber.connect()
        expect(subscriber.subscribe(("q/#", granted)), [granted])
    publisher = Peer(port, version)
    publisher.connect()
    expect(publisher.subscribe(("q/#", 2)), [2])
    for published in range(3):
        publisher.publish(f"q/{published}", f"m{published}", published)
    for granted, subscriber in [*enumerate(subscribers), (2, publisher)]:
        got = sorted(subscriber.text() for _ in range(3))
        expect(got, [f"q/{p}|{min(p, granted)}|0|m{p}" for p in range(3)], f"granted {granted}")
    for peer in [*subscribers, publisher]:
        peer.disconnect()


def burst(port, version):
    """Three hundred messages at once at QoS 1 and at QoS 2 are all acknowledged and arrive in order."""
    subscriber = Peer(port, version)
    subscriber.connect()
    subscriber.subscribe(("burst/+", 2))
    publisher = Peer(port, version)
    publisher.client.max_inflight_messages_set(300)
    publisher.connect()
    for level in (1, 2):
        sent = [publisher.client.publish(f"burst/{level}", str(n), level) for n in range(300)]
        for info in sent:
            info.wait_for_publish(15)
            expect(info.is_published(), True, "acknowledged")
        expect([subscriber.message().payload for _ in range(300)], [str(n).encode() for n in range(300)], f"QoS {level}")


def retained(port, version):
    """A retained message waits for a new subscriber, by a wildcard too, and an empty payload removes it."""
    publisher = Peer(port, version)
    publisher.connect()
    publisher.publish("r/a", "one", 1, retain=True)
    publisher.publish("r/b", "two", 2, retain=True)
    publisher.publish("r/c", "", 1, retain=True)
    reader = Peer(port, version)
    reader.connect()
    reader.subscribe(("r/+", 1))
    expect(sorted([reader.text(), reader.text()]), ["r/a|1|1|one", "r/b|1|1|two"])
    publisher.publish("r/a", b"", 1, retain=True)
    expect(reader.text(), "r/a|1|0|")
    late = Peer(port, version)
    late.connect()
    late.subscribe(("r/#", 2))
    expect(late.text(), "r/b|2|1|two")
    publisher.publish("r/end", "nothing else", 1)
    expect(late.text(), "r/end|1|0|nothing else")


def wildcards(port, version):
    """`+`, `#`, its parent level, `$` topics and UNSUBSCRIBE."""
    peer = Peer(port, version)
    peer.connect()
    expect(peer.subscribe(("w/+/x", 1), ("w/deep/#", 1), ("+/top", 0)), [1, 1, 0])
    for topic in ("w/1/x", "w/1/y", "w/deep", "w/deep/er/est", "w//x", "$hidden/top", "w/top"):
        peer.publish(topic, "m", 1)
    got = [peer.message().topic for _ in range(5)]
    expect(sorted(got), sorted(["w/1/x", "w/deep", "w/deep/er/est", "w//x", "w/top"]))
    codes = peer.unsubscribe("w/+/x", "w/never")
    if version == "5":
        expect(codes, [0x00, 0x11], "codes of UNSUBACK")
    peer.publish("w/1/x", "unwanted", 1)
    peer.publish("w/deep", "wanted", 1)
    expect(peer.text(), "w/deep|1|0|wanted")


main({"qos": qos, "burst": burst, "retained": retained, "wildcards": wildcards})
