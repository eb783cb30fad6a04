"""Sessions with paho-mqtt in one version: offline queue, broken links, wills, takeover."""

import time

from paho_support import PATIENCE, PacketTypes, Peer, expect, main, properties


def keeping(version):
    """The CONNECT properties of a client whose session outlives its connection."""
    return properties(PacketTypes.CONNECT, SessionExpiryInterval=600) if version == "5" else None


def offline(port, version):
    """What was published while the client was away is there when it comes back, and the session is said to be present."""
    keeper = Peer(port, version, "keeper", clean=False, connect_properties=keeping(version))
    flags, _ = keeper.connect()
    expect(flags.session_present, False, "session present at first")
    keeper.subscribe(("off/#", 2))
    keeper.disconnect()
    publisher = Peer(port, version)
    publisher.connect()
    for level in (0, 1, 2):
        for n in range(5):
            publisher.publish(f"off/{level}", str(n), level)
    back = Peer(port, version, "keeper", clean=False, connect_properties=keeping(version))
    flags, _ = back.connect()
    if version != "3.1":
        expect(flags.session_present, True, "session present")
    publisher.publish("off/end", "", 2)
    got = {}
    while "off/end" not in got:
        message = back.message()
        got.setdefault(message.topic, []).append(message.payload.decode())
    wanted = [str(n) for n in range(5)]
    expect(got["off/1"], wanted)
    expect(got["off/2"], wanted)
    back.disconnect()
    fresh = Peer(port, version, "keeper", clean=True)
    flags, _ = fresh.connect()
    expect(flags.session_present, False, "session present after a clean start")
    publisher.publish("off/1", "nobody subscribed", 1)
    fresh.subscribe(("off/2", 1))
    publisher.publish("off/2", "subscribed again", 1)
    expect(fresh.text(), "off/2|1|0|subscribed again")


def broken_link(port, version):
    """Links that break under QoS 1 and 2 lose nothing, and QoS 2 doubles nothing, in either direction."""
    subscriber = Peer(port, version, "sub", clean=False, connect_properties=keeping(version))
    subscriber.connect()
    subscriber.subscribe(("link/#", 2))
    publisher = Peer(port, version, "pub", clean=False, connect_properties=keeping(version))
    publisher.connect()
    sent = []
    for n in range(60):
        sent.append(publisher.client.publish(f"link/{n % 2 + 1}", str(n), n % 2 + 1))
        if n == 20:
            publisher.break_link()
        if n == 40:
            subscriber.break_link()
    unacknowledged = {info.mid for info in sent}
    while unacknowledged:
        unacknowledged.discard(publisher.acknowledged.get(timeout=PATIENCE)[0])
    publisher.publish("link/end", "", 2)
    got = {"link/1": [], "link/2": []}
    while (message := subscriber.message()).topic != "link/end":
        got[message.topic].append(int(message.payload))
    expect(got["link/2"], list(range(1, 60, 2)), "QoS 2 exactly once")
    expect(sorted(set(got["link/1"])), list(range(0, 60, 2)), "QoS 1 at least once")


def will(port, version):
    """The will of a crashed client is published, that of one that says DISCONNECT is not."""
    watcher = Peer(port, version)
    watcher.connect()
    watcher.subscribe(("will/#", 2))
    polite = Peer(port, version, will={"topic": "will/polite", "payload": "lost", "qos": 1})
    polite.connect()
    polite.disconnect()
    for level in (0, 1, 2):
        crashed = Peer(port, version, will={"topic": "will/crashed", "payload": f"lost {level}", "qos": level})
        crashed.connect()
        crashed.crash()
        expect(watcher.text(), f"will/crashed|{level}|0|lost {level}")


def takeover(port, version):
    """The later of two clients with one id stays, the earlier one learns that it has lost its connection."""
    first = Peer(port, version, "same")
    first.connect()
    first.client.reconnect_delay_set(60, 60)
    second = Peer(port, version, "same")
    second.connect()
    reason = first.ends.get(timeout=PATIENCE)
    first.client.loop_stop()
    if version == "5":
        # paho-mqtt 2.1 sees the reason only in a DISCONNECT that has properties.
        expect(reason.value, 0x8E, "reason code of DISCONNECT")
    second.subscribe(("t", 1))
    second.publish("t", "still here", 1)
    expect(second.text(), "t|1|0|still here")


def will_delay(port):
    """A delayed will waits, is dropped when its client comes back, and is published when it does not."""
    watcher = Peer(port, "5")
    watcher.connect()
    watcher.subscribe(("delayed/#", 1))
    delay = properties(PacketTypes.WILLMESSAGE, WillDelayInterval=2, ContentType="text/plain", UserProperty=("why", "crash"))

    def sleeper(payload):
        peer = Peer(port, "5", "sleeper", clean=False, connect_properties=keeping("5"),
                    will={"topic": "delayed/will", "payload": payload, "qos": 1, "properties": delay})
        peer.connect()
        return peer

    sleeper("dropped").crash()
    back = sleeper("published")
    crashed = time.monotonic()
    back.crash()
    other = Peer(port, "5")
    other.connect()
    other.publish("delayed/other", "meanwhile", 1)
    expect(watcher.text(), "delayed/other|1|0|meanwhile")
    message = watcher.message()
    waited = time.monotonic() - crashed
    expect((message.topic, message.payload), ("delayed/will", b"published"))
    expect(message.properties.ContentType, "text/plain")
    expect(message.properties.UserProperty, [("why", "crash")])
    expect(waited > 1.9, True, f"delay (waited {waited:.2f} s)")


main({"offline": offline, "broken_link": broken_link, "will": will, "takeover": takeover, "will_delay": will_delay})
